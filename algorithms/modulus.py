"""The modulus constraint of counts: what set projections do to a detector wave.

Where a bright pattern is known, the wave keeps its phase and takes the measured modulus, sqrt(y).
With less than one count in most pixels that is wrong twice: an empty pixel is put to 0, and on
average sqrt(y) is far below sqrt(I), so that the model starves. Here every pixel is given c = 3/8
of an electron beside the wave, incoherent and known (with read noise of variance s^2, 3/8 + s^2).
The nearest pair (wave, rest) of modulus sqrt(y + c) has the wave

    psi^' = psi^ sqrt(y + c) / sqrt(I + c),

an empty pixel is never put to 0, and the squared distance to it is half of Anscombe's negative
log-likelihood (`physics.noise`). c = 0 is the modulus constraint of the textbooks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from algorithms.base import Sample
from physics.noise import ANSCOMBE_SHIFT, POISSON_FLOOR_E, Likelihood, LikelihoodName

LEAST_EXPECTED_E = 1e-12
"""Without a shift, a wave that is 0 has no phase to keep: it stays 0, and does not become infinite
times 0 [electrons]."""


@dataclass(frozen=True)
class Modulus:
    """The modulus constraint of one sample.

    Attributes:
        likelihood: Poisson, for the patterns that are kept apart.
        shift: c [electrons].
    """

    likelihood: Likelihood
    shift: float

    @classmethod
    def of(cls, sample: Sample, usable: Tensor | None, shift: float = ANSCOMBE_SHIFT) -> Modulus:
        """Of a sample's detector.

        Args:
            sample: the measurement.
            usable: (Ky, Kx), 0 where a pixel is not to be believed; None: all are.
            shift: c without read noise [electrons].
        """
        attrs = sample.operator.attrs
        poisson = Likelihood(LikelihoodName.POISSON, attrs.gain, attrs.read_noise, usable)
        return cls(poisson, shift + poisson.variance_e)

    def ratio(self, expected: Tensor, prepared: Tensor) -> Tensor:
        """psi^' / psi^ of every pixel, the shape of `expected` [electrons]; 1 if not believed."""
        # What is prepared holds read noise's variance and the likelihood's floor already.
        measured = prepared + (self.shift - self.likelihood.variance_e - POISSON_FLOOR_E)
        model = (expected + self.shift).clamp_min(LEAST_EXPECTED_E)
        ratio = (measured.clamp_min(0.0) / model).sqrt()
        usable = self.likelihood.usable
        return ratio if usable is None else torch.where(usable > 0, ratio, torch.ones_like(ratio))
