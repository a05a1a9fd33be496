"""Whose is a container? The process that made it, named so that no other is taken for it.

A container's label names its owner. What a dead owner left behind may be removed; what a living one
uses, or one that cannot be seen from here, is never touched.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
SEPARATOR = "/"


@dataclass(frozen=True)
class Owner:
    """A process, beyond doubt.

    Attributes:
        machine: the machine's own id; its host name where it has none.
        boot: which start of the machine.
        space: which process namespace: process numbers mean nothing outside it.
        pid: process number.
        started: when it started, in the kernel's ticks since boot: numbers are used again.
    """

    machine: str
    boot: str
    space: str
    pid: int
    started: str

    def text(self) -> str:
        """As it stands in a label."""
        return SEPARATOR.join((self.machine, self.boot, self.space, str(self.pid), self.started))


def this_process() -> Owner:
    """The process that asks."""
    pid = os.getpid()
    return Owner(_machine(), _boot(), _space(), pid, _started(pid))


def is_dead(text: str) -> bool:
    """Whether the owner that a label names has certainly ended; a text of no sense has no owner."""
    parts = text.split(SEPARATOR)
    if len(parts) != 5 or not parts[3].isdigit():
        return False
    owner, here = Owner(parts[0], parts[1], parts[2], int(parts[3]), parts[4]), this_process()
    if owner.machine != here.machine:
        return False  # another machine's, on an engine that both use
    if owner.boot != here.boot:
        return True
    if owner.space != here.space:
        return False  # a process that is not visible from here
    return _started(owner.pid) != owner.started


def _machine() -> str:
    return _line(Path("/etc/machine-id")) or socket.gethostname().replace(SEPARATOR, "-")


def _boot() -> str:
    return _line(PROC / "sys/kernel/random/boot_id")


def _space() -> str:
    try:
        return (PROC / "self/ns/pid").readlink().name
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Start time of a process, "" when there is none. Without /proc: only whether it is there."""
    if not PROC.is_dir():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        except PermissionError:
            pass
        return "running"
    # Field 22; the second is the command in parentheses, which may hold blanks and parentheses.
    fields = _line(PROC / str(pid) / "stat").rpartition(")")[2].split()
    # A zombie's files still can be read, but it holds nothing any more.
    return fields[19] if fields and fields[0] not in "ZX" else ""


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
