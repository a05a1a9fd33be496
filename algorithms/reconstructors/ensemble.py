"""The mean of what several networks make of a sample: their errors differ.

Those that were best on the validation scenes; docs/algorithms/ensemble.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.learned.method import Learned


@dataclass(frozen=True)
class Ensemble(Learned):
    """The mean of what several networks make of a sample."""

    networks: ClassVar[tuple[str, ...]] = ("dncnn-ed", "transed", "swined", "physed")
