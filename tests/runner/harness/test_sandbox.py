"""The sandbox: limits hold, what was applied is read back, nothing outlives a run."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.harness.docker_engine import connect, engine_version
from runner.harness.options import Job, docker_arguments, docker_command, options_of
from runner.harness.outcome import ContainerRun
from runner.harness.sandbox import run_container as run_in
from runner.harness.watch import Timing
from schemas.findings import Blame, ContractError, ExitCode
from schemas.limits import ResourceLimits

MakeJob = Callable[..., Job]

QUICK = Timing(poll_s=0.05, grace_s=1.0)


def run_container(job: Job, **how: Any) -> ContainerRun:
    with connect() as engine:
        return run_in(engine, job, timing=QUICK, **how)


def exit_code_of(run_findings: tuple[object, ...]) -> ExitCode:
    return ContractError(run_findings).exit_code  # type: ignore[arg-type]


def test_an_engine_that_is_away_is_nobody_s_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    challenge = tmp_path / "in.h5"
    challenge.touch()
    assert engine_version() is None
    with pytest.raises(ContractError) as caught:
        run_container(Job("any", challenge, tmp_path / "out", ResourceLimits()))
    assert caught.value.exit_code is ExitCode.INFRASTRUCTURE
    only = caught.value.findings[0]
    assert only.blame is Blame.INFRASTRUCTURE
    assert not only.counts_against_quota
    assert "docker version" in only.hint


def test_a_missing_input_is_found_before_the_engine_is_asked(tmp_path: Path) -> None:
    job = Job("any", tmp_path / "absent.h5", tmp_path / "out", ResourceLimits())
    with pytest.raises(ContractError) as caught:
        run_in(None, job)  # type: ignore[arg-type]
    assert caught.value.exit_code is ExitCode.INPUT


@pytest.mark.docker
class TestWithEngine:
    def test_an_unknown_image_says_how_to_make_one(self, tmp_path: Path) -> None:
        challenge = tmp_path / "in.h5"
        challenge.touch()
        with pytest.raises(ContractError, match="make image") as caught:
            run_container(Job("stem4d-no-such-image", challenge, tmp_path / "o", ResourceLimits()))
        assert caught.value.findings[0].code == "IMAGE_NOT_FOUND"

    def test_what_is_asked_for_is_applied(self, make_job: MakeJob) -> None:
        probe = (
            'echo "$(cat /input/challenge.h5)" >&2; id -u; ls /sys/class/net;'
            " grep -E 'Cap(Eff|Bnd)|NoNewPrivs' /proc/self/status;"
            " touch /root-is-open 2>/dev/null && echo open;"
            " echo 'echo exec' > /tmp/x; chmod +x /tmp/x; /tmp/x;"
            " echo $STEM4D_SEED $STEM4D_ALGORITHM $OMP_NUM_THREADS; ulimit -n;"
            " echo result > /output/result.h5"
        )
        log: list[str] = []
        job = make_job("sh", "-c", probe, algorithm="named", seed=7)
        run = run_container(job, on_log=log.append)
        assert run.exit_code == 0, run.log_tail
        assert run.findings == ()
        assert run.not_applied == ()
        lines = [line.split() for line in run.log_tail.splitlines()]
        assert ["1000"] in lines
        assert ["lo"] in lines
        assert ["CapEff:", "0000000000000000"] in lines
        assert ["CapBnd:", "0000000000000000"] in lines
        assert ["NoNewPrivs:", "1"] in lines
        assert ["exec"] in lines
        assert ["open"] not in lines
        assert ["7", "named", "2"] in lines
        assert ["1024"] in lines
        assert "any input" in "".join(log)
        assert [path.name for path in run.outputs] == ["result.h5"]
        assert (job.output / "result.h5").read_text() == "result\n"

    def test_nothing_is_left_behind(self, make_job: MakeJob) -> None:
        job = make_job("true")
        run_container(job)
        assert list(job.output.iterdir()) == []
        with connect() as engine:
            assert engine.client.containers.list(all=True, filters={"ancestor": job.image}) == []

    def test_the_printed_command_makes_the_same_container(self, make_job: MakeJob) -> None:
        job = make_job("true", algorithm="a b")
        run = run_container(job)
        assert docker_command(job).startswith("docker run --rm --network=none")
        job.output.mkdir(exist_ok=True)
        arguments = docker_arguments(options_of(job, runtime=""))
        created = subprocess.run(
            ["docker", "create", *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()
        with connect() as engine:
            try:
                by_hand = engine.applied(created)
                config = engine.client.api.inspect_container(created)["Config"]
            finally:
                engine.remove(created)
        assert "STEM4D_ALGORITHM=a b" in config["Env"]
        assert config["Healthcheck"] == {"Test": ["NONE"]}
        asked = by_hand.pop("mounts"), run.applied.pop("mounts")
        assert by_hand == run.applied
        targets = [[(where, how) for where, _, how in mounts] for mounts in asked]  # type: ignore[union-attr, misc]
        assert targets[0] == targets[1]

    def test_a_run_that_hangs_is_stopped_and_keeps_what_it_wrote(self, make_job: MakeJob) -> None:
        limits = ResourceLimits(memory_mib=256, tmp_mib=64, shm_mib=16, wall_s=1.0)
        script = "trap 'echo late > /output/result.h5; exit 1' TERM; while true; do sleep 0.1; done"
        job = make_job("sh", "-c", script, limits=limits)
        run = run_container(job)
        assert run.limit == "RUN_TIMEOUT"
        assert run.seconds < 8.0
        assert [item.code for item in run.findings] == ["RUN_TIMEOUT"]
        assert exit_code_of(run.findings) is ExitCode.ALGORITHM
        assert (job.output / "result.h5").read_text() == "late\n"

    def test_memory_beyond_the_limit_is_named(self, make_job: MakeJob) -> None:
        run = run_container(make_job("python", "-c", "x = bytearray(1 << 30)"))
        assert run.oom
        assert [item.code for item in run.findings] == ["OUT_OF_MEMORY"]

    def test_output_beyond_the_limit_is_stopped(self, make_job: MakeJob) -> None:
        run = run_container(
            make_job("sh", "-c", "head -c 9000000 /dev/zero > /output/x; exec sleep 50")
        )
        assert run.limit == "OUTPUT_TOO_LARGE"
        assert [item.code for item in run.findings] == ["OUTPUT_TOO_LARGE"]
        assert run.outputs == ()

    def test_a_long_log_is_cut_in_the_middle(self, make_job: MakeJob) -> None:
        limits = ResourceLimits(memory_mib=256, tmp_mib=64, shm_mib=16, log_mib=0.1)
        long = "echo begin; yes line of log | head -c 500000; echo end"
        run = run_container(make_job("sh", "-c", long, limits=limits))
        assert run.exit_code == 0
        assert run.findings == ()
        assert run.log_bytes == 500010
        assert len(run.log) < 0.11 * (1 << 20)
        assert run.log.startswith("begin\n")
        assert run.log.endswith("end\n")
        assert "bytes of log are left out" in run.log

    @pytest.mark.parametrize("trick", ["ln -s /etc/passwd", "mkfifo", "mkdir"])
    def test_only_a_regular_file_is_taken(self, make_job: MakeJob, trick: str) -> None:
        run = run_container(make_job("sh", "-c", f"{trick} /output/result.h5"))
        assert run.outputs == ()
        assert [item.code for item in run.findings] == ["RESULT_NOT_REGULAR"]

    @pytest.mark.parametrize("code", list(ExitCode))
    def test_the_container_s_exit_code_is_ours(self, make_job: MakeJob, code: ExitCode) -> None:
        run = run_container(make_job("sh", "-c", f"echo the reason >&2; exit {code}"))
        assert run.exit_code == code
        if code is ExitCode.DONE:
            assert run.findings == ()
        else:
            assert exit_code_of(run.findings) is code
            assert "the reason" in run.findings[0].found

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_the_container_goes_when_the_runner_is_stopped(
        self, make_job: MakeJob, number: signal.Signals
    ) -> None:
        job = make_job("sh", "-c", "echo running >&2; sleep 600")
        # A job in the background of a script starts with SIGINT ignored: as in a terminal instead.
        code = (
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
            "import sys; from pathlib import Path; from schemas.limits import ResourceLimits;"
            "from runner.harness.docker_engine import connect;"
            "from runner.harness.options import Job; from runner.harness.sandbox import *;"
            f"job = Job({job.image!r}, Path({str(job.challenge)!r}),"
            f" Path({str(job.output)!r}), ResourceLimits())\n"
            "with connect() as engine:"
            " run_container(engine, job, on_log=lambda text: print(text, flush=True))"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as runner:
            assert runner.stdout is not None
            assert runner.stdout.readline() == b"running\n"
            runner.send_signal(number)
            try:
                assert runner.wait(timeout=20) != 0
            finally:
                runner.kill()
        with connect() as engine:
            assert engine.client.containers.list(all=True, filters={"ancestor": job.image}) == []
        assert list(job.output.iterdir()) == []

    def test_an_input_that_everybody_may_write_to_is_read_only_inside(
        self, make_job: MakeJob
    ) -> None:
        job = make_job("sh", "-c", "echo other > /input/challenge.h5")
        job.challenge.chmod(0o666)
        assert run_container(job).exit_code != 0
        assert job.challenge.read_bytes() == b"any input"

    def test_a_private_input_is_readable_inside(self, make_job: MakeJob) -> None:
        job = make_job("cat", "/input/challenge.h5")
        job.challenge.chmod(0o600)
        assert "any input" in run_container(job).log_tail
