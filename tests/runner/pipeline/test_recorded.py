"""One evaluation, entered in the ledger: once, whatever happens on the way."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from runner.pipeline.evaluate import Evaluation
from runner.pipeline.queue import drain
from runner.pipeline.recorded import evaluate_recorded
from runner.pipeline.stages import Plan
from runner.pipeline.tier_judge import TierJudge
from runner.scoring.ledger import Ledger
from runner.scoring.ledger.ledger import MOST_TRIES
from schemas.evaluation import State, Verdict
from schemas.findings import ContractError
from schemas.ledger import AttemptState, Submission, SubmissionState
from schemas.limits import ResourceLimits
from tests.helpers.fake_engine import fails_at
from tests.runner.pipeline.test_workers import FORK, GOOD, QUICK, Pretended, of
from tests.runner.small import SmallTier, write_small_tier


@pytest.fixture(scope="module")
def tier(tmp_path_factory: pytest.TempPathFactory) -> SmallTier:
    return write_small_tier(tmp_path_factory.mktemp("hidden"), "hidden")


@pytest.fixture
def plan(tier: SmallTier, tmp_path: Path) -> Plan:
    return Plan(
        image=GOOD,
        challenge=tier.challenge,
        truth=tier.truth,
        out=tmp_path / "out",
        limits=ResourceLimits(wall_s=5.0, output_mib=1),
        staging=tmp_path / "staging",
        timing=QUICK,
    )


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


def judged(
    plan: Plan,
    engines: Pretended,
    url: str,
    *,
    method: str = "m",
    quota: int | None = None,
    tries: int = MOST_TRIES,
) -> tuple[Submission, Verdict, list[str]]:
    keys: list[str] = []
    with engines() as engine:
        submission, verdict = evaluate_recorded(
            Evaluation(plan, engine),
            plan.out,
            Ledger.open(url, most_tries=tries),
            of(plan.image, method),
            quota=quota,
            tell=lambda record: keys.append(record.key),
        )
    return submission, verdict, keys


def test_everything_is_entered(plan: Plan, url: str, tier: SmallTier, tmp_path: Path) -> None:
    submission, verdict, keys = judged(plan, Pretended(tmp_path / "engine", tier), url)
    assert submission.state is SubmissionState.SCORED
    assert submission.charged
    assert submission.verdict == verdict
    assert verdict.score is not None
    assert [record.key for record in submission.stages] == keys
    assert submission.image_digest == "sha256:" + 64 * "f"
    assert submission.folder == str(plan.out)


def test_a_second_time_changes_nothing(
    plan: Plan, url: str, tier: SmallTier, tmp_path: Path
) -> None:
    engines = Pretended(tmp_path / "engine", tier)
    first = judged(plan, engines, url)
    before = Ledger.open(url).history()
    again = judged(plan, Pretended(tmp_path / "engine", tier, fails_at("create")), url)
    assert again == first
    assert Ledger.open(url).history() == before
    assert len(Ledger.open(url).submissions()) == 1


def test_a_fault_of_ours_is_given_back_and_taken_up(
    plan: Plan, url: str, tier: SmallTier, tmp_path: Path
) -> None:
    failing = Pretended(tmp_path / "engine", tier, fails_at("start"))
    submission, verdict, _ = judged(plan, failing, url, quota=1)
    assert verdict.state is State.FAULT
    assert submission.state is SubmissionState.QUEUED
    assert not submission.charged
    assert submission.attempts[0].findings == verdict.findings
    again, verdict, _ = judged(plan, Pretended(tmp_path / "engine", tier), url, quota=1)
    assert verdict.state is State.SCORED
    assert again.id == submission.id
    assert [a.state for a in again.attempts] == [AttemptState.RETURNED, AttemptState.DONE]


def test_the_queue_s_workers_leave_it_alone(
    plan: Plan, url: str, tier: SmallTier, tmp_path: Path
) -> None:
    """Nor do they judge on their own challenge what was submitted to another."""
    engines = Pretended(tmp_path / "engine", tier)
    own, _, _ = judged(plan, replace(engines, before=fails_at("start")), url)
    ledger = Ledger.open(url)
    queued = ledger.submit(of(GOOD, "queued"))
    other = queued.entry.model_copy(update={"challenge_sha256": "1" * 64})
    foreign = ledger.submit(other)
    judge = TierJudge(plan, tmp_path / "store", engines)
    assert drain(ledger, judge, challenge=queued.entry.challenge_sha256) == 1
    states = [ledger.show(name).state for name in (own.id, queued.id, foreign.id)]
    assert states == [SubmissionState.QUEUED, SubmissionState.SCORED, SubmissionState.QUEUED]


def test_killed_before_the_ledger_knew(
    plan: Plan, url: str, tier: SmallTier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id is in the folder before it is in the ledger: the next try submits the same one."""
    engines = Pretended(tmp_path / "engine", tier)

    def killed() -> None:
        monkeypatch.setattr(Ledger, "submit", lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
        judged(plan, engines, url)

    process = FORK.Process(target=killed)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    name = (plan.out / "organiser" / "submission.txt").read_text().strip()
    assert Ledger.open(url).submissions() == ()
    submission, _, _ = judged(plan, engines, url)
    assert submission.id == name
    assert len(Ledger.open(url).submissions()) == 1


def test_who_is_refused(plan: Plan, url: str, tier: SmallTier, tmp_path: Path) -> None:
    engines = Pretended(tmp_path / "engine", tier)
    ledger = Ledger.open(url)
    judged(plan, engines, url, quota=1)
    with pytest.raises(ContractError, match="the same --participant and --method"):
        judged(plan, engines, url, method="other")
    with pytest.raises(ContractError, match="QUOTA_EXHAUSTED"):
        judged(replace(plan, out=tmp_path / "second"), engines, url, quota=1)
    third = replace(plan, out=tmp_path / "third")
    failing = replace(engines, before=fails_at("start"))
    submission, _, _ = judged(third, failing, url)
    assert ledger.claim("another/living/worker", only=submission.id) is not None
    with pytest.raises(ContractError, match="in the hands of another/living/worker"):
        judged(third, engines, url)


def test_an_evaluation_that_always_fails_is_given_up(
    plan: Plan, url: str, tier: SmallTier, tmp_path: Path
) -> None:
    for _ in range(2):
        failing = Pretended(tmp_path / "engine", tier, fails_at("image"))
        assert judged(plan, failing, url, tries=2)[1].state is State.FAULT
    with pytest.raises(ContractError, match="ATTEMPTS_EXHAUSTED"):
        judged(plan, Pretended(tmp_path / "engine", tier), url)
    assert Ledger.open(url).submissions()[0].state is SubmissionState.ABANDONED


def test_who_was_taken_for_dead_changes_nothing(
    plan: Plan, url: str, tier: SmallTier, tmp_path: Path
) -> None:
    """The machine slept, say, and another one looked after the ledger meanwhile."""

    def robbed(call: str, number: int) -> None:
        if call == "start":
            Ledger.open(url).recover(lambda worker: True)

    with pytest.raises(ContractError, match="CLAIM_LOST"):
        judged(plan, Pretended(tmp_path / "engine", tier, robbed), url)
    submission, verdict, _ = judged(plan, Pretended(tmp_path / "engine", tier), url)
    assert [a.state for a in submission.attempts] == [AttemptState.LOST, AttemptState.DONE]
    assert submission.verdict == verdict
