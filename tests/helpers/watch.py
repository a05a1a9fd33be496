"""Has anybody opened a file? Asked of Linux itself (inotify), whoever it was."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

IN_ACCESS, IN_OPEN = 0x1, 0x20
IN_NONBLOCK = os.O_NONBLOCK


@contextmanager
def watched(*paths: Path) -> Iterator[Callable[[], bool]]:
    """Gives a function: has any of the files been opened or read since it was last called?"""
    libc = ctypes.CDLL(None, use_errno=True)
    queue = libc.inotify_init1(IN_NONBLOCK)
    assert queue >= 0, os.strerror(ctypes.get_errno())
    try:
        for path in paths:
            watch = libc.inotify_add_watch(queue, os.fsencode(path), IN_ACCESS | IN_OPEN)
            assert watch >= 0, os.strerror(ctypes.get_errno())

        def touched() -> bool:
            seen = False
            with suppress(BlockingIOError):  # nothing more has happened
                while os.read(queue, 1 << 16):
                    seen = True
            return seen

        yield touched
    finally:
        os.close(queue)
