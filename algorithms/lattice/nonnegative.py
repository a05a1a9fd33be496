"""Least squares under the condition that nothing is negative.

Block principal pivoting: Portugal, Judice & Vicente, Math. Comput. 63, 625 (1994); Kim & Park, SIAM
J. Sci. Comput. 33, 3261 (2011). Variables are free or held at 0; all that are on the wrong side
change it at once, and when that does not help, one at a time, which always ends.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

PATIENCE = 3
"""Exchanges of whole blocks that may fail to leave fewer variables on the wrong side."""

ROUNDING = 1e-12
"""Negative values and slopes below this, relative to the largest, are zeros."""

MOST_EXCHANGES = 100_000


def nonnegative_least_squares(normal: Float64, right: Float64) -> Float64:
    """x >= 0 that minimises x.N x / 2 - x.r, (J,).

    Args:
        normal: N = A^T W A, (J, J), positive definite.
        right: r = A^T W y, (J,).

    Raises:
        ValueError: N is not positive definite to rounding, so that the exchanges did not end.
    """
    scale = 1 / np.sqrt(np.diag(normal))  # so that one tolerance serves all variables
    scaled, target = normal * scale[:, None] * scale[None, :], right * scale
    tolerance = ROUNDING * float(np.abs(target).max(initial=0.0))
    free = np.ones(len(target), dtype=bool)
    fewest, patience = len(target) + 1, PATIENCE
    for _ in range(MOST_EXCHANGES):
        x = _solve(scaled, target, free)
        wrong = np.where(free, x < -tolerance, target - scaled @ x > tolerance)
        count = int(wrong.sum())
        if count == 0:
            return np.asarray(np.maximum(x, 0.0) * scale)
        if count < fewest:
            fewest, patience = count, PATIENCE
        elif patience > 0:
            patience -= 1
        else:
            wrong[: np.flatnonzero(wrong)[-1]] = False
        free ^= wrong
    raise ValueError(f"no solution in {MOST_EXCHANGES} exchanges: the normal matrix is singular")


def _solve(normal: Float64, right: Float64, free: NDArray[np.bool_]) -> Float64:
    x = np.zeros_like(right)
    x[free] = np.linalg.solve(normal[np.ix_(free, free)], right[free])
    return x
