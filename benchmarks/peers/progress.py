"""Progress, for people."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)
