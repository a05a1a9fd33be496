"""Normalised structure factors: what the magnitudes would be of point atoms at rest.

|E|^2 = |F|^2 / <|F|^2>, the average taken at the same resolution (Wilson, Nature 150, 152 (1942);
Karle & Hauptman, Acta Cryst. 9, 635 (1956)). For N atoms of form factor f the average is N f^2 k
exp(-2 B q^2), so that a straight line through log(<F^2>/f^2) over q^2 gives scale and displacement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

RING_SIZE = 40
"""Coefficients in a ring whose average is one point of the Wilson plot."""

FEWEST_RINGS = 3
"""A line through fewer points would say nothing; the average alone is taken then."""


@dataclass(frozen=True)
class NormalisedFactors:
    """Normalised structure factors.

    Attributes:
        E: (h, w), mean square 1 over the known ones, 0 elsewhere.
        fall_off: (h, w), what the magnitudes were divided by.
        displacement: B of exp(-B q^2), the fall of the magnitudes beyond the form factor's, in
            square units of 1/frequency. Negative where they fall slower.
    """

    E: Float64
    fall_off: Float64
    displacement: float


def normalised_structure_factors(
    magnitudes: Float64,
    known: NDArray[np.bool_],
    frequency: Float64,
    form_factor: Float64 | None = None,
) -> NormalisedFactors:
    """E values of magnitudes (h, w).

    Args:
        magnitudes: |F|, (h, w), of any scale.
        known: which of them are known, (h, w). F(0) is left out.
        frequency: |q| of each, (h, w), in any unit.
        form_factor: the atoms' f(q), (h, w), of any scale; None: 1.

    Raises:
        ValueError: no known magnitude is above 0.
    """
    shape = np.ones_like(magnitudes) if form_factor is None else form_factor
    used = known & (frequency > 0) & (shape > 0)
    if not (magnitudes[used] > 0).any():
        raise ValueError("no known magnitude is above 0: there is nothing to normalise")
    squares = (magnitudes[used] / shape[used]) ** 2
    displacement = _wilson_slope(frequency[used] ** 2, squares) / 2
    fall_off = shape * np.exp(-displacement * frequency**2)
    ratio = np.where(used, magnitudes / np.where(used, fall_off, 1.0), 0.0)
    scale = float(np.sqrt((ratio[used] ** 2).mean()))
    return NormalisedFactors(ratio / scale, fall_off * scale, float(displacement))


def _wilson_slope(q2: Float64, squares: Float64) -> float:
    """s of <F^2> = k exp(-s q^2), from the averages of rings of about equally many."""
    rings = len(q2) // RING_SIZE
    if rings < FEWEST_RINGS:
        return 0.0
    order = np.argsort(q2, kind="stable")
    parts = [part for part in np.array_split(order, rings) if squares[part].sum() > 0]
    if len(parts) < FEWEST_RINGS:
        return 0.0
    centre = np.array([q2[part].mean() for part in parts])
    average = np.array([squares[part].mean() for part in parts])
    return -float(np.polyfit(centre, np.log(average), 1)[0])
