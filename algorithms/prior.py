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

from physics.curvature import Curvature, blur
from physics.gauge import WELL_SEEN

CONTRADICTION_SIGMA = 5.0
"""Where data and prior differ by this many standard deviations, the data are believed: by chance
that happens once in two million resolution elements."""

RESOLUTION = 0.2
"""Blur under which data and prior are compared, in wavelengths over the convergence semi-angle."""

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

        Coefficients that stand out (Bragg peaks of a lattice) have their own power as variance; all
        others of a ring share the average of those that do not.
        """
        bins, noise = curvature.bins, curvature.noise_power()
        power = curvature.power(phi)
        excess = power - noise
        ring = bins.mean(excess).clamp_min(0.0)[bins.ring]
        peak = power > PEAK_CONTRAST * (noise + ring)
        others = bins.mean((~peak).to(phi.dtype)).clamp_min(1e-9)
        diffuse = bins.mean(torch.where(peak, torch.zeros_like(excess), excess)) / others
        signal = torch.where(peak, excess, diffuse.clamp_min(0.0)[bins.ring])
        # Where no signal is seen the prior is a thousand times stronger than the data.
        information = phi.numel() / signal.clamp_min(1e-30)
        bounded = information.clamp_max(1e3 * float(curvature.spectrum.max()))
        bounded[0, 0] = 0.0
        return cls(bounded)

    def gradient(self, phi: Tensor) -> tuple[float, Tensor]:
        """(-log p, its slope (H, W)), up to a constant."""
        transform = torch.fft.fft2(phi)
        value = 0.5 * float((self.curvature * transform.abs().square()).sum()) / phi.numel()
        return value, torch.fft.ifft2(self.curvature * transform).real


def believe_contradictions(
    with_prior: Tensor, likelihood: Tensor, window: Tensor, resolution_px: float
) -> Tensor:
    """The image under the prior, given back to the data where they contradict it, (H, W).

    A stationary prior knows a lattice but not a place: it fills a vacancy with the atom that the
    lattice lacks there. Such a place shows as a local difference from the maximum-likelihood image
    far above the noise, and takes that image's value, at the resolution of the comparison.

    Args:
        with_prior: maximum a posteriori phase, (H, W).
        likelihood: maximum-likelihood phase of the same data, (H, W).
        window: weight of each pixel, (H, W): beyond the scan the data say nothing.
        resolution_px: blur of the comparison [pixels].
    """
    difference = likelihood - with_prior
    difference = difference - difference.median()
    blurred = blur(difference, resolution_px)
    deviation = (blurred - blurred.median()).abs()
    sigma = 1.4826 * deviation.median()  # of a normal distribution, from its median deviation
    doubt = window * (deviation / sigma.clamp_min(1e-30) - CONTRADICTION_SIGMA).clamp(0.0, 1.0)
    reach = max(1, round(2 * resolution_px))
    padded = torch.nn.functional.pad(doubt[None, None], (reach,) * 4, mode="circular")
    spread = torch.nn.functional.max_pool2d(padded, 2 * reach + 1, stride=1)[0, 0]
    weight = blur(spread, resolution_px).clamp(0.0, 1.0)
    return with_prior + weight * blur(difference, resolution_px / 2)


def pin_background(x: Tensor, window: Tensor) -> Tensor:
    """x (H, W) shifted so that its background is 0 where the beam was, and clipped to [0, 1]."""
    seen = x[window > WELL_SEEN]
    background = torch.quantile(seen.double(), BACKGROUND_PERCENTILE / 100)
    return (x - background.to(x.dtype)).clamp(0.0, 1.0)
