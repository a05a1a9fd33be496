"""`stem4d evaluate`: judge a stranger's image on a tier. For organisers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.ledger import ledger_option
from runner.cli.queue_options import (
    judge_queue,
    quota_option,
    scheduler_option,
    submit_all,
    workers_option,
)
from runner.cli.tier_options import engine_option, tier_options
from schemas.findings import ContractError, ExitCode

if TYPE_CHECKING:
    from rich.table import Table

    from runner.pipeline.stages import Plan
    from schemas.evaluation import StageRecord, Verdict
    from schemas.ledger import Entry

OUT, OUT_OF_MANY = "evaluation", "evaluations"

LONGEST_NAME = 128
"""Characters of a method's name in the ledger."""


@dataclass(frozen=True)
class Books:
    """Where one evaluation is entered, and in whose name."""

    url: str
    participant: str
    method: str
    quota: int | None


@click.command()
@click.argument("image", required=False)
@click.option(
    "--many",
    "folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Instead of IMAGE: a folder of *.toml files (image, participant, method), all judged.",
)
@tier_options
@engine_option
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of this evaluation, with --many of all of them; what was interrupted is taken up"
    f" again.  [default: {OUT}, or {OUT_OF_MANY}]",
)
@ledger_option
@click.option("--no-ledger", is_flag=True, help="Enter nothing in the ledger.")
@click.option("--participant", default="unnamed", show_default=True, help="For the ledger.")
@click.option("--method", help="For the ledger and its leaderboard.  [default: IMAGE]")
@quota_option
@workers_option
@scheduler_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, a Verdict.")
def evaluate(
    *,
    image: str | None,
    folder: Path | None,
    plan: Plan,
    engine_name: str,
    seed: int,
    out: Path | None,
    url: str,
    no_ledger: bool,
    participant: str,
    method: str | None,
    quota: int | None,
    workers: int,
    scheduler: str | None,
    as_json: bool,
) -> int:
    """Judge IMAGE: pre-flight, strip, run in the sandbox, sanitise, score.

    OUT/organiser holds everything; OUT/participant holds what the tier allows to be told: for the
    hidden tier a rounded score and codes. What is printed is for the organiser. What was submitted
    and what became of it is entered in the ledger (stem4d ledger list).
    """
    _require_one_way(image, folder, no_ledger)
    if folder is not None:
        store = out or Path(OUT_OF_MANY)
        ids = [entry.id for entry in submit_all(url, folder, plan, quota)]
        judge_queue(
            url, plan, engine_name, store, workers=workers, scheduler=scheduler, until_empty=True
        )
        return _show_many(url, ids, as_json=as_json)
    assert image is not None
    chosen = replace(plan, image=image, seed=seed, out=out or Path(OUT))
    name = method or image[:LONGEST_NAME]
    books = None if no_ledger else Books(url, participant, name, quota)
    return _show_one(_judged(chosen, engine_name, books), chosen.out, as_json=as_json)


def _require_one_way(image: str | None, folder: Path | None, no_ledger: bool) -> None:
    if (image is None) == (folder is None):
        raise click.UsageError("either IMAGE or --many FOLDER")
    if folder is not None and no_ledger:
        raise click.UsageError("--many takes its queue from the ledger: not with --no-ledger")


def _judged(plan: Plan, engine_name: str, books: Books | None) -> Verdict:
    """One evaluation, entered in the ledger or not."""
    from runner.cli.output import note
    from runner.harness.engines import open_engine
    from runner.pipeline.evaluate import Evaluation
    from runner.pipeline.recorded import evaluate_recorded
    from runner.pipeline.workers import ended_by_signals
    from runner.scoring.ledger import Ledger

    def tell(record: StageRecord) -> None:
        note(_line(record))

    with open_engine(engine_name) as engine, ended_by_signals():
        evaluation = Evaluation(plan, engine)
        if books is None:
            for record in evaluation:
                tell(record)
            return evaluation.verdict()
        entry = _entry(plan, books)
        submission, verdict = evaluate_recorded(
            evaluation, plan.out, Ledger.open(books.url), entry, quota=books.quota, tell=tell
        )
        note(f"ledger: submission {submission.id}, {submission.state}")
        return verdict


def _entry(plan: Plan, books: Books) -> Entry:
    """What the ledger is told of the submission."""
    from pydantic import ValidationError

    from runner.files.hdf5 import explain, sha256_of
    from runner.pipeline.many import tier_of
    from schemas.ledger import Entry

    tier = tier_of(plan.challenge)
    try:
        return Entry(
            participant=books.participant,
            method=books.method,
            image=plan.image,
            tier=tier,
            challenge_sha256=sha256_of(plan.challenge),
            seed=plan.seed,
        )
    except ValidationError as error:
        raise click.UsageError(f"no entry for the ledger: {explain(error)}") from error


def _line(record: StageRecord) -> str:
    codes = ", ".join(sorted({item.code for item in record.findings}))
    return f"{record.key}: {record.outcome}, {record.seconds:.1f} s{codes and f' ({codes})'}"


def _show_one(verdict: Verdict, out: Path, *, as_json: bool) -> int:
    from runner.cli.cards import card_table
    from runner.cli.output import note, print_record, print_tables
    from runner.pipeline.evaluate import PARTICIPANT

    if as_json:
        print_record(verdict)
    else:
        card = verdict.card
        print_tables(_summary(verdict), *([] if card is None else [card_table(card)]))
    for item in verdict.findings:
        note(item.text())
    note(f"for the participant: {out / PARTICIPANT}")
    return int(ContractError(verdict.findings).exit_code if verdict.findings else ExitCode.DONE)


def _show_many(url: str, ids: Sequence[str], *, as_json: bool) -> int:
    """What became of them; an exit code that tells whether each has a verdict."""
    from runner.cli.ledger import print_submissions
    from runner.scoring.ledger import Ledger

    books = Ledger.open(url)
    found = [books.show(name) for name in ids]
    print_submissions(found, as_json=as_json)
    judged = all(submission.verdict is not None for submission in found)
    return int(ExitCode.DONE if judged else ExitCode.INFRASTRUCTURE)


def _summary(verdict: Verdict) -> Table:
    from runner.cli.output import make_table
    from runner.report.text import number

    rows = [
        ["state", str(verdict.state)],
        ["score", number(verdict.score, 6)],
        ["counts as an attempt", "yes" if verdict.counts_against_quota else "no"],
        ["identity", verdict.identity or "-"],
    ]
    return make_table(f"{verdict.image} on {verdict.tier}", ["", ""], rows, left=2)
