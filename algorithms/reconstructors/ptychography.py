"""Iterative ptychography: the phase that makes the counts most probable, known probe and detector.

1. Maximum likelihood by preconditioned accelerated gradients, the analytic derivative of the exact
   operator (Thibault & Guizar-Sicairos, New J. Phys. 14, 063004 (2012), for the likelihood). It
   begins where the calibrator ended, if that made a phase on the way.
2. The image's own power spectrum, less the noise that the Fisher information predicts, becomes a
   Gaussian prior (an empirical-Bayes Wiener filter in the loop); maximum a posteriori from there.
   Or total variation, its strength chosen on patterns that are held out.
3. Where the data contradict that prior (a vacancy in a lattice), the data are believed.
4. The gauge: no net ramp, background at 0, nothing negative (see `physics.gauge`,
   `algorithms.prior`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from algorithms.base import Reconstruction, Sample
from algorithms.phase_fit import PhaseFit
from algorithms.prior import pin_background
from algorithms.trace import KEY
from physics.noise import LikelihoodName
from schemas.spec import MismatchSpec

BETWEEN_REPORTS = 2
"""Steps between two reports of progress."""

SETTLED = 1e-3
"""Decrease of the loss in a step, per object pixel, at which an image under its prior is done: each
pixel then moves by a twentieth of its own error."""

MOST_STEPS = 30
"""Steps under the prior at most."""


class PriorName(StrEnum):
    """What is believed of the image beside the counts."""

    NONE = "none"
    SPECTRAL = "spectral"
    TOTAL_VARIATION = "total-variation"


@dataclass(frozen=True)
class Ptychography:
    """Maximum a posteriori ptychography.

    Attributes:
        likelihood: poisson, anscombe or poisson-gaussian; Poisson is unbiased at less than one
            count per pixel.
        prior: spectral, total-variation, or none for plain maximum likelihood.
        iterations: maximum-likelihood steps from nothing, one gradient of the whole scan each.
        warm_iterations: the same, where the calibrator's phase is there to begin from.
        prior_iterations: steps under the prior at least; more follow while the loss falls.
        strengths: strengths of total variation to choose from.
    """

    likelihood: str = LikelihoodName.POISSON.value
    prior: str = PriorName.SPECTRAL.value
    iterations: int = 8
    warm_iterations: int = 2
    prior_iterations: int = 6
    strengths: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0)

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1]; the spec is kept as it was given."""
        fit, diagnostics = self.fitted(sample, spec)
        x = pin_background(
            fit.image() / sample.operator.attrs.phase_scale_rad, fit.curvature.window
        )
        return Reconstruction(x.cpu().numpy(), diagnostics=diagnostics)

    def fitted(self, sample: Sample, spec: MismatchSpec) -> tuple[PhaseFit, dict[str, Any]]:
        """(the phase, as far as it came in the time there was; what is to be told of it)."""
        prior = PriorName(self.prior)
        fit = PhaseFit(sample, spec, LikelihoodName(self.likelihood))
        first = self.iterations if sample.phase is None else self.warm_iterations
        steps = (first, 0 if prior is PriorName.NONE else self.prior_iterations)
        losses: list[float] = []
        diagnostics: dict[str, Any] = {"losses": losses}
        self._run(fit, sample, spec, steps[0], losses, sum(steps))
        if prior is not PriorName.NONE and sample.seconds_left > 0:
            if prior is PriorName.SPECTRAL:
                fit.adopt_prior(spec)
            else:
                diagnostics["strength"] = fit.adopt_total_variation(spec, self.strengths)
            self._run(fit, sample, spec, steps[1], losses, sum(steps))
            while 0 < len(losses) - steps[0] < MOST_STEPS and not _settled(losses, sample):
                more = fit.run(spec, BETWEEN_REPORTS)
                if not more:
                    break  # the time is over
                losses += more
        return fit, diagnostics | {"iterations": len(losses), KEY: fit.trace.record()}

    def _run(
        self,
        fit: PhaseFit,
        sample: Sample,
        spec: MismatchSpec,
        steps: int,
        losses: list[float],
        total: int,
    ) -> None:
        """Take steps, telling how far it is after every few."""
        for first in range(0, steps, BETWEEN_REPORTS):
            losses += fit.run(spec, min(BETWEEN_REPORTS, steps - first))
            sample.progress(len(losses) / total)


def _settled(losses: list[float], sample: Sample) -> bool:
    """Whether the last step changed next to nothing."""
    height, width = sample.object_shape
    return len(losses) > 1 and abs(losses[-2] - losses[-1]) < SETTLED * height * width
