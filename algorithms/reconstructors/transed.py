"""A transformer whose channels attend to one another over the image.

docs/algorithms/transed.md; the network is one of `algorithms.networks.models`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.learned.method import Learned


@dataclass(frozen=True)
class TransEd(Learned):
    """A transformer whose channels attend to one another over the image."""

    networks: ClassVar[tuple[str, ...]] = ("transed",)
