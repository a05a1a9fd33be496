"""A CNN taught by the counts and an adversary, then by pairs.

docs/algorithms/phasegan-ed.md; the network is one of `algorithms.networks.models`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.learned.method import Learned


@dataclass(frozen=True)
class PhaseganEd(Learned):
    """A CNN taught by the counts and an adversary, then by pairs."""

    networks: ClassVar[tuple[str, ...]] = ("phasegan-ed",)
