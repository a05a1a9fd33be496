"""Iterative ptychography: the phase that makes the counts most probable, known probe and detector.

1. Maximum likelihood by preconditioned accelerated gradients, the analytic derivative of the exact
   operator (Thibault & Guizar-Sicairos, New J. Phys. 14, 063004 (2012), for the likelihood).
2. The image's own power spectrum, less the noise that the Fisher information predicts, becomes a
   Gaussian prior (an empirical-Bayes Wiener filter in the loop); maximum a posteriori from there.
3. Where the data contradict that prior (a vacancy in a lattice), the data are believed.
4. The gauge: no net ramp, background at 0 (see `algorithms.prior`).
"""

from __future__ import annotations

from dataclasses import dataclass

from algorithms.base import Reconstruction, Sample
from algorithms.phase_fit import PhaseFit
from algorithms.prior import pin_background
from physics.noise import LikelihoodName
from schemas.spec import MismatchSpec

BETWEEN_REPORTS = 2
"""Steps between two reports of progress."""


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
        fit = PhaseFit(sample, spec, LikelihoodName(self.likelihood))
        losses: list[float] = []
        self._run(fit, sample, spec, self.iterations, losses)
        if self.prior_iterations and sample.seconds_left > 0:
            fit.adopt_prior(spec)
            self._run(fit, sample, spec, self.prior_iterations, losses)
        x = pin_background(
            fit.image() / sample.operator.attrs.phase_scale_rad, fit.curvature.window
        )
        return Reconstruction(
            x.cpu().numpy(), diagnostics={"losses": losses, "iterations": len(losses)}
        )

    def _run(
        self, fit: PhaseFit, sample: Sample, spec: MismatchSpec, steps: int, losses: list[float]
    ) -> None:
        """Take steps, telling how far it is after every few."""
        for first in range(0, steps, BETWEEN_REPORTS):
            losses += fit.run(spec, min(BETWEEN_REPORTS, steps - first))
            sample.progress(len(losses) / (self.iterations + self.prior_iterations))
