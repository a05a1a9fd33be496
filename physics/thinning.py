"""Electron thinning: one measurement becomes two independent ones of a lower dose.

Each counted electron is kept with probability p, and goes to the other part if not. Where counts
are Poisson of mean I, the parts are independent Poisson of means p I and (1 - p) I (Kingman,
Poisson Processes (1993), colouring theorem): what was fitted to one can be judged by the other,
though every scan position is in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics.ideal import Patterns

WHOLE_TOLERANCE = 1e-3
"""A reading is a whole number of electrons when it is this near to one [electrons]."""


class NotCountsError(ValueError):
    """Readings that are no whole numbers of electrons cannot be divided."""


@dataclass(frozen=True)
class ThinnedPatterns:
    """A part of a scan's electrons, drawn as it is read; the same part each time.

    Attributes:
        source: the whole.
        share: probability p that an electron is kept.
        gain: counts per electron.
        seed: decides which electrons.
        rest: give the others, those that are not kept.
    """

    source: Patterns
    share: float
    gain: float
    seed: int
    rest: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(Ny, Nx, Ky, Kx)."""
        return self.source.shape

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Patterns `start` to `stop - 1`, (B, Ky, Kx) counts.

        Raises:
            NotCountsError: readings that are negative, or no whole electrons.
        """
        counts = self.source.read(start, stop)
        electrons = np.rint(counts / self.gain)
        if (electrons < 0).any() or (
            np.abs(counts / self.gain - electrons) > WHOLE_TOLERANCE
        ).any():
            raise NotCountsError(f"patterns {start} to {stop - 1} hold no whole electrons")
        kept = np.empty_like(electrons)
        for number, pattern in enumerate(electrons):
            draw = np.random.default_rng((self.seed, start + number))
            kept[number] = draw.binomial(pattern.astype(np.int64), self.share)
        part = electrons - kept if self.rest else kept
        return np.asarray(self.gain * part, dtype=np.float32)
