"""Whatever happens in whatever order: one verdict each, nothing charged twice, nothing lost."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from runner.scoring.ledger import Claim, Ledger
from runner.scoring.ledger.ledger import LEASE_S, ClaimLostError
from schemas import ContractError
from schemas.evaluation import Stage, Verdict
from schemas.ledger import AttemptState, SubmissionState
from tests.runner.scoring.ledger.conftest import Clock
from tests.runner.scoring.ledger.entries import REFUSED, entry, fault, scored, stage

FINAL = [state.value for state in SubmissionState if state.is_final]
JUDGED = (SubmissionState.SCORED, SubmissionState.REFUSED)
QUOTA = 3
TRIES = 4


class LedgerMachine(RuleBasedStateMachine):
    """Workers that live, die, sleep too long and come back, on a ledger of few participants."""

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        path = Path(self.folder.name) / "ledger.sqlite"
        self.ledger = Ledger.open(f"sqlite:///{path}", clock=self.clock, most_tries=TRIES)
        self.workers = 0
        self.decided: dict[str, Verdict] = {}

    def teardown(self) -> None:
        self.ledger.engine.dispose()
        self.folder.cleanup()

    @rule(who=st.sampled_from(["ada", "eve"]))
    def submit(self, who: str) -> None:
        used = [
            s for s in self.ledger.submissions(participant=who) if not s.state.is_final or s.charged
        ]
        if len(used) >= QUOTA:
            with pytest.raises(ContractError, match="QUOTA_EXHAUSTED"):
                self.ledger.submit(entry(who), quota=QUOTA)
        else:
            self.ledger.submit(entry(who), quota=QUOTA)

    @rule(target=claims)
    def claim(self) -> Claim | None:
        self.workers += 1
        return self.ledger.claim(f"worker {self.workers}")

    @rule(claim=claims, name=st.sampled_from(Stage))
    def record(self, claim: Claim | None, name: Stage) -> None:
        if claim is not None:
            self._act(claim, lambda: self.ledger.record(claim, stage(name)))

    @rule(claim=claims)
    def beat(self, claim: Claim | None) -> None:
        if claim is not None:
            self._act(claim, lambda: self.ledger.beat(claim))

    @rule(claim=claims, verdict=st.sampled_from([scored(), REFUSED]))
    def finish(self, claim: Claim | None, verdict: Verdict) -> None:
        if claim is not None and self._act(claim, lambda: self.ledger.finish(claim, verdict)):
            assert claim.submission not in self.decided
            self.decided[claim.submission] = verdict

    @rule(claim=claims)
    def give_back(self, claim: Claim | None) -> None:
        if claim is not None:
            self._act(claim, lambda: self.ledger.give_back(claim, [fault()]))

    @rule(claim=consumes(claims))
    def die(self, claim: Claim | None) -> None:
        if claim is not None:
            worker = self.ledger.show(claim.submission).attempts[claim.attempt - 1].worker
            self.ledger.recover(lambda other: other == worker)

    @rule(seconds=st.sampled_from([1.0, 0.6 * LEASE_S, 1.5 * LEASE_S]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds
        self.ledger.recover(lambda worker: False)

    def _act(self, claim: Claim, act: Callable[[], None]) -> bool:
        """Do it: it must work while the claim holds, and must not once it is over."""
        now = self.ledger.show(claim.submission)
        holds = now.state is SubmissionState.RUNNING and len(now.attempts) == claim.attempt
        if holds:
            act()
        else:
            with pytest.raises(ClaimLostError):
                act()
        return holds

    @invariant()
    def books_are_in_order(self) -> None:
        for submission in self.ledger.submissions():
            assert submission.verdict == self.decided.get(submission.id)
            assert submission.charged == (submission.verdict is not None)
            judged = submission.state.is_final and submission.verdict is not None
            assert judged == (submission.state in JUDGED)
            running = [a for a in submission.attempts if a.state is AttemptState.RUNNING]
            assert len(running) == (submission.state is SubmissionState.RUNNING)
            assert [a.number for a in submission.attempts] == [
                *range(1, len(submission.attempts) + 1)
            ]
            assert len(submission.attempts) <= TRIES
            history = self.ledger.history(submission.id)
            ends = [event for event in history if event.name in FINAL]
            assert len(ends) == submission.state.is_final


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
