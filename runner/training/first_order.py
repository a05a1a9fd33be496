r"""What ptychography would make of a specimen's counts, to first order in their noise: one pass.

Counts are drawn, and the likelihood's slope s and information F are taken at the true phase phi:

    -log L(phi + d) = const + s d + d F d / 2

s has the noise of the very counts, with all its correlations; F is taken as diagonal in Fourier
space, as the descent itself takes it (`physics.curvature`). The steps to the likeliest phase, the
prior, and what contradicts it are then those of `algorithms`, on that parabola: as cheap as Fourier
transforms of one image, where the real ones cost some thirty passes over the scan. How near the two
are is measured in docs/learned.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from algorithms.descent import AcceleratedDescent
from algorithms.networks.inputs import NetworkInput, network_input, resolution_px
from algorithms.prior import SpectralPrior, believe_contradictions
from physics.curvature import RANDOM_VECTORS, Curvature, FrequencyBins, scan_window
from physics.ideal import IdealOperator
from physics.noise import Likelihood, LikelihoodName, draw_counts
from physics.operator import ForwardOperator, batches
from schemas.spec import MismatchSpec

INFORMATION_FLOOR = 1e-3
"""Least information of a frequency, relative to the largest: what chance makes smaller would send
the solution of the parabola anywhere, where the real descent takes its few steps."""

INFORMATION_EVERY = 4
"""The information is summed over one pattern in this many, chosen at random: it is smooth, and its
average over rings is all that is asked of it."""

START_INVA = 0.5
"""The integrated centre of mass, with which the descent begins, shows what is coarser [A^-1]."""


@dataclass(frozen=True)
class Parabola:
    """The likelihood about the true phase.

    Attributes:
        truth: phi, (H, W) [rad].
        slope: s of the counts drawn, (H, W) [rad^-1].
        curvature: F.
    """

    truth: Tensor
    slope: Tensor
    curvature: Curvature

    @property
    def information(self) -> Tensor:
        """F of each Fourier coefficient, (H, W) [rad^-2]."""
        spectrum = self.curvature.spectrum
        return spectrum.clamp_min(INFORMATION_FLOOR * spectrum.max())[self.curvature.bins.ring]

    def gradient(self, phi: Tensor) -> tuple[float, Tensor]:
        """(-log L, its slope (H, W)) at a phase, up to a constant."""
        move = phi - self.truth
        pull = torch.fft.ifft2(torch.fft.fft2(move) * self.information).real
        loss = float((move * (self.slope + pull / 2)).sum())
        return loss, self.slope + pull


def parabola(x: Tensor, operator: IdealOperator, rng: np.random.Generator) -> Parabola:
    """Draw counts of a specimen x (H, W) on the nominal detector, and expand the likelihood.

    Args:
        x: the specimen.
        operator: the measurement; periodic.
        rng: the only source of randomness.
    """
    attrs = operator.attrs
    forward = ForwardOperator(operator)
    likelihood = Likelihood(LikelihoodName.POISSON, attrs.gain, attrs.read_noise)
    phi = attrs.phase_scale_rad * x
    far, transmission = forward.far_field(MismatchSpec()), forward.transmission(phi)
    vectors = torch.as_tensor(rng.standard_normal((RANDOM_VECTORS, *phi.shape)).astype(np.float32))
    slope, products, looked_at = torch.zeros_like(phi), torch.zeros_like(vectors), 0
    for index in batches(forward.count, forward.batch):
        psi = forward.exit_waves(transmission, far, index)
        psi_hat = far.forward(psi)
        expected = far.intensity(psi_hat)
        counts = draw_counts(
            expected.double().numpy(), gain=attrs.gain, read_noise=attrs.read_noise, rng=rng
        )
        prepared = likelihood.prepare(torch.as_tensor(counts))
        by_intensity = likelihood.slope(expected, prepared)
        forward.pull_back(psi, psi_hat, by_intensity, far, index, into=slope)
        few = torch.as_tensor(rng.permutation(len(expected))[::INFORMATION_EVERY].copy())
        weight, where = likelihood.fisher_weight(expected[few]), index.start + few
        for vector, product in zip(vectors, products, strict=True):
            change = forward.directional(psi[few], psi_hat[few], vector, far, where)
            forward.pull_back(psi[few], psi_hat[few], change * weight, far, where, into=product)
        looked_at += len(few)
    illumination = forward.illumination()
    coverage = illumination / illumination.max()
    bins = FrequencyBins.of((phi.shape[0], phi.shape[1]), phi.device)
    power = (torch.fft.fft2(vectors).conj() * torch.fft.fft2(products)).real.sum(dim=0)
    share = looked_at / forward.count
    spectrum = (bins.mean(power) / (share * RANDOM_VECTORS * phi.numel())).clamp_min(0.0)
    window = scan_window(coverage, forward.count)
    return Parabola(phi, slope, Curvature(spectrum, coverage, window, bins))


def first_order_input(found: Parabola, operator: IdealOperator, steps: int) -> NetworkInput:
    """What a network would be given of these counts.

    Args:
        found: the likelihood.
        operator: the measurement.
        steps: of the descent to the likeliest phase.
    """
    curvature, attrs = found.curvature, operator.attrs
    transform, slope = torch.fft.fft2(found.truth), torch.fft.fft2(found.slope)
    solution = transform - slope / found.information
    frequency = curvature.bins.ring / (max(found.truth.shape) * attrs.sampling_A)
    coarse = torch.exp(-((frequency / START_INVA) ** 2))
    descent = AcceleratedDescent(
        torch.fft.ifft2(coarse * solution).real, curvature.preconditioner()
    )
    for _ in range(steps):
        descent.step(found.gradient)
    prior = SpectralPrior.from_estimate(descent.phi, curvature)
    total = found.information + prior.curvature
    with_prior = torch.fft.ifft2((found.information * transform - slope) / total).real
    image = believe_contradictions(with_prior, descent.phi, curvature.window, resolution_px(attrs))
    return network_input(image, descent.phi, curvature, attrs)
