"""Partial coherence: the points of source and focus that a pattern is summed over.

A pattern is the mean over configurations, each with its own displaced atoms, a point of the source
and a focus. Points are few, so they are spread evenly: a spiral of the golden angle whose radii are
the quantiles of a Gaussian (Vogel, Math. Biosci. 44 (1979) 179), turned by the golden angle from
pattern to pattern, so that what a few points cannot follow averages out over the scan; and the
quantiles of a Gaussian for the focus. Their mean and covariance are those of the Gaussian exactly.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

CONFIGURATIONS = 8
"""Waves that a pattern is summed over, wherever more than one is needed."""

GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
"""[rad]"""

_ORDER = (0, 4, 2, 6, 1, 5, 3, 7)
"""Which focus goes with which point of the source: bits reversed, so that the two are unrelated."""


def source_points(positions: int) -> Float64:
    """Points of a source of unit rms along each axis, (`CONFIGURATIONS`, positions, 2)."""
    index = np.arange(CONFIGURATIONS)
    radius = np.sqrt(-2 * np.log1p(-(index + 0.5) / CONFIGURATIONS))
    angle = index * GOLDEN_ANGLE
    points = _whitened(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1))
    turn = np.arange(positions) * GOLDEN_ANGLE
    cos, sin = np.cos(turn), np.sin(turn)
    rotation = np.stack([np.stack([cos, -sin], axis=1), np.stack([sin, cos], axis=1)], axis=1)
    turned: Float64 = np.einsum("pij,kj->kpi", rotation, points)
    return turned


def focus_points() -> Float64:
    """Values of unit rms, (`CONFIGURATIONS`,)."""
    normal = NormalDist()
    values = np.array(
        [normal.inv_cdf((index + 0.5) / CONFIGURATIONS) for index in range(CONFIGURATIONS)]
    )
    scaled: Float64 = values / values.std()
    return scaled[list(_ORDER)]


def _whitened(points: Float64) -> Float64:
    """Points (K, 2) moved and stretched to mean 0 and covariance 1."""
    centred = points - points.mean(axis=0)
    root = np.linalg.cholesky(centred.T @ centred / len(points))
    out: Float64 = np.linalg.solve(root, centred.T).T
    return out
