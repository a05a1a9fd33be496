"""`stem4d ledger`: what was submitted, what became of it, and why."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from schemas.challenge import Tier
from schemas.ledger import SubmissionState

if TYPE_CHECKING:
    from schemas.ledger import Submission

DEFAULT_URL = "sqlite:///ledger.sqlite"

ledger_option: Callable[[Any], Any] = click.option(
    "--ledger",
    "url",
    envvar="STEM4D_LEDGER",
    default=DEFAULT_URL,
    show_default=True,
    help="Database: sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME; also STEM4D_LEDGER.",
)


@click.group()
def ledger() -> None:
    """The organiser's books: submissions, attempts, findings, verdicts."""


@ledger.command("list")
@ledger_option
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in SubmissionState]),
    help="Only submissions in this state; repeatable.",
)
@click.option("--participant", help="Only this participant's.")
@click.option("--tier", type=click.Choice([tier.value for tier in Tier]), help="Only this tier's.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_submissions(
    url: str, states: tuple[str, ...], participant: str | None, tier: str | None, as_json: bool
) -> None:
    """List submissions, oldest first."""
    from runner.scoring.ledger import Ledger

    found = Ledger.open(url).submissions(
        states=[SubmissionState(state) for state in states],
        participant=participant,
        tier=Tier(tier) if tier else None,
    )
    print_submissions(found, as_json=as_json)


def print_submissions(found: Sequence[Submission], *, as_json: bool) -> None:
    """Submissions on stdout, a line each, or all as one JSON object."""
    from runner.cli.output import make_table, print_tables
    from runner.report.text import number

    if as_json:
        click.echo(json.dumps({"submissions": [_line(item) for item in found]}))
        return
    columns = ["id", "submitted", "participant", "method", "tier", "state", "score", "tries"]
    rows = [
        [
            line["id"],
            _day(line["created"]),
            line["participant"],
            line["method"],
            line["tier"],
            line["state"],
            number(line["score"], 3),
            str(line["attempts"]),
        ]
        for line in map(_line, found)
    ]
    print_tables(make_table("", columns, rows, left=6))


@ledger.command()
@click.argument("submission", metavar="ID")
@ledger_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(submission: str, url: str, as_json: bool) -> None:
    """Show all that is known of one submission."""
    from runner.cli.output import make_table, print_record, print_tables
    from runner.report.text import number
    from runner.scoring.ledger import Ledger

    books = Ledger.open(url)
    found = books.show(submission)
    if as_json:
        print_record(found)
        return
    verdict = found.verdict
    facts = [
        ["participant", found.entry.participant],
        ["method", found.entry.method],
        ["image", found.entry.image],
        ["ran as", found.image_digest or "-"],
        ["judged in", found.folder or "the store, in a folder of its id"],
        ["tier", found.entry.tier.value],
        ["state", found.state.value],
        ["score", number(verdict.score if verdict else None, 4)],
        ["identity of the result", (verdict and verdict.identity) or "-"],
        ["counts against the quota", "yes" if found.charged else "no"],
    ]
    stages = [[s.key, s.outcome.value, f"{s.seconds:.1f}"] for s in found.stages]
    events = [
        [_day(e.at), str(e.attempt or "-"), e.name, e.detail] for e in books.history(submission)
    ]
    print_tables(
        make_table(f"submission {found.id}", ["", ""], facts, left=2),
        make_table("stages", ["stage", "", "s"], stages, left=2),
        make_table("history", ["when (UTC)", "try", "what", ""], events, left=4),
    )
    given_back = [item for attempt in found.attempts for item in attempt.findings]
    for item in (*given_back, *(verdict.findings if verdict else ())):
        click.echo(item.text())


@ledger.command()
@ledger_option
def export(url: str) -> None:
    """Print every submission as one JSON line, for other programs and for keeping."""
    from runner.scoring.ledger import Ledger

    for found in Ledger.open(url).submissions():
        click.echo(found.model_dump_json())


def _line(found: Submission) -> dict[str, Any]:
    verdict = found.verdict
    return {
        "id": found.id,
        "created": found.created,
        "participant": found.entry.participant,
        "method": found.entry.method,
        "tier": found.entry.tier.value,
        "state": found.state.value,
        "score": verdict.score if verdict else None,
        "attempts": len(found.attempts),
    }


def _day(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
