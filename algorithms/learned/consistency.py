r"""Steps towards the counts from a network's image.

The likeliest image is the network's less slope / F. How much of the way there is worth going was
measured when the network was trained: the share w(k) for which net + w (likeliest - net) is nearest
to the truth, ring by ring (it is 0 where the network has all that the counts say, 1 where it says
nothing). Since w and F are positive the step goes down; it is halved until the likelihood is no
worse, so that it never is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from algorithms.networks.step import STEP_FLOOR
from algorithms.objective import Objective
from physics.curvature import Curvature
from schemas.spec import MismatchSpec

SHORTEST = 1 / 8
"""Share of a step below which it is not taken at all."""


@dataclass(frozen=True)
class Consistent:
    """An image and how well it explains the counts.

    Attributes:
        phi: the phase, (H, W) [rad].
        before: -log L of the image that came in.
        after: -log L of `phi`, at most `before`.
    """

    phi: Tensor
    before: float
    after: float


def towards_counts(
    phi: Tensor,
    spec: MismatchSpec,
    objective: Objective,
    curvature: Curvature,
    share: Tensor,
    steps: int,
) -> Consistent:
    """Take steps from a phase (H, W) [rad], its mean kept.

    Args:
        phi: where to begin.
        spec: the detector.
        objective: the counts.
        curvature: F.
        share: w at frequencies from 0 to Nyquist, (bins,).
        steps: at most.
    """
    loss, slope = objective.gradient(phi, spec)
    before = loss
    spectrum = curvature.spectrum
    bound = (spectrum + STEP_FLOOR * spectrum.max())[curvature.bins.ring]
    weight = at_rings(share.to(phi), curvature) / bound
    for _ in range(steps):
        step = torch.fft.ifft2(torch.fft.fft2(slope) * weight).real
        step = step - step.mean()
        length = 1.0
        while length >= SHORTEST:
            tried = phi - length * step
            loss_there, slope_there = objective.gradient(tried, spec)
            if loss_there <= loss:
                break
            length /= 2
        else:
            break
        phi, loss, slope = tried, loss_there, slope_there
    return Consistent(phi, before, loss)


def at_rings(share: Tensor, curvature: Curvature) -> Tensor:
    """A function of frequency, (bins,) from 0 to Nyquist, at each Fourier coefficient, (H, W)."""
    nyquist = max(curvature.bins.ring.shape) / 2
    place = curvature.bins.ring / nyquist * (len(share) - 1)
    return share[place.round().long().clamp_max(len(share) - 1)]
