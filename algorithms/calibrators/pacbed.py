"""The bright-field disk fitted to the position-averaged pattern (PACBED): one pass, no specimen.

The average over the scan is modelled as a disk of the known radius under the detector's map, with a
smooth rim, on a background that falls from the axis. The specimen's scattering is not modelled, so
the estimate is biased by it: this is a start for `gradient`, and a peer to be beaten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Calibration, Sample
from physics.geometry import DetectorGeometry
from schemas.spec import PARAMETERS, MismatchSpec

Float64 = NDArray[np.float64]

FIT_RADIUS = 1.6
"""The fit uses pixels within this many disk radii of the nominal centre, and what the ranges add."""

BLOCK = 512
"""Patterns read at a time."""

START_RIM_PX = 0.6
"""First guess of the rim's half width [pixels]."""

MAX_STEPS = 60
TOLERANCE = 1e-7
"""Relative decrease of the sum of squares at which the fit has converged."""


@dataclass(frozen=True)
class Pacbed:
    """Levenberg-Marquardt fit of scale, centre and ellipse to the position-averaged pattern."""

    def estimate(self, sample: Sample) -> Calibration:
        """The mismatch, with standard errors from the fit's own residual."""
        average = pacbed(sample)
        spec, errors, rim_px = fit_disk(average, sample)
        return Calibration(spec.clipped(sample.ranges), errors, {"rim_px": rim_px})


def pacbed(sample: Sample) -> Float64:
    """Position-averaged pattern (Ky, Kx) [counts], in one pass over the scan."""
    ny, nx, ky, kx = sample.y.shape
    total = np.zeros((ky, kx))
    for start in range(0, ny * nx, BLOCK):
        total += sample.y.read(start, min(start + BLOCK, ny * nx)).sum(axis=0, dtype=np.float64)
    return total / (ny * nx)


def fit_disk(average: Float64, sample: Sample) -> tuple[MismatchSpec, dict[str, float], float]:
    """Fit the disk: (spec, standard errors, rim's half width [pixels])."""
    radius, n = sample.operator.disk_radius_px, sample.operator.window
    offsets = np.arange(n) - n // 2
    distance = np.hypot(offsets[:, None], offsets[None, :])
    reach = FIT_RADIUS * radius + _largest_offset(sample)
    used = distance <= reach
    weight = 1 / np.sqrt(average[used] + 0.01 * average.max())
    level = float(average[distance <= radius / 2].mean())
    outside = float(average[used & (distance > 1.3 * radius)].mean())
    middle = MismatchSpec.from_values(sample.ranges.midpoint()).vector()

    def residual(p: Float64) -> Float64:
        return (_model(p, radius, n)[used] - average[used]) * weight

    start = np.array([*middle, level, outside, START_RIM_PX])
    solution, covariance = _least_squares(residual, start)
    errors = dict(zip(PARAMETERS, np.sqrt(np.diag(covariance))[:3].tolist(), strict=True))
    spec = MismatchSpec.from_vector((solution[0], solution[1], solution[2]))
    return spec, errors, float(abs(solution[5]))


def _largest_offset(sample: Sample) -> float:
    ranges = sample.ranges
    if "center_offset" not in ranges.names:
        return 0.0
    return max(abs(ranges["center_offset"].min), abs(ranges["center_offset"].max))


def _model(p: Float64, radius: float, n: int) -> Float64:
    """Disk of height p[3] and rim p[5] on a background p[4] that falls with the radius."""
    # Bounded, so that a step of the fit can never leave the physical range of the record.
    spec = MismatchSpec.from_vector(
        (float(np.clip(p[0], -40, 40)), float(np.clip(p[1], -n, n)), float(np.clip(p[2], -0.4, 0.4)))
    )
    q_y, q_x = DetectorGeometry(n, spec).frequencies()
    q = np.hypot(q_y[:, None], q_x[None, :])
    rim = max(abs(p[5]), 0.05)
    disk = 0.5 * (1 - np.tanh((q - radius) / rim))
    background = np.exp(-0.5 * ((q / radius) ** 2 - 1))
    result: Float64 = p[3] * disk + p[4] * background
    return result


def _least_squares(
    residual: Callable[[Float64], Float64], start: Float64
) -> tuple[Float64, Float64]:
    """Levenberg-Marquardt with a numeric Jacobian: (solution, covariance)."""
    p, damping = start.copy(), 1e-3
    scale = np.maximum(np.abs(start), 1e-2)
    r = residual(p)
    for _ in range(MAX_STEPS):
        jacobian = np.stack(
            [
                (residual(p + h) - residual(p - h)) / (2 * h.sum())
                for h in np.diag(1e-4 * scale)
            ],
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
