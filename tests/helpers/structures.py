"""Random atomic structures, as images on a periodic grid that their Fourier series is exact on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Structure:
    """Gaussian atoms at random places of a square cell.

    Attributes:
        density: (n, n) image.
        coefficients: (n, n) its Fourier transform.
        frequency: (n, n) [1/pixel].
        places: (atoms, 2) rows and columns [pixels].
    """

    density: NDArray[np.float64]
    coefficients: NDArray[np.complex128]
    frequency: NDArray[np.float64]
    places: NDArray[np.float64]

    def known(self, resolution: float) -> NDArray[np.bool_]:
        """(n, n), coefficients within a frequency [1/pixel], without F(0)."""
        return (self.frequency <= resolution) & (self.frequency > 0)


def random_structure(
    seed: int, *, atoms: int, side: int = 32, width_px: float = 0.8, apart_px: float = 3.0
) -> Structure:
    """A structure of `atoms` of slightly different weight, none nearer than `apart_px`."""
    rng = np.random.default_rng(seed)
    places: list[NDArray[np.float64]] = []
    while len(places) < atoms:
        place = rng.uniform(0, side, 2)
        apart = [(place - other + side / 2) % side - side / 2 for other in places]
        if all(np.hypot(*step) > apart_px for step in apart):
            places.append(place)
    k = np.fft.fftfreq(side)
    frequency = np.hypot(k[:, None], k[None, :])
    coefficients = np.zeros((side, side), dtype=np.complex128)
    for row, col in places:
        wave = np.exp(-2j * np.pi * (k[:, None] * row + k[None, :] * col))
        coefficients += rng.uniform(0.7, 1.0) * wave
    # Frequencies that the grid cannot tell from their mates would make the image complex.
    coefficients[side // 2, :] = coefficients[:, side // 2] = 0.0
    coefficients *= np.exp(-2 * (np.pi * width_px * frequency) ** 2)
    return Structure(np.fft.ifft2(coefficients).real, coefficients, frequency, np.array(places))
