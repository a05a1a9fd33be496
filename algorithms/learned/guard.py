r"""Whether the counts bear a network's image out.

Of an image phi, -log L exceeds that of the likeliest one by d F d / 2, d = phi - likeliest. For the
truth that is chance alone: at most a half for each of the n things that the counts tell, give or
take sqrt(n/2) (less at faint counts, whose likelihood is cut off at a floor; see `physics.noise`).
An image with more is not the truth. Where plain ptychography then explains the counts better, its
image is returned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from algorithms.networks.step import STEP_FLOOR
from physics.curvature import Curvature
from physics.gauge import WELL_SEEN

CHANCE_SIGMA = 5.0
"""Standard deviations of chance that an image is granted: the truth has more once in two million
samples."""


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
        """Of the network's image, in units of the most that the truth's has on average."""
        return 2 * (self.network - self.likeliest) / self.told

    @property
    def excess_of_plain(self) -> float:
        """The same of plain ptychography's."""
        return 2 * (self.plain - self.likeliest) / self.told

    @property
    def believed(self) -> bool:
        """Whether the network's image is returned."""
        chance = 1 + CHANCE_SIGMA * math.sqrt(2 / self.told)
        return self.excess <= max(chance, self.excess_of_plain)


def things_told(curvature: Curvature) -> int:
    """Fourier coefficients of the phase that the counts tell, and that a descent has followed."""
    spectrum = curvature.spectrum
    seen = (spectrum > STEP_FLOOR * spectrum.max()) * curvature.bins.count
    share = float((curvature.window > WELL_SEEN).to(curvature.window.dtype).mean())
    return max(1, round(share * float(seen.sum())))
