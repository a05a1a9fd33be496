"""The page's gallery for any reconstructor: scenes in scenarios I, II, III-oracle, III-blind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from runner.files.challenge import open_challenge
from runner.files.hdf5 import make_folder, output_error
from runner.pipeline.backend import Backend
from runner.pipeline.scenarios import (
    ORACLE,
    SCENARIOS,
    Say,
    ScenarioRun,
    gallery,
    run_scenario,
    uncorrected,
    with_calibrator,
)
from runner.pipeline.views import nominal_view, oracle_view, require_truth
from runner.report.drawing import ScenarioImage
from runner.report.gallery import GalleryColumn, GalleryScene, save_gallery
from runner.scoring.leaderboard import NOT_THE_SAME_DATA, Gallery, published
from runner.scoring.score import truth_of
from runner.tiers.strip import strip
from schemas.base import Record, quantity
from schemas.findings import ContractError, ExitCode, Finding, refuse

COLUMNS = ("I", "II", "III-oracle", "III-blind")
"""Scenarios of the gallery, from left to right."""

PICTURE_NAME = "scenarios.png"
REPORT_NAME = "scenarios.json"

STOPPED = "STOPPED"
"""Code of a run that a person ended: then nothing else is begun."""


@dataclass(frozen=True)
class GalleryPlan:
    """What is to be compared.

    Attributes:
        challenge: challenge file, with its truth or without.
        truth: its truth file, the organiser's; None where `challenge` holds the truth.
        algorithm: what makes III-blind; its reconstructor makes the others. None leaves the choice
            to the image.
        output: a folder that does not exist yet, for picture and report; None writes nothing.
        seed: seed of the nominal data's noise and of the algorithm.
    """

    challenge: Path
    truth: Path | None
    algorithm: str | None
    output: Path | None = None
    seed: int = 0


class ScenarioOutcome(Record):
    """How one scenario went."""

    name: str = Field(description="I, II, III-oracle or III-blind")
    setting: str = Field(description="which data, which operator")
    seconds: float | None = quantity("s", "wall time over all scenes", default=None)
    findings: tuple[Finding, ...] = Field(default=(), description="why something is missing")


class GalleryReport(Record):
    """What `stem4d scenarios --json` prints."""

    tier: str = Field(description="tier that the truth file names")
    algorithm: str = Field(description="what made III-blind")
    backend: str = Field(description="container or process")
    seed: int = Field(description="seed of the nominal data's noise and of the algorithm")
    scenarios: tuple[ScenarioOutcome, ...] = Field(description="in the order of the columns")
    gallery: Gallery = Field(description="PSNR and SSIM of every scene in every scenario")
    published: Gallery = Field(description="the page's gallery, of its own data")
    note: str = Field(default=NOT_THE_SAME_DATA, description="what may be compared")

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every reason why something is missing."""
        return tuple(item for outcome in self.scenarios for item in outcome.findings)


def make_gallery(plan: GalleryPlan, backend: Backend, say: Say) -> GalleryReport:
    """Run all scenarios, compare them with the truth, draw them.

    The submission itself, III-blind, runs first: what cannot be run at all is told at once, and an
    image's own choice is known to the others. Any other scenario that fails is left out.

    Raises:
        ContractError: bad input or no truth, an output folder that is there already, an algorithm
            that cannot be run, no answer in any scenario, or a signal to stop.
    """
    truth = plan.truth or plan.challenge
    require_truth(plan.challenge, truth)
    with _folder(plan.output) as folder:
        runs = _run_all(plan, truth, folder, backend, say)
        method = runs["III-blind"].algorithm or plan.algorithm
        if method is None or not any(run.answers for run in runs.values()):
            raise ContractError([item for run in runs.values() for item in run.findings])
        with open_challenge(truth) as file:
            tier = file.attrs.tier
        report = GalleryReport(
            tier=tier,
            algorithm=method,
            backend=backend.name,
            seed=plan.seed,
            scenarios=tuple(_outcome(run) for run in runs.values()),
            gallery=gallery(truth, method, tuple(runs.values())),
            published=published().gallery,
        )
        if plan.output is not None:
            _write(folder / "made", truth, runs, report)
            (folder / "made").rename(plan.output)
    return report


