"""Workers: one verdict each, whatever happens to them."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from runner.pipeline.queue import Write, drain, serve
from runner.scoring.ledger import Claim, Ledger
from schemas.evaluation import Stage, Verdict
from schemas.findings import ContractError
from schemas.ledger import AttemptState, SubmissionState
from tests.runner.scoring.ledger.entries import entry, fault, scored, stage

MANY = 1000
STAGE_S = 0.004
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


def in_stages(claim: Claim, write: Write) -> Verdict:
    """Every stage takes a moment."""
    for name in Stage:
        time.sleep(STAGE_S)
        write(stage(name))
    return scored()


def work(url: str) -> None:
    drain(Ledger.open(url, most_tries=MANY), in_stages)


def test_a_queue_is_judged_in_order(url: str) -> None:
    ledger = Ledger.open(url)
    ids = [ledger.submit(entry(method=f"m{n}")).id for n in range(3)]
    told: list[str] = []
    assert drain(ledger, in_stages, say=told.append) == 3
    assert [text.partition(" ")[0] for text in told[::2]] == ids
    assert "scored, score 0.500" in told[1]
    assert drain(ledger, in_stages) == 0


def test_a_fault_of_the_machine_costs_nothing(url: str) -> None:
    ledger = Ledger.open(url)
    submission = ledger.submit(entry(), quota=1)
    faults = iter([ContractError(fault("ENGINE_FAILED")), None])

    def judge(claim: Claim, write: Write) -> Verdict:
        if error := next(faults):
            raise error
        return in_stages(claim, write)

    assert drain(ledger, judge) == 2
    found = ledger.show(submission.id)
    assert found.state is SubmissionState.SCORED
    assert [a.state for a in found.attempts] == [AttemptState.RETURNED, AttemptState.DONE]


def test_a_long_job_keeps_its_lease(url: str) -> None:
    ledger = Ledger.open(url)
    submission = ledger.submit(entry())

    def slow(claim: Claim, write: Write) -> Verdict:
        time.sleep(2.5)
        assert Ledger.open(url).recover(lambda worker: False) == ()
        return scored()

    drain(ledger, slow, lease_s=2.0)  # a busy machine may be a second late with a sign of life
    assert ledger.show(submission.id).state is SubmissionState.SCORED


def test_work_ends_when_the_claim_is_lost(url: str) -> None:
    """A worker that was taken for dead stops at the next sign of life that it wants to give."""
    ledger = Ledger.open(url)
    submission = ledger.submit(entry())
    before = signal.signal(signal.SIGTERM, lambda number, frame: (_ for _ in ()).throw(SystemExit))

    def robbed(claim: Claim, write: Write) -> Verdict:
        Ledger.open(url).recover(lambda worker: True)
        time.sleep(30)
        raise AssertionError("it went on without its claim")

    told: list[str] = []
    begun = time.monotonic()
    stop = threading.Event()
    try:
        drain(
            ledger,
            lambda claim, write: stop.set() or robbed(claim, write),
            lease_s=0.3,
            stop=stop,
            say=told.append,
        )
    finally:
        signal.signal(signal.SIGTERM, before)
    assert time.monotonic() - begun < 10
    assert "another worker's now" in told[-1]
    assert ledger.show(submission.id).state is SubmissionState.QUEUED


def test_serving_ends_when_asked(url: str) -> None:
    ledger = Ledger.open(url)
    submission = ledger.submit(entry())
    stop = threading.Event()
    thread = threading.Thread(target=lambda: serve(Ledger.open(url), in_stages, stop))
    thread.start()
    while not ledger.show(submission.id).state.is_final:
        time.sleep(0.02)
    stop.set()
    thread.join(timeout=10)
    assert not thread.is_alive()


def killed_at_work(ledger: Ledger) -> int:
    return sum(a.state is AttemptState.LOST for s in ledger.submissions() for a in s.attempts)


@pytest.mark.parametrize("kills", [20, pytest.param(100, marks=pytest.mark.slow)])
def test_workers_killed_at_random_moments(url: str, kills: int) -> None:
    """Two workers at a time; each is killed after a random while, and another takes its place."""
    dice = random.Random(kills)
    ledger = Ledger.open(url, most_tries=MANY)
    ids = [ledger.submit(entry(method=f"m{n}"), quota=kills).id for n in range(kills // 2)]
    done = 0
    # On a busy machine many die before they have begun: these show nothing.
    while done < kills or killed_at_work(ledger) <= kills // 10:
        ledger.engine.dispose()  # a forked process must not use its parent's connection
        pair = [FORK.Process(target=work, args=(url,)) for _ in range(2)]
        for process in pair:
            process.start()
        time.sleep(dice.uniform(0.0, 12 * STAGE_S))
        for process in pair:
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            done += process.exitcode == -signal.SIGKILL
        if not ledger.submissions(states=[SubmissionState.QUEUED, SubmissionState.RUNNING]):
            ids += [ledger.submit(entry(method="more"), quota=10 * kills).id]
    work(url)
    found = ledger.submissions()
    assert [s.id for s in found] == ids
    assert {s.state for s in found} == {SubmissionState.SCORED}
    for submission in found:
        verdicts = [e for e in ledger.history(submission.id) if e.name == SubmissionState.SCORED]
        assert len(verdicts) == 1
        assert {record.stage for record in submission.stages} == set(Stage)
        assert submission.verdict == scored()
