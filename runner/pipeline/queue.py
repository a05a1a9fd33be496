"""Workers that take submissions from the ledger's queue and bring back one verdict each.

A worker may die at any moment, and so may the machine: what it had in hand is queued again by
whoever looks next, and the next worker goes on after the last stage that was finished.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

from runner.harness.owner import is_dead, this_process
from runner.scoring.ledger import Claim, Ledger
from runner.scoring.ledger.ledger import LEASE_S, ClaimLostError
from schemas.findings import Blame, ContractError, Finding
from schemas.ledger import StageName, SubmissionState, Verdict

BEATS_A_LEASE = 3
"""Signs of life within a lease: two may fail."""

IDLE_S = 2.0
"""Between two looks at an empty queue [s]."""

OPEN = (SubmissionState.QUEUED, SubmissionState.RUNNING)

Say = Callable[[str], None]


def silent(text: str) -> None:
    """What is told when nobody listens."""


@dataclass(frozen=True)
class Journal:
    """What a judge tells the ledger of the submission that it has in hand.

    Attributes:
        ledger: the ledger.
        claim: the right to write into it.
    """

    ledger: Ledger
    claim: Claim

    def finished(self, stage: StageName) -> Mapping[str, JsonValue] | None:
        """What an earlier try recorded of a stage, or None."""
        known = self.claim.stages.get(stage)
        return known.record if known else None

    def record(self, stage: StageName, record: Mapping[str, JsonValue], *, seconds: float) -> None:
        """A stage is finished.

        Raises:
            ClaimLostError: the submission is no longer this worker's.
        """
        self.ledger.record(self.claim, stage, record, seconds=seconds)

    def pin_image(self, digest: str) -> None:
        """What the image's name resolved to.

        Raises:
            ClaimLostError: the submission is no longer this worker's.
        """
        self.ledger.pin_image(self.claim, digest)


class Judge(Protocol):
    """Takes one submission from image to verdict."""

    def __call__(self, journal: Journal) -> tuple[Verdict, Sequence[Finding]]:
        """The verdict, and every finding.

        Raises:
            ContractError: not the submission's fault; the attempt is given back.
        """


def drain(
    ledger: Ledger,
    judge: Judge,
    *,
    only: str | None = None,
    stop: threading.Event | None = None,
    lease_s: float = LEASE_S,
    say: Say = silent,
) -> int:
    """Judge until nothing is left in the queue, or `stop` is set; returns how many were taken.

    Args:
        ledger: where the queue is.
        judge: what takes a submission to its verdict.
        only: id of the one submission to be judged.
        stop: set it to end after the submission that is in hand.
        lease_s: how long a claim holds without a sign of life [s].
        say: told what happens, line by line.
    """
    taken, worker = 0, this_process().text()
    while not (stop and stop.is_set()):
        for submission in ledger.recover(is_dead):
            say(f"{submission}: its worker died; queued again")
        claim = ledger.claim(worker, lease_s=lease_s, only=only)
        if claim is None:
            return taken
        taken += 1
        judge_one(Journal(ledger, claim), judge, lease_s=lease_s, say=say)
    return taken


def serve(
    ledger: Ledger,
    judge: Judge,
    stop: threading.Event,
    *,
    lease_s: float = LEASE_S,
    say: Say = silent,
) -> int:
    """Judge what comes, until `stop` is set; returns how many were taken."""
    taken = 0
    while not stop.is_set():
        taken += drain(ledger, judge, stop=stop, lease_s=lease_s, say=say)
        stop.wait(IDLE_S)
    return taken


def judge_one(
    journal: Journal, judge: Judge, *, lease_s: float = LEASE_S, say: Say = silent
) -> None:
    """One submission to its verdict, or back into the queue when the fault is not its own."""
    ledger, claim = journal.ledger, journal.claim
    name = f"{claim.submission} ({claim.entry.participant}, {claim.entry.method})"
    say(f"{name}: attempt {claim.attempt}")
    try:
        with _signs_of_life(journal, lease_s):
            try:
                verdict, findings = judge(journal)
            except ContractError as error:
                ledger.give_back(claim, error.findings)
                say(f"{name}: given back: {', '.join(item.code for item in error.findings)}")
                return
            ledger.finish(claim, verdict, findings)
    except ClaimLostError as error:
        say(f"{name}: {error}; another worker has it")
        return
    score = f", score {verdict.card.score:.3f}" if verdict.card else ""
    say(f"{name}: {verdict.state}{score}")


def verdict_of(findings: Sequence[Finding]) -> Verdict:
    """The verdict on a submission that cannot be scored.

    Raises:
        ContractError: none of the findings is the submission's own.
    """
    if all(item.blame is Blame.INFRASTRUCTURE for item in findings):
        raise ContractError(findings)
    charged = any(item.counts_against_quota for item in findings)
    return Verdict(state=SubmissionState.REJECTED, charged=charged)


@contextmanager
def _signs_of_life(journal: Journal, lease_s: float) -> Iterator[None]:
    """Keep the lease while the work is done; end the work when the claim is lost.

    SIGTERM ends it where it stands, and the sandbox removes its container on the way out.
    """
    over = threading.Event()
    lost = threading.Event()

    def beat() -> None:
        while not over.wait(lease_s / BEATS_A_LEASE):
            try:
                journal.ledger.beat(journal.claim, lease_s=lease_s)
            except ClaimLostError:
                lost.set()
                os.kill(os.getpid(), signal.SIGTERM)
                return

    thread = threading.Thread(target=beat, name="signs of life", daemon=True)
    thread.start()
    try:
        yield
    except SystemExit:
        if lost.is_set():
            raise ClaimLostError(f"{journal.claim.submission}: no longer this worker's") from None
        raise
    finally:
        over.set()
        thread.join()


def wait_until_judged(
    ledger: Ledger, submissions: Sequence[str], *, poll_s: float = IDLE_S
) -> None:
    """Return when each of these submissions has its verdict."""
    while any(not ledger.show(name).state.is_final for name in submissions):
        time.sleep(poll_s)
