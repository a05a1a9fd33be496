"""What a phasing method returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Phasing:
    """The best of many starts. Origin and hand are as they fell.

    Attributes:
        density: (h, w) image, in the units of the magnitudes over the number of pixels.
        coefficients: (h, w) complex, its Fourier transform (`numpy.fft.fft2`): the known
            magnitudes with the phases that were found.
        figure_of_merit: of the best start, the lower the better; what it is, its method says.
        converged: another start found the same image (`agreement` above `dual_space.SAME_IMAGE`).
        merits: (starts,) figure of merit of every start.
        agreement: largest correlation of the best image with those of the next best starts, origin
            and hand aside. 0 where there is one start only.
        iterations: taken by each start.
    """

    density: Float64
    coefficients: NDArray[np.complex128]
    figure_of_merit: float
    converged: bool
    merits: Float64
    agreement: float
    iterations: int
