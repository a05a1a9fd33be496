"""The bright-field disk fitted to the position-averaged pattern (PACBED): one pass, no specimen.

The average over the scan is modelled as the probe's own pattern under the detector's map, on a
background that falls from the axis. What the specimen scatters within the disk is not modelled, so
the estimate is biased by it: this is a start for `gradient`, and a peer to be beaten.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Calibration, Sample
from algorithms.pixels import PixelStatistics
from physics.geometry import DetectorGeometry
from physics.operator import vacuum_pattern
from schemas.spec import PARAMETERS, MismatchSpec

Float64 = NDArray[np.float64]

FIT_RADIUS = 1.6
"""The fit uses pixels within this many disk radii of the nominal centre, and the ranges."""

RING_RADIUS = 1.3
"""Beyond this many disk radii lies the background alone."""

START_RADII = 0.25
"""The fit begins with its disk this many disk radii or less from the true centre."""

NOISE_FLOOR = 0.01
"""Variance, relative to the pattern's peak, added to each pixel's own."""

MAX_STEPS = 60
TOLERANCE = 1e-7
"""Relative decrease of the sum of squares at which the fit has converged."""


@dataclass(frozen=True)
class Pacbed:
    """Levenberg-Marquardt fit of scale, centre and ellipse to the position-averaged pattern."""

    def estimate(self, sample: Sample) -> Calibration:
        """The mismatch, with standard errors from the fit's own residual."""
        statistics = PixelStatistics.of(sample.y)
        usable = statistics.usable(sample.operator.attrs.gain)
        spec, errors = fit_disk(statistics.mean, sample, usable)
        return Calibration(spec.clipped(sample.ranges), errors)


def fit_disk(
    average: Float64, sample: Sample, usable: NDArray[np.bool_] | None = None
) -> tuple[MismatchSpec, dict[str, float]]:
    """Fit the disk to a pattern (Ky, Kx): (spec, standard errors per parameter).

    Args:
        average: the pattern [counts].
        sample: whose probe and ranges they are.
        usable: (Ky, Kx), False for broken pixels; None: there are none.
    """
    ideal, n = sample.operator, sample.operator.window
    axis = np.arange(n) - n // 2
    distance = np.hypot(axis[:, None], axis[None, :])
    reach = FIT_RADIUS * ideal.disk_radius_px + _largest_offset(sample)
    used = distance <= reach
    if usable is not None:
        used &= usable
    sigma = np.sqrt(average[used] + NOISE_FLOOR * average[used].max())
    middle = MismatchSpec.from_values(sample.ranges.midpoint())
    ring = used & (distance > RING_RADIUS * ideal.disk_radius_px)
    background = float(average[ring].mean())
    height = float(average[used].max() / vacuum_pattern(ideal, middle).max())

    def residual(p: Float64) -> Float64:
        spec = _bounded(p[0], p[1], p[2], n)
        q_y, q_x = DetectorGeometry(n, spec).frequencies()
        q2 = (q_y[:, None] ** 2 + q_x[None, :] ** 2) / ideal.disk_radius_px**2
        model = p[3] * vacuum_pattern(ideal, spec) + p[4] * np.exp(0.5 * (1 - q2))
        difference: Float64 = (model - average)[used] / sigma
        return difference

    begun = [np.array([*spec.vector(), height, background]) for spec in _starts(sample, middle)]
    start = min(begun, key=lambda p: float(np.square(residual(p)).sum()))
    solution, covariance = _least_squares(residual, start)
    errors = dict(zip(PARAMETERS, np.sqrt(np.diag(covariance))[:3].tolist(), strict=True))
    return _bounded(solution[0], solution[1], solution[2], n), errors


def _starts(sample: Sample, middle: MismatchSpec) -> list[MismatchSpec]:
    """Where to begin: the middle of the ranges, and for small disks other centres in their range.

    A fit that begins with the disk beside its place does not find it.
    """
    ranges, reach = sample.ranges, START_RADII * sample.operator.disk_radius_px
    if "center_offset" not in ranges.names:
        return [middle]
    offset = ranges["center_offset"]
    count = max(1, math.ceil((offset.max - offset.min) / (2 * reach)))
    width = (offset.max - offset.min) / count
    centers = [offset.min + (place + 0.5) * width for place in range(count)]
    return [middle.model_copy(update={"center_offset": center}) for center in centers]


def _largest_offset(sample: Sample) -> float:
    ranges = sample.ranges
    if "center_offset" not in ranges.names:
        return 0.0
    return max(abs(ranges["center_offset"].min), abs(ranges["center_offset"].max))


def _bounded(length: float, offset: float, ellipse: float, n: int) -> MismatchSpec:
    """A spec kept within the record's physical bounds, whatever step the fit tries."""
    return MismatchSpec.from_vector(
        (
            float(np.clip(length, -40, 40)),
            float(np.clip(offset, -n, n)),
            float(np.clip(ellipse, -0.4, 0.4)),
        )
    )


def _least_squares(
    residual: Callable[[Float64], Float64], start: Float64
) -> tuple[Float64, Float64]:
    """Levenberg-Marquardt with a numeric Jacobian: (solution, covariance)."""
    p, damping = start.copy(), 1e-3
    scale = np.maximum(np.abs(start), 1e-2)
    r = residual(p)
    for _ in range(MAX_STEPS):
        jacobian = np.stack(
            [(residual(p + h) - residual(p - h)) / (2 * h.sum()) for h in np.diag(1e-4 * scale)],
            axis=1,
        )
        normal, slope = jacobian.T @ jacobian, jacobian.T @ r
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -slope)
        trial = residual(p + step)
        gain = (r @ r - trial @ trial) / (r @ r)
        if gain > 0:
            p, r, damping = p + step, trial, max(damping / 5, 1e-9)
            if gain < TOLERANCE:
                break
        else:
            damping *= 10
            if damping > 1e9:
                break
    variance = (r @ r) / max(len(r) - len(p), 1)
    return p, variance * np.linalg.pinv(normal)
