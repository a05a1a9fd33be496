"""Single layers MX2 of the 1H phase: vacancies, and lines of them.

Lattice constants: Schutte, de Boer and Jellinek, J. Solid State Chem. 70 (1987) 207 (2H-WSe2);
Bronsema, de Boer and Jellinek, Z. Anorg. Allg. Chem. 540 (1986) 15 (2H-MoS2).
"""

from __future__ import annotations

import numpy as np

from runner.tiers.specimens.crystal import (
    Atoms,
    Box,
    Cell,
    Crystal,
    atoms_of,
    choose_apart,
    hexagonal,
    hexagonal_flake,
)
from runner.tiers.specimens.supercell import choose_fit, fill

_MOS2 = (3.160, 1.56)
_WSE2 = (3.282, 1.67)
"""Lattice constant, and height of the chalcogen above the metal [A]."""
_SAME_COLUMN_A = 0.5
"""Atoms no further apart than this, seen along the beam, are in one column."""


def monolayer(metal: str, chalcogen: str, a: float, height: float) -> Cell:
    """A layer MX2 of the 1H phase: lattice constant a, chalcogens `height` above and below [A]."""
    hollow = a / np.sqrt(3)
    basis = atoms_of(
        (metal, 0.0, 0.0, 0.0), (chalcogen, 0.0, hollow, height), (chalcogen, 0.0, hollow, -height)
    )
    return hexagonal(a, basis)


def _upper(atoms: Atoms, symbol: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Indices of an element's atoms above the metal plane: one for each column."""
    return np.flatnonzero((atoms.symbols == symbol) & (atoms.positions[:, 2] > 0.0))


def _column(atoms: Atoms, box: Box, x: float, y: float) -> list[int]:
    """Indices of the atoms in the column at (x, y), from the top down; none where there is none."""
    offsets = box.nearest(atoms.positions[:, :2] - np.array([x, y]))
    column = np.flatnonzero(np.linalg.norm(offsets, axis=1) < _SAME_COLUMN_A)
    return [int(i) for i in column[np.argsort(-atoms.positions[column, 2])]]


def mos2_vacancies(box: Box, rng: np.random.Generator) -> Crystal:
    """A MoS2 layer with three to six sulphur vacancies, some of one atom and some of both."""
    cell = monolayer("Mo", "S", *_MOS2)
    fit = choose_fit(cell, box, rng)
    atoms = fill(cell, fit, box)
    upper = _upper(atoms, "S")
    count = int(rng.integers(3, 7))
    sites = upper[choose_apart(atoms.positions[upper], count, 5.0, box, rng)]
    doubles = int(rng.integers(1, count))
    gone: list[int] = []
    for number, site in enumerate(sites):
        column = _column(atoms, box, *atoms.positions[site, :2])
        gone += column if number < doubles else column[:1]
    return Crystal(
        atoms.without(np.array(gone, dtype=np.int64)),
        f"MoS2 layer, {count - doubles} single and {doubles} double sulphur vacancies, "
        f"turned by {fit.rotation_deg:.1f} degrees",
        fit.strain_percent,
    )


def wse2_line_defects(box: Box, rng: np.random.Generator) -> Crystal:
    """A hexagonal WSe2 flake with one or two rows of selenium vacancies along zigzag directions.

    The flake stands alone in the box, so that its rotation is free and it is not strained.
    """
    cell = monolayer("W", "Se", *_WSE2)
    inner_radius = min(float(rng.uniform(9.0, 10.0)), 0.39 * float(box.size.min()))
    rotation = float(rng.uniform(0.0, 360.0))
    middle = box.size / 2
    atoms = (
        hexagonal_flake(cell, inner_radius)
        .turned(rotation)
        .moved((float(middle[0]), float(middle[1]), 0.0))
    )
    upper = _upper(atoms, "Se")
    near = upper[np.linalg.norm(atoms.positions[upper, :2] - middle, axis=1) < 0.6 * inner_radius]
    rows = int(rng.integers(1, 3))
    starts = near[choose_apart(atoms.positions[near], rows, 5.0, box, rng)]
    gone: set[int] = set()
    for start in starts:
        turn = np.deg2rad(rotation + 60.0 * int(rng.integers(3)))
        step = _WSE2[0] * np.array([np.cos(turn), np.sin(turn)])
        length = int(rng.integers(4, 7))
        both = bool(rng.integers(2))
        for i in range(-(length // 2), length - length // 2):
            column = _column(atoms, box, *(atoms.positions[start, :2] + i * step))
            gone.update(column if both else column[:1])
    return Crystal(
        atoms.without(np.array(sorted(gone), dtype=np.int64)),
        f"WSe2 flake, {rows} row(s) of selenium vacancies, {len(gone)} in all, "
        f"turned by {rotation:.1f} degrees",
        0.0,
    )
