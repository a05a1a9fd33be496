"""Scenarios I, II and III of the contract, section 5, for one reconstructor.

I: nominal data, nominal operator. II: mismatched data, nominal operator. III: mismatched data and
the operator that the submission found (III-blind), or the true one (III-oracle). I and II are runs
of the same reconstructor without a calibrator, by the same backend as the submission itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.files.challenge import ChallengeSample, open_challenge
from runner.files.result import SampleResult, read_result
from runner.pipeline.backend import Backend
from runner.pipeline.views import nominal_view
from runner.scoring import metrics
from runner.scoring.leaderboard import Gallery, GalleryRow, Metrics
from runner.tiers.build import TierFiles
from schemas.findings import Finding

NO_CALIBRATOR = "none"
"""The calibrator that leaves the operator nominal."""

ORACLE = "oracle"
"""The calibrator that looks at the true spec."""

SCENARIOS = {
    "I": "nominal data, nominal H",
    "II": "mismatched data, nominal H",
    "III": "mismatched data, corrected H",
    "III-oracle": "mismatched data, true H",
    "III-blind": "mismatched data, estimated H",
}
"""What each scenario of the contract is; III comes as a whole, or as its two kinds."""

Say = Callable[[str], None]
"""Told, one line at a time, what is being done."""


@dataclass(frozen=True)
class ScenarioRun:
    """One scenario over all scenes.

    Attributes:
        name: I, II or III; or III-oracle, III-blind.
        answers: {sample name: answer}; what failed is not in it.
        findings: why something is missing.
        algorithm: as the result file names it; None where there is none.
        seconds: wall time of the run [s]; None where it was not measured.
    """

    name: str
    answers: Mapping[str, SampleResult]
    findings: tuple[Finding, ...] = ()
    algorithm: str | None = None
    seconds: float | None = None


def with_calibrator(algorithm: str, calibrator: str) -> str:
    """The same reconstructor with another calibrator."""
    return f"{algorithm.partition('+')[0]}+{calibrator}"


def uncorrected(algorithm: str) -> str:
    """The same reconstructor without a calibrator: "ptychography+gradient" -> "...+none"."""
    return with_calibrator(algorithm, NO_CALIBRATOR)


def run_uncorrected(
    files: TierFiles,
    folder: Path,
    backend: Backend,
    *,
    algorithm: str,
    seed: int,
    say: Say,
) -> tuple[ScenarioRun, ScenarioRun]:
    """Scenarios I and II of an algorithm's reconstructor.

    Args:
        files: the mismatched data as a container sees them, and the truth.
        folder: an empty folder for the runs' files.
        backend: what runs the reconstructor.
        algorithm: the submission's algorithm, whose calibrator is left out.
        seed: seed of the nominal data's noise and of the reconstructor.
        say: told what is being done, and what failed: a scenario that fails is shown as missing.
    """
    name = uncorrected(algorithm)
    nominal = nominal_view(files.truth, folder / "nominal.h5", seed=seed)
    first = run_scenario("I", nominal, folder, backend, algorithm=name, seed=seed, say=say)
    second = run_scenario(
        "II", files.challenge, folder, backend, algorithm=name, seed=seed, say=say
    )
    return first, second


def run_scenario(
    name: str,
    view: Path,
    folder: Path,
    backend: Backend,
    *,
    algorithm: str | None,
    seed: int,
    say: Say,
) -> ScenarioRun:
    """Run one scenario; what fails is missing from it, told, and kept as findings.

    Args:
        name: one of `SCENARIOS`.
        view: the data of this scenario.
        folder: where the run's own folder, `name`, is made.
        backend: what runs the reconstructor.
        algorithm: what to run; None leaves the choice to the image.
        seed: seed of the reconstructor.
        say: told what is being done, and what failed.
    """
    say(f"scenario {name}: {SCENARIOS[name]}, {algorithm or 'the algorithm of the image'}")
    output = folder / name
    output.mkdir()
    run = backend.run(view, output, algorithm=algorithm, seed=seed)
    made, findings = None, run.findings
    if run.result is not None:
        with open_challenge(view) as file:
            made, faults = read_result(run.result, file)
        findings = (*findings, *faults)
    for item in findings:
        say(f"scenario {name} is incomplete: {item.text()}")
    return ScenarioRun(
        name=name,
        answers=made.samples if made else {},
        findings=findings,
        algorithm=made.provenance.algorithm if made else None,
        seconds=run.seconds,
    )


def gallery(truth: Path, method: str, scenarios: Sequence[ScenarioRun]) -> Gallery:
    """PSNR and SSIM of every scene in every scenario, and their means, as the page prints them."""
    with open_challenge(truth) as file:
        rows = tuple(_row(sample, scenarios) for sample in file)
    return Gallery(method=method, scenes=rows, mean=_mean(rows))


def _row(sample: ChallengeSample, scenarios: Sequence[ScenarioRun]) -> GalleryRow:
    assert sample.x_true is not None, "a gallery needs the truth"
    found = {
        run.name: Metrics(
            psnr_db=metrics.psnr_db(run.answers[sample.name].x_hat, sample.x_true),
            ssim=metrics.ssim(run.answers[sample.name].x_hat, sample.x_true),
        )
        for run in scenarios
        if sample.name in run.answers
    }
    return GalleryRow(scene=sample.metadata.scene, scenarios=found)


def _mean(rows: Sequence[GalleryRow]) -> GalleryRow:
    names = {name: None for row in rows for name in row.scenarios}
    means = {}
    for name in names:
        found = [row.scenarios[name] for row in rows if name in row.scenarios]
        means[name] = Metrics(
            psnr_db=sum(entry.psnr_db for entry in found) / len(found),
            ssim=sum(entry.ssim for entry in found) / len(found),
        )
    return GalleryRow(scene="mean", scenarios=means)
