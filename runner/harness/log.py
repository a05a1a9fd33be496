"""A container's log, read while it is written: bounded, counted, and fit for a terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Self

from runner.harness.engine import LogPiece
from schemas.base import printable
from schemas.findings import ContractError

FLOOD_FACTOR = 16
"""A run that writes so many times the log's limit is stopped; up to there its log is only cut."""

END_WAIT_S = 5.0
"""Longest wait for the last lines of a container that has ended [s]."""

CUT = "\n[... {} bytes of log are left out ...]\n"

LogSink = Callable[[str], None]


def clean_log(raw: bytes) -> str:
    """Text of a log, without what could write to a person's terminal or mislead the eye."""
    return printable(raw.decode("utf-8", "replace"))


class Log:
    """Reads a log in a thread of its own; keeps its beginning and its end, half of the limit each.

    Use as a context manager, entered before the container starts.
    """

    def __init__(self, pieces: Iterator[LogPiece], most_bytes: int) -> None:
        self._pieces = pieces
        self._half = max(1, most_bytes // 2)
        self._flood = most_bytes * FLOOD_FACTOR
        self._lock = threading.Lock()
        self._head = bytearray()
        self._tail = bytearray()
        self._fresh = bytearray()
        self._total = 0
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(END_WAIT_S)

    @property
    def total_bytes(self) -> int:
        """Bytes written so far."""
        return self._total

    @property
    def flooded(self) -> bool:
        """Whether the run is to be stopped for what it writes."""
        return self._total > self._flood

    def fresh(self) -> str:
        """What is new on stderr since the last call, cleaned; bounded like the log itself."""
        with self._lock:
            raw = bytes(self._fresh)
            self._fresh.clear()
        return clean_log(raw)

    def text(self) -> str:
        """The whole log, cleaned, its middle left out where it is too long."""
        with self._lock:
            tail = bytes(self._tail[-self._half :])
            left_out = self._total - len(self._head) - len(tail)
            between = CUT.format(left_out) if left_out else ""
            return clean_log(bytes(self._head)) + between + clean_log(tail)

    def _read(self) -> None:
        try:
            for piece in self._pieces:
                self._keep(piece)
        except ContractError as error:
            # The run is judged by its result; a log that breaks off says so itself.
            self._keep(LogPiece("stderr", f"\n[the log breaks off: {error}]\n".encode()))

    def _keep(self, piece: LogPiece) -> None:
        with self._lock:
            self._total += len(piece.data)
            room = self._half - len(self._head)
            self._head += piece.data[:room]
            self._append(self._tail, piece.data[room:])
            if piece.stream == "stderr":
                self._append(self._fresh, piece.data)

    def _append(self, end: bytearray, data: bytes) -> None:
        """Append, and forget the beginning; not at each call, which would copy all each time."""
        end += data
        if len(end) > 2 * self._half:
            del end[: -self._half]
