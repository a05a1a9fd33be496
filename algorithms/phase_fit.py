"""The phase of one sample, from nothing: maximum likelihood, then with the data's own prior."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from algorithms.base import Sample
from algorithms.descent import AcceleratedDescent
from algorithms.objective import Objective
from algorithms.prior import RESOLUTION, SpectralPrior, believe_contradictions
from physics.curvature import Curvature
from physics.gauge import Gauge
from physics.noise import LikelihoodName
from schemas.spec import MismatchSpec


class PhaseFit:
    """State of a phase estimate that is taken step by step, at a spec that may change between.

    Args:
        sample: the measurement.
        spec: the detector at which the curvature is first measured.
        likelihood: poisson or anscombe.
    """

    def __init__(
        self,
        sample: Sample,
        spec: MismatchSpec,
        likelihood: LikelihoodName = LikelihoodName.POISSON,
    ) -> None:
        self.objective = Objective(sample, likelihood)
        self._sample = sample
        self._generator = torch.Generator().manual_seed(sample.seed)
        self._prior: SpectralPrior | None = None
        self._likelihood_phi: Tensor | None = None
        start = self.objective.operator.tensor(np.zeros(sample.object_shape))
        self.curvature = self._curvature_at(start, spec)
        self._gauge = Gauge.of(self.curvature.window, periodic=sample.operator.attrs.periodic)
        self._descent = AcceleratedDescent(start, self.curvature.preconditioner())

    @property
    def phi(self) -> Tensor:
        """The phase, (H, W) [rad]."""
        return self._descent.phi

    def run(self, spec: MismatchSpec, steps: int) -> list[float]:
        """Take steps at a fixed spec, fewer when the deadline is reached; returns the losses.

        The gauge of an object that is not periodic is kept: no net ramp.
        """
        losses: list[float] = []
        for _ in range(steps):
            if self._sample.seconds_left <= 0:
                break
            losses.append(self._descent.step(lambda phi: self._loss(phi, spec)))
        self._descent.phi = self.in_gauge(self._descent.phi)
        return losses

    def in_gauge(self, phi: Tensor) -> Tensor:
        """A phase (H, W), or a change of one, without what belongs to the centre offset.

        A periodic object has no ramp to lose.
        """
        return self._gauge.project(phi)

    def adopt_prior(self, spec: MismatchSpec) -> None:
        """From here on, the image's own power spectrum less the noise's is its prior."""
        self._likelihood_phi = self.phi
        self.curvature = self._curvature_at(self.phi, spec)
        self._prior = SpectralPrior.from_estimate(self.phi, self.curvature)
        precondition = self.curvature.preconditioner(self._prior.curvature)
        self._descent = AcceleratedDescent(self.phi, precondition)

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

    def _curvature_at(self, phi: Tensor, spec: MismatchSpec) -> Curvature:
        return Curvature.estimate(self.objective.information(phi, spec), self._generator)

    def _loss(self, phi: Tensor, spec: MismatchSpec) -> tuple[float, Tensor]:
        loss, slope = self.objective.gradient(phi, spec)
        if self._prior is None:
            return loss, slope
        penalty, pull = self._prior.gradient(phi)
        return loss + penalty, slope + pull
