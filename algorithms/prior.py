"""Priors: an empirical-Bayes power spectrum, total variation, and the constant of the phase.

The likelihood leaves two freedoms. A ramp belongs to the detector's centre (`physics.gauge`). A
constant added to the phase changes nothing, and a stated prior must decide it: x is never negative
and its background is 0, so a low percentile of x is put to 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from physics.curvature import Curvature, FrequencyBins, blur
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


EDGE = 0.3
"""Gradients below this share of the mean one are smoothed over, larger ones kept as edges."""


class Prior(Protocol):
    """What is believed of a phase before the counts."""

    @property
    def curvature(self) -> Tensor:
        """An upper bound of its second derivative in Fourier space, (H, W) [rad^-2]."""

    def gradient(self, phi: Tensor) -> tuple[float, Tensor]:
        """(-log p, its slope (H, W)), up to a constant."""


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
        signal = signal_power(curvature.power(phi), curvature.noise_power(), curvature.bins)
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


def signal_power(power: Tensor, noise: Tensor, bins: FrequencyBins) -> Tensor:
    """Power expected of the signal in each Fourier coefficient, (H, W), see `SpectralPrior`.

    Args:
        power: of an image with noise, (H, W).
        noise: its own, (H, W).
        bins: the rings.
    """
    excess = power - noise
    ring = bins.mean(excess).clamp_min(0.0)[bins.ring]
    peak = power > PEAK_CONTRAST * (noise + ring)
    others = bins.mean((~peak).to(power.dtype)).clamp_min(1e-9)
    diffuse = bins.mean(torch.where(peak, torch.zeros_like(excess), excess)) / others
    return torch.where(peak, excess, diffuse.clamp_min(0.0)[bins.ring])


@dataclass(frozen=True)
class TotalVariation:
    """Total variation (Rudin, Osher & Fatemi, Physica D 60, 259 (1992)), smooth at 0.

    -log p = weight * sum sqrt(|grad phi|^2 + edge^2): few, sharp steps are likelier than many.

    Attributes:
        weight: strength [1/rad].
        edge: gradient below which it is quadratic [rad/pixel].
        curvature: upper bound of its second derivative in Fourier space, (H, W) [rad^-2].
    """

    weight: float
    edge: float
    curvature: Tensor

    @classmethod
    def from_estimate(cls, phi: Tensor, curvature: Curvature, strength: float) -> TotalVariation:
        """From a maximum-likelihood image (H, W), whose noise is taken off its mean gradient.

        Args:
            phi: the phase [rad].
            curvature: the information on it.
            strength: weight in units of the inverse mean gradient: 1 is the likeliest weight of
                a Laplace distribution of gradients.
        """
        squares = (_forward_y(phi).square() + _forward_x(phi).square()).mean()
        rows = torch.fft.fftfreq(phi.shape[0], device=phi.device)[:, None]
        cols = torch.fft.fftfreq(phi.shape[1], device=phi.device)[None, :]
        laplacian = 4 * ((torch.pi * rows).sin().square() + (torch.pi * cols).sin().square())
        noise = (laplacian * curvature.noise_power()).sum() / phi.numel() ** 2
        typical = float((squares - noise).clamp_min(0.05 * squares).sqrt())
        weight, edge = strength / typical, EDGE * typical
        return cls(weight, edge, weight / edge * laplacian)

    def gradient(self, phi: Tensor) -> tuple[float, Tensor]:
        """(-log p, its slope (H, W)), up to a constant."""
        along_y, along_x = _forward_y(phi), _forward_x(phi)
        length = (along_y.square() + along_x.square() + self.edge**2).sqrt()
        flux_y, flux_x = along_y / length, along_x / length
        slope = flux_y.roll(1, 0) - flux_y + flux_x.roll(1, 1) - flux_x
        return self.weight * float(length.sum()), self.weight * slope


def _forward_y(image: Tensor) -> Tensor:
    return image.roll(-1, 0) - image


def _forward_x(image: Tensor) -> Tensor:
    return image.roll(-1, 1) - image


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


def pin_background(x: Tensor, window: Tensor, percentile: float = BACKGROUND_PERCENTILE) -> Tensor:
    """x (H, W) shifted so that its background is 0 where the beam was, and clipped to [0, 1].

    Args:
        x: the image.
        window: weight of each pixel, (H, W), at most 1: what is below a half is not looked at.
        percentile: which value is the background's.
    """
    seen = x[window > WELL_SEEN]
    # numpy's: torch's own refuses more than 16 million values.
    background = float(np.percentile(seen.cpu().numpy(), percentile))
    return (x - background).clamp(0.0, 1.0)
