"""SIGTERM and SIGINT: the run stops at the next safe point, and what is finished stays valid."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType


class StopRequestedError(BaseException):
    """Raised inside the algorithm when the run was asked to stop.

    Not an `Exception`, so that an algorithm's own handlers do not swallow it.
    """


class StopSignal:
    """Turns SIGTERM and SIGINT into `StopRequestedError`, except while a result is being written.

    Use as a context manager around the run, and `with stop.held():` around each write.
    """

    def __init__(self) -> None:
        self.requested = False
        self._held = False
        self._previous: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> StopSignal:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def held(self) -> _Hold:
        """A block that a signal does not interrupt; it takes effect when the block ends."""
        return _Hold(self)

    def hold(self) -> None:
        """Begin a block that must not be interrupted."""
        self._held = True

    def release(self) -> None:
        """End it; a signal that came meanwhile takes effect now."""
        self._held = False
        if self.requested:
            raise StopRequestedError

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if not self._held:
            raise StopRequestedError


class _Hold:
    """See `StopSignal.held`."""

    def __init__(self, stop: StopSignal) -> None:
        self._stop = stop

    def __enter__(self) -> None:
        self._stop.hold()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._stop.release()
        else:
            self._stop.hold()