def _run_all(
    plan: GalleryPlan, truth: Path, folder: Path, backend: Backend, say: Say
) -> dict[str, ScenarioRun]:
    """The runs, in the order of `COLUMNS`."""
    view = strip(plan.challenge, folder / "blind.h5")

    def run(name: str, data: Path, algorithm: str | None) -> ScenarioRun:
        done = run_scenario(
            name, data, folder, backend, algorithm=algorithm, seed=plan.seed, say=say
        )
        if any(item.code == STOPPED for item in done.findings):
            raise ContractError(done.findings)
        return done

    blind = run("III-blind", view, plan.algorithm)
    method = blind.algorithm or plan.algorithm
    if not blind.answers:
        error = ContractError(blind.findings)
        if method is None or error.exit_code not in (ExitCode.ALGORITHM, ExitCode.RESULT):
            raise error
    assert method is not None
    nominal = nominal_view(truth, folder / "nominal.h5", seed=plan.seed)
    told = oracle_view(truth, view, folder / "oracle.h5")
    runs = {
        "I": run("I", nominal, uncorrected(method)),
        "II": run("II", view, uncorrected(method)),
        "III-oracle": run("III-oracle", told, with_calibrator(method, ORACLE)),
        "III-blind": blind,
    }
    return {name: runs[name] for name in COLUMNS}


def _outcome(run: ScenarioRun) -> ScenarioOutcome:
    return ScenarioOutcome(
        name=run.name, setting=SCENARIOS[run.name], seconds=run.seconds, findings=run.findings
    )


@contextmanager
def _folder(output: Path | None) -> Iterator[Path]:
    """A folder to work in: beside `output`, so that what was made gets its name in one step.

    A run that fails leaves no `output`, and can be made again as it was.
    """
    if output is None:
        with tempfile.TemporaryDirectory(prefix="stem4d-scenarios-") as name:
            yield Path(name)
        return
    if output.exists():
        raise refuse(
            "USAGE",
            str(output),
            expected="a folder that does not exist yet",
            found="a folder" if output.is_dir() else "a file",
            hint="name another --output, or move this one away",
        )
    make_folder(output.parent)
    try:
        made = tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-")
    except OSError as error:
        raise output_error(output, error) from error
    with made as name:
        yield Path(name)


def _write(
    folder: Path, truth: Path, runs: Mapping[str, ScenarioRun], report: GalleryReport
) -> None:
    folder.mkdir()
    text = report.model_dump_json(indent=2) + "\n"
    (folder / REPORT_NAME).write_text(text, encoding="utf-8")
    columns = [
        GalleryColumn(run.name, SCENARIOS[run.name], report.gallery.mean.scenarios.get(run.name))
        for run in runs.values()
    ]
    title = f"{report.algorithm}, {report.tier} tier"
    save_gallery(folder / PICTURE_NAME, columns, _rows(truth, runs, report.gallery), title=title)


def _rows(truth: Path, runs: Mapping[str, ScenarioRun], found: Gallery) -> list[GalleryScene]:
    with open_challenge(truth) as file:
        return [
            GalleryScene(
                scene=row.scene,
                truth=truth_of(file, sample.name).x,
                sampling_A=sample.operator.attrs.sampling_A,
                images={
                    name: ScenarioImage(
                        run.answers[sample.name].x_hat, metrics.psnr_db, metrics.ssim
                    )
                    for name, run in runs.items()
                    if (metrics := row.scenarios.get(name)) is not None
                },
                missing={name: run.findings[0].code for name, run in runs.items() if run.findings},
            )
            for sample, row in zip(file, found.scenes, strict=True)
        ]
