"""The sandbox on an engine that pretends: faults at every call, leftovers, limits, lies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from runner.harness.options import ContainerOptions, Job, not_applied, options_of
from runner.harness.owner import this_process
from runner.harness.sandbox import (
    REMOVE_ATTEMPTS,
    ContainerRun,
    Timing,
    as_a_failure,
    remove_leftovers,
    run_container,
)
from schemas.findings import Blame, ContractError, ExitCode
from schemas.limits import ResourceLimits
from tests.helpers.fake_engine import FACTS, IMAGE, FakeEngine, FakeImage, Inside, fails_at

QUICK = Timing(poll_s=0.001, grace_s=0.02, dead_s=0.05, sample_slack_s=0.0)
SMALL = ResourceLimits(wall_s=0.3, output_mib=1, output_files=8, log_mib=0.01)
CALLS = ["facts", "image", "create", "applied", "log", "start", "state", "remove", "labelled"]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    challenge = tmp_path / "challenge.h5"
    challenge.write_bytes(b"counts")
    return Job("it", challenge, tmp_path / "out", SMALL, staging=tmp_path / "staging")


@pytest.fixture
def engine_of(tmp_path: Path) -> Callable[[FakeImage], FakeEngine]:
    return lambda image: FakeEngine(tmp_path / "engine", {"it": image})


def run(engine: FakeEngine, job: Job) -> ContainerRun:
    ended = run_container(engine, job, timing=QUICK)
    assert engine.left() == 0
    assert job.staging is not None
    assert list(job.staging.iterdir()) == []
    return ended


def codes(ended: ContainerRun) -> list[str]:
    return [entry.code for entry in ended.findings]


def answers(inside: Inside) -> int:
    (inside.output / "result.h5").write_bytes(b"result of " + inside.challenge.read_bytes())
    return 0


EngineOf = Callable[[FakeImage], FakeEngine]


def test_a_good_run(engine_of: EngineOf, job: Job) -> None:
    ended = run(engine_of(FakeImage(answers)), job)
    assert codes(ended) == []
    assert (job.output / "result.h5").read_bytes() == b"result of counts"
    assert ended.image_id == IMAGE.id


def test_a_result_of_an_earlier_run_is_not_taken_for_this_one_s(
    engine_of: EngineOf, job: Job
) -> None:
    job.output.mkdir()
    (job.output / "result.h5").write_bytes(b"old")
    assert run(engine_of(FakeImage()), job).outputs == ()
    assert not (job.output / "result.h5").exists()


class TestFaultsOfTheEngine:
    @pytest.mark.parametrize("call", CALLS)
    def test_a_fault_at_any_call_is_nobody_s_attempt(
        self, engine_of: EngineOf, job: Job, call: str
    ) -> None:
        engine = engine_of(FakeImage(answers, looks=2))
        engine.before = fails_at(call, times=1 if call != "remove" else REMOVE_ATTEMPTS)
        with pytest.raises(ContractError) as caught:
            run_container(engine, job, timing=QUICK)
        assert caught.value.exit_code is ExitCode.INFRASTRUCTURE
        assert not any(entry.counts_against_quota for entry in caught.value.findings)
        if call != "remove":
            assert engine.left() == 0
        assert not (job.output / "result.h5").exists(), "nothing is read of a run that failed"

    def test_a_container_that_could_not_be_removed_goes_when_its_owner_is_dead(
        self, engine_of: EngineOf, job: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = engine_of(FakeImage(answers))
        engine.before = fails_at("remove", times=REMOVE_ATTEMPTS)
        with pytest.raises(ContractError):
            run_container(engine, job, timing=QUICK)
        assert remove_leftovers(engine) == 0, "its owner, this process, lives"
        assert engine.left() == 1
        later = replace(this_process(), started="later")
        monkeypatch.setattr("runner.harness.owner._started", lambda pid: later.started)
        assert remove_leftovers(engine) == 1
        assert engine.left() == 0

    def test_a_removal_that_fails_once_is_tried_again(self, engine_of: EngineOf, job: Job) -> None:
        engine = engine_of(FakeImage(answers))
        engine.before = fails_at("remove")
        assert codes(run(engine, job)) == []

    def test_a_container_that_does_not_die_is_told(self, engine_of: EngineOf, job: Job) -> None:
        engine = engine_of(FakeImage(looks=-1))
        engine.kill = lambda container, signal: None  # type: ignore[method-assign]
        with pytest.raises(ContractError, match="SIGKILL"):
            run_container(engine, job, timing=QUICK)
        assert engine.left() == 0

    @pytest.mark.parametrize("call", ["create", "start", "state"])
    def test_a_harness_that_is_killed_leaves_nothing_for_long(
        self, job: Job, tmp_path: Path, call: str
    ) -> None:
        """kill -9 at a call of the engine; what is left goes when the next one starts."""
        script = f"""
