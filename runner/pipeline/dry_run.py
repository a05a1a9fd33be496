"""Public tier -> blind view -> submission -> result -> validate -> score -> picture."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from runner.files.hdf5 import atomic_path, make_folder, output_error
from runner.files.result import PROGRESS_NAME, RESULT_NAME, ResultFile
from runner.harness.options import Job, docker_command
from runner.pipeline.backend import Backend, Used
from runner.pipeline.check import check_result, told
from runner.pipeline.picture import scene_panels
from runner.pipeline.report import (
    CARD_NAME,
    FIGURES_NAME,
    GALLERY_NAME,
    PAGE_NAME,
    VIEW_NAME,
    ReportPlan,
    make_report,
)
from runner.pipeline.run_record import RECORD_NAME, SCENARIO_NAMES, RunRecord
from runner.pipeline.scenarios import Say, ScenarioRun, gallery, run_uncorrected
from runner.pipeline.smoke import no_result, smoke
from runner.report.figure import save_figure
from runner.report.page.figures import remove_figures
from runner.scoring.leaderboard import Gallery
from runner.scoring.score import score_result
from runner.scoring.validate import validate_result
from runner.tiers.build import TierFiles, build_tier, tier_files
from runner.tiers.recipes import default_recipe
from runner.tiers.strip import strip
from schemas.base import Record
from schemas.challenge import Tier
from schemas.findings import ContractError, refuse
from schemas.limits import ResourceLimits
from schemas.result import MAX_RESULT_BYTES
from schemas.score import ScoreCard

PICTURE_NAME = "report.png"
BY_HAND_NAME = "by-hand"
OWN_FILES = (
    VIEW_NAME,
    RESULT_NAME,
    PROGRESS_NAME,
    CARD_NAME,
    RECORD_NAME,
    GALLERY_NAME,
    *SCENARIO_NAMES.values(),
    PICTURE_NAME,
    PAGE_NAME,
)
"""What a dry run leaves in its folder, and removes from an earlier one before it begins."""

LEAST_FREE_BYTES = 2 * MAX_RESULT_BYTES
"""A result that is written anew lies beside the earlier one for a moment."""

DEFAULT_SCENES = 4
DEFAULT_SEED = 0


@dataclass(frozen=True)
class Plan:
    """What a dry run is to do.

    Attributes:
        algorithm: algorithm by name; None leaves the choice to the image.
        data: folder of the tiers' files.
        out: folder of the run's files.
        scenes: number of scenes of the public tier.
        seed: seed of the tier and of the algorithm.
        smoke: whether one small sample is tried first.
        limits: what the backend lets a run use, for the record.
    """

    algorithm: str | None
    data: Path
    out: Path
    scenes: int = DEFAULT_SCENES
    seed: int = DEFAULT_SEED
    smoke: bool = True
    limits: ResourceLimits = field(default_factory=ResourceLimits)


@dataclass(frozen=True)
class Judged:
    """A submission's result on the public tier.

    Attributes:
        card: the score card, findings of the run and of the validation included.
        result: what of the result file is valid.
        files: the data as the submission saw them, and the truth.
        used: what the run used of its limits.
    """

    card: ScoreCard
    result: ResultFile
    files: TierFiles
    used: Used


@dataclass(frozen=True)
class Report:
    """What is shown beside the score.

    Attributes:
        gallery: PSNR and SSIM in each scenario.
        picture: the figure's file.
        page: the report page.
    """

    gallery: Gallery
    picture: Path
    page: Path


def run_and_judge(plan: Plan, backend: Backend, say: Say) -> Judged:
    """Try one small sample; build the tier if it is absent, strip, run, validate, score.

    Writes `score.json`, and tells what the counts alone say. What was finished before an error, a
    limit or Ctrl-C is judged.

    Args:
        plan: what to do.
        backend: what runs the submission.
        say: told, line by line, what is being done.

    Raises:
        ContractError: nothing could be run, or nothing of the result can be scored.
    """
    _make_room(plan.out)
    if plan.smoke:
        smoke(plan.out, backend, algorithm=plan.algorithm, seed=plan.seed, say=say)
    files = public_tier(plan, say)
    view = strip(files.challenge, plan.out / VIEW_NAME)
    say(f"blind view {view}: the truth is not in it")
    run = backend.run(view, plan.out, algorithm=plan.algorithm, seed=plan.seed)
    if run.result is None:
        raise ContractError(run.findings or no_result())
    result, faults = validate_result(run.result, view)
    if result is None or not result.samples:
        raise ContractError((*run.findings, *faults))
    say(f"result {run.result}: " + (f"{len(faults)} findings" if faults else "valid"))
    for line in told(check_result(run.result, view)):
        say(line)
    card = score_result(run.result, files.truth).model_copy(
        update={
            "seconds": run.seconds,
            "backend": backend.name,
            "findings": (*run.findings, *faults),
        }
    )
    _write(plan.out / CARD_NAME, card)
    _write(plan.out / RECORD_NAME, RunRecord.of(plan.out, files.truth, plan.limits))
    return Judged(card, result, TierFiles(view, files.truth), run.used(result.run_info))


def by_hand(plan: Plan, image: str, limits: ResourceLimits, say: Say) -> str:
    """The `docker run` line of a dry run, made from the sandbox's own options, ready to be pasted.

    What it names is made as well: the blind view, and a folder that every user may write to.
    """
    files = public_tier(plan, say)
    output = plan.out / BY_HAND_NAME
    make_folder(output)
    output.chmod(0o777)
    view = strip(files.challenge, plan.out / VIEW_NAME)
    return docker_command(Job(image, view, output, limits, plan.algorithm, plan.seed))


def report(plan: Plan, judged: Judged, backend: Backend, say: Say) -> Report:
    """Run scenarios I and II, draw them beside III, and make the page.

    Writes `scenarios.json` and the scenarios' answers, `report.png`, `report.html`, `figures/`.
    """
    card, files = judged.card, judged.files
    with tempfile.TemporaryDirectory(dir=plan.out, prefix=".scenarios-") as folder:
        uncorrected = run_uncorrected(
            files, Path(folder), backend, algorithm=card.algorithm, seed=plan.seed, say=say
        )
        for run in uncorrected:
            if run.answers:
                shutil.copy(
                    Path(folder, run.name, RESULT_NAME), plan.out / SCENARIO_NAMES[run.name]
                )
    scenarios = [*uncorrected, ScenarioRun("III", judged.result.samples)]
    found = gallery(files.truth, card.algorithm, scenarios)
    _write(plan.out / GALLERY_NAME, found)
    picture = plan.out / PICTURE_NAME
    title = f"{card.algorithm}, {card.tier} tier, {card.track} track: score {card.score:.3f}"
    save_figure(picture, scene_panels(files.truth, scenarios, found), title=title)
    say("report page")
    page = make_report(ReportPlan(plan.out, truth=files.truth), say)
    return Report(found, picture, page)


def public_tier(plan: Plan, say: Say) -> TierFiles:
    """The public tier's files, built when they are not there.

    Another number of scenes or another seed than the default has a folder of its own, so that no
    file is ever taken for another one, or overwritten.
    """
    folder = plan.data
    if (plan.scenes, plan.seed) != (DEFAULT_SCENES, DEFAULT_SEED):
        folder = folder / f"public-{plan.scenes}-scenes-seed-{plan.seed}"
    files = tier_files(Tier.PUBLIC, folder)
    if files.challenge.is_file() and files.truth.is_file():
        say(f"public tier {files.challenge}")
        return files
    say(f"building the public tier in {folder}")
    recipe = default_recipe(Tier.PUBLIC, seed=plan.seed, scenes=plan.scenes)
    return build_tier(recipe, folder, progress=say)


def _make_room(out: Path) -> None:
    """An output folder in which nothing of an earlier run can be taken for this one's."""
    make_folder(out)
    for name in OWN_FILES:
        try:
            (out / name).unlink(missing_ok=True)
        except OSError as error:
            raise output_error(out / name, error) from error
    remove_figures(out / FIGURES_NAME)
    free = shutil.disk_usage(out).free
    if free < LEAST_FREE_BYTES:
        raise refuse(
            "NO_SPACE",
            str(out),
            expected=f"{LEAST_FREE_BYTES >> 20} MiB free, for the data and the largest result",
            found=f"{free / (1 << 20):.1f} MiB",
            hint="free some space, or name another --out; `docker system prune` removes old images",
        )


def _write(path: Path, record: Record) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
