r"""Whether the counts bear a network's image out.

Of an image phi, -log L exceeds that of the likeliest one by d F d / 2, d = phi - likeliest. For the
truth that is chance alone: a half for each of the n things that the counts tell, give or take
sqrt(n/2). A network that has learned from the counts stays below, one that invents goes above; at
twice the truth's excess its errors of its own are as large as the noise. Beyond that, and where
plain ptychography explains the counts better, its image is not believed.
"""

from __future__ import annotations

from dataclasses import dataclass

from algorithms.networks.step import STEP_FLOOR
from physics.curvature import Curvature

MOST_EXCESS = 2.0
"""Excess over the truth's own at which errors are as large as the noise."""


@dataclass(frozen=True)
class Verdict:
    """How three images explain the counts.

    Attributes:
        told: n, the things that the counts tell.
        likeliest: -log L of the likeliest image.
        plain: the same of plain ptychography's.
        network: the same of the network's.
    """

    told: int
    likeliest: float
    plain: float
    network: float

    @property
    def excess(self) -> float:
        """Of the network's image, in units of the truth's own: about 1 for the truth."""
        return 2 * (self.network - self.likeliest) / self.told

    @property
    def excess_of_plain(self) -> float:
        """The same of plain ptychography's."""
        return 2 * (self.plain - self.likeliest) / self.told

    @property
    def believed(self) -> bool:
        """Whether the network's image is returned."""
        return self.excess <= max(MOST_EXCESS, self.excess_of_plain)


def things_told(curvature: Curvature) -> int:
    """Fourier coefficients of the phase that the counts tell, and that a descent has followed."""
    spectrum = curvature.spectrum
    seen = (spectrum > STEP_FLOOR * spectrum.max()) * curvature.bins.count
    share = float((curvature.window > 0.5).to(curvature.window.dtype).mean())
    return max(1, round(share * float(seen.sum())))
