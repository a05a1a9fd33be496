"""A queue of real evaluations, on an engine that pretends: killed, restarted, shared."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from runner.harness.owner import this_process
from runner.harness.sandbox import Timing
from runner.pipeline.many import submit_folder
from runner.pipeline.queue import drain
from runner.pipeline.stages import Plan
from runner.pipeline.tier_judge import TierJudge
from runner.pipeline.workers import Queue, work_here
from runner.scoring.ledger import Ledger
from schemas import ContractError
from schemas.evaluation import State
from schemas.ledger import AttemptState, Entry, SubmissionState
from schemas.limits import ResourceLimits
from tests.helpers.fake_engine import FakeEngine, FakeImage, fails_at, no_fault
from tests.runner.pipeline.test_evaluate import writes
from tests.runner.scoring.ledger.entries import entry
from tests.runner.small import SmallTier, true_answers, write_small_tier

FORK = multiprocessing.get_context("fork")
QUICK = Timing(poll_s=0.001, grace_s=0.02, dead_s=0.05)
MANY = 1000

GOOD, BAD = "ada/good:1", "eve/bad:1"


@dataclass(frozen=True)
class Pretended:
    """Opens an engine that pretends, with a good image and a bad one.

    Attributes:
        folder: where its containers lie.
        tier: whose truth the good image answers with.
        before: called before every call to the engine.
    """

    folder: Path
    tier: SmallTier
    before: Callable[[str, int], None] = no_fault

    @contextmanager
    def __call__(self) -> Iterator[FakeEngine]:
        good = FakeImage(writes(true_answers(self.tier)), looks=3)
        bad = FakeImage(lambda inside: 1)
        bad = replace(bad, facts=replace(bad.facts, id="sha256:" + 64 * "0"))
        yield FakeEngine(self.folder, {GOOD: good, BAD: bad}, self.before)


@pytest.fixture(scope="module")
def tier(tmp_path_factory: pytest.TempPathFactory) -> SmallTier:
    return write_small_tier(tmp_path_factory.mktemp("hidden"), "hidden")


@pytest.fixture
def judge(tier: SmallTier, tmp_path: Path) -> TierJudge:
    plan = Plan(
        image="",
        challenge=tier.challenge,
        truth=tier.truth,
        out=Path(),
        limits=ResourceLimits(wall_s=5.0, output_mib=1),
        staging=tmp_path / "staging",
        timing=QUICK,
    )
    return TierJudge(plan, tmp_path / "store", Pretended(tmp_path / "engine", tier))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


def of(image: str, method: str = "m") -> Entry:
    return entry(method=method).model_copy(update={"image": image})


def test_good_and_bad(judge: TierJudge, url: str) -> None:
    ledger = Ledger.open(url)
    good, bad = (ledger.submit(of(image)) for image in (GOOD, BAD))
    missing = ledger.submit(of("nobody/none:1"))
    assert drain(Ledger.open(url, most_tries=2), judge) == 4
    found = ledger.show(good.id)
    assert found.state is SubmissionState.SCORED
    assert found.verdict is not None
    assert found.verdict.score is not None
    assert found.verdict.score > 0.9
    assert [record.key for record in found.stages] == [r.key for r in found.verdict.stages]
    assert ledger.show(bad.id).state is SubmissionState.REFUSED
    assert ledger.show(bad.id).charged
    assert ledger.show(missing.id).state is SubmissionState.ABANDONED
    assert not ledger.show(missing.id).charged
    assert (judge.store / good.id / "participant" / "report.json").is_file()


def test_a_fault_of_the_engine_is_tried_again_from_the_stage_that_failed(
    judge: TierJudge, url: str, tier: SmallTier, tmp_path: Path
) -> None:
    ledger = Ledger.open(url)
    submission = ledger.submit(of(GOOD))
    failing = Pretended(tmp_path / "engine", tier, fails_at("start"))
    claim = ledger.claim("first")
    assert claim is not None
    verdict = replace(judge, open_engine=failing)(
        claim, lambda record: ledger.record(claim, record)
    )
    ledger.finish(claim, verdict)
    assert verdict.state is State.FAULT
    first = {record.key: record for record in ledger.show(submission.id).stages}
    assert set(first) == {"preflight", "strip"}
    drain(ledger, judge)
    found = ledger.show(submission.id)
    assert found.state is SubmissionState.SCORED
    assert {r.key: r for r in found.stages if r.key in first} == first, "taken over, not done again"


def work(url: str, judge: TierJudge) -> None:
    drain(Ledger.open(url, most_tries=MANY), judge)


@pytest.mark.parametrize("kills", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_kill_nine_at_random_moments(
    judge: TierJudge, url: str, tmp_path: Path, kills: int
) -> None:
    """One evaluation after the other, and a worker that is killed again and again."""
    dice = random.Random(kills)
    ledger = Ledger.open(url, most_tries=MANY)
    ids, killed = [], 0
    while killed < kills:
        if not ledger.submissions(states=[SubmissionState.QUEUED, SubmissionState.RUNNING]):
            ids.append(ledger.submit(of((GOOD, BAD)[len(ids) % 2], f"m{len(ids)}"), quota=MANY).id)
        ledger.engine.dispose()  # a forked process must not use its parent's connection
        process = FORK.Process(target=work, args=(url, judge))
        process.start()
        process.join(timeout=dice.uniform(0.0, 1.5))
        assert process.pid is not None
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            killed += 1
    # What the last one to die left is removed by the next run, whosever it is.
    ids.append(ledger.submit(of((GOOD, BAD)[len(ids) % 2], "last"), quota=MANY).id)
    ledger.engine.dispose()
    work(url, judge)
    found = ledger.submissions()
    assert [s.id for s in found] == ids
    for number, submission in enumerate(found):
        expected = (SubmissionState.SCORED, SubmissionState.REFUSED)[number % 2]
        assert submission.state is expected
        ends = [e for e in ledger.history(submission.id) if e.name == expected]
        assert len(ends) == 1
        assert submission.charged
    lost = sum(a.state is AttemptState.LOST for s in found for a in s.attempts)
    assert lost >= kills / 4, "hardly any worker was killed at work: the test shows nothing"
    with judge.open_engine() as engine:
        assert engine.labelled("org.stem4d.run") == {}
    assert not list((tmp_path / "staging").glob("*")), "a dead run's folder was left"


@pytest.mark.slow
def test_workers_of_this_machine_share_the_queue(judge: TierJudge, url: str) -> None:
    ledger = Ledger.open(url)
    ids = {ledger.submit(of((GOOD, BAD)[n % 2], f"m{n}")).id for n in range(2)}
    told: list[str] = []
    work_here(Queue(url, judge, until_empty=True), 2, told.append)
    found = ledger.submissions()
    assert {s.id for s in found} == ids
    assert all(s.state.is_final for s in found)
    assert this_process().text() not in {a.worker for s in found for a in s.attempts}
    assert told == [], "no worker died"


def test_a_folder_of_submissions(tier: SmallTier, url: str, tmp_path: Path) -> None:
    folder = tmp_path / "submissions"
    folder.mkdir()
    ledger = Ledger.open(url)
    with pytest.raises(ContractError, match="no such file"):
        list(submit_folder(ledger, folder, tier.challenge))
    for name in ("b", "a"):
        text = f'image = "{name}:1"\nparticipant = "{name}"\nmethod = "M"\n'
        (folder / f"{name}.toml").write_text(text)
    first = list(submit_folder(ledger, folder, tier.challenge))
    assert [s.entry.participant for s in first] == ["a", "b"]
    assert all(s.entry.tier == "hidden" for s in first)
    again = list(submit_folder(ledger, folder, tier.challenge))
    assert [s.id for s in again] == [s.id for s in first]
    (folder / "c.toml").write_text("image = 3")
    (folder / "d.toml").write_text("image")
    with pytest.raises(ContractError) as refused:
        list(submit_folder(ledger, folder, tier.challenge))
    assert [Path(item.where).name for item in refused.value.findings] == ["c.toml", "d.toml"]
    assert len(ledger.submissions()) == 2


@pytest.mark.slow
def test_a_cluster_s_workers_judge(judge: TierJudge, url: str) -> None:
    """Dask's scheduler and a worker as processes of their own, as on several machines."""
    from distributed import LocalCluster

    from runner.pipeline.cluster import work_on_cluster

    ledger = Ledger.open(url)
    ids = [ledger.submit(of((GOOD, BAD)[n % 2], f"m{n}")).id for n in range(2)]
    told: list[str] = []
    with LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None, processes=True
    ) as cluster:
        work_on_cluster(Queue(url, judge, until_empty=True), cluster.scheduler_address, told.append)
    assert [ledger.show(name).state.value for name in ids] == ["scored", "refused"]


def test_a_scheduler_that_is_not_there(judge: TierJudge, url: str, monkeypatch) -> None:
    from runner.pipeline import cluster

    monkeypatch.setattr(cluster, "CONNECT_S", 0.3)
    with pytest.raises(ContractError, match="SCHEDULER_UNREACHABLE"):
        cluster.work_on_cluster(Queue(url, judge), "tcp://127.0.0.1:9", lambda text: None)


def test_a_worker_that_cannot_work_ends_it_all() -> None:
    """Its last words are in the finding: the next one would fail as well."""
    from concurrent.futures import Future

    from runner.pipeline.cluster import _tell

    failed: Future[str] = Future()
    failed.set_exception(RuntimeError("exit code 1: No module named 'runner'"))
    with pytest.raises(ContractError, match="WORKER_FAILED") as refused:
        _tell("0123456789ab", failed, lambda text: None)
    assert "No module named" in refused.value.findings[0].found
