"""Fitting a crystal into a box that repeats: which lattice vectors nearly match its sides.

A crystal is periodic in the box if two of its lattice vectors are the box's sides. So the search
goes over pairs of integer vectors that are nearly as long as the sides and nearly at a right angle;
each pair is a rotation of the crystal and a small strain. Rotation is therefore discrete.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.tiers.specimens.crystal import Array, Atoms, Box, Cell
from schemas.findings import refuse

MAX_STRAIN_PERCENT = 3.0
"""Largest principal strain that is accepted [%]: lattice spacings stay well apart from those of
other materials and of other rotations, while a box of some 25 A still leaves several choices."""


@dataclass(frozen=True, eq=False)
class Fit:
    """One way to put a crystal into a box.

    Attributes:
        repeats: (2, 2) integers; its rows, in lattice vectors, become the box's sides x and y.
        deformation: (2, 2) matrix that takes crystal to box coordinates, rotation and strain.
        rotation_deg: rotation alone, from the crystal's own axes, 0 to 360 [degrees].
        strain_percent: largest principal strain, in absolute value [%].
    """

    repeats: NDArray[np.int64]
    deformation: Array
    rotation_deg: float
    strain_percent: float


def _near_length(cell: Cell, length_A: float) -> NDArray[np.int64]:
    """Integer vectors (M, 2) whose length is within the allowed strain of `length_A`."""
    tolerance = MAX_STRAIN_PERCENT / 100 * length_A
    shortest = 1.0 / float(np.linalg.norm(np.linalg.inv(cell.a), axis=0).max())
    reach = int(np.ceil((length_A + tolerance) / shortest))
    span = np.arange(-reach, reach + 1)
    vectors = np.stack(np.meshgrid(span, span, indexing="ij"), axis=-1).reshape(-1, 2)
    lengths = np.linalg.norm(vectors @ cell.a, axis=1)
    return np.asarray(vectors[np.abs(lengths - length_A) <= 1.1 * tolerance])


def fits(cell: Cell, box: Box) -> list[Fit]:
    """Every way to put the crystal into the box within `MAX_STRAIN_PERCENT`, least strained first.

    Rotations that the crystal's own symmetry makes equal are listed each by itself.
    """
    found: list[Fit] = []
    along_y = _near_length(cell, box.height_A)
    for row in _near_length(cell, box.width_A):
        for other in along_y:
            repeats = np.stack([row, other])
            if int(np.rint(np.linalg.det(repeats))) == 0:
                continue
            deformation = np.diag(box.size) @ np.linalg.inv((repeats @ cell.a).T)
            if np.linalg.det(deformation) <= 0.0:
                continue
            left, stretches, right = np.linalg.svd(deformation)
            strain = round(100 * float(np.abs(stretches - 1).max()), 9)
            if strain <= MAX_STRAIN_PERCENT:
                turn = left @ right
                angle = float(np.rad2deg(np.arctan2(turn[1, 0], turn[0, 0])))
                rotation = round(angle, 6) % 360.0
                found.append(Fit(repeats, deformation, rotation, strain))
    found.sort(key=lambda fit: (fit.strain_percent, fit.rotation_deg))
    return found


def choose_fit(cell: Cell, box: Box, rng: np.random.Generator) -> Fit:
    """One of the crystal's fits, at random.

    Raises:
        ContractError: no orientation fits the box.
    """
    found = fits(cell, box)
    if not found:
        vectors = ", ".join(f"({x:.3f}, {y:.3f})" for x, y in cell.a)
        raise refuse(
            "USAGE",
            "specimen box",
            expected=f"a crystal that is periodic in {box.width_A:g} x {box.height_A:g} A "
            f"within {MAX_STRAIN_PERCENT:g} % strain",
            found=f"lattice vectors {vectors} A, which fit in no orientation",
            hint=f"change the object shape or the sampling{_suggestion(cell, box)}, or give the "
            "structure without a periodic cell, so that it stands alone in the box",
        )
    return found[int(rng.integers(len(found)))]


def _suggestion(cell: Cell, box: Box) -> str:
    """The box nearest in size, of the same form, that the crystal fits; or nothing."""
    for percent in range(1, 31):
        for scale in (1 + percent / 100, 1 - percent / 100):
            other = Box(box.height_A * scale, box.width_A * scale)
            if fits(cell, other):
                return f" (a box of {other.width_A:.1f} x {other.height_A:.1f} A would do)"
    return ""


def fill(cell: Cell, fit: Fit, box: Box) -> Atoms:
    """The atoms of the strained crystal that fills the box once, wrapped into it."""
    count = abs(int(np.rint(np.linalg.det(fit.repeats))))
    reach = int(np.abs(fit.repeats).sum(axis=0).max()) + 1
    span = np.arange(-reach, reach + 1)
    cells = np.stack(np.meshgrid(span, span, indexing="ij"), axis=-1).reshape(-1, 2)
    fractions = cells @ np.linalg.inv(fit.repeats)
    edge = 1e-6
    cells = cells[np.all((fractions > -edge) & (fractions < 1 - edge), axis=1)]
    if len(cells) != count:
        raise AssertionError(f"{len(cells)} cells in the box, {count} expected")
    positions = np.tile(cell.basis.positions, (count, 1))
    positions[:, :2] += np.repeat(cells @ cell.a, len(cell.basis), axis=0)
    positions[:, :2] = positions[:, :2] @ fit.deformation.T
    return Atoms(np.tile(cell.basis.symbols, count), positions).wrapped(box)