import os, signal
from pathlib import Path
from runner.harness.options import Job
from runner.harness.sandbox import run_container
from schemas.limits import ResourceLimits
from tests.helpers.fake_engine import FakeEngine, FakeImage

def before(made, number):
    if made == {call!r}:
        os.kill(os.getpid(), signal.SIGKILL)

engine = FakeEngine(Path({str(tmp_path / "engine")!r}), {{"it": FakeImage()}}, before=before)
job = Job("it", Path({str(job.challenge)!r}), Path({str(job.output)!r}), ResourceLimits(),
          staging=Path({str(job.staging)!r}))
run_container(engine, job)
"""
        done = subprocess.run([sys.executable, "-c", script], check=False, cwd=Path.cwd())
        assert done.returncode == -signal.SIGKILL
        assert job.staging is not None
        assert len(list(job.staging.iterdir())) == 1
        engine = FakeEngine(tmp_path / "engine", {"it": FakeImage(answers)})
        assert engine.left() == (0 if call == "create" else 1)
        assert codes(run(engine, job)) == []


class TestReadBack:
    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("network", "bridge"),
            ("user", "0:0"),
            ("privileged", True),
            ("capabilities_added", ["SYS_ADMIN"]),
            ("capabilities_dropped", []),
            ("security", []),
            ("security", ["no-new-privileges", "seccomp=unconfined"]),
            ("memory_and_swap_bytes", -1),
            ("pids", None),
            ("mounts", [["/input/challenge.h5", "/truth.h5", "read-only"]]),
            ("binds", ["/var/run/docker.sock:/var/run/docker.sock"]),
            ("devices", [{"PathOnHost": "/dev/kmsg"}]),
            ("runtime", "crun"),
            ("masked_paths", False),
        ],
    )
    def test_a_container_that_is_not_as_it_was_asked_for_is_not_started(
        self, engine_of: EngineOf, job: Job, option: str, value: object
    ) -> None:
        engine = engine_of(FakeImage(answers))
        engine.misreports = {option: value}  # type: ignore[dict-item]
        ended = run(engine, job)
        assert codes(ended) == ["PROTECTION_MISSING"]
        assert ended.findings[0].blame is Blame.INFRASTRUCTURE
        assert ended.not_applied == (option,)
        assert engine.calls["start"] == 0
        assert ended.outputs == ()

    def test_an_option_that_is_not_told_does_not_hold(self, job: Job) -> None:
        options = options_of(job, runtime="runc")
        stated = options.stated()
        assert not_applied(options, stated) == ()
        assert not_applied(options, {k: v for k, v in stated.items() if k != "pids"}) == ("pids",)

    def test_every_attribute_of_a_run_is_read_back(self, job: Job) -> None:
        """Another value of any limit that the engine holds changes what is compared."""
        options = options_of(job, runtime="runc")
        ours = {"wall_s", "sample_wall_s", "output_files", "patterns_mib", "image_mib"}
        for name, value in job.limits.model_dump().items():
            if name in ours:
                continue
            other = {"gpu": True, "runtime": "runsc"}.get(name, value and value * 4096)
            limits = job.limits.model_copy(update={name: other})
            changed = options_of(replace(job, limits=limits), runtime="runc")
            assert not_applied(options, changed.stated()), name


class TestLimits:
    def test_the_wall_time_is_our_own_clock_s(self, engine_of: EngineOf, job: Job) -> None:
        ended = run(engine_of(FakeImage(answers, looks=-1)), job)
        assert codes(ended) == ["RUN_TIMEOUT"]
        assert ended.exit_code == 137
        assert 0.3 <= ended.seconds < 2.0
        assert (job.output / "result.h5").exists(), "what was finished is kept"

    def test_sigterm_comes_first_and_sigkill_for_who_ignores_it(
        self, engine_of: EngineOf, job: Job
    ) -> None:
        engine = engine_of(FakeImage(looks=-1, ends_on_sigterm=False))
        assert codes(run(engine, job)) == ["RUN_TIMEOUT"]
        assert engine.calls["kill"] == 2
        engine = engine_of(FakeImage(looks=-1))
        run(engine, job)
        assert engine.calls["kill"] == 1

    @pytest.mark.parametrize("looks", [0, -1], ids=["ended by itself", "stopped"])
    def test_too_much_output(self, engine_of: EngineOf, job: Job, looks: int) -> None:
        def fills(inside: Inside) -> int:
            (inside.output / "x").write_bytes(bytes(2 << 20))
            return 0

        assert codes(run(engine_of(FakeImage(fills, looks=looks)), job)) == ["OUTPUT_TOO_LARGE"]

    def test_too_many_files(self, engine_of: EngineOf, job: Job) -> None:
        def fills(inside: Inside) -> int:
            for index in range(9):
                (inside.output / str(index)).touch()
            return 0

        assert codes(run(engine_of(FakeImage(fills)), job)) == ["OUTPUT_TOO_MANY_FILES"]

    def test_a_flood_of_log(self, engine_of: EngineOf, job: Job) -> None:
        ended = run(engine_of(FakeImage(looks=-1, log=b"x" * (1 << 20))), job)
        assert codes(ended) == ["LOG_FLOOD"]
        assert ended.log_bytes == 1 << 20
        assert len(ended.log) < 0.011 * (1 << 20)

    def test_memory_is_told_by_the_engine_and_not_by_the_exit_code(
        self, engine_of: EngineOf, job: Job
    ) -> None:
        assert codes(run(engine_of(FakeImage(lambda _: 137, oom=True)), job)) == ["OUT_OF_MEMORY"]
        assert codes(run(engine_of(FakeImage(lambda _: 137)), job)) == ["ALGORITHM_FAILED"]

    def test_one_sample_that_takes_too_long(self, engine_of: EngineOf, job: Job) -> None:
        def one_line(inside: Inside) -> int:
            (inside.output / "progress.jsonl").write_text('{"sample": "sample_00"}\n')
            return 0

        quick = job.limits.model_copy(update={"sample_wall_s": 0.1, "wall_s": 60.0})
        image = FakeImage(one_line, looks=-1)
        assert codes(run(engine_of(image), replace(job, limits=quick))) == ["SAMPLE_TIMEOUT"]

    def test_before_the_first_line_only_the_run_has_a_limit(
        self, engine_of: EngineOf, job: Job
    ) -> None:
        quick = job.limits.model_copy(update={"sample_wall_s": 0.05, "wall_s": 0.3})
        ended = run(engine_of(FakeImage(looks=-1)), replace(job, limits=quick))
        assert codes(ended) == ["RUN_TIMEOUT"]

    def test_a_progress_file_that_is_none_is_no_harm(self, engine_of: EngineOf, job: Job) -> None:
        def pipe(inside: Inside) -> int:
            os.mkfifo(inside.output / "progress.jsonl")
            return 0

        assert codes(run(engine_of(FakeImage(pipe, looks=3)), job)) == ["RESULT_NOT_REGULAR"]

    def test_what_no_kernel_holds_is_told(self, engine_of: EngineOf, job: Job) -> None:
        gvisor = replace(job, limits=job.limits.model_copy(update={"runtime": "runsc"}))
        told = run(engine_of(FakeImage()), gvisor).not_enforced
        assert told == {"memory": "not held", "cpus": "not held", "pids": "not held"}
        assert run(engine_of(FakeImage()), job).not_enforced == {}


class TestBlame:
    @pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 42, 137])
    def test_a_stranger_s_exit_code_blames_nobody_else(
        self, engine_of: EngineOf, job: Job, code: int
    ) -> None:
        ended = run_container(
            engine_of(FakeImage(lambda _: code)), job, read_exit=as_a_failure, timing=QUICK
        )
        only = ended.findings[0]
        assert (only.code, only.blame) == ("ALGORITHM_FAILED", Blame.SUBMISSION)
        assert only.counts_against_quota


def test_the_environment_holds_nothing_that_tells_a_tier(job: Job) -> None:
    options: ContainerOptions = options_of(replace(job, nonce="n" * 32), runtime="runc")
    assert set(options.environment) == {
        "STEM4D_SEED",
        "STEM4D_LIMITS",
        "STEM4D_THREADS",
        "STEM4D_NONCE",
        "OMP_NUM_THREADS",
    }
    assert json.loads(options.environment["STEM4D_LIMITS"]) == SMALL.model_dump()


def test_facts_of_a_runtime() -> None:
    assert FACTS.not_held("runc") == ()
    assert FACTS.not_held("runsc") == ("memory", "cpus", "pids")
