"""Accelerated gradient descent with restarts, and the curvature that preconditions it.

Momentum as Nesterov's (k/(k+3)), restarted when it points uphill (O'Donoghue & Candes, Found.
Comput. Math. 15, 715 (2015)): converges fast where the curvature is strong, does not oscillate
where it is weak. The step length comes from the Fisher information; where that was taken too small
the loss rises, the step is taken back and halved.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from algorithms.objective import Objective
from schemas.spec import MismatchSpec

COVERAGE_FLOOR = 0.1
"""Least relative illumination that is made up for; what the beam met less moves no faster. Below
about 0.05 the margin of an object that is larger than the scan takes up noise and diverges."""

LOW_FREQUENCY_FLOOR = 0.05
"""Least curvature, relative to its peak, that a step is scaled by: bounds the noise of the
curvature's own estimate at the lowest frequencies."""

SHORTEST_STEP = 1 / 16
"""Relative step length that is not halved any more: there the loss is flat to rounding."""

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
    """Periodic Gaussian blur of standard deviation `sigma_px` of an (H, W) image."""
    rows = torch.fft.fftfreq(image.shape[0], device=image.device)
    cols = torch.fft.fftfreq(image.shape[1], device=image.device)
    square = rows[:, None] ** 2 + cols[None, :] ** 2
    kernel = torch.exp(-2 * (torch.pi * sigma_px) ** 2 * square)
    blurred: Tensor = torch.fft.ifft2(torch.fft.fft2(image) * kernel).real
    return blurred


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
    def estimate(
        cls, objective: Objective, phi: Tensor, spec: MismatchSpec, generator: torch.Generator
    ) -> Curvature:
        """Estimate at a phase `phi` (H, W) from products with random vectors."""
        illumination = objective.operator.illumination()
        coverage = illumination / illumination.max()
        bins = FrequencyBins.of((phi.shape[0], phi.shape[1]), phi.device)
        whiten = coverage.clamp_min(COVERAGE_FLOOR).rsqrt()
        power = torch.zeros_like(phi)
        for _ in range(RANDOM_VECTORS):
            vector = torch.randn(phi.shape, generator=generator, dtype=phi.dtype).to(phi.device)
            product = whiten * objective.fisher_product(phi, spec, whiten * vector)
            power += (torch.fft.fft2(vector).conj() * torch.fft.fft2(product)).real
        covered = int((coverage > COVERAGE_FLOOR).sum())
        spectrum = bins.mean(power) / (RANDOM_VECTORS * covered)
        scan_step_px = math.sqrt(covered / objective.operator.count)
        window = blur(coverage, scan_step_px)
        window = (window / window.max()).clamp_min(0.0)
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


class AcceleratedDescent:
    """Minimises a smooth function of a phase, one gradient a step.

    Args:
        start: first phase, (H, W).
        precondition: gradient -> step of about the right length.
    """

    def __init__(self, start: Tensor, precondition: Callable[[Tensor], Tensor]) -> None:
        self.phi = start
        self._precondition = precondition
        self._length = 1.0
        self._previous = start
        self._age = 0
        self._last: tuple[float, Tensor, Tensor] | None = None

    def step(self, gradient: Callable[[Tensor], tuple[float, Tensor]]) -> float:
        """One step; returns the loss at the point where the gradient was taken."""
        travelled = self.phi - self._previous
        momentum = self._age / (self._age + 3)
        ahead = self.phi + momentum * travelled
        loss, slope = gradient(ahead)
        rose = self._last is not None and loss > self._last[0]
        if rose and momentum > 0:
            # Stay where the last good step ended, and begin again from there without momentum.
            self._age, self._previous = 0, self.phi
            return loss
        if rose and self._length > SHORTEST_STEP:
            assert self._last is not None
            _, ahead, slope = self._last
            self._length /= 2
        else:
            uphill = momentum > 0 and float((slope * travelled).sum()) > 0
            self._age = 0 if rose or uphill else self._age + 1
            self._last = (loss, ahead, slope)
        self._previous = ahead if self._age == 0 else self.phi
        self.phi = ahead - self._length * self._precondition(slope)
        return loss
