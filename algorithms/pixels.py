"""What one pass over the scan tells of the detector's pixels: averages, and which are broken.

A pixel that is dead counts next to nothing amid neighbours that count; one that is stuck or
saturated says the same in every pattern. Neither can be told from a good one where next to nothing
is expected, and there it does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics.ideal import Patterns

Float64 = NDArray[np.float64]

BLOCK_BYTES = 64 << 20
"""Patterns read at a time [bytes]."""

REACH = 2
"""Neighbours of a pixel are those up to this far in rows and columns [pixels]. A disk's rim has
fewer neighbours within the disk than without, so their median never takes the dark for dead."""

DEAD_SHARE = 0.02
"""A pixel below this share of its neighbours' median is dead."""

CERTAIN_E = 50.0
"""Least electrons that the whole scan must have put on a pixel's neighbours before it is judged."""


@dataclass(frozen=True)
class PixelStatistics:
    """Statistics of each detector pixel over the scan.

    Attributes:
        mean: (Ky, Kx) position-averaged pattern (PACBED) [counts].
        lowest: (Ky, Kx) least value in any pattern [counts].
        highest: (Ky, Kx) greatest value in any pattern [counts].
        count: number of patterns.
    """

    mean: Float64
    lowest: Float64
    highest: Float64
    count: int

    @classmethod
    def of(cls, y: Patterns) -> PixelStatistics:
        """One pass over the scan, block by block."""
        ny, nx, ky, kx = y.shape
        block = max(1, BLOCK_BYTES // (4 * ky * kx))
        total = np.zeros((ky, kx))
        lowest, highest = np.full((ky, kx), np.inf), np.full((ky, kx), -np.inf)
        for start in range(0, ny * nx, block):
            counts = y.read(start, min(start + block, ny * nx))
            total += counts.sum(axis=0, dtype=np.float64)
            np.minimum(lowest, counts.min(axis=0), out=lowest)
            np.maximum(highest, counts.max(axis=0), out=highest)
        return cls(total / (ny * nx), lowest, highest, ny * nx)

    def usable(self, gain: float) -> NDArray[np.bool_]:
        """(Ky, Kx), False for pixels that are dead, stuck or saturated throughout.

        Args:
            gain: counts per electron.
        """
        around = np.median(_neighbours(self.mean), axis=0)
        judged = around * self.count > CERTAIN_E * gain
        dead = self.mean < DEAD_SHARE * around
        stuck = self.lowest == self.highest
        usable = ~(judged & (dead | stuck))
        # A stuck pixel shines even where nothing else does.
        shining = stuck & (self.mean * self.count > CERTAIN_E * gain)
        return np.asarray(usable & ~shining, dtype=np.bool_)


def fill(patterns: NDArray[np.floating], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Patterns (B, Ky, Kx) with every broken pixel as the mean of its usable neighbours.

    For methods that weigh pixels and cannot leave one out; a likelihood should.
    """
    filled = patterns.astype(np.float64)
    if usable.all():
        return filled
    good = _neighbours(usable.astype(np.float64))
    for row, col in np.argwhere(~usable):
        weight = good[:, row, col]
        if weight.sum() > 0:
            around = [filled[:, r, c] for r, c in _places(row, col, usable.shape)]
            filled[:, row, col] = np.einsum("n,nb->b", weight / weight.sum(), np.stack(around))
    return filled


def _places(row: int, col: int, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """The neighbours of a pixel, in the order of `_neighbours`; mirrored at the rim."""
    rows = np.pad(np.arange(shape[0]), REACH, mode="reflect")
    cols = np.pad(np.arange(shape[1]), REACH, mode="reflect")
    return [(int(rows[row + REACH + dy]), int(cols[col + REACH + dx])) for dy, dx in _offsets()]


def _neighbours(image: Float64) -> Float64:
    """(24, Ky, Kx): each pixel's neighbours; mirrored at the rim."""
    height, width = image.shape
    padded = np.pad(image, REACH, mode="reflect")
    return np.stack(
        [
            padded[REACH + dy : REACH + dy + height, REACH + dx : REACH + dx + width]
            for dy, dx in _offsets()
        ]
    )


def _offsets() -> list[tuple[int, int]]:
    reach = range(-REACH, REACH + 1)
    return [(dy, dx) for dy in reach for dx in reach if (dy, dx) != (0, 0)]
