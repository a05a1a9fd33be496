"""Iterative ptychography: the phase that makes the counts most probable, known probe and detector.

1. Maximum likelihood by preconditioned accelerated gradients, the analytic derivative of the exact
   operator (Thibault & Guizar-Sicairos, New J. Phys. 14, 063004 (2012), for the likelihood).
2. The image's own power spectrum, less the noise that the Fisher information predicts, becomes a
   Gaussian prior (an empirical-Bayes Wiener filter in the loop); maximum a posteriori from there.
3. The gauge: no net ramp, background at 0 (see `algorithms.prior`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from algorithms.base import Reconstruction, Sample
from algorithms.descent import AcceleratedDescent, Curvature
from algorithms.objective import Objective
from algorithms.prior import SpectralPrior, pin_background, without_ramp
from physics.noise import LikelihoodName
from schemas.spec import MismatchSpec

DEADLINE_SHARE = 0.5
"""Stop iterating when this share of the time that has been used so far is left."""


@dataclass(frozen=True)
class Ptychography:
    """Maximum a posteriori ptychography.

    Attributes:
        likelihood: poisson or anscombe; Poisson is unbiased at less than one count per pixel.
        iterations: maximum-likelihood steps, one gradient of the whole scan each.
        prior_iterations: steps with the spectral prior; 0 leaves plain maximum likelihood.
    """

    likelihood: str = "poisson"
    iterations: int = 12
    prior_iterations: int = 10

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1]; the spec is kept as it was given."""
        objective = Objective(sample, LikelihoodName(self.likelihood))
        generator = torch.Generator().manual_seed(sample.seed)
        phi = objective.operator.tensor(np.zeros(sample.object_shape))
        curvature = Curvature.estimate(objective, phi, spec, generator)
        periodic = sample.operator.attrs.periodic
        total = self.iterations + self.prior_iterations
        losses: list[float] = []

        descent = AcceleratedDescent(phi, curvature.preconditioner())
        for _ in range(self.iterations):
            if sample.seconds_left <= 0:
                break
            losses.append(descent.step(lambda phase: objective.gradient(phase, spec)))
            sample.progress(len(losses) / total)
        phi = descent.phi if periodic else without_ramp(descent.phi, curvature.coverage)

        if self.prior_iterations and sample.seconds_left > 0:
            curvature = Curvature.estimate(objective, phi, spec, generator)
            prior = SpectralPrior.from_estimate(phi, curvature)

            def posterior(phase: torch.Tensor) -> tuple[float, torch.Tensor]:
                loss, slope = objective.gradient(phase, spec)
                penalty, pull = prior.gradient(phase)
                return loss + penalty, slope + pull

            descent = AcceleratedDescent(phi, curvature.preconditioner(prior.curvature))
            for _ in range(self.prior_iterations):
                if sample.seconds_left <= 0:
                    break
                losses.append(descent.step(posterior))
                sample.progress(len(losses) / total)
            phi = descent.phi if periodic else without_ramp(descent.phi, curvature.coverage)

        x = pin_background(phi / sample.operator.attrs.phase_scale_rad, curvature.coverage)
        return Reconstruction(
            x.cpu().numpy(), diagnostics={"losses": losses, "iterations": len(losses)}
        )
