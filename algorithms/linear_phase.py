"""Least squares over aliases, under a prior that the data themselves tell: what SSB and WDD share.

Each scan frequency has its own few unknowns x, the object's coefficients that fold onto it, known
by their normal equations: with templates T and noise of variance v in the measured values Y,

    G = sum T^* T / v,   b = sum T^* Y / v,   E b = G x,   cov b = G.

Under a Gaussian prior of variance S the mean of x is (G + 1/S)^-1 b (a Wiener filter). S is taken
from the data by expectation maximisation (Dempster, Laird & Rubin, J. R. Stat. Soc. B 39, 1
(1977)): S = |x|^2 + its variance, averaged over rings of frequency but for those coefficients that
stand out, as the Bragg peaks of a lattice do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from algorithms.base import Sample
from algorithms.prior import PEAK_CONTRAST, pin_background
from algorithms.scan_transform import Aliases

ROUNDS = 30
"""Rounds of expectation maximisation. A frequency that hardly fits takes twenty to be believed."""


@dataclass
class NormalEquations:
    """G and b of all scan frequencies.

    Attributes:
        gram: G, (Py, Px, u, u) complex128; Hermitian.
        projection: b, (Py, Px, u) complex128.
        energy: sum |Y|^2 / v, (Py, Px).
        measured: how many Y were taken in at each frequency.
    """

    gram: Tensor
    projection: Tensor
    energy: Tensor
    measured: int = 0

    @classmethod
    def empty(cls, period: tuple[int, int], unknowns: int, device: str) -> NormalEquations:
        """Of nothing measured yet."""
        return cls(
            torch.zeros((*period, unknowns, unknowns), dtype=torch.complex128, device=device),
            torch.zeros((*period, unknowns), dtype=torch.complex128, device=device),
            torch.zeros(period, dtype=torch.float64, device=device),
        )

    def add(self, templates: Tensor, measured: Tensor, weights: Tensor) -> None:
        """Take more measured values in.

        Args:
            templates: T, (f, Py, Px, u) complex.
            measured: Y, (f, Py, Px) complex.
            weights: 1/v, to be broadcast to (f, Py, Px); (f, 1, 1) or (f, Py, Px).
        """
        weights = weights.to(templates.real.dtype)
        weighted = templates.conj() * weights[..., None]
        self.gram += torch.einsum("fyxu,fyxv->yxuv", weighted, templates)
        self.projection += torch.einsum("fyxu,fyx->yxu", weighted, measured)
        self.energy += (weights * measured.abs().square()).sum(dim=0)
        self.measured += int((weights.flatten(1) > 0).any(dim=1).sum())

    @property
    def information(self) -> Tensor:
        """The diagonal of G, (Py, Px, u)."""
        return self.gram.diagonal(dim1=-2, dim2=-1).real

    def posterior(self, variance: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, variance) of the unknowns under a prior of `variance`; each (Py, Px, u)."""
        root = variance.sqrt()
        # Scaled by the prior, so that unknowns of no variance and of no information are harmless.
        scaled = root[..., :, None] * self.gram * root[..., None, :]
        identity = torch.eye(variance.shape[-1], dtype=scaled.dtype, device=scaled.device)
        inverse = torch.linalg.inv(scaled + identity)
        covariance = root[..., :, None] * inverse * root[..., None, :]
        mean = (covariance @ self.projection[..., None])[..., 0]
        return mean, covariance.diagonal(dim1=-2, dim2=-1).real

    def misfit(self, variance: Tensor) -> Tensor:
        """Reduced chi-square at each frequency, (Py, Px), of the mean under a prior of `variance`.

        Its freedom is what is left of the measured values: the mean takes tr(G C) of them, C its
        covariance, which is 1 - C/S for each unknown.
        """
        mean, spread = self.posterior(variance)
        explained = 2 * (self.projection.conj() * mean).real.sum(dim=-1)
        model = torch.einsum("yxu,yxuv,yxv->yx", mean.conj(), self.gram, mean).real
        taken = torch.where(variance > 0, 1 - spread / variance, 0.0).sum(dim=-1)
        return (self.energy - explained + model) / (self.measured - taken).clamp_min(1.0)

    def doubted(self, factor: Tensor) -> NormalEquations:
        """The same with noise of `factor` (Py, Px) times the variance."""
        return NormalEquations(
            self.gram / factor[..., None, None],
            self.projection / factor[..., None],
            self.energy / factor,
            self.measured,
        )


