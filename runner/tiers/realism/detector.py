"""A counting detector in which one electron fires several pixels.

An electron comes down anywhere within its pixel. It makes 1 + Poisson(g - 1) counts, g on average,
each displaced from there by a Gaussian. So neighbouring counts are correlated, and the counts of a
large area scatter more than their number says: their variance over their mean is g + 1 - 1/g, where
counts of single electrons have 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physics.operator import batches

BATCH = 64
"""Patterns whose electrons are drawn together."""


def fano_factor(counts_per_electron: float) -> float:
    """Variance over mean of the counts of a large area."""
    return counts_per_electron + 1 - 1 / counts_per_electron


def draw_clusters(
    expected_e: NDArray[np.floating],
    *,
    counts_per_electron: float,
    point_spread_px: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Counts (B, Ky, Kx) of a detector that expects `expected_e` electrons a pixel.

    Counts that fall off the detector are lost.

    Args:
        expected_e: (B, Ky, Kx) mean electrons per pixel.
        counts_per_electron: mean counts of one electron, at least 1.
        point_spread_px: rms distance of a count from its electron, along one axis [pixels].
        rng: source of randomness.
    """
    out = np.empty(expected_e.shape, dtype=np.float32)
    for index in batches(len(expected_e), BATCH):
        part = expected_e[index]
        electrons = rng.poisson(part)
        pixel = np.repeat(np.arange(part.size), electrons.ravel())
        entry = rng.uniform(-0.5, 0.5, size=(2, len(pixel)))
        multiplicity = 1 + rng.poisson(counts_per_electron - 1, size=len(pixel))
        pixel = np.repeat(pixel, multiplicity)
        places = np.repeat(entry, multiplicity, axis=1)
        places += point_spread_px * rng.normal(size=places.shape)
        out[index] = _histogram(pixel, np.rint(places).astype(np.int64), part.shape)
    return out


def _histogram(
    pixel: NDArray[np.int64], steps: NDArray[np.int64], shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """Counts (B, Ky, Kx) of flattened pixels, each moved by whole steps (2, N)."""
    _, height, width = shape
    row = pixel // width % height + steps[0]
    col = pixel % width + steps[1]
    seen = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    flat = (pixel + steps[0] * width + steps[1])[seen]
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)
