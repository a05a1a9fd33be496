"""What may happen to a submission, each as one transaction.

    queued -> running -> scored | refused           the submission's own verdict
                      -> queued                     the attempt was given back, or its worker died
                      -> abandoned                  given back too often: not the submission's fault

Every change of a running submission is made by whoever holds its claim, and only while it holds it:
a worker that was taken for dead and comes back finds its claim lost and can change nothing.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, Update, and_, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from runner.scoring.ledger import tables
from runner.scoring.ledger.database import open_database
from runner.scoring.ledger.queries import Reader, in_queue_of
from schemas.base import json_text
from schemas.evaluation import PreflightFacts, StageRecord, State, Verdict
from schemas.findings import Finding, finding, refuse
from schemas.ledger import AttemptState, Entry, Submission, SubmissionState

LEASE_S = 60.0
"""How long a claim holds without a sign of life [s]; a worker gives one every third of it."""

MOST_TRIES = 10
"""Attempts without a verdict after which a submission is abandoned: one that takes its worker down
each time must not do so for ever."""

OPEN = (SubmissionState.QUEUED, SubmissionState.RUNNING)


class ClaimLostError(Exception):
    """The submission is no longer this worker's: its work on it must end, and changes nothing."""


def new_id() -> str:
    """An id for a submission that no other has (48 random bits)."""
    return secrets.token_hex(6)


@dataclass(frozen=True)
class Claim:
    """The right to work on a submission, until the lease ends or the verdict is given.

    Attributes:
        submission: its id.
        attempt: number of this try, from 1.
        entry: what was submitted.
        image: what to run: what the image's name resolved to, once it was, or the name.
    """

    submission: str
    attempt: int
    entry: Entry
    image: str


