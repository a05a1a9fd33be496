"""Joint maximum likelihood of the specimen and the detector.

Starts from `pacbed`; alternates gradient steps in the phase with Gauss-Newton steps in the three
parameters, whose derivatives the operator gives exactly. A last round is made with the phase under
its spectral prior: a phase that is free to fit the noise scatters a little more than the specimen
does, which would pull the camera length by about two standard errors.

The errors are those of the joint problem, made larger where patterns or pixels scatter more than
their counts should (`SpecInformation.inflation`). How far a model that does not fit pulls the spec
no error bar can show for certain; that it does not fit shows in them and in the reduced chi-square,
and a warning says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from algorithms.base import Calibration, Sample
from algorithms.calibrators.pacbed import fit_disk
from algorithms.objective import SpecInformation
from algorithms.phase_fit import PhaseFit
from algorithms.pixels import PixelStatistics
from algorithms.trace import KEY, Trace
from physics.bounds import cramer_rao
from schemas.spec import MismatchSpec

ERROR_ROUNDS = 1
"""Rounds in the search for the joint errors: one is right to about 1 % of them."""

CONVERGED = 0.2
"""A spec step of this many standard errors is small enough to go on to the next stage."""

DOUBTFUL_SIGMA = 5.0
"""A reduced chi-square this many standard deviations above 1 is no chance."""

DOUBTFUL_INFLATION = 1.6
"""Errors this much wider than the counts make them are no chance either: by chance they are
seldom 1.3 times as wide."""

MODEL_DOUBT = (
    "the model leaves more than noise (reduced chi-square {chi_square:.3f}, by chance 1 +- "
    "{sigma:.3f}; standard errors made {wider:.1f} times wider): the specimen is thicker, the "
    "detector blurs or the scan is less exact than the operator says; the spec may be off by more "
    "than its standard errors"
)


@dataclass(frozen=True)
class Gradient:
    """Joint calibration.

    Attributes:
        start_iterations: phase steps before the first spec step.
        phase_iterations: phase steps before each further spec step.
        rounds: largest number of spec steps with a free phase.
        prior_rounds: number of spec steps with the phase under its prior.
    """

    start_iterations: int = 6
    phase_iterations: int = 2
    rounds: int = 6
    prior_rounds: int = 2

    def estimate(self, sample: Sample) -> Calibration:
        """The mismatch within the ranges; with standard errors, unless the time is over."""
        trace = Trace()
        statistics = PixelStatistics.of(sample.y)
        usable = statistics.usable(sample.operator.attrs.gain)
        start, _ = fit_disk(statistics.mean, sample, usable)
        spec = start.clipped(sample.ranges)
        fit = PhaseFit(sample, spec, usable=usable, trace=trace)
        path = [spec.vector()]
        total = self.rounds + self.prior_rounds
        fit.run(spec, self.start_iterations - self.phase_iterations)
        for stage, rounds in enumerate((self.rounds, self.prior_rounds)):
            if stage == 1 and sample.seconds_left > 0:
                fit.adopt_prior(spec)
            for _ in range(rounds):
                fit.run(spec, self.phase_iterations)
                found = fit.objective.spec_information(fit.phi, spec)
                spec, settled = gauss_newton(found, spec, sample)
                path.append(spec.vector())
                sample.progress(min(len(path) / total, 1.0))
                if settled or sample.seconds_left <= 0:
                    break
        diagnostics: dict[str, Any] = {
            "start": start.values(),
            "path": [list(vector) for vector in path],
            "broken_pixels": int((~usable).sum()),
            KEY: trace.record(),
        }
        phase = fit.likeliest.cpu().numpy()
        if sample.seconds_left <= 0:
            return Calibration(spec, {}, diagnostics, phase)
        bound = cramer_rao(
            fit.objective.information(fit.phi, spec), fit.curvature, rounds=ERROR_ROUNDS
        )
        errors = {
            name: sigma * float(wider)
            for (name, sigma), wider in zip(bound.joint_sigma.items(), found.inflation, strict=True)
        }
        return Calibration(spec, errors, diagnostics | _fitness(found), phase)


def gauss_newton(
    found: SpecInformation, spec: MismatchSpec, sample: Sample
) -> tuple[MismatchSpec, bool]:
    """One Gauss-Newton step of the spec: (new spec, whether the step was small)."""
    step = -np.linalg.solve(found.fisher, found.slope)
    small = bool((np.abs(step) < CONVERGED / np.sqrt(np.diag(found.fisher))).all())
    length, offset, ellipse = np.array(spec.vector()) + step
    return MismatchSpec.from_vector((length, offset, ellipse)).clipped(sample.ranges), small


def _fitness(found: SpecInformation) -> dict[str, Any]:
    """How well the model explains the counts, for people."""
    chi_square, sigma = found.chi_square, found.chi_square_sigma
    fitness: dict[str, Any] = {
        "reduced_chi_square": chi_square,
        "error_inflation": found.inflation.tolist(),
    }
    wider = float(found.inflation.max())
    if chi_square > 1 + DOUBTFUL_SIGMA * sigma or wider > DOUBTFUL_INFLATION:
        fitness["warning"] = MODEL_DOUBT.format(chi_square=chi_square, sigma=sigma, wider=wider)
    return fitness
