"""Steps of the likelihood with a learned proximal map after each.

docs/algorithms/physed.md; the network is one of `algorithms.networks.models`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.learned.method import Learned


@dataclass(frozen=True)
class PhysEd(Learned):
    """Steps of the likelihood with a learned proximal map after each."""

    networks: ClassVar[tuple[str, ...]] = ("physed",)
