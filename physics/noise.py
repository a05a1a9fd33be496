"""Detector noise: drawing counts, and likelihoods with their slopes.

Counts y = gain * Poisson(I) + Normal(0, read_noise). Likelihoods work on electrons y/gain with read
noise of variance s^2 = (read_noise/gain)^2. `poisson` and `anscombe` take it in by the
shifted-Poisson approximation (y/gain + s^2 is nearly Poisson of mean I + s^2; Snyder, Hammoud &
White, J. Opt. Soc. Am. A 10, 1014 (1993)); `poisson-gaussian` is exact: the electrons k that may
have been there are summed over, p(y | I) = sum_k Poisson(k; I) Normal(y/gain - k; s).
"""

from __future__ import annotations

import math
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

EXACT_FLOOR_E = 1e-3
"""Electrons added to the model of the exact likelihood, to the same end. Its data cannot be raised
as well, so it is less: a bias of a thousandth of an electron."""

READ_NOISE_REACH = 5.0
"""Electrons this many standard deviations of the read noise from the likeliest number are summed
over: what is left out is less than one part in a million."""

SMALLEST_ELECTRONS = 1e-9
"""Numbers of electrons are kept above this where their logarithm is taken."""

NEWTON_STEPS = 6
"""Steps to the likeliest number of electrons; from the left they never overshoot."""


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
    POISSON_GAUSSIAN = "poisson-gaussian"


@dataclass(frozen=True)
class Likelihood:
    """Negative log-likelihood of counts given expected electrons, up to a constant.

    Attributes:
        name: poisson (exact without read noise), anscombe (a least-squares form: bounded slopes),
            or poisson-gaussian (exact with read noise; slower the more of it there is).
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

    def __post_init__(self) -> None:
        """Refuse a sum over electrons that no read noise spreads."""
        if self.name == LikelihoodName.POISSON_GAUSSIAN and self.read_noise <= 0:
            raise ValueError("poisson-gaussian needs read_noise > 0; without it, use poisson")

    def prepare(self, counts: Tensor) -> Tensor:
        """The counts in the form that `slope` and `loss` compare with; done once per pattern."""
        if self.name == LikelihoodName.POISSON_GAUSSIAN:
            return counts / self.gain
        electrons = counts / self.gain + self.variance_e
        if self.name == LikelihoodName.ANSCOMBE:
            return (electrons + ANSCOMBE_SHIFT).clamp_min(0).sqrt()
        # Not clipped: below 0, read noise must be as wrong as above it, or the dark is bright.
        return electrons + POISSON_FLOOR_E

    def slope(self, expected: Tensor, prepared: Tensor) -> Tensor:
        """d loss / d I for every pixel, the shape of `expected`."""
        if self.name == LikelihoodName.ANSCOMBE:
            slope = 2 - 2 * prepared * (expected + (self.variance_e + ANSCOMBE_SHIFT)).rsqrt()
        elif self.name == LikelihoodName.POISSON_GAUSSIAN:
            model = expected + EXACT_FLOOR_E
            slope = 1 - self._electrons(model, prepared)[0] / model
        else:
            slope = 1 - prepared / (expected + (self.variance_e + POISSON_FLOOR_E))
        return self._masked(slope)

    def loss(self, expected: Tensor, prepared: Tensor) -> Tensor:
        """Sum of the negative log-likelihood over all pixels (a scalar).

        0 for a perfect fit; `poisson-gaussian` leaves another constant out.
        """
        if self.name == LikelihoodName.POISSON_GAUSSIAN:
            model = expected + EXACT_FLOOR_E
            return self._masked(model - self._electrons(model, prepared)[1]).sum()
        if self.name == LikelihoodName.ANSCOMBE:
            model = (expected + (self.variance_e + ANSCOMBE_SHIFT)).sqrt()
            return self._masked(2 * (model - prepared).square()).sum()
        model = expected + (self.variance_e + POISSON_FLOOR_E)
        perfect = prepared.clamp_min(POISSON_FLOOR_E)
        return self._masked(model - perfect - prepared * torch.log(model / perfect)).sum()

    def fisher_weight(self, expected: Tensor) -> Tensor:
        """1 / variance of a pixel [1/electrons^2]: the weight of its Fisher information."""
        return self._masked(1 / (expected + (self.variance_e + POISSON_FLOOR_E)))

    def dispersion(self, expected: Tensor, prepared: Tensor) -> tuple[float, float, float]:
        """Sums over believed pixels: squared residual, its expectation, its variance.

        In electrons^2, electrons^2, electrons^4. The ratio of the first two is a reduced
        chi-square: 1 when noise alone is left.
        """
        variance = self._masked(expected + self.variance_e)
        squared = self._masked((self._measured(prepared) - expected).square())
        spread = 2 * variance.square() + self._masked(expected)
        return _total(squared), _total(variance), _total(spread)

    def _measured(self, prepared: Tensor) -> Tensor:
        """Electrons y/gain again."""
        if self.name == LikelihoodName.ANSCOMBE:
            return prepared.square() - (self.variance_e + ANSCOMBE_SHIFT)
        if self.name == LikelihoodName.POISSON_GAUSSIAN:
            return prepared
        return prepared - (self.variance_e + POISSON_FLOOR_E)

    def _electrons(self, model: Tensor, measured: Tensor) -> tuple[Tensor, Tensor]:
        """(E[k | y, I], log of the sum over k), each of the shape of `model`.

        Read noise leaves few k likely, around the likeliest; the terms follow from one another,
        w_(k+1) / w_k = I / (k+1) exp((y - k - 1/2) / s^2).
        """
        variance = self.variance_e
        reach = math.ceil(READ_NOISE_REACH * math.sqrt(variance))
        first = _likeliest(model.detach(), measured, variance).round()
        origin = first * model.log() - torch.lgamma(first + 1)
        origin = origin - (measured - first).square() / (2 * variance)
        total, moment = torch.ones_like(model), first
        up, down = torch.ones_like(model), torch.ones_like(model)
        for step in range(reach):
            above, below = first + step, first - step
            up = up * model / (above + 1) * ((measured - above - 0.5) / variance).exp()
            down = down * below / model * ((below - 0.5 - measured) / variance).exp()
            total = total + up + down
            moment = moment + (above + 1) * up + (below - 1) * down
        return moment / total, origin + total.log()

    def _masked(self, values: Tensor) -> Tensor:
        return values if self.usable is None else values * self.usable


def _likeliest(model: Tensor, measured: Tensor, variance: float) -> Tensor:
    """The k that maximises Poisson(k; I) Normal(y - k; s): k + s^2 log k = y + s^2 log I."""
    target = measured + variance * model.log()
    start = torch.minimum(model, measured)
    k = torch.where(start > 0, start, model * (measured / variance - 1).clamp_min(-20.0).exp())
    for _ in range(NEWTON_STEPS):
        k = k - (k + variance * k.log() - target) / (1 + variance / k)
        k = k.clamp_min(SMALLEST_ELECTRONS)
    return k


def _total(values: Tensor) -> float:
    return float(values.sum(dtype=torch.float64))
