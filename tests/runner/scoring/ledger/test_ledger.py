"""The ledger's promises, in both databases."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import update

from runner.scoring.ledger import Ledger, leaderboard_cards, tables
from runner.scoring.ledger.ledger import LEASE_S, ClaimLostError
from schemas import ContractError
from schemas.challenge import Tier
from schemas.evaluation import Stage, State
from schemas.ledger import AttemptState, SubmissionState
from tests.runner.scoring.ledger.conftest import Clock
from tests.runner.scoring.ledger.entries import (
    OTHER,
    REFUSED,
    WORKER,
    claimed,
    entry,
    fault,
    preflight,
    scored,
    stage,
    verdict,
)


def codes(submission_id: str, ledger: Ledger) -> list[str]:
    attempts = ledger.show(submission_id).attempts
    return [item.code for attempt in attempts for item in attempt.findings]


def test_from_the_queue_to_the_verdict(ledger: Ledger, clock: Clock) -> None:
    first, second = ledger.submit(entry(method="a")), ledger.submit(entry(method="b"))
    claim = claimed(ledger)
    assert (claim.submission, claim.attempt, claim.entry) == (first.id, 1, first.entry)
    assert claim.image == first.entry.image
    assert ledger.show(first.id).state is SubmissionState.RUNNING
    records = [preflight("sha256:1"), stage(Stage.RUN, 1), stage(Stage.RUN, 2), stage(Stage.SCORE)]
    for record in records:
        ledger.record(claim, record)
    clock.now += 5
    ledger.finish(claim, scored(0.75))
    done = ledger.show(first.id)
    assert done.verdict == scored(0.75)
    assert done.state is SubmissionState.SCORED
    assert done.charged
    assert done.image_digest == "sha256:1"
    assert list(done.stages) == records
    assert [(a.state, a.ended) for a in done.attempts] == [(AttemptState.DONE, clock.now)]
    assert ledger.show(second.id).state is SubmissionState.QUEUED
    names = [event.name for event in ledger.history(first.id)]
    assert names[:2] == ["submitted", "claimed"]
    assert names[2:] == [*(f"{record.key} done" for record in records), "attempt done", "scored"]


def test_a_verdict_is_final(ledger: Ledger) -> None:
    submission = ledger.submit(entry())
    claim = claimed(ledger)
    ledger.finish(claim, REFUSED)
    for act in (
        lambda: ledger.finish(claim, scored()),
        lambda: ledger.give_back(claim, []),
        lambda: ledger.record(claim, stage(Stage.RUN, 1)),
        lambda: ledger.beat(claim),
    ):
        with pytest.raises(ClaimLostError):
            act()
    assert ledger.recover(lambda worker: True) == ()
    assert ledger.show(submission.id).verdict == REFUSED
    assert ledger.claim(WORKER) is None


def test_a_fault_gives_the_attempt_back(ledger: Ledger) -> None:
    submission = ledger.submit(entry(), quota=1)
    ledger.give_back(claimed(ledger), [fault("NO_SPACE")])
    ledger.finish(claimed(ledger), verdict(State.FAULT, findings=[fault("ENGINE_FAILED")]))
    again = claimed(ledger)
    assert (again.submission, again.attempt) == (submission.id, 3)
    ledger.finish(again, scored())
    assert codes(submission.id, ledger) == ["NO_SPACE", "ENGINE_FAILED"]
    assert [a.state for a in ledger.show(submission.id).attempts] == [
        AttemptState.RETURNED,
        AttemptState.RETURNED,
        AttemptState.DONE,
    ]


def test_the_next_worker_goes_on_where_the_dead_one_stopped(ledger: Ledger) -> None:
    submission = ledger.submit(entry())
    dead = claimed(ledger)
    ledger.record(dead, preflight("sha256:1"))
    assert ledger.recover(lambda worker: worker == OTHER) == ()
    assert ledger.recover(lambda worker: worker == WORKER) == (submission.id,)
    heir = claimed(ledger, OTHER)
    assert heir.image == "sha256:1"
    ledger.record(heir, preflight("sha256:2"))
    assert ledger.show(submission.id).image_digest == "sha256:1"
    with pytest.raises(ClaimLostError):
        ledger.finish(dead, scored(1.0))
    ledger.finish(heir, scored(0.5))
    assert ledger.show(submission.id).verdict == scored(0.5)


def test_a_worker_that_gives_no_sign_of_life_loses_its_claim(ledger: Ledger, clock: Clock) -> None:
    ledger.submit(entry())
    claim = claimed(ledger)
    for _ in range(3):
        clock.now += 0.9 * LEASE_S
        assert ledger.recover(lambda worker: False) == ()
        ledger.beat(claim)
    clock.now += 1.1 * LEASE_S
    assert ledger.recover(lambda worker: False) == (claim.submission,)
    with pytest.raises(ClaimLostError):
        ledger.beat(claim)


def test_what_takes_every_worker_down_is_abandoned_uncharged(url: str, clock: Clock) -> None:
    ledger = Ledger.open(url, clock=clock, most_tries=3)
    submission = ledger.submit(entry(), quota=1)
    for _ in range(2):
        claimed(ledger)
        ledger.recover(lambda worker: True)
    ledger.give_back(claimed(ledger), [fault()])
    done = ledger.show(submission.id)
    assert done.state is SubmissionState.ABANDONED
    assert done.verdict is None
    assert not done.charged
    assert codes(submission.id, ledger) == ["ENGINE_FAILED", "ATTEMPTS_EXHAUSTED"]
    ledger.submit(entry(), quota=1)  # nothing was charged
    ledger.engine.dispose()


def test_quota_counts_what_is_charged_and_what_is_open(ledger: Ledger) -> None:
    ledger.submit(entry(), quota=2)
    free = REFUSED.model_copy(update={"counts_against_quota": False})
    ledger.finish(claimed(ledger), free)
    ledger.submit(entry(), quota=2)
    ledger.finish(claimed(ledger), REFUSED)
    ledger.submit(entry(), quota=2)
    with pytest.raises(ContractError, match="QUOTA_EXHAUSTED") as refused:
        ledger.submit(entry(), quota=2)
    assert "1 charged, 1 not yet judged" in str(refused.value)
    ledger.submit(entry("eve"), quota=2)
    ledger.submit(entry(tier=Tier.DEV), quota=2)
    assert len(ledger.submissions(participant="ada")) == 4


def test_a_burst_does_not_pass_the_quota(url: str) -> None:
    """Twelve at once, each with a connection of its own."""
    ledgers = [Ledger.open(url) for _ in range(12)]
    ready = threading.Barrier(len(ledgers))

    def submit(ledger: Ledger) -> bool:
        ready.wait()
        try:
            ledger.submit(entry(), quota=3)
        except ContractError:
            return False
        finally:
            ledger.engine.dispose()
        return True

    with ThreadPoolExecutor(len(ledgers)) as pool:
        assert sum(pool.map(submit, ledgers)) == 3


def test_no_two_workers_get_the_same(url: str) -> None:
    ledger = Ledger.open(url)
    ids = {ledger.submit(entry(method=f"m{n}")).id for n in range(20)}
    ready = threading.Barrier(8)

    def work(number: int) -> list[str]:
        own = Ledger.open(url)
        ready.wait()
        taken = []
        while (claim := own.claim(WORKER)) is not None:
            taken.append(claim.submission)
            own.finish(claim, scored())
        own.engine.dispose()
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [name for names in pool.map(work, range(8)) for name in names]
    left = {s.id for s in ledger.submissions(states=[SubmissionState.QUEUED])}
    assert sorted(taken) == sorted(ids - left)
    # A claim may find nothing while others hold the oldest rows; none is lost by that.
    while (claim := ledger.claim(WORKER)) is not None:
        ledger.finish(claim, scored())
    assert {s.state for s in ledger.submissions()} == {SubmissionState.SCORED}
    ledger.engine.dispose()


def test_one_submission_may_be_asked_for(ledger: Ledger) -> None:
    ledger.submit(entry(method="a"))
    wanted = ledger.submit(entry(method="b"))
    claim = ledger.claim(WORKER, only=wanted.id)
    assert claim is not None
    assert claim.submission == wanted.id
    assert ledger.claim(WORKER, only=wanted.id) is None


def test_leaderboards_show_the_best_of_each_method(ledger: Ledger) -> None:
    for method, score in (("a", 0.3), ("b", 0.6), ("a", 0.5), ("a", 0.4)):
        ledger.submit(entry(method=method))
        ledger.finish(claimed(ledger), scored(score))
    ledger.submit(entry(method="c"))
    ledger.finish(claimed(ledger), REFUSED)
    found = {c.algorithm: c.score for c in leaderboard_cards(ledger.submissions())}
    assert found == {"a": 0.5, "b": 0.6}


def test_lists(ledger: Ledger) -> None:
    ledger.submit(entry("ada", tier=Tier.DEV))
    ledger.submit(entry("eve"))
    ledger.finish(claimed(ledger), scored())
    assert [s.entry.participant for s in ledger.submissions()] == ["ada", "eve"]
    assert [s.entry.participant for s in ledger.submissions(tier=Tier.HIDDEN)] == ["eve"]
    scored_ones = ledger.submissions(states=[SubmissionState.SCORED])
    assert [s.entry.participant for s in scored_ones] == ["ada"]
    with pytest.raises(ContractError, match="SUBMISSION_UNKNOWN"):
        ledger.show("nobody")


def test_a_ledger_outlives_its_process(url: str) -> None:
    first = Ledger.open(url)
    submission = first.submit(entry())
    first.engine.dispose()
    second = Ledger.open(url)
    assert second.show(submission.id) == submission
    second.engine.dispose()


def test_a_ledger_of_another_version_is_refused(url: str) -> None:
    ledger = Ledger.open(url)
    with ledger.engine.begin() as connection:
        connection.execute(update(tables.about).values(version=99))
    ledger.engine.dispose()
    with pytest.raises(ContractError, match="LEDGER_VERSION"):
        Ledger.open(url)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("sqlite:////proc/none/ledger.sqlite", "LEDGER_UNREACHABLE"),
        ("postgresql+psycopg://u:secret@/x?host=/none", "LEDGER_UNREACHABLE"),
        ("not a url", "LEDGER_UNREACHABLE"),
        ("postgresql+nodriver://u@h/x", "EXTRA_MISSING"),
    ],
)
def test_a_database_that_cannot_be_opened(url: str, code: str) -> None:
    with pytest.raises(ContractError, match=code) as refused:
        Ledger.open(url)
    assert "secret" not in str(refused.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_text("not a database, and longer than a header of SQLite " * 20)
    with pytest.raises(ContractError, match="LEDGER_UNREACHABLE"):
        Ledger.open(f"sqlite:///{path}")
