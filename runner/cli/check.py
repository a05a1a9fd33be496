"""`stem4d check`: what the counts say of a result, where the truth is not known.

Advice, at three forward passes over the scan. `validate` and `dry-run` tell its lines in short; the
table, `--json` and `--held-out`, which runs the algorithm again, are here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from schemas.findings import ExitCode

if TYPE_CHECKING:
    from runner.pipeline.check import SampleCheck


@click.command()
@click.argument("result", type=click.Path(path_type=Path))
@click.argument("challenge", type=click.Path(path_type=Path))
@click.option(
    "--held-out",
    metavar="ALGORITHM",
    help="Run ALGORITHM on 90 % of each sample's electrons, and judge it by the others.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(result: Path, challenge: Path, held_out: str | None, as_json: bool) -> int:
    """Judge RESULT by the counts of CHALLENGE alone; no truth is needed.

    Consistency over the ceiling that noise leaves, with the nominal detector and with no specimen
    beside it; reduced chi-square; the share that is neither model nor noise.
    """
    from runner.cli.output import make_table, note, print_record, print_tables
    from runner.pipeline.check import check_result

    report = check_result(result, challenge, held_out=held_out, tell=note)
    if as_json:
        print_record(report)
    else:
        columns = ["sample", "consistency", "ceiling", "nominal", "empty", "chi2", "+-", "left %"]
        columns += ["given chi2", "held-out chi2", "nats/e"] if held_out else []
        title = f"{report.algorithm}, judged by its counts"
        print_tables(make_table(title, columns, [_row(one) for one in report.samples]))
    for one in report.samples:
        for remark in one.remarks:
            note(f"{one.sample}: {remark}")
    for item in report.findings:
        note(item.text())
    return int(ExitCode.RESULT if report.findings else ExitCode.DONE)


def _row(one: SampleCheck) -> list[str]:
    row = [
        one.sample,
        f"{one.consistency:.4f}",
        f"{one.ceiling:.4f}",
        f"{one.consistency_ideal:.4f}",
        f"{one.consistency_empty:.4f}",
        f"{one.chi_square:.3f}",
        f"{one.chi_square_sigma:.3f}",
        f"{100 * one.unexplained:.1f}",
    ]
    if one.held_out is not None:
        held = one.held_out
        row += [
            f"{held.chi_square_given:.3f}",
            f"{held.chi_square_held_out:.3f}",
            f"{held.gain_nats:.4f}",
        ]
    return row
