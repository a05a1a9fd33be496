"""`stem4d scenarios`: the page's gallery for any reconstructor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from schemas.findings import ContractError, ExitCode

if TYPE_CHECKING:
    from rich.table import Table

    from runner.pipeline.gallery import GalleryReport
    from runner.scoring.leaderboard import Gallery


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--algorithm",
    metavar="NAME",
    help="RECONSTRUCTOR[+CALIBRATOR], or FILE.py:CLASS[+CALIBRATOR]; III-blind is with this"
    " calibrator.  [default: the image's own choice; in this process ensemble+gradient]",
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path),
    help="The organiser's truth file.  [default: FILE itself, as the public tier has it]",
)
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="New folder for scenarios.png and scenarios.json.  [default: nothing is written]",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the nominal data's noise and of the algorithm.",
)
@click.option(
    "--limits",
    "limits_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file of limits.  [default: the contract's]",
)
@click.option("--image", help="Run in a container of this image.  [default: in this process]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def scenarios(
    *,
    file: Path,
    algorithm: str | None,
    truth: Path | None,
    output: Path | None,
    seed: int,
    limits_file: Path | None,
    image: str | None,
    as_json: bool,
) -> int:
    """Reconstruct every scene of FILE in four ways, and compare with the truth.

    I: nominal data, nominal operator. II: mismatched data, nominal operator. III-oracle: mismatched
    data, true operator. III-blind: mismatched data, the operator that the calibrator found.
    """
    from runner.cli.backends import container_backend
    from runner.cli.output import note, print_record, print_tables
    from runner.harness.limits import load_limits
    from runner.pipeline.backend import ProcessBackend
    from runner.pipeline.gallery import PICTURE_NAME, REPORT_NAME, GalleryPlan, make_gallery

    limits = load_limits(limits_file)
    backend = ProcessBackend(limits) if image is None else container_backend(image, limits)
    report = make_gallery(GalleryPlan(file, truth, algorithm, output, seed), backend, note)
    if as_json:
        print_record(report)
    else:
        print_tables(*_tables(report))
    for outcome in report.scenarios:
        if outcome.findings:
            codes = ", ".join(sorted({item.code for item in outcome.findings}))
            note(f"scenario {outcome.name} is incomplete: {codes}; see above")
    note(report.note)
    if output is not None:
        note(f"written: {output / PICTURE_NAME}, {output / REPORT_NAME}")
    findings = report.findings
    return int(ContractError(findings).exit_code if findings else ExitCode.DONE)


def _tables(report: GalleryReport) -> tuple[Table, Table]:
    """Ours, and the page's, which has one scenario III."""
    from runner.pipeline.gallery import COLUMNS

    page = report.published
    return (
        _table(f"{report.algorithm}, {report.tier} tier", report.gallery, COLUMNS),
        _table(f"{page.method}, the page's own data", page, tuple(page.mean.scenarios)),
    )


def _table(title: str, shown: Gallery, names: tuple[str, ...]) -> Table:
    from runner.cli.galleries import scenario_cells, scenario_columns
    from runner.cli.output import make_table

    rows = [[row.scene, *scenario_cells(row, names)] for row in shown.scenes]
    footer = ["mean", *scenario_cells(shown.mean, names)]
    return make_table(title, ["scene", *scenario_columns(names)], rows, footer=footer)
