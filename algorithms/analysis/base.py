"""What an analysis is given and returns: maps over the scan, each with its unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Sample
from schemas.spec import MismatchSpec


@dataclass(frozen=True, eq=False)
class Map:
    """One quantity over the scan.

    Attributes:
        values: (Ny, Nx), finite everywhere; 0 where the position is not valid.
        unit: "" for a pure number.
        description: what it is, in one line.
        signed: whether 0 is its middle, for colours.
        labels: what whole numbers stand for, from 0; empty for a quantity.
    """

    values: NDArray[Any]
    unit: str
    description: str
    signed: bool = False
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Maps:
    """What an analysis returns for one sample.

    Attributes:
        maps: by name; all of the scan's shape.
        valid: (Ny, Nx), where the maps mean something.
        diagnostics: anything JSON can hold, for people; at most 64 KiB.
    """

    maps: Mapping[str, Map]
    valid: NDArray[np.bool_]
    diagnostics: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse maps of different shapes, and values that are no numbers."""
        for name, entry in self.maps.items():
            if entry.values.shape != self.valid.shape:
                raise ValueError(f"{name}: shape {entry.values.shape}, valid {self.valid.shape}")
            if not np.isfinite(entry.values).all():
                raise ValueError(f"{name} holds NaN or infinity: mark positions invalid instead")


@runtime_checkable
class Analysis(Protocol):
    """Measures something at every scan position, for a given detector."""

    def analyse(self, sample: Sample, spec: MismatchSpec) -> Maps:
        """Maps over the scan."""
