"""Where plain ptychography ends and a network begins."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from algorithms.objective import Objective
from algorithms.phase_fit import PhaseFit
from physics.curvature import Curvature


@dataclass(frozen=True)
class Plain:
    """Plain ptychography of a sample.

    Attributes:
        image: the phase under its prior, (H, W) [rad].
        likeliest: the phase without, (H, W) [rad].
        curvature: the information on it.
        objective: the counts.
    """

    image: Tensor
    likeliest: Tensor
    curvature: Curvature
    objective: Objective

    @classmethod
    def of(cls, fit: PhaseFit) -> Plain:
        """What a fit has come to."""
        return cls(fit.image(), fit.likeliest, fit.curvature, fit.objective)
