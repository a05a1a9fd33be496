"""A folder of fixed size: a memory file system, where this process may mount one.

What has no name (a file that was deleted and is still open) takes space as well, and nobody who
counts names sees it. So where the harness may mount, /output is a tmpfs that the kernel holds to
its size and number of files; what lies in it counts as the container's memory. Elsewhere it is a
plain folder, which is counted from look to look, and which should lie on a file system of its own.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from schemas.findings import refuse
from schemas.limits import MIB, ResourceLimits

SPARE_MIB, SPARE_FILES = 1, 16
"""Room beyond the limits, so that passing them is seen, and not only suffered by the container."""

COMMAND_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Room:
    """Where a container writes.

    Attributes:
        path: the folder.
        held: whether the kernel holds it to its size.
        beneath: an open handle of the folder below the mount.
    """

    path: Path
    held: bool
    beneath: int

    def used_bytes(self) -> int:
        """What is taken, files without a name included [bytes]; 0 where the kernel does not say."""
        if not self.held:
            return 0
        system = os.statvfs(self.path)
        return (system.f_blocks - system.f_bfree) * system.f_frsize

    def check(self) -> None:
        """See that the engine has mounted this very room, and not the folder beneath it.

        Raises:
            ContractError: PROTECTION_MISSING.
        """
        with os.scandir(self.beneath) as entries:
            missed = self.held and any(entries)
        if missed:
            raise refuse(
                "PROTECTION_MISSING",
                "/output",
                expected="an engine that sees what this process mounts",
                found="the container writes beneath the mount",
                hint="run the harness in the engine's own mount namespace, not in a container",
            )


def make_room(path: Path, limits: ResourceLimits) -> Room:
    """Make a folder that everybody may write to; `leave_room` unmakes it."""
    path.mkdir()
    path.chmod(0o777)
    beneath = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    return Room(path, os.geteuid() == 0 and _mounted(path, limits), beneath)


def leave_room(path: Path) -> None:
    """Unmount a room, if it is one; of a process that has died as well."""
    if path.is_mount():
        subprocess.run(
            ["umount", "--lazy", str(path)],
            check=False,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_S,
        )


def _mounted(path: Path, limits: ResourceLimits) -> bool:
    size = (limits.output_mib + SPARE_MIB) * MIB
    files = limits.output_files + SPARE_FILES
    options = f"size={size},nr_inodes={files},mode=0777,nosuid,nodev,noexec"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)],
        check=False,
        capture_output=True,
        timeout=COMMAND_TIMEOUT_S,
    )
    return done.returncode == 0
