"""A specimen of no material: where a crystal is too much, or does not fit the box."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def round_atoms(
    shape: tuple[int, int], *, count: int, width_px: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """x (H, W): Gaussian atoms at random places of a supercell, background 0, the highest 1.

    Args:
        shape: (H, W) [pixels].
        count: atoms.
        width_px: standard deviation of one [pixels].
        rng: where they lie.
    """
    image = np.zeros(shape)
    rows, cols = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    for row, col in rng.uniform(0, 1, (count, 2)) * shape:
        d_row = (rows - row + shape[0] / 2) % shape[0] - shape[0] / 2
        d_col = (cols - col + shape[1] / 2) % shape[1] - shape[1] / 2
        image += np.exp(-(d_row**2 + d_col**2) / (2 * width_px**2))
    scaled: NDArray[np.float32] = (image / image.max()).astype(np.float32)
    return scaled
