"""Joint maximum likelihood of the specimen and the detector.

Starts from `pacbed`; alternates gradient steps in the phase with Gauss-Newton steps in the three
parameters, whose derivatives the operator gives exactly. A last round is made with the phase under
its spectral prior: a phase that is free to fit the noise scatters a little more than the specimen
does, which would pull the camera length by about two standard errors. The errors are those of the
joint problem.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from algorithms.base import Calibration, Sample
from algorithms.calibrators.pacbed import fit_disk, pacbed
from algorithms.phase_fit import PhaseFit
from physics.bounds import cramer_rao
from schemas.spec import MismatchSpec

ERROR_ROUNDS = 1
"""Rounds in the search for the joint errors: one is right to about 4 %."""

CONVERGED = 0.2
"""A spec step of this many standard errors is small enough to go on to the next stage."""


@dataclass(frozen=True)
class Gradient:
    """Joint calibration.

    Attributes:
        start_iterations: phase steps before the first spec step.
        phase_iterations: phase steps before each further spec step.
        rounds: largest number of spec steps with a free phase.
        prior_rounds: number of spec steps with the phase under its prior.
    """

    start_iterations: int = 5
    phase_iterations: int = 3
    rounds: int = 6
    prior_rounds: int = 2

    def estimate(self, sample: Sample) -> Calibration:
        """The mismatch within the ranges; with standard errors, unless the time is over."""
        start, _ = fit_disk(pacbed(sample.y), sample)
        spec = start.clipped(sample.ranges)
        fit = PhaseFit(sample, spec)
        path = [spec.vector()]
        total = self.rounds + self.prior_rounds
        fit.run(spec, self.start_iterations - self.phase_iterations)
        for stage, rounds in enumerate((self.rounds, self.prior_rounds)):
            if stage == 1 and sample.seconds_left > 0:
                fit.adopt_prior(spec)
            for _ in range(rounds):
                fit.run(spec, self.phase_iterations)
                spec, settled = gauss_newton(fit, spec, sample)
                path.append(spec.vector())
                sample.progress(min(len(path) / total, 1.0))
                if settled or sample.seconds_left <= 0:
                    break
        diagnostics = {"start": start.values(), "path": [list(vector) for vector in path]}
        if sample.seconds_left <= 0:
            return Calibration(spec, {}, diagnostics)
        information = fit.objective.information(fit.phi, spec)
        bound = cramer_rao(information, fit.curvature, rounds=ERROR_ROUNDS)
        return Calibration(spec, bound.joint_sigma, diagnostics)


def gauss_newton(fit: PhaseFit, spec: MismatchSpec, sample: Sample) -> tuple[MismatchSpec, bool]:
    """One Gauss-Newton step of the spec at the fit's phase: (new spec, whether it was small)."""
    slope, fisher = (part.numpy() for part in fit.objective.spec_information(fit.phi, spec))
    step = -np.linalg.solve(fisher, slope)
    small = bool((np.abs(step) < CONVERGED / np.sqrt(np.diag(fisher))).all())
    length, offset, ellipse = np.array(spec.vector()) + step
    return MismatchSpec.from_vector((length, offset, ellipse)).clipped(sample.ranges), small
