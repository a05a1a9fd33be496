"""Grains of one crystal side by side, each along a known zone axis, turned by a known angle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics.zone_axis import zone_axes
from runner.tiers.examples.nanobeam import TrueMap, crystal_potential, rotation

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Grain:
    """A grain: all points nearer to its seed than to another grain's.

    Attributes:
        seed_A: (y, x) from the middle of the scan [A].
        zone: number of its zone axis among the crystal's tabulated ones.
        rotation_deg: turn from the crystal with its first vector along +x, from +x to +y [degrees].
    """

    seed_A: tuple[float, float]
    zone: int
    rotation_deg: float


@dataclass(frozen=True)
class Polycrystal:
    """A foil of grains with sharp boundaries.

    Attributes:
        crystal: name in `physics.zone_axis.CRYSTALS`.
        grains: at least one.
        periods: thickness of each grain, in periods of its projected cell.
    """

    crystal: str
    grains: tuple[Grain, ...]
    periods: int = 8

    def potential(self, points_A: Float64, sampling_A: float) -> Float64:
        """Projected potential (...) at points (..., 2) [V A]."""
        axes = zone_axes(self.crystal)
        owner, _ = self._owners(points_A)
        total = np.zeros(owner.shape)
        for number, grain in enumerate(self.grains):
            mine = owner == number
            origins = points_A[mine] @ rotation(grain.rotation_deg)
            total[mine] = self.periods * crystal_potential(axes[grain.zone], origins, sampling_A)
        return total

    def truth(self, points_A: Float64) -> tuple[Mapping[str, TrueMap], NDArray[np.bool_]]:
        """zone, rotation, and the distance to the next boundary, at points (N, 2)."""
        owner, boundary = self._owners(points_A)
        zones = np.array([grain.zone for grain in self.grains])[owner]
        turns = np.array([grain.rotation_deg for grain in self.grains])[owner]
        maps = {
            "zone": TrueMap(zones, "", "true number of the zone axis"),
            "rotation": TrueMap(turns, "deg", "true turn from +x to +y"),
            "boundary": TrueMap(boundary, "A", "distance to the next grain boundary"),
        }
        return maps, np.ones(len(points_A), dtype=bool)

    def _owners(self, points_A: Float64) -> tuple[NDArray[np.int_], Float64]:
        """The grain of each point (...), and how far the next boundary is [A]."""
        seeds = np.array([grain.seed_A for grain in self.grains])
        away = np.linalg.norm(points_A[..., None, :] - seeds, axis=-1)
        owner = away.argmin(axis=-1)
        if len(seeds) == 1:
            return owner, np.full(owner.shape, np.inf)
        # To the bisector of two seeds: (b^2 - a^2) / (2 |seeds apart|).
        apart = np.linalg.norm(seeds[:, None] - seeds, axis=-1)[owner]
        nearest = np.take_along_axis(away, owner[..., None], axis=-1)
        distance = (away**2 - nearest**2) / (2 * np.where(apart > 0, apart, 1.0))
        return owner, np.where(apart > 0, distance, np.inf).min(axis=-1)


def gold_grains() -> Polycrystal:
    """The example: five grains of gold in three zone axes."""
    return Polycrystal(
        "gold",
        (
            Grain((-110.0, -100.0), 0, 12.0),
            Grain((-70.0, 110.0), 1, -35.0),
            Grain((40.0, 0.0), 2, 21.0),
            Grain((140.0, -130.0), 1, 64.0),
            Grain((130.0, 140.0), 0, -28.0),
        ),
    )
