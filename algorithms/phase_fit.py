"""The phase of one sample: maximum likelihood, then with the data's own prior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from algorithms.base import Sample
from algorithms.descent import AcceleratedDescent
from algorithms.idpc import integrated_phase
from algorithms.objective import Objective
from algorithms.pixels import PixelStatistics
from algorithms.prior import (
    RESOLUTION,
    Prior,
    SpectralPrior,
    TotalVariation,
    believe_contradictions,
)
from algorithms.trace import Trace
from physics.curvature import Curvature
from physics.gauge import Gauge
from physics.noise import LikelihoodName
from schemas.spec import MismatchSpec

HELD_OUT = 16
"""One pattern in this many is kept apart when the strength of a prior is chosen."""

TRIAL_STEPS = 8
"""Steps under each strength of a prior that is tried."""

LIKELIHOOD, WITH_PRIOR = "likelihood", "likelihood and prior"
"""What is minimised, before a prior is adopted and after."""


class PhaseFit:
    """State of a phase estimate that is taken step by step, at a spec that may change between.

    It begins at the sample's `phase`, or else at the integrated centre of mass.

    Args:
        sample: the measurement.
        spec: the detector at which the curvature is first measured.
        likelihood: which one.
        usable: (Ky, Kx), False for broken pixels; None: they are looked for.
        trace: gets the loss of every step; None: one whose clock begins here.
    """

    def __init__(
        self,
        sample: Sample,
        spec: MismatchSpec,
        likelihood: LikelihoodName = LikelihoodName.POISSON,
        *,
        usable: NDArray[np.bool_] | None = None,
        trace: Trace | None = None,
    ) -> None:
        self.trace = trace or Trace()
        if usable is None:
            usable = PixelStatistics.of(sample.y).usable(sample.operator.attrs.gain)
        self.objective = Objective(sample, likelihood, usable=usable)
        self._sample = sample
        self._generator = torch.Generator().manual_seed(sample.seed)
        self._prior: Prior | None = None
        self._likelihood_phi: Tensor | None = None
        self._chosen: Tensor | None = None
        begun = integrated_phase(sample, spec, usable) if sample.phase is None else sample.phase
        start = self.objective.operator.tensor(begun)
        self.curvature = self._curvature_at(start, spec)
        self._at_start = sample.phase is None
        self._gauge = Gauge.of(self.curvature.window, periodic=sample.operator.attrs.periodic)
        self._descent = AcceleratedDescent(start, self.curvature.preconditioner())

    @property
    def phi(self) -> Tensor:
        """The phase, (H, W) [rad]."""
        return self._descent.phi

    @property
    def likeliest(self) -> Tensor:
        """The phase without a prior, (H, W) [rad]: as it was when one was adopted."""
        return self.phi if self._likelihood_phi is None else self._likelihood_phi

    def run(self, spec: MismatchSpec, steps: int) -> list[float]:
        """Take steps at a fixed spec, fewer when the deadline is reached; returns the losses.

        The gauge of an object that is not periodic is kept: no net ramp.
        """
        losses: list[float] = []
        for _ in range(steps):
            if self._sample.seconds_left <= 0:
                break
            losses.append(self._descent.step(lambda phi: self._loss(phi, spec)))
            if self._chosen is None:  # a trial on a part of the patterns has another objective
                self.trace.add(losses[-1], LIKELIHOOD if self._prior is None else WITH_PRIOR)
        self._descent.phi = self._gauge.project(self._descent.phi)
        return losses

    def adopt_prior(self, spec: MismatchSpec) -> None:
        """From here on, the image's own power spectrum less the noise's is its prior."""
        likeliest = self._settle(spec)
        self._adopt(SpectralPrior.from_estimate(likeliest, self.curvature), likeliest)

    def adopt_total_variation(self, spec: MismatchSpec, strengths: Sequence[float]) -> float:
        """From here on the prior is total variation, as strong as held-out patterns like best.

        Each strength is tried on the other patterns, and the image is gone on with from the best;
        returns that strength, in units of the inverse mean gradient (`TotalVariation`).
        """
        start = self._settle(spec)
        kept_apart = torch.zeros(self.objective.operator.count, dtype=torch.bool)
        kept_apart[HELD_OUT // 2 :: HELD_OUT] = True
        kept_apart = kept_apart.to(start.device)
        self._chosen = ~kept_apart
        trials: list[tuple[float, float, Tensor]] = []
        for strength in strengths:
            self._adopt(TotalVariation.from_estimate(start, self.curvature, strength), start)
            self.run(spec, TRIAL_STEPS)
            loss = self.objective.loss(self.phi, spec, kept_apart)
            trials.append((loss, strength, self.phi))
        self._chosen = None
        _, strength, best = min(trials, key=lambda trial: trial[0])
        self._adopt(TotalVariation.from_estimate(start, self.curvature, strength), best)
        return strength

    def image(self) -> Tensor:
        """The phase (H, W) [rad], under the prior if there is one but for what contradicts it."""
        if self._likelihood_phi is None:
            return self.phi
        attrs = self._sample.operator.attrs
        resolution_A = RESOLUTION * attrs.wavelength_A / (attrs.semiangle_mrad * 1e-3)
        return believe_contradictions(
            self.phi,
            self._likelihood_phi,
            self.curvature.window,
            resolution_A / attrs.sampling_A,
        )

    def _settle(self, spec: MismatchSpec) -> Tensor:
        """The likelihood is done with: its phase is kept, and the curvature becomes that there."""
        if self._at_start:  # measured at the integrated centre of mass, whose noise is another
            self.curvature = self._curvature_at(self.phi, spec)
            self._at_start = False
        self._likelihood_phi = self.phi
        return self.phi

    def _adopt(self, prior: Prior, start: Tensor) -> None:
        self._prior = prior
        precondition = self.curvature.preconditioner(prior.curvature)
        self._descent = AcceleratedDescent(start, precondition)

    def _curvature_at(self, phi: Tensor, spec: MismatchSpec) -> Curvature:
        return Curvature.estimate(self.objective.information(phi, spec), self._generator)

    def _loss(self, phi: Tensor, spec: MismatchSpec) -> tuple[float, Tensor]:
        loss, slope = self.objective.gradient(phi, spec, self._chosen)
        if self._prior is None:
            return loss, slope
        penalty, pull = self._prior.gradient(phi)
        return loss + penalty, slope + pull
