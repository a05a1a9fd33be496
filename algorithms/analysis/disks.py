"""Fitting disks: position, electrons and background of many at once, most likely under Poisson.

In a disk's box the model is lambda = A D_c + b; Fisher scoring on (A, c_y, c_x, b) with the
template's exact slopes. Its information matrix is the errors': sharp rims tell the position, so it
is better than the centroid's by the square root of the radius over the rim's width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.analysis.template import ProbeTemplate

Float64 = NDArray[np.float64]

STEPS = 8
"""Scoring steps: from within a pixel the last ones move nothing."""

LARGEST_STEP_PX = 0.5
"""Largest move of a centre in one step [pixels]."""

LEAST_ELECTRONS = 0.5
"""The amplitude is kept above this, where the position would lose its meaning."""

LEAST_BACKGROUND_E = 1e-3
"""The background is kept above this [electrons per pixel]."""

VARIANCE_FLOOR_E = 1e-2
"""Electrons^2 added to a pixel's variance: an empty pixel still weighs no more than this allows."""


@dataclass(frozen=True, eq=False)
class Disks:
    """Fitted disks.

    Attributes:
        centers: (M, 2) rows and columns on the detector [pixels].
        sigma: (M, 2) their standard errors [pixels].
        electrons: (M,) of each disk.
        significance: (M,) electrons over their standard error.
    """

    centers: Float64
    sigma: Float64
    electrons: Float64
    significance: Float64


def boxes_at(images: Float64, which: NDArray[np.int_], at: NDArray[np.int_], reach: int) -> Float64:
    """Boxes (M, 2 reach + 1, 2 reach + 1) of images (B, n, n) around pixels `at` (M, 2).

    Every box must lie within the image.

    Args:
        images: what is cut from.
        which: (M,) image of each box.
        at: (M, 2) row and column of its middle.
        reach: half side.
    """
    span = np.arange(-reach, reach + 1)
    rows = at[:, 0, None, None] + span[:, None]
    cols = at[:, 1, None, None] + span[None, :]
    return np.asarray(images[which[:, None, None], rows, cols])


def fit_disks(
    patterns: Float64,
    which: NDArray[np.int_],
    start: Float64,
    template: ProbeTemplate,
    *,
    usable: NDArray[np.bool_],
    variance_e: float = 0.0,
) -> Disks:
    """Fit a disk in each box; their boxes must lie within the detector.

    Args:
        patterns: (B, n, n) [electrons].
        which: (M,) pattern of each disk.
        start: (M, 2) its centre to begin from [pixels].
        template: the probe's pattern.
        usable: (n, n), False for broken pixels, which weigh nothing.
        variance_e: variance of the read noise [electrons^2].
    """
    at = np.rint(start).astype(np.int_)
    data = boxes_at(patterns, which, at, template.reach).reshape(len(at), template.side**2)
    whole = usable[None].astype(np.float64)
    believed = boxes_at(whole, np.zeros(len(at), np.int_), at, template.reach).reshape(data.shape)
    offset = start - at
    background = np.full(len(at), LEAST_BACKGROUND_E)
    electrons = np.maximum(data.sum(axis=1), LEAST_ELECTRONS)
    for _ in range(STEPS):
        slopes, residual, weight = _model(
            data, believed, offset, electrons, background, template, variance_e
        )
        fisher = np.einsum("mip,mp,mjp->mij", slopes, weight, slopes)
        gradient = np.einsum("mip,mp->mi", slopes, weight * residual)
        step = np.linalg.solve(fisher + _ridge(fisher), gradient[:, :, None])[:, :, 0]
        electrons = np.maximum(electrons + step[:, 0], LEAST_ELECTRONS)
        offset = offset + np.clip(step[:, 1:3], -LARGEST_STEP_PX, LARGEST_STEP_PX)
        offset = np.clip(offset, -template.reach, template.reach)
        background = np.maximum(background + step[:, 3], LEAST_BACKGROUND_E)
    slopes, _, weight = _model(data, believed, offset, electrons, background, template, variance_e)
    fisher = np.einsum("mip,mp,mjp->mij", slopes, weight, slopes)
    covariance = np.linalg.inv(fisher + _ridge(fisher))
    variances = np.diagonal(covariance, axis1=1, axis2=2)
    return Disks(
        at + offset, np.sqrt(variances[:, 1:3]), electrons, electrons / np.sqrt(variances[:, 0])
    )


def _model(
    data: Float64,
    believed: Float64,
    offset: Float64,
    electrons: Float64,
    background: Float64,
    template: ProbeTemplate,
    variance_e: float,
) -> tuple[Float64, Float64, Float64]:
    """Slopes (M, 4, P) for (A, c_y, c_x, b), residual (M, P), weight (M, P)."""
    disk, by_y, by_x = (part.reshape(data.shape) for part in template.disks(offset))
    expected = electrons[:, None] * disk + background[:, None]
    slopes = np.stack(
        [disk, electrons[:, None] * by_y, electrons[:, None] * by_x, np.ones_like(disk)], axis=1
    )
    weight = believed / (expected + (variance_e + VARIANCE_FLOOR_E))
    return slopes, data - expected, weight


def _ridge(fisher: Float64) -> Float64:
    """(M, 4, 4) a trace of the diagonal: a box without usable pixels must not stop the others."""
    diagonal = np.diagonal(fisher, axis1=1, axis2=2)
    return np.asarray((1e-9 * diagonal + 1e-12)[:, :, None] * np.eye(4))
