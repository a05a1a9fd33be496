"""Numbers as people read them."""

from __future__ import annotations

MISSING = "-"
"""Where there is no number."""


def number(value: float | None, digits: int) -> str:
    """A number with fixed decimals, or a dash where there is none."""
    return MISSING if value is None else f"{value:.{digits}f}"
