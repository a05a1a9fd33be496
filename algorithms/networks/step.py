"""The likelihood's step on an x, as the networks are shown it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from physics.curvature import Curvature

STEP_FLOOR = 0.05
"""Information, relative to its peak, that is added where the slope is divided by it: what the data
hardly see moves little, and its noise with it."""


@dataclass(frozen=True)
class DataStep:
    """x (B, H, W) -> the step by which the likelihood would change it, (B, H, W), its mean 0.

    Attributes:
        slope_of: x -> Fourier transform of the slope of -log L by x there, (B, H, W).
        information: F of each Fourier coefficient of x, (B, H, W).
    """

    slope_of: Callable[[Tensor], Tensor]
    information: Tensor

    def __call__(self, x: Tensor, damping: float | None = None) -> Tensor:
        """-slope / (F + damping); without a damping, `STEP_FLOOR` of F's peak.

        Damped by 1/r^2 it leads from an x whose error has the variance r^2 in every coefficient to
        the best that can be made of that x and the counts together.
        """
        peak = self.information.amax(dim=(-2, -1), keepdim=True)
        added = STEP_FLOOR * peak if damping is None else damping
        taken: Tensor = -torch.fft.ifft2(self.slope_of(x) / (self.information + added)).real
        return taken - taken.mean(dim=(-2, -1), keepdim=True)


def data_step(
    slope_of: Callable[[Tensor], Tensor], curvature: Curvature, phase_scale_rad: float
) -> DataStep:
    """The step at a sample's counts, of one x (1, H, W).

    Args:
        slope_of: phase (H, W) [rad] to the slope of -log L there, (H, W) [rad^-1].
        curvature: F.
        phase_scale_rad: phase where x is 1 [rad].
    """
    information = phase_scale_rad**2 * curvature.spectrum[curvature.bins.ring]

    def by_x(x: Tensor) -> Tensor:
        transform: Tensor = torch.fft.fft2(slope_of(phase_scale_rad * x[0]))
        return phase_scale_rad * transform[None]

    return DataStep(by_x, information[None])


def parabola_step(
    about: Tensor, slope: Tensor, curvature: Curvature, phase_scale_rad: float
) -> DataStep:
    """The same on the likelihood's parabola, which costs no pass over the counts.

    Args:
        about: where the parabola touches, (H, W) [rad].
        slope: of -log L there, (H, W) [rad^-1].
        curvature: F.
        phase_scale_rad: phase where x is 1 [rad].
    """
    information = curvature.spectrum[curvature.bins.ring]

    def slope_of(phi: Tensor) -> Tensor:
        pull: Tensor = torch.fft.ifft2(torch.fft.fft2(phi - about) * information).real
        return slope + pull

    return data_step(slope_of, curvature, phase_scale_rad)
