"""Is the specimen a phase object? Wide-angle scattering, and what a quick fit leaves unexplained.

A thick specimen scatters an electron more than once, and the wave spreads within it: its patterns
are no longer |F(P exp(i phi))|^2 for any phase phi. Nothing in the data says "thickness", but both
figures rise with it (docs/inspect.md: measured against multislice specimens).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Sample
from algorithms.calibrators.pacbed import Pacbed
from algorithms.phase_fit import PhaseFit
from physics.ideal import ArrayPatterns, IdealOperator
from runner.report.checks.record import Check, judged
from runner.scoring.metrics import Residual
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]

RIM = 1.15
RIM_PX = 1.5
"""Beyond this many disk radii, and this many pixels more, lies the dark field: no mismatch within
the published ranges brings the disk there."""

MOST_EVENTS = 0.05
"""Most wide-angle scattering events per electron; 24 clean scenes have at most 0.016."""

MOST_UNEXPLAINED = 0.05
"""Most of the patterns' norm that the fit may leave beyond noise."""

SIGMAS = 5.0
"""Standard deviations by which the fit's chi-square must exceed 1 beside that."""

SIDE = 12
"""Side of the part of the scan that is fitted [positions]."""

PHASE_STEPS = 12
SPEC_STEPS = 3
STEPS_BETWEEN = 4


@dataclass(frozen=True)
class PhaseObjectFit:
    """What a quick fit of a phase object to a part of the scan leaves.

    Attributes:
        chi_square: squared residual over its expectation; 1 when noise alone is left.
        sigma: its standard deviation by chance.
        unexplained: share of the patterns' norm that is neither model nor noise.
    """

    chi_square: float
    sigma: float
    unexplained: float


def events_beyond_disk(mean: Float64, operator: IdealOperator) -> float:
    """Mean number of scattering events per electron out of the disk: -ln(1 - share outside).

    Poisson's law of independent events (as for inelastic scattering: Egerton, Electron Energy-Loss
    Spectroscopy in the Electron Microscope, 3rd ed., 5.1).

    Args:
        mean: average pattern (n, n).
        operator: whose disk it is.
    """
    n = operator.window
    axis = np.arange(n) - n // 2
    radius = np.hypot(axis[:, None], axis[None, :])
    outside = radius > RIM * operator.disk_radius_px + RIM_PX
    share = float(mean[outside].sum() / mean.sum())
    return -math.log(max(1 - share, 1e-12))


def wide_angle(mean: Float64, operator: IdealOperator) -> Check:
    """Electrons outside the disk, as a number of events."""
    events = events_beyond_disk(mean, operator)
    return judged(
        "scattering",
        good=events <= MOST_EVENTS,
        found=f"{events:.3f} events per electron out of the disk",
        expected=f"{MOST_EVENTS:g} or fewer: once at most",
        hint="thick, or of heavy atoms: `stem4d inspect --fit` tells whether a phase object still"
        " explains the patterns; if not, thin the specimen or use a multislice model",
        figures={"events": events},
    )


def fit_phase_object(sample: Sample) -> PhaseObjectFit:
    """Fit a phase and the detector's geometry to the middle `SIDE` x `SIDE` positions.

    Maximum likelihood from a flat phase, the detector from the average pattern's disk, then by
    Fisher scoring in turn with the phase.
    """
    spec = Pacbed().estimate(sample).spec
    part = _middle(sample)
    fit = PhaseFit(part, spec)
    fit.run(spec, PHASE_STEPS)
    for _ in range(SPEC_STEPS):
        found = fit.objective.spec_information(fit.phi, spec)
        ridge = 1e-9 * np.trace(found.fisher) * np.eye(3)
        moved = np.array(spec.vector()) - np.linalg.solve(found.fisher + ridge, found.slope)
        spec = MismatchSpec.from_vector((float(moved[0]), float(moved[1]), float(moved[2])))
        spec = spec.clipped(sample.ranges)
        fit.run(spec, STEPS_BETWEEN)
    found = fit.objective.spec_information(fit.phi, spec)
    electrons = part.counts().astype(np.float64) / part.operator.attrs.gain
    left = Residual(found.squared, float(np.square(electrons).sum()), found.variance)
    return PhaseObjectFit(found.chi_square, found.chi_square_sigma, left.unexplained)


def phase_object(sample: Sample) -> Check:
    """Whether a phase object on the stated optics explains the patterns."""
    fit = fit_phase_object(sample)
    certain = fit.chi_square - 1 > SIGMAS * fit.sigma
    return judged(
        "phase object",
        good=not (certain and fit.unexplained > MOST_UNEXPLAINED),
        found=f"a quick fit leaves chi-square {fit.chi_square:.2f} +- {fit.sigma:.2f}:"
        f" {100 * fit.unexplained:.1f} % of the patterns is neither model nor noise",
        expected=f"chi-square 1, or {100 * MOST_UNEXPLAINED:.0f} % or less unexplained",
        hint="too thick for a phase object, or optics other than stated (defocus, aberrations,"
        " source size, scan positions), or counts that are not Poisson: see the other lines first",
        figures={
            "chi_square": fit.chi_square,
            "chi_square_sigma": fit.sigma,
            "unexplained": fit.unexplained,
        },
    )


def _middle(sample: Sample) -> Sample:
    """The middle of the scan as a sample of its own, in memory, with a flat phase to begin from."""
    ny, nx, ky, kx = sample.y.shape
    rows, cols = min(SIDE, ny), min(SIDE, nx)
    top, left = (ny - rows) // 2, (nx - cols) // 2
    counts = np.stack(
        [
            sample.y.read((top + row) * nx + left, (top + row) * nx + left + cols)
            for row in range(rows)
        ]
    )
    grid = sample.operator.positions_px.reshape(ny, nx, 2)
    positions = grid[top : top + rows, left : left + cols].reshape(-1, 2)
    return replace(
        sample,
        y=ArrayPatterns(counts.reshape(rows, cols, ky, kx)),
        operator=replace(sample.operator, positions_px=np.ascontiguousarray(positions)),
        phase=np.zeros(sample.object_shape, dtype=np.float32),
    )
