"""What the sanitiser and the process that reads for it say to each other, over a socket pair.

A block is its length (8 bytes) and its bytes; open files travel beside the length.
"""

from __future__ import annotations

import socket
import struct

from pydantic import Field

from runner.files.rules import Expected
from schemas.base import Record, quantity
from schemas.findings import Finding
from schemas.limits import SanitiserLimits

OUT_OF_MEMORY = 12
"""Exit code of a reader for which the memory did not suffice (Linux's number of ENOMEM)."""

HEADER = struct.Struct("<Q")
MAX_BLOCK_BYTES = 256 << 20
"""Longest block [bytes]; far beyond any that is sent, and short of filling the memory."""


class Task(Record):
    """Read one result file. Two open files come with it: the result, and the file for images."""

    name: str = Field(description="how findings name the file")
    expected: dict[str, Expected] = Field(description="what each sample must be like")
    limits: SanitiserLimits = Field(description="what the reader may use")

    @property
    def image_bytes(self) -> int:
        """All images together [bytes]."""
        return sum(entry.image_bytes for entry in self.expected.values())


class Answer(Record):
    """What the reader found. The images themselves lie in a file, in the order of `specs`.

    Records of the result travel as their own JSON text, so that each keeps its limits.
    """

    attrs: str | None = Field(description="root attributes; null when nothing can be used")
    provenance: str | None = Field(description="likewise")
    run_info: str | None = Field(description="likewise")
    specs: dict[str, dict[str, float]] = Field(description="corrected spec of each good sample")
    findings: tuple[Finding, ...] = Field(description="everything that is wrong")


class Outcome(Record):
    """How the reader ended; its answer, which proves nothing yet, follows as a block of its own."""

    ready: bool = Field(description="it was confined and began to read")
    exit_code: int = Field(description="as the system tells; negative: ended by that signal")
    too_slow: bool = Field(description="ended by us at the wall limit")
    too_long: bool = Field(description="ended by us for the length of its answer")
    peak_mib: float = quantity("MiB", "peak resident memory, as the system tells", ge=0.0)
    seconds: float = quantity("s", "wall time", ge=0.0)


def send(channel: socket.socket, block: bytes, files: tuple[int, ...] = ()) -> None:
    """Send one block, and open files with it."""
    header = HEADER.pack(len(block))
    if files:
        socket.send_fds(channel, [header], list(files))
    else:
        channel.sendall(header)
    channel.sendall(block)


def receive(channel: socket.socket, *, files: int = 0) -> tuple[bytes, list[int]]:
    """Receive one block and the open files that come with it.

    Raises:
        EOFError: the other side has closed the channel, or sends no block.
    """
    header, opened, _, _ = socket.recv_fds(channel, HEADER.size, files)
    header += _exactly(channel, HEADER.size - len(header))
    (length,) = HEADER.unpack(header)
    if length > MAX_BLOCK_BYTES or len(opened) != files:
        raise EOFError(f"a block of {length} bytes with {len(opened)} files")
    return _exactly(channel, length), opened


def _exactly(channel: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = channel.recv(min(count, 1 << 20))
        if not part:
            raise EOFError("the channel is closed")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
