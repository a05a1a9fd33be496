"""A residual CNN takes the noise off the ptychographic image.

docs/algorithms/dncnn-ed.md; the network is one of `algorithms.networks.models`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.learned.method import Learned


@dataclass(frozen=True)
class DncnnEd(Learned):
    """A residual CNN takes the noise off the ptychographic image."""

    networks: ClassVar[tuple[str, ...]] = ("dncnn-ed",)
