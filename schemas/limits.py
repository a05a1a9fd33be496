"""What a run may use: one record from which local, CI and server runs are all made."""

from __future__ import annotations

from pydantic import Field

from schemas.base import Record, quantity

MIB = 1 << 20
"""Bytes."""


class ResourceLimits(Record):
    """Limits of one run; read from `limits.toml`, the defaults are the contract's."""

    memory_mib: int = quantity("MiB", "memory, swap included", default=8192, ge=64)
    patterns_mib: int = quantity(
        "MiB",
        "patterns that an algorithm may keep in memory, at most half of `memory_mib`; a larger scan"
        " is streamed from its file in each pass",
        default=1536,
        ge=1,
    )
    cpus: float = quantity("cores", "CPU share", default=2.0, gt=0.0)
    pids: int = quantity("processes", "processes and threads", default=256, ge=1)
    shm_mib: int = quantity("MiB", "size of /dev/shm", default=1024, ge=1)
    tmp_mib: int = quantity("MiB", "size of /tmp (counts as memory)", default=2048, ge=1)
    wall_s: float = quantity("s", "wall time of a run", default=3600.0, gt=0.0)
    sample_wall_s: float = quantity("s", "wall time of one sample", default=900.0, gt=0.0)
    output_mib: int = quantity("MiB", "bytes written to /output", default=64, ge=1)
    output_files: int = quantity("files", "files and folders in /output", default=64, ge=2)
    log_mib: float = quantity("MiB", "bytes written to stdout and stderr", default=1.0, gt=0.0)
    nofile: int = quantity("files", "open files a process", default=1024, ge=16)
    image_mib: int = quantity("MiB", "size of the image, unpacked", default=10240, ge=1)
    gpu: bool = Field(default=False, description="a GPU is given to the container")
    runtime: str | None = Field(
        default=None, max_length=64, description="container runtime, for example runsc (gVisor)"
    )

    @property
    def patterns_bytes(self) -> int:
        """Patterns that an algorithm may keep in memory [bytes]: never over half of the memory."""
        return min(self.patterns_mib * MIB, self.memory_mib * MIB // 2)


class SanitiserLimits(Record):
    """What the process that reads a stranger's result file may use."""

    memory_mib: int = quantity(
        "MiB",
        "address space beyond what the reader has before it opens the file, and beyond the images"
        " themselves",
        default=512,
        ge=64,
    )
    cpu_s: int = quantity("s", "CPU time", default=30, ge=1)
    wall_s: float = quantity("s", "wall time", default=60.0, gt=0.0)
    message_kib: int = quantity("KiB", "what the reader may answer", default=4096, ge=64)
