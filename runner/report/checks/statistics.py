"""What two passes over a scan tell of its counts: averages, top values, noise. Streamed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.pixels import PixelStatistics
from physics.ideal import Patterns

Float64 = NDArray[np.float64]

BLOCK_BYTES = 16 << 20
"""Patterns read at a time in the second pass [bytes]; copies in float64 are some times that."""

NEAR_TOP = 0.2
"""Readings within this share below the highest one are its neighbours."""

DISCRETE = 1.5
"""The neighbourhood of the highest reading reaches at least this many electrons down, so that it
holds the count below."""

WHOLE_TOLERANCE = 1e-3
"""A reading is a whole number of electrons when it is this near to one [electrons]."""

BIN = 3
"""Side of the areas over which counts of one electron are added up [pixels]."""

DIFFERENCE_GAIN = 1.5
"""Variance of y_j - (y_(j-1) + y_(j+1)) / 2 over that of y_j, where all three have the same."""


@dataclass(frozen=True, eq=False)
class ScanStatistics:
    """Statistics of a scan's readings.

    Attributes:
        pixels: mean, lowest and highest reading of each detector pixel.
        shape: (Ny, Nx) scan positions.
        at_top: readings that equal the highest one, hot and stuck pixels left out.
        near_top: readings below the highest one and near it.
        zeros: readings that are exactly 0.
        fractional: share of the readings that are no whole number of electrons.
        differences: number of positions that the variances come from; 0 for fewer than three
            columns.
        variance: (Ky, Kx) variance of a pixel's reading [counts^2], by second differences along the
            scan's rows: what changes linearly from position to position does not enter.
        area_mean: mean sum of `BIN` x `BIN` pixels [counts].
        area_variance: its variance, likewise [counts^2].
    """

    pixels: PixelStatistics
    shape: tuple[int, int]
    top: float
    at_top: int
    near_top: int
    zeros: int
    fractional: float
    differences: int
    variance: Float64
    area_mean: Float64
    area_variance: Float64

    @property
    def readings(self) -> int:
        """Number of readings."""
        return self.pixels.count * self.pixels.mean.size

    @classmethod
    def of(cls, y: Patterns, gain: float) -> ScanStatistics:
        """Two passes over the scan, block by block; memory does not grow with it.

        Args:
            y: the patterns.
            gain: counts per electron, as the file states it.
        """
        pixels = PixelStatistics.of(y)
        ny, nx, ky, kx = y.shape
        usable = pixels.usable(gain) & ~isolated_bright(pixels.mean)
        top = float(pixels.highest[usable].max()) if usable.any() else float(pixels.highest.max())
        floor = top - max(NEAR_TOP * abs(top), DISCRETE * gain)
        at_top = near_top = zeros = fractional = count = 0
        squares = np.zeros((ky, kx))
        area_squares = np.zeros((ky // BIN, kx // BIN))
        for block in _parts_of_rows(y):
            readings = block[:, usable]
            at_top += int((readings == top).sum())
            near_top += int(((readings >= floor) & (readings < top)).sum())
            zeros += int((block == 0).sum())
            electrons = block / gain
            fractional += int((np.abs(electrons - np.rint(electrons)) > WHOLE_TOLERANCE).sum())
            if len(block) > 2:
                noise = block[1:-1] - (block[:-2] + block[2:]) / 2
                squares += np.einsum("pij,pij->ij", noise, noise)
                areas = binned(noise)
                area_squares += np.einsum("pij,pij->ij", areas, areas)
                count += len(noise)
        norm = DIFFERENCE_GAIN * max(count, 1)
        return cls(
            pixels,
            (ny, nx),
            top,
            at_top,
            near_top,
            zeros,
            fractional / (ny * nx * ky * kx),
            count,
            squares / norm,
            binned(pixels.mean),
            area_squares / norm,
        )


def isolated_bright(mean: Float64, times: float = 3.0) -> NDArray[np.bool_]:
    """(Ky, Kx), True for a pixel that shines alone: hot.

    Its mean is over `times` the second brightest of the 24 pixels around it (the brightest may be
    hot too). Even a disk's rim has more than two bright neighbours, if its radius is some pixels.
    """
    height, width = mean.shape
    padded = np.pad(mean, 2, mode="reflect")
    around = np.stack(
        [
            padded[2 + dy : 2 + dy + height, 2 + dx : 2 + dx + width]
            for dy in range(-2, 3)
            for dx in range(-2, 3)
            if (dy, dx) != (0, 0)
        ]
    )
    second = np.partition(around, -2, axis=0)[-2]
    return np.asarray(mean > times * np.maximum(second, 0.0))


def binned(images: Float64) -> Float64:
    """Sums (..., Ky // BIN, Kx // BIN) over squares of pixels; an incomplete rim is left out."""
    ky, kx = (side // BIN for side in images.shape[-2:])
    whole = images[..., : ky * BIN, : kx * BIN]
    return np.asarray(whole.reshape(*images.shape[:-2], ky, BIN, kx, BIN).sum(axis=(-3, -1)))


def _parts_of_rows(y: Patterns) -> Iterator[Float64]:
    """Patterns (B, Ky, Kx) that are neighbours on one scan row, all of the scan once."""
    ny, nx, ky, kx = y.shape
    most = max(3, BLOCK_BYTES // (4 * ky * kx))
    together = max(1, most // nx)
    for first in range(0, ny, together):
        if together > 1 or nx <= most:
            last = min(first + together, ny)
            block = y.read(first * nx, last * nx).astype(np.float64)
            yield from block.reshape(last - first, nx, ky, kx)
            continue
        parts = math.ceil(nx / most)
        size = math.ceil(nx / parts)
        for start in range(0, nx, size):
            stop = min(start + size, nx)
            yield y.read(first * nx + start, first * nx + stop).astype(np.float64)
