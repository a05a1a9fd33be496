"""Reading the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, select

from runner.scoring.ledger import tables
from schemas.challenge import Tier
from schemas.findings import Finding, refuse
from schemas.ledger import (
    Attempt,
    Entry,
    Event,
    Stage,
    StageName,
    Submission,
    SubmissionState,
    Verdict,
)
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
    ) -> tuple[Submission, ...]:
        """All submissions, oldest first, or those of some states, one participant, one tier."""
        wanted: list[Any] = []
        if states:
            wanted.append(tables.submissions.c.state.in_(states))
        if participant is not None:
            wanted.append(tables.submissions.c.participant == participant)
        if tier is not None:
            wanted.append(tables.submissions.c.tier == tier)
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


def leaderboard_cards(submissions: Sequence[Submission]) -> Iterator[ScoreCard]:
    """The best card of each method and tier, under the method's name; for the leaderboards."""
    best: dict[tuple[str, Tier], ScoreCard] = {}
    for submission in submissions:
        card = submission.verdict.card if submission.verdict else None
        if card is None:
            continue
        entry = submission.entry
        key = (entry.method, entry.tier)
        if key not in best or card.score > best[key].score:
            best[key] = card.model_copy(update={"algorithm": entry.method})
    yield from best.values()


def stages_of(connection: Connection, submission: str) -> tuple[Stage, ...]:
    """The finished stages of a submission, in the order in which they were finished."""
    query = select(tables.stages).where(tables.stages.c.submission == submission)
    return tuple(
        Stage(
            name=StageName(row.name),
            attempt=row.attempt,
            seconds=row.seconds,
            record=json.loads(row.record),
        )
        for row in connection.execute(query.order_by(tables.stages.c.attempt))
    )


def _submission(connection: Connection, row: Row[Any]) -> Submission:
    return Submission(
        id=row.id,
        entry=Entry.model_validate_json(row.entry),
        state=SubmissionState(row.state),
        image_digest=row.image_digest,
        created=row.created,
        updated=row.updated,
        attempts=_attempts(connection, row.id),
        stages=stages_of(connection, row.id),
        findings=_findings(connection, row.id),
        verdict=_verdict(connection, row.id),
    )


def _attempts(connection: Connection, submission: str) -> tuple[Attempt, ...]:
    table = tables.attempts
    query = select(table).where(table.c.submission == submission).order_by(table.c.number)
    return tuple(
        Attempt(
            number=row.number,
            state=row.state,
            worker=row.worker,
            nonce=row.nonce,
            started=row.started,
            ended=row.ended,
        )
        for row in connection.execute(query)
    )


def _findings(connection: Connection, submission: str) -> tuple[Finding, ...]:
    table = tables.findings
    query = select(table.c.finding).where(table.c.submission == submission)
    query = query.order_by(table.c.attempt, table.c.place)
    return tuple(Finding.model_validate_json(text) for text in connection.scalars(query))


def _verdict(connection: Connection, submission: str) -> Verdict | None:
    table = tables.verdicts
    text = connection.scalar(select(table.c.verdict).where(table.c.submission == submission))
    return None if text is None else Verdict.model_validate_json(text)
