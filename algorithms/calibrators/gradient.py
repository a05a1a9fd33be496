"""Joint maximum likelihood of the specimen and the detector.

Starts from `pacbed`; takes a few gradient steps in the phase, then alternates them with
Gauss-Newton steps in the three parameters, whose derivatives the operator gives exactly. The phase
is eliminated from each step by its nearly diagonal Fisher information (a Schur complement), so the
steps are those of the joint problem and the errors are those of the joint bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from algorithms.base import Calibration, Sample
from algorithms.calibrators.pacbed import fit_disk, pacbed
from algorithms.descent import AcceleratedDescent, Curvature
from algorithms.objective import Objective, SpecInformation
from algorithms.prior import without_ramp
from physics.noise import LikelihoodName
from schemas.spec import PARAMETERS, MismatchSpec

CURVATURE_FLOOR = 0.02
"""Least information, relative to its peak, that the phase is eliminated with."""

CONVERGED = 0.1
"""A spec step of this many standard errors is small enough to stop after."""


@dataclass(frozen=True)
class Gradient:
    """Joint calibration.

    Attributes:
        start_iterations: phase steps before the first spec step.
        rounds: largest number of spec steps.
        phase_iterations: phase steps between spec steps.
    """

    start_iterations: int = 5
    rounds: int = 8
    phase_iterations: int = 2

    def estimate(self, sample: Sample) -> Calibration:
        """The mismatch within the ranges, with standard errors of the joint fit."""
        start, _ = fit_disk(pacbed(sample.y), sample)
        spec = start.clipped(sample.ranges)
        objective = Objective(sample, LikelihoodName.POISSON)
        phi = objective.operator.tensor(np.zeros(sample.object_shape))
        generator = torch.Generator().manual_seed(sample.seed)
        curvature = Curvature.estimate(objective, phi, spec, generator)
        descent = AcceleratedDescent(phi, curvature.preconditioner())
        path = [list(spec.vector())]
        errors = np.full(3, np.nan)
        for round_number in range(self.rounds):
            steps = self.phase_iterations if round_number else self.start_iterations
            for _ in range(steps):
                descent.step(lambda phase, at=spec: objective.gradient(phase, at))
            if not sample.operator.attrs.periodic:
                descent.phi = without_ramp(descent.phi, curvature.coverage)
            information = objective.spec_information(descent.phi, spec)
            covariance = joint_covariance(information, curvature)
            errors = np.sqrt(np.diag(covariance))
            step = -np.linalg.solve(information.fisher.numpy(), information.slope.numpy())
            moved = MismatchSpec.from_vector(tuple(np.array(spec.vector()) + step))
            spec = moved.clipped(sample.ranges)
            path.append(list(spec.vector()))
            sample.progress((round_number + 1) / self.rounds)
            if (np.abs(step) < CONVERGED * errors).all() or sample.seconds_left <= 0:
                break
        return Calibration(
            spec,
            dict(zip(PARAMETERS, errors.tolist(), strict=True)),
            {"start": start.values(), "path": path},
        )


def joint_covariance(information: SpecInformation, curvature: Curvature) -> np.ndarray:
    """Covariance (3, 3) of the spec with the phase unknown: the inverse Schur complement.

    F_pp - F_px F_xx^-1 F_xp, with F_xx diagonal in Fourier space where the illumination is whitened
    (`Curvature`); frequencies that the data hardly determine are bounded, not inverted.
    """
    whiten = curvature.coverage.clamp_min(1e-2).rsqrt()
    spectrum = curvature.spectrum.clamp_min(CURVATURE_FLOOR * curvature.spectrum.max())
    coupling: Tensor = torch.fft.fft2(whiten * information.coupling)
    shared = (coupling / spectrum[curvature.bins.ring]).reshape(3, -1)
    absorbed = (shared.conj() @ coupling.reshape(3, -1).T).real.double().cpu()
    schur = information.fisher - absorbed / information.coupling[0].numel()
    result: np.ndarray = np.linalg.inv(schur.numpy())
    return result
