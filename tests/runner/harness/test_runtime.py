"""gVisor from outside: what is counted is what a container of known size uses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.harness import outside
from runner.harness.docker_engine import connect
from schemas.limits import MIB

pytestmark = pytest.mark.docker

HELD_MIB = 200
CHILDREN = 5
OWN_MIB = 120
"""Most that gVisor and a Python of it take beside what the test asks for [MiB]."""

START_S = 60.0
PROGRAM = f"""
import os, time
x = bytearray(b'x') * {HELD_MIB << 20}
for _ in range({CHILDREN}):
    if os.fork() == 0:
        time.sleep(600)
print('ready', flush=True)
time.sleep(600)
"""

Start = Callable[[str], tuple[int, Callable[[], bytes]]]


@pytest.fixture
def start(image: str, needs_gvisor: None) -> Iterator[Start]:
    """Run a Python program in a container of a runtime; its process, and its log so far."""
    with connect() as engine:
        made = []

        def run(runtime: str) -> tuple[int, Callable[[], bytes]]:
            container = engine.client.containers.run(
                image,
                ["-c", PROGRAM],
                entrypoint="python",
                network_mode="none",
                runtime=runtime,
                detach=True,
            )
            made.append(container)
            return engine.state(container.id).pid, container.logs

        yield run
        for container in made:
            container.remove(force=True)


def test_memory_and_processes_are_counted(start: Start) -> None:
    pid, log = start("runsc")
    deadline = time.monotonic() + START_S
    while b"ready" not in log():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    seen = outside.look(pid)
    if seen is None and not Path(f"/proc/{pid}/fd").is_dir():
        pytest.skip("containers are no processes of this machine")
    assert seen is not None
    assert HELD_MIB <= seen.memory_bytes / MIB < HELD_MIB + OWN_MIB
    assert seen.processes == CHILDREN + 1


def test_another_runtime_s_process_is_not_taken_for_gvisor_s(start: Start) -> None:
    pid, _ = start("runc")
    assert outside.look(pid) is None


def test_nobody_is_seen_where_nobody_is() -> None:
    assert outside.look(2**22 + 1) is None
