"""wdd: Wigner distribution deconvolution, with the scan's aliases told apart. No iterations.

See `algorithms.ambiguity` for the equations and `algorithms.linear_phase` for their solution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from algorithms.ambiguity import Ambiguity
from algorithms.base import Reconstruction, Sample
from algorithms.linear_phase import (
    ROUNDS,
    DirectPhase,
    NormalEquations,
    matched,
    pinned,
    prior_variance,
)
from algorithms.pixels import PixelStatistics, fill
from algorithms.prior import BACKGROUND_PERCENTILE
from algorithms.scan_transform import Aliases, Raster, scan_spectra
from schemas.spec import MismatchSpec

TYPICAL_CONTRAST = 0.2
"""Standard deviation of x in an image of atoms: with the known phase of x = 1, how strong a
specimen the filter expects."""


@dataclass(frozen=True)
class Wdd:
    """Wigner distribution deconvolution.

    Attributes:
        aliases: tell frequencies apart that fold onto one another, and phase from amplitude, by
            least squares over rho under a prior from the data. False: the textbook's deconvolution,
            divided by its own transfer.
        epsilon: constant of the Wiener filter, in units of the ambiguity function's peak squared;
            None takes it from the dose (`expected_epsilon`).
        rounds: rounds in which the prior is found.
        least_transfer: transfer, relative to the largest, below which the textbook's deconvolution
            leaves a frequency out; it has no prior.
        background: percentile of x that is put to 0.
    """

    aliases: bool = True
    epsilon: float | None = None
    rounds: int = ROUNDS
    least_transfer: float = 0.05
    background: float = BACKGROUND_PERCENTILE

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1].

        Raises:
            ContractError: SAMPLE_UNSUITED, no even raster, or one that is too coarse.
        """
        found = self.phase(sample, spec)
        x = pinned(found.phase, found.aliases, sample, self.background)
        return Reconstruction(x, diagnostics=found.diagnostics)

    def phase(self, sample: Sample, spec: MismatchSpec) -> DirectPhase:
        """The phase of the transmission.

        Raises:
            ContractError: as `reconstruct`.
        """
        raster = Raster.of(sample)
        aliases = Aliases.of(sample, raster, folded=self.aliases)
        found = deconvolve(sample, spec, raster, aliases, self.epsilon, textbook=not self.aliases)
        if self.aliases:
            prior = prior_variance(found.equations, aliases, self.rounds)
            mean, _ = found.equations.posterior(prior)
            phase_part, amplitude = mean.chunk(2, dim=-1)
            coefficients = phase_part + amplitude
        else:
            coefficients = matched(found.equations, self.least_transfer)
        scattered = aliases.to_object(aliases.unfold(coefficients), sample.object_shape)
        diagnostics = {
            "aliases": aliases.most,
            "epsilon": found.epsilon,
            "direct_beam": found.direct_beam,
        }
        return DirectPhase(torch.angle(found.direct_beam + scattered), aliases, diagnostics)


@dataclass(frozen=True)
class Deconvolution:
    """What the patterns say of t(k) conj(t(0)).

    Attributes:
        equations: of (p, m) of each alias; of t(k) conj(t(0)) alone for the textbook.
        direct_projection: b of the unscattered wave alone, from the mean pattern.
        direct_information: its G.
        epsilon: the filter's constant, in units of the ambiguity function's peak squared.
    """

    equations: NormalEquations
    direct_projection: float
    direct_information: float
    epsilon: float

    @property
    def direct_beam(self) -> float:
        """|t(0)|^2, the share of the wave that is not scattered; 1 where nothing was read.

        Too high by about half of what is scattered, for at small rho the scattered waves' own
        autocorrelations add up.
        """
        seen = self.direct_information > 0
        return self.direct_projection / self.direct_information if seen else 1.0


def deconvolve(
    sample: Sample,
    spec: MismatchSpec,
    raster: Raster,
    aliases: Aliases,
    epsilon: float | None = None,
    *,
    textbook: bool = False,
) -> Deconvolution:
    """The normal equations over rho; one pass, or as many as fit the memory.

    At the deadline those rows of rho are left out that have not been worked on.

    Args:
        sample: the measurement.
        spec: the detector.
        raster: its scan.
        aliases: the frequencies.
        epsilon: as in `Wdd`.
        textbook: the deconvolution by itself, for one alias.
    """
    attrs, device = sample.operator.attrs, sample.device
    statistics = PixelStatistics.of(sample.y)
    usable = statistics.usable(attrs.gain)
    ambiguity = Ambiguity(sample.operator, spec, aliases, device)

    def features(counts: np.ndarray, rows: slice) -> Tensor:
        electrons = fill(counts, usable) / attrs.gain
        return ambiguity.features(torch.as_tensor(electrons).to(device), rows)

    mean = fill(statistics.mean[None], usable)[0] / attrs.gain
    peak = attrs.dose_e**2
    noise = white_noise(mean, (attrs.read_noise / attrs.gain) ** 2) * raster.noise_gain
    if epsilon is None:
        epsilon = expected_epsilon(noise / peak, attrs.phase_scale_rad, int(aliases.passed.sum()))
    rest = noise / (epsilon * peak)
    rows, cols = ambiguity.overlapping.shape
    overlapping = torch.as_tensor(ambiguity.overlapping).to(device)
    average = ambiguity.features(torch.as_tensor(mean)[None].to(device), slice(0, rows))[0]
    kinds = 1 if textbook else 2
    equations = NormalEquations.empty(raster.period, kinds * math.prod(aliases.counts), device)
    direct, own = 0.0, 0.0
    for row, spectra in scan_spectra(sample, raster, features, rows, cols):
        if sample.seconds_left <= 0:
            break
        for part in ambiguity.column_blocks():
            line, opposite = (aliases.fold(values) for values in ambiguity.templates(row, part))
            weight = overlapping[row, part, None, None] / (
                noise + rest * opposite.abs().square().sum(dim=-1)
            )
            both = line if textbook else torch.cat([line - opposite, line + opposite], dim=-1)
            equations.add(both, spectra[part], weight)
        vacuum = ambiguity.unscattered(row)
        weight = overlapping[row] / (noise + rest * vacuum.abs().square())
        direct += float((weight * (vacuum.conj() * average[row]).real).sum())
        own += float((weight * vacuum.abs().square()).sum())
        sample.progress((row + 1) / rows)
    return Deconvolution(equations, direct, own, epsilon)


def white_noise(mean: np.ndarray, read_variance: float) -> float:
    """Variance of a pattern's transform, were every pixel as noisy as the disk's are.

    The two terms that are solved for lie within the disk, and there that is what the noise is.

    Args:
        mean: (Ky, Kx) position-averaged pattern [electrons].
        read_variance: of a pixel [electrons^2].
    """
    in_disk = float((mean**2).sum() / max(float(mean.sum()), 1e-30))
    return mean.size * (in_disk + read_variance)


def expected_epsilon(noise: float, phase_scale_rad: float, passed: int) -> float:
    """Noise over what scattered waves that interfere with each other are expected to add.

    Of a phase of variance s^2, spread over `passed` coefficients, the products of two that are k
    apart add up to s^4 / `passed`.

    Args:
        noise: variance of H at one rho, over the square of the ambiguity function's peak.
        phase_scale_rad: phase of x = 1 [rad].
        passed: frequencies that the aperture passes.
    """
    return noise * passed / (TYPICAL_CONTRAST * phase_scale_rad) ** 4
