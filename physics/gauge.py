"""What the data cannot decide between phase and detector, and the side that a prior puts it on.

A phase ramp is the same as a shift of the detector's centre, exactly so for an object that is not
periodic. Stated prior: the phase has no net ramp over the illuminated area, so a shift belongs to
the centre. A periodic object has no ramp to lose.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

WELL_SEEN = 0.5
"""Least weight of a pixel whose value is trusted: above it the beam was there as a rule."""


@dataclass(frozen=True)
class Gauge:
    """Takes the ramp out of a phase: the plane fitted where the beam was.

    A projection Q = 1 - D (S D)^-1 S: S is the slope of the plane fitted with the beam's weight, D
    are the two planes, which end where the beam did (a plane beyond the scan would only end in a
    step at the object's rim). What comes out has no slope.

    Attributes:
        slopes: S, (2, H*W); None for a periodic object, which has no ramp.
        planes: D (S D)^-1 transposed, (2, H*W).
    """

    slopes: Tensor | None = None
    planes: Tensor | None = None

    @classmethod
    def of(cls, window: Tensor, *, periodic: bool) -> Gauge:
        """The gauge of an object that the beam met with the weights `window` (H, W)."""
        if periodic:
            return cls()
        height, width = window.shape
        rows = torch.linspace(-1, 1, height, dtype=window.dtype, device=window.device)
        cols = torch.linspace(-1, 1, width, dtype=window.dtype, device=window.device)
        plane = torch.stack([torch.ones_like(window), *torch.meshgrid(rows, cols, indexing="ij")])
        plane = plane.reshape(3, -1)
        weight = window.reshape(-1)
        slopes = torch.linalg.solve((plane * weight) @ plane.T, plane * weight)[1:]
        ending = plane[1:] * (window / WELL_SEEN).clamp(0.0, 1.0).reshape(-1)
        return cls(slopes, torch.linalg.solve((slopes @ ending.T).T, ending))

    def project(self, phi: Tensor) -> Tensor:
        """A phase (H, W), or a change of one, without what belongs to the centre offset."""
        if self.slopes is None or self.planes is None:
            return phi
        flat = phi.reshape(-1)
        return (flat - (self.slopes @ flat) @ self.planes).reshape(phi.shape)

    def adjoint(self, slope: Tensor) -> Tensor:
        """The adjoint of `project`: the slope (H, W) of a function of a projected phase."""
        if self.slopes is None or self.planes is None:
            return slope
        flat = slope.reshape(-1)
        return (flat - (self.planes @ flat) @ self.slopes).reshape(slope.shape)
