"""`stem4d dry-run`: the whole way on the public tier, before anything is submitted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from schemas.findings import ContractError, ExitCode

if TYPE_CHECKING:
    from rich.table import Table

    from runner.scoring.leaderboard import Gallery

SCENARIOS = ("I", "II", "III")


@click.command(name="dry-run")
@click.option(
    "--algorithm",
    metavar="NAME",
    help="RECONSTRUCTOR[+CALIBRATOR], or FILE.py:CLASS[+CALIBRATOR]."
    "  [default: the image's own choice; in this process ensemble+gradient]",
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
    help="Folder for result.h5, score.json, report.html and what else the run leaves.",
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
@click.option("--no-smoke", is_flag=True, help="Do not try one small sample of another size first.")
@click.option("--print-command", is_flag=True, help="Print the `docker run` line, and run nothing.")
@click.option("--no-report", is_flag=True, help="Skip scenarios I and II, picture and page.")
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
    no_smoke: bool,
    print_command: bool,
    no_report: bool,
    as_json: bool,
) -> int:
    """Try one small sample, then the public tier: run a submission, validate, score, draw.

    In a container where an engine answers and has the image, else in this process; it says which.
    In a folder with a submission.toml, what is run is the submission's own.
    """
    from runner.cli.backends import chosen_backend
    from runner.cli.cards import show_card
    from runner.cli.output import note, print_tables
    from runner.cli.resources import used_table
    from runner.harness.limits import load_limits
    from runner.pipeline.backend import DEFAULT_IMAGE
    from runner.pipeline.dry_run import Plan, by_hand, report, run_and_judge

    if no_docker and (image is not None or print_command):
        raise click.UsageError("--no-docker excludes --image and --print-command")
    limits = load_limits(limits_file)
    if algorithm is None and image is None:
        algorithm, image = _own(no_docker=no_docker)
    plan = Plan(algorithm, data, out, scenes, seed, smoke=not no_smoke, limits=limits)
    if print_command:
        click.echo(by_hand(plan, image or DEFAULT_IMAGE, limits, note))
        return int(ExitCode.DONE)
    backend = chosen_backend(image, limits, algorithm=algorithm, no_docker=no_docker)
    judged = run_and_judge(plan, backend, note)
    findings = judged.card.findings
    show_card(judged.card, as_json=as_json)
    if not as_json:
        print_tables(used_table(limits, judged.used))
    if not no_report and all(item.code != "STOPPED" for item in findings):
        made = report(plan, judged, backend, note)
        if not as_json:
            print_tables(_scenario_table(made.gallery))
        note(f"picture {made.picture}, report {made.page}")
    return int(ContractError(findings).exit_code if findings else ExitCode.DONE)


def _own(*, no_docker: bool) -> tuple[str | None, str | None]:
    """Algorithm and image of the submission in this folder; its image only where there is one."""
    from runner.cli.output import note
    from runner.pipeline.backend import image_or_reason
    from runner.submission.manifest import MANIFEST_NAME, has_manifest, load_manifest

    here = Path()
    if not has_manifest(here):
        return None, None
    run = load_manifest(here).submission.run
    if not no_docker and image_or_reason(run.image) is None:
        note(f"{MANIFEST_NAME}: the image {run.image}, with the algorithm that it names")
        return None, run.image
    note(f"{MANIFEST_NAME}: {run.algorithm}")
    return run.algorithm, None


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
