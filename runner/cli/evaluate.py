"""`stem4d evaluate`: judge a stranger's image on a tier. For organisers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.tier_options import engine_option, tier_options
from schemas.findings import ContractError, ExitCode

if TYPE_CHECKING:
    from rich.table import Table

    from runner.pipeline.stages import Plan
    from schemas.evaluation import StageRecord, Verdict


@click.command()
@click.argument("image")
@tier_options
@engine_option
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("evaluation"),
    show_default=True,
    help="Folder of this evaluation; one that was interrupted is taken up again.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, a Verdict.")
def evaluate(
    *,
    image: str,
    plan: Plan,
    engine_name: str,
    seed: int,
    out: Path,
    as_json: bool,
) -> int:
    """Judge IMAGE: pre-flight, strip, run in the sandbox, sanitise, score.

    OUT/organiser holds everything; OUT/participant holds what the tier allows to be told: for the
    hidden tier a rounded score and codes. What is printed is for the organiser.
    """
    from runner.cli.output import note, print_record
    from runner.harness.engines import open_engine
    from runner.pipeline.evaluate import PARTICIPANT, Evaluation

    chosen = replace(plan, image=image, seed=seed, out=out)
    with open_engine(engine_name) as engine:
        evaluation = Evaluation(chosen, engine)
        for record in evaluation:
            note(_line(record))
        verdict = evaluation.verdict()
    if as_json:
        print_record(verdict)
    else:
        _show(verdict)
    for item in verdict.findings:
        note(item.text())
    note(f"for the participant: {out / PARTICIPANT}")
    return int(ContractError(verdict.findings).exit_code if verdict.findings else ExitCode.DONE)


def _line(record: StageRecord) -> str:
    codes = ", ".join(sorted({item.code for item in record.findings}))
    return f"{record.key}: {record.outcome}, {record.seconds:.1f} s{codes and f' ({codes})'}"


def _show(verdict: Verdict) -> None:
    from runner.cli.cards import card_table
    from runner.cli.output import print_tables

    tables = [_summary(verdict)]
    if verdict.card is not None:
        tables.append(card_table(verdict.card))
    print_tables(*tables)


def _summary(verdict: Verdict) -> Table:
    from runner.cli.output import make_table, number

    rows = [
        ["state", str(verdict.state)],
        ["score", number(verdict.score, 6)],
        ["counts as an attempt", "yes" if verdict.counts_against_quota else "no"],
        ["identity", verdict.identity or "-"],
    ]
    return make_table(f"{verdict.image} on {verdict.tier}", ["", ""], rows, left=2)
