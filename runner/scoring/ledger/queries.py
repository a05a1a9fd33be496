"""Reading the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, select

from runner.scoring.ledger import tables
from schemas.challenge import Tier
from schemas.evaluation import StageRecord, Verdict
from schemas.findings import Finding, refuse
from schemas.ledger import Attempt, Entry, Event, Submission, SubmissionState
from schemas.score import ScoreCard


@dataclass(frozen=True)
class Reader:
    """What can be asked of a ledger.

    Attributes:
        engine: the database.
    """

    engine: Engine

    def show(self, submission: str) -> Submission:
        """One submission, whole.

        Raises:
            ContractError: SUBMISSION_UNKNOWN.
        """
        found = self._read([tables.submissions.c.id == submission])
        if not found:
            raise refuse(
                "SUBMISSION_UNKNOWN",
                submission,
                expected="the id of a submission of this ledger",
                found="no such submission",
                hint="`stem4d ledger list` prints the ids",
            )
        return found[0]

    def submissions(
        self,
        *,
        states: Sequence[SubmissionState] = (),
        participant: str | None = None,
        tier: Tier | None = None,
        challenge: str | None = None,
    ) -> tuple[Submission, ...]:
        """All submissions, oldest first, or those of some states, one participant, one tier.

        With `challenge`, the sha256 of a challenge file, those that its queue holds.
        """
        wanted: list[Any] = []
        if states:
            wanted.append(tables.submissions.c.state.in_(states))
        if participant is not None:
            wanted.append(tables.submissions.c.participant == participant)
        if tier is not None:
            wanted.append(tables.submissions.c.tier == tier)
        if challenge is not None:
            wanted += in_queue_of(challenge)
        return self._read(wanted)

    def history(self, submission: str | None = None) -> tuple[Event, ...]:
        """What happened, oldest first."""
        lines = select(tables.events).order_by(tables.events.c.number)
        if submission is not None:
            lines = lines.where(tables.events.c.submission == submission)
        with self.engine.connect() as connection:
            return tuple(
                Event(
                    at=row.at,
                    submission=row.submission,
                    attempt=row.attempt,
                    name=row.name,
                    detail=row.detail,
                )
                for row in connection.execute(lines)
            )

    def _read(self, wanted: Sequence[Any]) -> tuple[Submission, ...]:
        query = select(tables.submissions).where(*wanted).order_by(tables.submissions.c.number)
        with self.engine.connect() as connection:
            return tuple(_submission(connection, row) for row in connection.execute(query).all())


def in_queue_of(challenge: str) -> list[Any]:
    """Conditions on a submission: for this challenge, and in no folder of its own."""
    table = tables.submissions
    return [table.c.challenge == challenge, table.c.folder.is_(None)]


def leaderboard_cards(submissions: Sequence[Submission]) -> Iterator[ScoreCard]:
    """The best card of each method and tier, under the method's name; for the leaderboards."""
    best: dict[tuple[str, Tier], tuple[float, ScoreCard]] = {}
    for submission in submissions:
        card = submission.verdict.card if submission.verdict else None
        if card is None or card.score is None:
            continue
        entry = submission.entry
        key = (entry.method, entry.tier)
        if key not in best or card.score > best[key][0]:
            best[key] = (card.score, card.model_copy(update={"algorithm": entry.method}))
    yield from (card for _, card in best.values())


def _submission(connection: Connection, row: Row[Any]) -> Submission:
    verdict, charged = _verdict(connection, row.id)
    return Submission(
        id=row.id,
        entry=Entry.model_validate_json(row.entry),
        state=SubmissionState(row.state),
        image_digest=row.image_digest,
        folder=row.folder,
        created=row.created,
        updated=row.updated,
        charged=charged,
        attempts=_attempts(connection, row.id),
        stages=_stages(connection, row.id),
        verdict=verdict,
    )


def _attempts(connection: Connection, submission: str) -> tuple[Attempt, ...]:
    table = tables.attempts
    query = select(table).where(table.c.submission == submission).order_by(table.c.number)
    return tuple(
        Attempt(
            number=row.number,
            state=row.state,
            worker=row.worker,
            started=row.started,
            ended=row.ended,
            findings=_findings(connection, submission, row.number),
        )
        for row in connection.execute(query).all()
    )


def _stages(connection: Connection, submission: str) -> tuple[StageRecord, ...]:
    table = tables.stages
    query = select(table.c.record).where(table.c.submission == submission).order_by(table.c.place)
    return tuple(StageRecord.model_validate_json(text) for text in connection.scalars(query))


def _findings(connection: Connection, submission: str, attempt: int) -> tuple[Finding, ...]:
    table = tables.findings
    query = select(table.c.finding).order_by(table.c.place)
    query = query.where(table.c.submission == submission, table.c.attempt == attempt)
    return tuple(Finding.model_validate_json(text) for text in connection.scalars(query))


def _verdict(connection: Connection, submission: str) -> tuple[Verdict | None, bool]:
    table = tables.verdicts
    query = select(table).where(table.c.submission == submission)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None, False
    verdict = None if row.verdict is None else Verdict.model_validate_json(row.verdict)
    return verdict, bool(row.charged)