@dataclass(frozen=True)
class Ledger(Reader):
    """What was submitted to one or more challenges.

    Attributes:
        engine: the database.
        clock: Unix time [s].
        most_tries: attempts after which a submission is abandoned.
    """

    engine: Engine
    clock: Callable[[], float] = field(default=time.time)
    most_tries: int = MOST_TRIES

    @classmethod
    def open(
        cls, url: str, *, clock: Callable[[], float] = time.time, most_tries: int = MOST_TRIES
    ) -> Ledger:
        """The ledger at a database URL; its tables are made when they are not there.

        Raises:
            ContractError: LEDGER_UNREACHABLE, LEDGER_VERSION or EXTRA_MISSING.
        """
        return cls(open_database(url), clock, most_tries)

    def submit(
        self,
        entry: Entry,
        *,
        quota: int | None = None,
        folder: str | None = None,
        name: str | None = None,
    ) -> Submission:
        """Put a submission into the queue.

        Args:
            entry: what is submitted.
            quota: submissions that a participant may have charged on this tier; None: any number.
                Those that are still open are counted as well, so that no burst passes it.
            folder: the one folder in which it is judged; no worker of the queue takes it then.
            name: its id, of `new_id`; one that is known already is not submitted again.

        Raises:
            ContractError: QUOTA_EXHAUSTED; nothing was queued or charged.
        """
        chosen = name or new_id()
        with self.engine.begin() as connection:
            self._participant(connection, entry.participant)
            if not self._knows(connection, chosen):
                if quota is not None:
                    _check_quota(connection, entry, quota)
                self._add(connection, chosen, entry, folder)
        return self.show(chosen)

    def claim(
        self,
        worker: str,
        *,
        lease_s: float = LEASE_S,
        only: str | None = None,
        challenge: str | None = None,
    ) -> Claim | None:
        """The oldest submission of the queue (or `only` that one), now this worker's; or None.

        Args:
            worker: the process that asks, in words by which `recover` can tell whether it lives.
            lease_s: how long the claim holds without a sign of life [s].
            only: id of a submission.
            challenge: sha256 of the challenge file whose queue is meant; None: any.
        """
        waiting = [tables.submissions.c.state == SubmissionState.QUEUED]
        if only is not None:
            waiting.append(tables.submissions.c.id == only)
        if challenge is not None:
            waiting += in_queue_of(challenge)
        oldest = (
            select(tables.submissions)
            .where(*waiting)
            .order_by(tables.submissions.c.number)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self.engine.begin() as connection:
            row = connection.execute(oldest).one_or_none()
            if row is None:
                return None
            now, attempt = self.clock(), row.attempt + 1
            connection.execute(
                update(tables.submissions)
                .where(tables.submissions.c.id == row.id)
                .values(state=SubmissionState.RUNNING, attempt=attempt, updated=now)
            )
            connection.execute(
                insert(tables.attempts).values(
                    submission=row.id,
                    number=attempt,
                    state=AttemptState.RUNNING,
                    worker=worker,
                    started=now,
                    lease_until=now + lease_s,
                )
            )
            self._event(connection, row.id, attempt, "claimed", worker)
        entry = Entry.model_validate_json(row.entry)
        return Claim(row.id, attempt, entry, row.image_digest or entry.image)

    def beat(self, claim: Claim, *, lease_s: float = LEASE_S) -> None:
        """A sign of life: the lease begins anew.

        Raises:
            ClaimLostError: the submission is no longer this worker's.
        """
        with self.engine.begin() as connection:
            self._hold(connection, claim)
            connection.execute(_attempt_of(claim).values(lease_until=self.clock() + lease_s))

    def record(self, claim: Claim, record: StageRecord) -> None:
        """A stage is finished; a later try of it, after its files were lost, takes its place.

        What the image's name resolved to is kept from the first pre-flight on.

        Raises:
            ClaimLostError: the submission is no longer this worker's.
        """
        key = and_(
            tables.stages.c.submission == claim.submission, tables.stages.c.key == record.key
        )
        with self.engine.begin() as connection:
            self._hold(connection, claim)
            connection.execute(tables.stages.delete().where(key))
            earlier = tables.stages.c.submission == claim.submission
            last = connection.scalar(select(func.max(tables.stages.c.place)).where(earlier))
            connection.execute(
                insert(tables.stages).values(
                    submission=claim.submission,
                    key=record.key,
                    place=(last or 0) + 1,
                    record=record.model_dump_json(),
                )
            )
            if isinstance(record.facts, PreflightFacts):
                self._pin_image(connection, claim, record.facts.image_id)
            self._event(connection, claim.submission, claim.attempt, f"{record.key} done")

    def finish(self, claim: Claim, verdict: Verdict) -> None:
        """The verdict: the submission's last change, and with it the charge, if there is one.

        A fault of ours is no verdict: the submission is queued again, uncharged.

        Raises:
            ClaimLostError: the submission is no longer this worker's.
        """
        if verdict.state is State.FAULT:
            self.give_back(claim, verdict.findings)
            return
        with self.engine.begin() as connection:
            self._hold(connection, claim)
            self._end_attempt(connection, claim.submission, claim.attempt, AttemptState.DONE)
            self._decide(
                connection, claim.submission, claim.attempt, SubmissionState(verdict.state), verdict
            )

    def give_back(self, claim: Claim, findings: Sequence[Finding]) -> None:
        """The attempt failed, and not by the submission's fault: it is queued again, uncharged.

        Raises:
            ClaimLostError: the submission is no longer this worker's.
        """
        with self.engine.begin() as connection:
            self._hold(connection, claim)
            self._findings(connection, claim.submission, claim.attempt, findings)
            self._end_attempt(connection, claim.submission, claim.attempt, AttemptState.RETURNED)
            self._queue_again(connection, claim.submission, claim.attempt)

    def recover(self, is_dead: Callable[[str], bool]) -> tuple[str, ...]:
        """Queue again what workers that died had in hand; returns the ids.

        Args:
            is_dead: whether a worker is known not to live; one that nobody can know of is taken
                for dead when its lease has ended.
        """
        running = select(tables.attempts).where(tables.attempts.c.state == AttemptState.RUNNING)
        taken: list[str] = []
        with self.engine.begin() as connection:
            for row in connection.execute(running.with_for_update()).all():
                late = row.lease_until < self.clock()
                if late or is_dead(row.worker):
                    self._end_attempt(connection, row.submission, row.number, AttemptState.LOST)
                    self._queue_again(connection, row.submission, row.number)
                    taken.append(row.submission)
        return tuple(taken)

    # --- parts of transactions --------------------------------------------------------------------

    def _hold(self, connection: Connection, claim: Claim) -> None:
        """Lock the submission's row, if it is still this claim's."""
        held = connection.execute(
            update(tables.submissions)
            .where(
                tables.submissions.c.id == claim.submission,
                tables.submissions.c.state == SubmissionState.RUNNING,
                tables.submissions.c.attempt == claim.attempt,
            )
            .values(updated=self.clock())
        )
        if held.rowcount != 1:
            raise ClaimLostError(f"{claim.submission}: attempt {claim.attempt} is over")

    def _knows(self, connection: Connection, name: str) -> bool:
        query = select(tables.submissions.c.id).where(tables.submissions.c.id == name)
        return connection.execute(query).one_or_none() is not None

    def _add(self, connection: Connection, chosen: str, entry: Entry, folder: str | None) -> None:
        now = self.clock()
        connection.execute(
            insert(tables.submissions).values(
                id=chosen,
                participant=entry.participant,
                tier=entry.tier,
                challenge=entry.challenge_sha256,
                entry=json_text(entry),
                folder=folder,
                state=SubmissionState.QUEUED,
                attempt=0,
                created=now,
                updated=now,
            )
        )
        self._event(connection, chosen, None, "submitted", entry.image)

    def _participant(self, connection: Connection, name: str) -> None:
        """The participant's row, made if need be, and locked until the transaction ends."""
        known = select(tables.participants).where(tables.participants.c.name == name)
        if connection.execute(known).one_or_none() is None:
            try:
                with connection.begin_nested():
                    connection.execute(insert(tables.participants).values(name=name))
            except IntegrityError:
                pass  # another one made it at this very moment
        connection.execute(known.with_for_update()).one()

    def _pin_image(self, connection: Connection, claim: Claim, image_id: str) -> None:
        table = tables.submissions
        connection.execute(
            update(table)
            .where(table.c.id == claim.submission, table.c.image_digest.is_(None))
            .values(image_digest=image_id)
        )

    def _queue_again(self, connection: Connection, submission: str, attempt: int) -> None:
        if attempt >= self.most_tries:
            self._findings(connection, submission, attempt, [_too_many(attempt)])
            self._decide(connection, submission, attempt, SubmissionState.ABANDONED, None)
            return
        self._set_state(connection, submission, SubmissionState.QUEUED)
        self._event(connection, submission, attempt, "queued again")

    def _decide(
        self,
        connection: Connection,
        submission: str,
        attempt: int,
        state: SubmissionState,
        verdict: Verdict | None,
    ) -> None:
        charged = verdict is not None and verdict.counts_against_quota
        connection.execute(
            insert(tables.verdicts).values(
                submission=submission,
                verdict=verdict.model_dump_json() if verdict else None,
                charged=charged,
            )
        )
        self._set_state(connection, submission, state)
        self._event(connection, submission, attempt, state, "charged" if charged else "not charged")

    def _set_state(self, connection: Connection, submission: str, state: SubmissionState) -> None:
        connection.execute(
            update(tables.submissions)
            .where(tables.submissions.c.id == submission)
            .values(state=state, updated=self.clock())
        )

    def _end_attempt(
        self, connection: Connection, submission: str, number: int, state: AttemptState
    ) -> None:
        connection.execute(
            update(tables.attempts)
            .where(tables.attempts.c.submission == submission, tables.attempts.c.number == number)
            .values(state=state, ended=self.clock())
        )
        self._event(connection, submission, number, f"attempt {state}")

    def _findings(
        self,
        connection: Connection,
        submission: str,
        attempt: int,
        findings: Sequence[Finding],
    ) -> None:
        """Put findings behind those that the attempt has already."""
        key = and_(tables.findings.c.submission == submission, tables.findings.c.attempt == attempt)
        already = select(func.count()).select_from(tables.findings).where(key)
        place = connection.scalar(already) or 0
        for offset, item in enumerate(findings):
            connection.execute(
                insert(tables.findings).values(
                    submission=submission,
                    attempt=attempt,
                    place=place + offset,
                    finding=item.model_dump_json(),
                )
            )

    def _event(
        self,
        connection: Connection,
        submission: str,
        attempt: int | None,
        name: str,
        detail: str = "",
    ) -> None:
        connection.execute(
            insert(tables.events).values(
                at=self.clock(), submission=submission, attempt=attempt, name=name, detail=detail
            )
        )


def _attempt_of(claim: Claim) -> Update:
    return update(tables.attempts).where(
        tables.attempts.c.submission == claim.submission,
        tables.attempts.c.number == claim.attempt,
    )


def _check_quota(connection: Connection, entry: Entry, quota: int) -> None:
    mine = and_(
        tables.submissions.c.participant == entry.participant,
        tables.submissions.c.tier == entry.tier,
    )
    pending = select(func.count()).select_from(tables.submissions)
    pending = pending.where(mine, tables.submissions.c.state.in_(OPEN))
    charged = select(func.count()).select_from(tables.submissions.join(tables.verdicts))
    charged = charged.where(mine, tables.verdicts.c.charged)
    used, waiting = connection.scalar(charged) or 0, connection.scalar(pending) or 0
    if used + waiting >= quota:
        raise refuse(
            "QUOTA_EXHAUSTED",
            f"{entry.participant}, {entry.tier} tier",
            expected=f"fewer than {quota} submissions",
            found=f"{used} charged, {waiting} not yet judged",
            hint="wait for those in the queue (an infrastructure fault gives its attempt back), or"
            " ask the organiser",
        )


def _too_many(attempt: int) -> Finding:
    return finding(
        "ATTEMPTS_EXHAUSTED",
        "queue",
        expected="a verdict",
        found=f"{attempt} attempts that ended without one",
        hint="look at the findings of each attempt: the engine or the machine fails, or the"
        " submission takes its worker down",
    )
