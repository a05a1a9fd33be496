"""The scan's raster as a lattice: its step, its density, its aliases.

What is recorded at positions R = o + i a + j b only is, in Fourier space, repeated at every g of
the reciprocal lattice: an object frequency k is seen together with all k + g.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Sample, unsuited

Float64 = NDArray[np.float64]

JITTER = 0.25
"""Largest distance of a position from its place on the raster [root of the cell's area]: beyond it
the aliases are another's."""

LEAST_ANGLE = 0.01
"""Sine of the smallest angle between a raster's axes."""


@dataclass(frozen=True)
class ScanLattice:
    """The raster nearest to a sample's positions.

    Attributes:
        slow: a (2,), step from one scan row to the next, (row, col) [object pixels].
        fast: b (2,), step within a scan row.
    """

    slow: Float64
    fast: Float64

    @classmethod
    def of(cls, sample: Sample) -> ScanLattice:
        """Fitted to the positions.

        Raises:
            ContractError: SAMPLE_UNSUITED: they are no raster.
        """
        ny, nx = sample.scan_shape
        if min(ny, nx) < 2:
            raise _no_raster(sample, f"{ny} x {nx} positions")
        i, j = np.divmod(np.arange(ny * nx, dtype=np.float64), nx)
        design = np.stack([np.ones_like(i), i, j], axis=1)
        positions = sample.operator.positions_px.astype(np.float64)
        fitted = np.linalg.lstsq(design, positions, rcond=None)[0]
        lattice = cls(fitted[1], fitted[2])
        sides = np.linalg.norm(lattice.slow) * np.linalg.norm(lattice.fast)
        if not lattice.cell_px > LEAST_ANGLE * sides:
            raise _no_raster(sample, "positions along one line")
        step = math.sqrt(lattice.cell_px)
        off = float(np.abs(positions - design @ fitted).max())
        if not off <= JITTER * step:
            raise _no_raster(sample, f"{off:.2g} pixels from the nearest one of step {step:.2g}")
        return lattice

    @property
    def cell_px(self) -> float:
        """Area that one position stands for [object pixels]."""
        return abs(float(self.slow[0] * self.fast[1] - self.slow[1] * self.fast[0]))

    def aliases(self, reach: float) -> list[tuple[float, float]]:
        """All g but 0 up to a length of `reach` [cycles/pixel], (row, col)."""
        reciprocal = np.linalg.inv(np.stack([self.slow, self.fast])).T
        # |m| <= reach * |a|, as m = g . a.
        most = [math.floor(reach * float(np.linalg.norm(v))) for v in (self.slow, self.fast)]
        found = [
            m * reciprocal[0] + n * reciprocal[1]
            for m in range(-most[0], most[0] + 1)
            for n in range(-most[1], most[1] + 1)
            if (m, n) != (0, 0)
        ]
        return [(float(g[0]), float(g[1])) for g in found if np.linalg.norm(g) <= reach]


def spread(values: Float64, positions: Float64, shape: tuple[int, int]) -> Float64:
    """Values (N,) put at positions (N, 2) of an image (H, W), whose indices wrap.

    Whole positions are exact. Others are divided among the four pixels around them: their Fourier
    transform is then sinc^2(k) too small on the average, k in cycles/pixel: 3 % at 0.1.
    """
    image = np.zeros(shape[0] * shape[1])
    whole = np.floor(positions)
    fraction = positions - whole
    rows, cols = whole.astype(np.intp).T
    for d_row, d_col in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = np.abs(1 - d_row - fraction[:, 0]) * np.abs(1 - d_col - fraction[:, 1])
        if weight.any():
            flat = (rows + d_row) % shape[0] * shape[1] + (cols + d_col) % shape[1]
            image += np.bincount(flat, values * weight, len(image))
    return image.reshape(shape)


def _no_raster(sample: Sample, found: str) -> Exception:
    return unsuited(
        sample,
        needs=f"a raster of at least 2 x 2 positions, each within {JITTER} steps of its place",
        found=found,
        instead="cpu-baseline grids any positions; ptychography takes them as they are",
    )
