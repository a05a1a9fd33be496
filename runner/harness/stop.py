"""Ctrl-C while a container runs: it is ended as at a limit, and what it has finished is kept."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Self


class StopAsked:
    """Whether a person wants the run to end; as a context manager it listens to Ctrl-C.

    The second Ctrl-C is an ordinary one, for those who do not want to wait.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: signal._HANDLER = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        self._give_back()

    def _give_back(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
