"""Detector noise: drawing counts, and likelihoods with their slopes.

Counts y = gain * Poisson(I) + Normal(0, read_noise). Likelihoods work on electrons y/gain; read
noise enters as an extra variance s^2 = (read_noise/gain)^2 by the shifted-Poisson approximation
(y/gain + s^2 is nearly Poisson of mean I + s^2; Snyder, Hammoud & White, J. Opt. Soc. Am. A 10,
1014 (1993)).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ANSCOMBE_SHIFT = 3.0 / 8.0
"""Anscombe, Biometrika 35, 246 (1948): 2 sqrt(y + 3/8) has variance 1 for counts above a few."""

POISSON_FLOOR_E = 1e-2
"""Electrons added to model and data of the Poisson likelihood, where an empty pixel's slope would
be without bound."""


def draw_counts(
    expected_e: NDArray[np.float64], *, gain: float, read_noise: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Counts of a detector that expects `expected_e` electrons a pixel (any shape).

    Args:
        expected_e: mean electrons per pixel.
        gain: counts per electron.
        read_noise: standard deviation of the read noise [counts].
        rng: source of randomness.
    """
    counts = gain * rng.poisson(expected_e).astype(np.float64)
    if read_noise > 0:
        counts += rng.normal(0.0, read_noise, counts.shape)
    return counts.astype(np.float32)


class LikelihoodName(StrEnum):
    """Likelihoods that a reconstruction may use."""

    POISSON = "poisson"
    ANSCOMBE = "anscombe"


@dataclass(frozen=True)
class Likelihood:
    """Negative log-likelihood of counts given expected electrons, up to a constant.

    Attributes:
        name: poisson (exact), or anscombe (a least-squares form: bounded slopes, faster).
        gain: counts per electron.
        read_noise: standard deviation of the read noise [counts].
        usable: (Ky, Kx), 1 for pixels that are believed and 0 for others; None: all are.
    """

    name: LikelihoodName
    gain: float = 1.0
    read_noise: float = 0.0
    usable: Tensor | None = None

    @property
    def variance_e(self) -> float:
        """Variance of the read noise [electrons^2]."""
        return (self.read_noise / self.gain) ** 2

    def prepare(self, counts: Tensor) -> Tensor:
        """The counts in the form that `slope` and `loss` compare with; done once per pattern."""
        electrons = counts / self.gain + self.variance_e
        if self.name == LikelihoodName.ANSCOMBE:
            return (electrons + ANSCOMBE_SHIFT).clamp_min(0).sqrt()
        # Not clipped: below 0, read noise must be as wrong as above it, or the dark is bright.
        return electrons + POISSON_FLOOR_E

    def slope(self, expected: Tensor, prepared: Tensor) -> Tensor:
        """d loss / d I for every pixel, the shape of `expected`."""
        if self.name == LikelihoodName.ANSCOMBE:
            slope = 2 - 2 * prepared * (expected + (self.variance_e + ANSCOMBE_SHIFT)).rsqrt()
        else:
            slope = 1 - prepared / (expected + (self.variance_e + POISSON_FLOOR_E))
        return self._masked(slope)

    def loss(self, expected: Tensor, prepared: Tensor) -> Tensor:
        """Sum of the negative log-likelihood over all pixels (a scalar); 0 for a perfect fit."""
        if self.name == LikelihoodName.ANSCOMBE:
            model = (expected + (self.variance_e + ANSCOMBE_SHIFT)).sqrt()
            return self._masked(2 * (model - prepared).square()).sum()
        model = expected + (self.variance_e + POISSON_FLOOR_E)
        perfect = prepared.clamp_min(POISSON_FLOOR_E)
        return self._masked(model - perfect - prepared * torch.log(model / perfect)).sum()

    def fisher_weight(self, expected: Tensor) -> Tensor:
        """1 / variance of a pixel [1/electrons^2]: the weight of its Fisher information."""
        return self._masked(1 / (expected + (self.variance_e + POISSON_FLOOR_E)))

    def _masked(self, values: Tensor) -> Tensor:
        return values if self.usable is None else values * self.usable
