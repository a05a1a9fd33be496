"""`stem4d analyse`: strain and orientation maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from runner.pipeline.analyse import AnalysedSummary, MapSummary

DEFAULT_CALIBRATOR = "pacbed"
"""Disks that stand apart are all that `pacbed` models, so that it is exact here, and quick; the
joint fit of `gradient` needs probes that overlap."""

PICTURE_NAME = "analysis.png"


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--method",
    metavar="NAME",
    default="strain",
    show_default=True,
    help="strain or orientation (`stem4d algorithms`), or FILE.py:CLASS.",
)
@click.option(
    "--calibrator",
    metavar="NAME",
    default=DEFAULT_CALIBRATOR,
    show_default=True,
    help="What finds the detector: pacbed, gradient, none, ...",
)
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="A parameter of the method, its value as JSON or a word; repeatable.",
)
@click.option(
    "--sample", "names", metavar="NAME", multiple=True, help="Only this sample; repeatable."
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path),
    help="An analysis file with what is to be found: errors are printed beside the maps.",
)
@click.option(
    "--out",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("analysis"),
    show_default=True,
    help="Folder for analysis.h5 and analysis.png.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def analyse(
    *,
    file: Path,
    method: str,
    calibrator: str,
    settings: tuple[str, ...],
    names: tuple[str, ...],
    truth: Path | None,
    folder: Path,
    as_json: bool,
) -> int:
    """Map strain or orientation over the scan of each sample of FILE.

    These need nanobeam scans, whose diffraction disks stand apart, and say so where they do not:
    `stem4d tiers example strained-crystal` makes one.
    """
    from runner.cli.output import note, print_record, print_tables
    from runner.pipeline.analyse import AnalysisPlan
    from runner.pipeline.analyse import analyse as carry_out
    from runner.report.maps import save_maps
    from schemas.findings import ContractError, ExitCode

    plan = AnalysisPlan(file, method, calibrator, folder, _parameters(settings), names, truth)
    report, found = carry_out(plan, note)
    picture = folder / PICTURE_NAME
    save_maps(picture, found.samples, title=f"{method}+{calibrator}, {file.name}")
    if as_json:
        print_record(report)
    else:
        print_tables(*(_table(summary, method, calibrator) for summary in report.samples))
    for item in report.findings:
        note(item.text())
    note(f"written: {report.output}, {picture}")
    return int(ContractError(report.findings).exit_code if report.findings else ExitCode.DONE)


def _parameters(settings: tuple[str, ...]) -> dict[str, Any]:
    """{key: value} of KEY=VALUE; a value that is no JSON is a word."""
    from schemas.findings import refuse

    found: dict[str, Any] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise refuse(
                "USAGE",
                f"--set {text}",
                expected="KEY=VALUE",
                found=text,
                hint="as in --set crystal=gold, or --set region=[0,8,0,8]",
            )
        try:
            found[key] = json.loads(value)
        except json.JSONDecodeError:
            found[key] = value
    return found


def _table(summary: AnalysedSummary, method: str, calibrator: str) -> Table:
    from runner.cli.output import make_table

    known = any(entry.error is not None for entry in summary.maps.values())
    errors = ["offset", "rms error", "typical", "equal"] if known else []
    columns = ["map", "unit", "median", "lowest", "highest", *errors, "what"]
    rows = [
        [name, entry.unit, *(f"{v:.5g}" for v in (entry.median, entry.low, entry.high))]
        + (_errors(entry) if known else [])
        + [entry.description]
        for name, entry in summary.maps.items()
    ]
    title = (
        f"{summary.sample} ({summary.scene}): {method}+{calibrator}, {summary.valid} of"
        f" {summary.positions} positions valid, {summary.seconds:.1f} s"
    )
    return make_table(title, columns, rows, left=2)


def _errors(entry: MapSummary) -> list[str]:
    if entry.error is None:
        return ["", "", "", ""]
    error = entry.error
    return [
        f"{error.offset:+.2g}",
        f"{error.rms:.2g}",
        f"{error.typical:.2g}",
        f"{100 * error.equal:.0f} %" if entry.unit == "" and error.equal > 0 else "",
    ]
