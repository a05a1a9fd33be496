"""What a network is given: the ptychographic images of a sample, and how noisy they are.

In units of x, without a mean: the likelihood does not know the constant of the phase, so that none
may come in; the network says it. The second image shows what the prior of the first took away (a
vacancy in a lattice), at the resolution at which the two are compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from algorithms.prior import RESOLUTION
from physics.curvature import Curvature, blur
from schemas.operator import OperatorAttrs

BANDS_INVA = ((0.0, 0.35), (0.35, 0.7), (0.7, 1.1))
"""Bands of spatial frequency in which the noise is stated [A^-1]. Above 2 alpha / lambda, 1.0 of
the default profile, hardly anything is seen, and its information depends on the noise itself."""

IMAGES = 2
"""Images that a network is given."""

CONDITIONS = len(BANDS_INVA) + 1
"""Numbers that a network is given beside them."""


@dataclass(frozen=True)
class NetworkInput:
    """What a network is given of one sample or of several.

    Attributes:
        images: (B, 2, H, W): x under its spectral prior; the likeliest x, blurred. Both mean 0.
        condition: (B, 4): log10 of the noise of the likeliest x in each of `BANDS_INVA`, and log10
            of the phase scale [rad].
    """

    images: Tensor
    condition: Tensor


def resolution_px(attrs: OperatorAttrs) -> float:
    """Blur under which data and prior are compared [pixels]; see `algorithms.prior.RESOLUTION`."""
    limit_A = attrs.wavelength_A / (attrs.semiangle_mrad * 1e-3)
    return RESOLUTION * limit_A / attrs.sampling_A


def network_input(
    image: Tensor, likeliest: Tensor, curvature: Curvature, attrs: OperatorAttrs
) -> NetworkInput:
    """Of one sample.

    Args:
        image: the phase under its spectral prior, (H, W) [rad].
        likeliest: the phase without, (H, W) [rad].
        curvature: the information on it.
        attrs: the sample's instrument.
    """
    scale = attrs.phase_scale_rad
    shown = (image, blur(likeliest, resolution_px(attrs) / 2))
    images = torch.stack([_without_mean(one, curvature.window) / scale for one in shown])
    noise = noise_levels(curvature, attrs.sampling_A) / scale
    condition = torch.cat([noise, noise.new_tensor([scale])]).log10()
    return NetworkInput(images[None], condition[None])


def noise_levels(curvature: Curvature, sampling_A: float) -> Tensor:
    """Standard deviation of the likeliest phase's noise in each band, (3,) [rad]."""
    bins = curvature.bins
    pixels = curvature.coverage.numel()
    frequency = torch.arange(len(bins.count), device=bins.count.device) / (
        max(curvature.coverage.shape) * sampling_A
    )
    floor = 1e-6 * curvature.spectrum.max()
    variance = bins.count / curvature.spectrum.clamp_min(floor) / pixels
    variance = torch.where(frequency > 0, variance, torch.zeros_like(variance))
    inside = [(frequency >= low) & (frequency < high) for low, high in BANDS_INVA]
    levels = torch.stack([variance[band].sum() for band in inside])
    return levels.clamp_min(math.ulp(0.0) ** 0.25).sqrt()


def _without_mean(image: Tensor, window: Tensor) -> Tensor:
    return image - (window * image).sum() / window.sum()
