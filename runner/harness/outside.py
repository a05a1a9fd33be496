"""What a gVisor container uses, seen from the host: for machines where runsc sets no control group.

With `--ignore-cgroups` no kernel limit holds memory, processes and CPU time of a container. Memory
and processes can be counted from outside, because gVisor is a program of this machine: it keeps
its guests' memory in one anonymous file, and has (on its ptrace platform) a process of the host for
each guest's address space, all below a first one. The count is a look from time to time, so what
grows faster than the looks may pass the limit for a moment; CPU time is not held at all.

Source: gVisor's pkg/sentry/pgalloc (the memory file) and platform/ptrace (the stubs); checked
against containers of known size in tests/runner/harness/test_runtime.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
MEMORY_FILE = "/memfd:runsc-memory"
BLOCK_BYTES = 512
"""Unit of st_blocks [bytes]."""

OWN_PROCESSES = 1
"""Children of gVisor's that are no guest: the parent of all others."""


@dataclass(frozen=True)
class Seen:
    """What a container uses.

    Attributes:
        memory_bytes: the guests' memory, their /tmp and /dev/shm included, and gVisor's own.
        processes: the guests' processes, without their threads.
    """

    memory_bytes: int
    processes: int


def look(pid: int) -> Seen | None:
    """What the container of gVisor's process `pid` uses; None where it cannot be seen."""
    try:
        memory = _memory_file(pid)
        return None if memory is None else Seen(memory + _own_bytes(pid), _guests(pid))
    except (OSError, ValueError):  # it has just ended, or is not ours to see
        return None


def _memory_file(pid: int) -> int | None:
    for handle in (PROC / str(pid) / "fd").iterdir():
        if str(handle.readlink()).startswith(MEMORY_FILE):
            return handle.stat().st_blocks * BLOCK_BYTES
    return None


def _own_bytes(pid: int) -> int:
    for line in (PROC / str(pid) / "status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def _guests(pid: int) -> int:
    return max(0, len(_descendants(pid)) - OWN_PROCESSES)


def _descendants(pid: int) -> list[int]:
    """Processes below one; whatever ends meanwhile is left out, and nothing else with it."""
    found: list[int] = []
    for children in (PROC / str(pid) / "task").glob("*/children"):
        try:
            below = [int(child) for child in children.read_text(encoding="ascii").split()]
        except OSError:
            continue
        found += below
        for child in below:
            found += _descendants(child)
    return found