def prior_variance(equations: NormalEquations, aliases: Aliases, rounds: int = ROUNDS) -> Tensor:
    """S, (Py, Px, u): the first ay * ax unknowns are the aliases of one kind, then the next kind's.

    Args:
        equations: what was measured.
        aliases: the frequencies.
        rounds: rounds of expectation maximisation.
    """
    folds = math.prod(aliases.counts)
    device = equations.projection.device
    bins = aliases.rings(device)
    passed = torch.as_tensor(aliases.passed).to(device, torch.float64)

    def of_kind(values: Tensor, kind: int) -> Tensor:
        return passed * aliases.unfold(values[..., kind * folds : (kind + 1) * folds])

    def by_kind(of: Callable[[int], Tensor]) -> Tensor:
        kinds = range(equations.projection.shape[-1] // folds)
        return torch.cat([aliases.fold(passed * of(kind)) for kind in kinds], dim=-1)

    def ring_mean(values: Tensor, chosen: Tensor) -> Tensor:
        share = bins.mean(chosen).clamp_min(torch.finfo(torch.float64).tiny)
        return (bins.mean(chosen * values) / share)[bins.ring]

    def updated(powers: Tensor, kind: int) -> Tensor:
        power = of_kind(powers, kind)
        peak = power > PEAK_CONTRAST * ring_mean(power, passed)
        return torch.where(peak, power, ring_mean(power, passed * ~peak))

    # By moments, E|b|^2 = G + sum |G|^2 S, over each ring. A coefficient weighs as its information
    # does: where S is large, the best weights are equal, and where it is small, its square.
    excess = equations.projection.abs().square() - equations.information
    known = equations.gram.abs().square().sum(dim=-1).sqrt()
    excess = torch.where(known > 0, excess / known, 0.0)

    def moments(kind: int) -> Tensor:
        scale = ring_mean(of_kind(known, kind), passed)
        ratio = ring_mean(of_kind(excess, kind), passed) / scale
        return torch.where(scale > 0, ratio, 0.0).clamp_min(0.0)

    variance = by_kind(moments)
    for _ in range(rounds):
        mean, spread = equations.posterior(variance)
        variance = by_kind(partial(updated, mean.abs().square() + spread))
    return variance


@dataclass(frozen=True)
class Estimate:
    """Coefficients and what is to be thought of them.

    Attributes:
        mean: the unknowns, (Py, Px, u) complex128.
        misfit: reduced chi-square at each frequency before it was doubted, (Py, Px).
    """

    mean: Tensor
    misfit: Tensor


def estimate(
    equations: NormalEquations, aliases: Aliases, *, speckle: float, rounds: int = ROUNDS
) -> Estimate:
    """The unknowns under their empirical prior, each frequency believed as far as it fits.

    A linear model leaves the interference of scattered waves with each other unexplained. It shows
    as a chi-square above 1, at some frequencies more than at others, and counts as more noise
    there. Unlike noise it comes in speckles: what it adds to the mean square is `speckle` times as
    much where it matters, in patterns as smooth as the templates are.

    Args:
        equations: what was measured.
        aliases: the frequencies.
        speckle: measured values in a speckle.
        rounds: rounds of expectation maximisation.
    """
    misfit = equations.misfit(prior_variance(equations, aliases, rounds))
    doubted = equations.doubted(1 + speckle * (misfit - 1).clamp_min(0.0))
    mean, _ = doubted.posterior(prior_variance(doubted, aliases, rounds))
    return Estimate(mean, misfit)


def matched(equations: NormalEquations, least: float) -> Tensor:
    """b / G of a single unknown, (Py, Px, 1); 0 where G is below `least` times its largest."""
    information = equations.information
    trusted = information > least * information.max()
    return torch.where(trusted, equations.projection / information.clamp_min(1e-300), 0.0)


@dataclass(frozen=True)
class DirectPhase:
    """A phase that was found without iterating over an object.

    Attributes:
        phase: (H, W) [rad].
        aliases: the frequencies that it is made of.
        diagnostics: anything JSON can hold, for people.
    """

    phase: Tensor
    aliases: Aliases
    diagnostics: Mapping[str, float]


def pinned(
    phase: Tensor, aliases: Aliases, sample: Sample, percentile: float
) -> NDArray[np.float32]:
    """x_hat (H, W) in [0, 1]: a percentile of what the scan saw is put to 0, the rest is 0.

    Args:
        phase: (H, W) [rad].
        aliases: the frequencies that it is made of, and the scan.
        sample: the measurement.
        percentile: of the pixels within the scan.
    """
    seen = torch.as_tensor(aliases.seen(sample.object_shape)).to(phase)
    x = seen * pin_background(phase / sample.operator.attrs.phase_scale_rad, seen, percentile)
    return x.float().cpu().numpy()
