"""The Fisher information of the phase as a diagonal in Fourier space: cheap, and nearly right.

What preconditions a descent, tells signal from noise in an image, and starts the search for the
joint bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from physics.information import FisherInformation

COVERAGE_FLOOR = 0.1
"""Least relative illumination that is made up for; what the beam met less moves no faster. Below
about 0.05 the margin of an object that is larger than the scan takes up noise and diverges."""

LOW_FREQUENCY_FLOOR = 0.05
"""Least curvature, relative to its peak, that a step is scaled by: bounds the noise of the
curvature's own estimate at the lowest frequencies."""

RANDOM_VECTORS = 2
"""Random vectors that the curvature's spectrum is estimated from (Hutchinson's estimator)."""


@dataclass(frozen=True)
class FrequencyBins:
    """Rings of spatial frequency of an (H, W) image, for radial averages.

    Attributes:
        ring: (H, W) index of the ring of each Fourier coefficient.
        count: number of coefficients in each ring.
    """

    ring: Tensor
    count: Tensor

    @classmethod
    def of(cls, shape: tuple[int, int], device: torch.device) -> FrequencyBins:
        """Rings one sample of the longer side's frequency grid wide."""
        rows = torch.fft.fftfreq(shape[0], device=device)
        cols = torch.fft.fftfreq(shape[1], device=device)
        ring = (torch.hypot(rows[:, None], cols[None, :]) * max(shape)).round().long()
        return cls(ring, torch.bincount(ring.reshape(-1)))

    def mean(self, values: Tensor) -> Tensor:
        """Average of (H, W) values over each ring, (rings,)."""
        total = torch.zeros(len(self.count), dtype=values.dtype, device=values.device)
        total.index_add_(0, self.ring.reshape(-1), values.reshape(-1))
        return total / self.count


def blur(image: Tensor, sigma_px: float) -> Tensor:
    """Periodic Gaussian blur of standard deviation `sigma_px` of images (..., H, W)."""
    rows = torch.fft.fftfreq(image.shape[-2], device=image.device)
    cols = torch.fft.fftfreq(image.shape[-1], device=image.device)
    square = rows[:, None] ** 2 + cols[None, :] ** 2
    kernel = torch.exp(-2 * (torch.pi * sigma_px) ** 2 * square)
    blurred: Tensor = torch.fft.ifft2(torch.fft.fft2(image) * kernel).real
    return blurred


def scan_window(coverage: Tensor, positions: int) -> Tensor:
    """Weight of each pixel in what is measured on an image, (H, W), at most 1.

    The relative illumination, smooth over a scan step: beyond the scan an image holds noise alone.

    Args:
        coverage: relative illumination, (H, W), at most 1.
        positions: number of scan positions.
    """
    covered = int((coverage > COVERAGE_FLOOR).sum())
    window = blur(coverage, math.sqrt(covered / positions))
    return (window / window.max()).clamp_min(0.0)


@dataclass(frozen=True)
class Curvature:
    """The Fisher information of the phase, as nearly diagonal in Fourier space.

    F is modelled as D^1/2 C D^1/2 with D the relative illumination of each pixel and C a radial
    spectrum.

    Attributes:
        spectrum: information per ring of frequency [rad^-2].
        coverage: relative illumination D, (H, W), at most 1.
        window: the same, smooth over a scan step, (H, W), at most 1: weight of each pixel in what
            is measured on an image. Beyond the scan an image holds noise alone.
        bins: the rings.
    """

    spectrum: Tensor
    coverage: Tensor
    window: Tensor
    bins: FrequencyBins

    @classmethod
    def estimate(cls, information: FisherInformation, generator: torch.Generator) -> Curvature:
        """Estimate from products of the information with random vectors."""
        phi = information.phi
        illumination = information.operator.illumination()
        coverage = illumination / illumination.max()
        bins = FrequencyBins.of((phi.shape[0], phi.shape[1]), phi.device)
        whiten = coverage.clamp_min(COVERAGE_FLOOR).rsqrt()
        vectors = torch.randn((RANDOM_VECTORS, *phi.shape), generator=generator, dtype=phi.dtype)
        vectors = vectors.to(phi.device)
        products = whiten * information.product(whiten * vectors)
        power = (torch.fft.fft2(vectors).conj() * torch.fft.fft2(products)).real.sum(dim=0)
        covered = int((coverage > COVERAGE_FLOOR).sum())
        spectrum = bins.mean(power) / (RANDOM_VECTORS * covered)
        window = scan_window(coverage, information.operator.count)
        return cls(spectrum.clamp_min(0.0), coverage, window, bins)

    def power(self, phi: Tensor) -> Tensor:
        """Power |FFT|^2 of an image (H, W), its mean apart, as if all of it were seen as well."""
        weight = self.window
        centered = weight * (phi - (weight * phi).sum() / weight.sum())
        power: Tensor = torch.fft.fft2(centered).abs().square() / weight.square().mean()
        return power

    def noise_power(self) -> Tensor:
        """The share of noise in `power` of a maximum-likelihood image, (H, W)."""
        floor = 1e-6 * self.spectrum.max()
        weight = self.window.square()
        variance = (weight / self.coverage.clamp_min(COVERAGE_FLOOR)).mean() / weight.mean()
        return variance * self.coverage.numel() / self.spectrum.clamp_min(floor)[self.bins.ring]

    def preconditioner(self, prior_curvature: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        """Gradient -> step of the Newton length, or shorter.

        Below its peak the curvature rises steeply from 0 at the lowest frequency, and its few
        coefficients there differ: the next ring's, larger value is used. Above its peak it depends
        on the specimen, and the peak is used.

        Args:
            prior_curvature: second derivative of a prior in Fourier space, (H, W), or None.
        """
        peak = int(self.spectrum.argmax())
        safe = torch.maximum(self.spectrum, self.spectrum.roll(-1))
        safe[peak:] = self.spectrum[peak]
        safe = safe.clamp_min(LOW_FREQUENCY_FLOOR * float(safe[peak]))[self.bins.ring]
        if prior_curvature is not None:
            # A prior is as strong where the beam hardly was, so there is nothing to whiten:
            # coverage is at most 1, and the sum bounds the curvature everywhere.
            bound = safe + prior_curvature
            return lambda slope: torch.fft.ifft2(torch.fft.fft2(slope) / bound).real
        whiten = self.coverage.clamp_min(COVERAGE_FLOOR).rsqrt()
        return lambda slope: whiten * torch.fft.ifft2(torch.fft.fft2(whiten * slope) / safe).real
