"""Priors without free parameters: an empirical-Bayes power spectrum, and the gauge.

The likelihood leaves two freedoms. A constant added to the phase changes nothing; a phase ramp is
the same as a shift of the detector's centre (exactly so for an object that is not periodic). Data
cannot decide them, a stated prior must:

- ramp: the phase has no net ramp over the illuminated area, so a shift belongs to the centre;
- constant: x is never negative and its background is 0, so a low percentile of x is put to 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from algorithms.descent import COVERAGE_FLOOR, Curvature

PEAK_CONTRAST = 4.0
"""A Fourier coefficient stands for a lattice of its own when its power is more than this many times
what noise and its ring's average give: by chance one in e^4, about 2 %, does."""

BACKGROUND_PERCENTILE = 1.0
"""Percentile of x that is put to 0. The minimum itself is biased by the noise."""


@dataclass(frozen=True)
class SpectralPrior:
    """Gaussian prior, independent in Fourier space, with a power spectrum taken from the data.

    Attributes:
        curvature: second derivative of -log p in Fourier space, (H, W) [rad^-2]; 0 for the mean.
    """

    curvature: Tensor

    @classmethod
    def from_estimate(cls, phi: Tensor, curvature: Curvature) -> SpectralPrior:
        """Empirical Bayes from a maximum-likelihood image: power minus the noise's power.

        Coefficients that stand out (Bragg peaks of a lattice) keep their own power; all others at
        most the average of their ring.
        """
        noise = curvature.noise_power()
        power = torch.fft.fft2(phi - phi.mean()).abs().square()
        own = (power - noise).clamp_min(0.0)
        ring = curvature.bins.mean(power - noise).clamp_min(0.0)[curvature.bins.ring]
        stands_out = power > PEAK_CONTRAST * (noise + ring)
        signal = torch.where(stands_out, own, torch.minimum(own, ring))
        # Where no signal is seen the prior is a thousand times stronger than the data.
        information = phi.numel() / signal.clamp_min(1e-30)
        strongest = 1e3 * float(curvature.spectrum.max())
        bounded = information.clamp_max(strongest)
        bounded[0, 0] = 0.0
        return cls(bounded)

    def gradient(self, phi: Tensor) -> tuple[float, Tensor]:
        """(-log p, its slope (H, W)), up to a constant."""
        transform = torch.fft.fft2(phi)
        value = 0.5 * float((self.curvature * transform.abs().square()).sum()) / phi.numel()
        return value, torch.fft.ifft2(self.curvature * transform).real


def without_ramp(phi: Tensor, coverage: Tensor) -> Tensor:
    """The phase (H, W) less its plane, fitted where the beam was.

    Args:
        phi: phase [rad].
        coverage: relative illumination, (H, W).
    """
    rows = torch.linspace(-1, 1, phi.shape[0], dtype=phi.dtype, device=phi.device)
    cols = torch.linspace(-1, 1, phi.shape[1], dtype=phi.dtype, device=phi.device)
    plane = torch.stack(
        [
            torch.ones_like(phi),
            rows[:, None].expand_as(phi),
            cols[None, :].expand_as(phi),
        ]
    ).reshape(3, -1)
    weight = (coverage > COVERAGE_FLOOR).to(phi.dtype).reshape(-1)
    normal = (plane * weight) @ plane.T
    fit = torch.linalg.solve(normal, (plane * weight) @ phi.reshape(-1))
    fit[0] = 0.0
    flat: Tensor = phi - (fit @ plane).reshape(phi.shape)
    return flat


def pin_background(x: Tensor, coverage: Tensor) -> Tensor:
    """x (H, W) shifted so that its background is 0, and clipped to [0, 1]."""
    seen = x[coverage > COVERAGE_FLOOR]
    background = torch.quantile(seen.double(), BACKGROUND_PERCENTILE / 100)
    return (x - background.to(x.dtype)).clamp(0.0, 1.0)
