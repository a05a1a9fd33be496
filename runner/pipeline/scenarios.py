"""Scenarios I, II and III of the contract, section 5, for one reconstructor.

I: nominal data, nominal operator. II: mismatched data, nominal operator. III: mismatched data and
the operator that the submission found. I and II are runs of the same reconstructor without a
calibrator, by the same backend as the submission itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from runner.files.challenge import Challenge, ChallengeSample, open_challenge, write_challenge
from runner.files.result import SampleResult, read_result
from runner.pipeline.backend import Backend
from runner.scoring import metrics
from runner.scoring.leaderboard import Gallery, GalleryRow, Metrics
from runner.tiers.build import TierFiles
from runner.tiers.simulate import simulate
from schemas.challenge import BLIND_TIER
from schemas.findings import Finding
from schemas.spec import MismatchSpec

NO_CALIBRATOR = "none"
"""The calibrator that leaves the operator nominal."""

NOMINAL_NOISE_STREAM = 1
"""Tells the noise of nominal data from every other use of the seed."""

Say = Callable[[str], None]
"""Told, one line at a time, what is being done."""


@dataclass(frozen=True)
class ScenarioRun:
    """One scenario over all scenes.

    Attributes:
        name: I, II or III.
        answers: {sample name: answer}; what failed is not in it.
        findings: why something is missing.
    """

    name: str
    answers: Mapping[str, SampleResult]
    findings: tuple[Finding, ...] = ()


def uncorrected(algorithm: str) -> str:
    """The same reconstructor without a calibrator: "ptychography+gradient" -> "...+none"."""
    return f"{algorithm.partition('+')[0]}+{NO_CALIBRATOR}"


def nominal_view(truth: Path, target: Path, *, seed: int) -> Path:
    """Write a challenge file of the same scenes, measured on the nominal detector.

    Args:
        truth: file with x_true.
        target: the new file; it holds no truth.
        seed: decides the noise.
    """
    with open_challenge(truth) as file:
        attrs = file.attrs.model_copy(update={"tier": BLIND_TIER})
        write_challenge(target, attrs, _measured_again(file, seed))
    return target


def _measured_again(file: Challenge, seed: int) -> Iterator[ChallengeSample]:
    for number, sample in enumerate(file):
        assert sample.x_true is not None, "scenario I needs the truth"
        ny, nx, *_ = sample.y.shape
        rng = np.random.default_rng([NOMINAL_NOISE_STREAM, seed, number])
        y = simulate(sample.x_true, sample.operator, MismatchSpec(), scan_shape=(ny, nx), rng=rng)
        yield replace(sample, y=y, x_true=None, true_spec=None)


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
    say(f"scenario I: nominal data, {name}")
    nominal = nominal_view(files.truth, folder / "nominal.h5", seed=seed)
    first = ScenarioRun("I", *_answers(nominal, folder / "I", backend, name, seed))
    say(f"scenario II: mismatched data, {name}")
    second = ScenarioRun("II", *_answers(files.challenge, folder / "II", backend, name, seed))
    for run in (first, second):
        for item in run.findings:
            say(f"scenario {run.name} is incomplete: {item.text()}")
    return first, second


def _answers(
    view: Path, output: Path, backend: Backend, algorithm: str, seed: int
) -> tuple[Mapping[str, SampleResult], tuple[Finding, ...]]:
    output.mkdir()
    run = backend.run(view, output, algorithm=algorithm, seed=seed)
    if run.result is None:
        return {}, run.findings
    with open_challenge(view) as file:
        result, findings = read_result(run.result, file)
    return result.samples if result else {}, (*run.findings, *findings)


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
