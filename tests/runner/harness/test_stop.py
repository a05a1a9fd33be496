"""Ctrl-C while a container runs: what it has finished is kept."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from runner.harness.options import Job
from runner.harness.sandbox import run_container
from runner.harness.stop import StopAsked
from runner.harness.watch import Timing
from schemas import ResourceLimits
from tests.helpers.fake_engine import FakeEngine, FakeImage, Inside


def test_the_first_ctrl_c_ends_the_container_and_keeps_its_files(tmp_path: Path) -> None:
    def program(inside: Inside) -> int:
        (inside.output / "result.h5").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGINT)
        return 1

    engine = FakeEngine(tmp_path / "engine", {"mine": FakeImage(program, looks=-1)})
    (tmp_path / "in.h5").write_bytes(b"x")
    job = Job("mine", tmp_path / "in.h5", tmp_path / "out", ResourceLimits())
    before = signal.getsignal(signal.SIGINT)
    with StopAsked() as stop:
        run = run_container(engine, job, timing=Timing(poll_s=0.01, grace_s=0.1), stop=stop)
        assert signal.getsignal(signal.SIGINT) is before, "the second Ctrl-C is an ordinary one"
    assert [item.code for item in run.findings] == ["STOPPED"]
    assert (tmp_path / "out" / "result.h5").read_bytes() == b"half"
    assert engine.labelled("org.stem4d.run") == {}, "no container is left"


def test_it_gives_the_handler_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopAsked() as stop:
        assert signal.getsignal(signal.SIGINT) is not before
        assert not stop.asked
    assert signal.getsignal(signal.SIGINT) is before
    with StopAsked() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
