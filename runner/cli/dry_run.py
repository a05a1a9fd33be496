"""`stem4d dry-run`: the whole way on the public tier, before anything is submitted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from schemas.findings import ContractError, ExitCode

if TYPE_CHECKING:
    from rich.table import Table

    from runner.pipeline.backend import Backend
    from runner.scoring.leaderboard import Gallery
    from schemas.limits import ResourceLimits

SCENARIOS = ("I", "II", "III")


@click.command(name="dry-run")
@click.option(
    "--algorithm",
    metavar="NAME",
    help="RECONSTRUCTOR[+CALIBRATOR], or FILE.py:CLASS[+CALIBRATOR]."
    "  [default: the image's own choice; in this process ptychography+gradient]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("data"),
    show_default=True,
    help="Folder of the public tier; it is built there when it is absent.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("dry-run"),
    show_default=True,
    help="Folder for result.h5, score.json, scenarios.json and report.png.",
)
@click.option(
    "--scenes",
    type=click.IntRange(1, 999),
    default=4,
    show_default=True,
    help="Number of scenes of the tier.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the tier (scenes, mismatch, noise) and of the algorithm.",
)
@click.option(
    "--limits",
    "limits_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file of limits.  [default: the contract's]",
)
@click.option("--image", help="Run this image.  [default: stem4d:latest, where there is one]")
@click.option("--no-docker", is_flag=True, help="Run in this process, without a container.")
@click.option("--no-report", is_flag=True, help="Skip scenarios I and II and the picture.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, a ScoreCard.")
def dry_run(
    *,
    algorithm: str | None,
    data: Path,
    out: Path,
    scenes: int,
    seed: int,
    limits_file: Path | None,
    image: str | None,
    no_docker: bool,
    no_report: bool,
    as_json: bool,
) -> int:
    """Build the public tier, run a submission on it, validate, score and draw the result.

    In a container where an engine answers and has the image, else in this process; it says which.
    """
    from runner.cli.cards import show_card
    from runner.cli.output import note, print_tables
    from runner.harness.limits import load_limits
    from runner.pipeline.dry_run import Plan, report, run_and_judge

    limits = load_limits(limits_file)
    backend = _backend(image, limits, no_docker=no_docker)
    plan = Plan(algorithm, data, out, scenes, seed)
    judged = run_and_judge(plan, backend, note)
    findings = judged.card.findings
    show_card(judged.card, as_json=as_json)
    if not no_report:
        made = report(plan, judged, backend, note)
        if not as_json:
            print_tables(_scenario_table(made.gallery))
        note(f"picture {made.picture}")
    return int(ContractError(findings).exit_code if findings else ExitCode.DONE)


def _backend(image: str | None, limits: ResourceLimits, *, no_docker: bool) -> Backend:
    """The backend that was asked for, or the one that is there; says which, and why."""
    from runner.cli.backends import container_backend
    from runner.cli.output import note
    from runner.pipeline.backend import DEFAULT_IMAGE, ProcessBackend, image_or_reason

    if no_docker and image is not None:
        raise click.UsageError("--image and --no-docker exclude each other")
    if no_docker:
        note("backend: this process (--no-docker)")
        return ProcessBackend(limits)
    reason = None if image is not None else image_or_reason(DEFAULT_IMAGE)
    if reason is not None:
        note(f"backend: this process, for no container can be run here ({reason})")
        return ProcessBackend(limits)
    return container_backend(image or DEFAULT_IMAGE, limits)


def _scenario_table(local: Gallery) -> Table:
    """PSNR and SSIM in each scenario, beside the page's gallery of its own baseline."""
    from runner.cli.galleries import scenario_cells, scenario_columns
    from runner.cli.output import make_table
    from runner.scoring.leaderboard import published

    page = published().gallery
    columns = ["method", "scene", *scenario_columns(SCENARIOS)]
    rows = [
        [method, row.scene, *scenario_cells(row, SCENARIOS)]
        for method, gallery in ((local.method, local), (f"{page.method} (page)", page))
        for row in (*gallery.scenes, gallery.mean)
    ]
    title = "scenarios, beside the page's gallery (other data)"
    return make_table(title, columns, rows, left=2)
