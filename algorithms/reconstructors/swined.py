"""A transformer of shifted windows on the ptychographic image.

docs/algorithms/swined.md; the network is one of `algorithms.networks.models`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.learned.method import Learned


@dataclass(frozen=True)
class SwinEd(Learned):
    """A transformer of shifted windows on the ptychographic image."""

    networks: ClassVar[tuple[str, ...]] = ("swined",)
