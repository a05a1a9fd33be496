"""The likelihood's step on an x, as the networks are shown it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from physics.curvature import Curvature

STEP_FLOOR = 0.05
"""Information, relative to its peak, that is added where the slope is divided by it: what the data
hardly see moves little, and its noise with it."""


def data_step(
    slope_of: Callable[[Tensor], Tensor], curvature: Curvature, phase_scale_rad: float
) -> Callable[[Tensor], Tensor]:
    """x (1, H, W) -> -slope / (F + floor), its mean 0, in units of x, (1, H, W).

    Args:
        slope_of: phase (H, W) [rad] to the slope of -log L there, (H, W) [rad^-1].
        curvature: F.
        phase_scale_rad: phase where x is 1 [rad].
    """
    spectrum = curvature.spectrum
    bound = (spectrum + STEP_FLOOR * spectrum.max())[curvature.bins.ring]

    def step(x: Tensor) -> Tensor:
        slope = slope_of(phase_scale_rad * x[0])
        taken: Tensor = -torch.fft.ifft2(torch.fft.fft2(slope) / bound).real / phase_scale_rad
        return (taken - taken.mean())[None]

    return step
