"""Workers that take submissions from the ledger's queue and bring back one verdict each.

A worker may die at any moment, and so may the machine: what it had in hand is queued again by
whoever looks next, and the next worker goes on after the last stage that was finished.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from runner.harness.owner import is_dead, this_process
from runner.scoring.ledger import Claim, Ledger
from runner.scoring.ledger.ledger import LEASE_S, ClaimLostError
from schemas.evaluation import StageRecord, Verdict
from schemas.findings import ContractError

BEATS_A_LEASE = 3
"""Signs of life within a lease: two may fail."""

IDLE_S = 2.0
"""Between two looks at an empty queue [s]."""

Say = Callable[[str], None]
Write = Callable[[StageRecord], None]


def silent(text: str) -> None:
    """What is told when nobody listens."""


class Judge(Protocol):
    """Takes one submission from image to verdict."""

    def __call__(self, claim: Claim, write: Write) -> Verdict:
        """The verdict on a submission; each stage that comes to an end is told to `write`.

        Raises:
            ContractError: a fault of ours; the attempt is given back.
            ClaimLostError: from `write`: the submission is another worker's now.
        """


def drain(
    ledger: Ledger,
    judge: Judge,
    *,
    only: str | None = None,
    challenge: str | None = None,
    stop: threading.Event | None = None,
    lease_s: float = LEASE_S,
    say: Say = silent,
) -> int:
    """Judge until nothing is left in the queue, or `stop` is set; returns how many were taken.

    Args:
        ledger: where the queue is.
        judge: what takes a submission to its verdict.
        only: id of the one submission to be judged.
        challenge: sha256 of the challenge file whose queue it is; None: all that wait.
        stop: set it to end after the submission that is in hand.
        lease_s: how long a claim holds without a sign of life [s].
        say: told what happens, line by line.
    """
    taken, worker = 0, this_process().text()
    while not (stop and stop.is_set()):
        for submission in ledger.recover(is_dead):
            say(f"{submission}: its worker died; queued again")
        claim = ledger.claim(worker, lease_s=lease_s, only=only, challenge=challenge)
        if claim is None:
            return taken
        taken += 1
        judge_one(ledger, claim, judge, lease_s=lease_s, say=say)
    return taken


def serve(
    ledger: Ledger,
    judge: Judge,
    stop: threading.Event,
    *,
    challenge: str | None = None,
    lease_s: float = LEASE_S,
    say: Say = silent,
) -> int:
    """Judge what comes, until `stop` is set; returns how many were taken."""
    taken = 0
    while not stop.is_set():
        taken += drain(ledger, judge, challenge=challenge, stop=stop, lease_s=lease_s, say=say)
        stop.wait(IDLE_S)
    return taken


def judge_one(
    ledger: Ledger, claim: Claim, judge: Judge, *, lease_s: float = LEASE_S, say: Say = silent
) -> None:
    """One submission to its verdict, or back into the queue when the fault is not its own."""
    name = f"{claim.submission} ({claim.entry.participant}, {claim.entry.method})"
    say(f"{name}: attempt {claim.attempt}")
    try:
        verdict = judged(ledger, claim, judge, lease_s=lease_s)
    except ContractError as error:
        say(f"{name}: given back: {', '.join(item.code for item in error.findings)}")
        return
    except ClaimLostError as error:
        say(f"{name}: {error}; it is another worker's now")
        return
    codes = ", ".join(sorted({item.code for item in verdict.findings}))
    score = "" if verdict.score is None else f", score {verdict.score:.3f}"
    say(f"{name}: {verdict.state}{score}{codes and f' ({codes})'}")


def judged(ledger: Ledger, claim: Claim, judge: Judge, *, lease_s: float = LEASE_S) -> Verdict:
    """The verdict on a submission that was claimed, as the ledger now holds it.

    Raises:
        ContractError: a fault of ours; the attempt was given back.
        ClaimLostError: the submission is another worker's now.
    """
    with _signs_of_life(ledger, claim, lease_s):
        try:
            verdict = judge(claim, lambda record: ledger.record(claim, record))
        except ContractError as error:
            ledger.give_back(claim, error.findings)
            raise
        ledger.finish(claim, verdict)
        return verdict


@contextmanager
def _signs_of_life(ledger: Ledger, claim: Claim, lease_s: float) -> Iterator[None]:
    """Keep the lease while the work is done; end the work when the claim is lost.

    SIGTERM ends it where it stands, and the sandbox removes its container on the way out.
    """
    over, lost = threading.Event(), threading.Event()

    def beat() -> None:
        while not over.wait(lease_s / BEATS_A_LEASE):
            try:
                ledger.beat(claim, lease_s=lease_s)
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
            raise ClaimLostError(f"attempt {claim.attempt} took too long to tell") from None
        raise
    finally:
        over.set()
        thread.join()
