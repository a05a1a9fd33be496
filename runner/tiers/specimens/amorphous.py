"""A film of amorphous carbon: random, but with the neighbours that carbon has.

Random positions are drawn at the film's density and then relaxed: each atom pulls its three nearest
neighbours to the bond length, and atoms that are not bonded are pushed out to the second-neighbour
distance. This gives the first two peaks of the measured pair distribution (1.4-1.5 and 2.5 A);
rings and sp3 fractions are not modelled, and a projection of some fifty atoms over one another does
not show them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.tiers.specimens.crystal import Array, Atoms, Box
from runner.tiers.specimens.extra import organizer_module

DENSITY_G_CM3 = 2.0
"""Density of evaporated amorphous carbon films (Robertson, Mater. Sci. Eng. R 37 (2002) 129)."""
_ATOMS_PER_A3 = DENSITY_G_CM3 / 12.011 * 0.602214
_BOND_A = 1.45
"""Mean bond of the mostly sp2 network; 1.42 in graphite, 1.54 in diamond."""
_SECOND_NEIGHBOUR_A = 2.45
"""Two bonds at about 115 degrees."""
_CLOSEST_A = 1.30
"""No two atoms are closer; crowded ones would be pressed together by their many bonds."""
_NEIGHBOURS = 3
_STEPS = 150
_RATE = 0.2
"""Share of a distance's error that one step removes."""


def amorphous_carbon(box: Box, thickness_A: float, rng: np.random.Generator) -> Atoms:
    """Carbon atoms of a film, 0 <= z <= thickness, periodic in the image plane."""
    count = round(_ATOMS_PER_A3 * box.width_A * box.height_A * thickness_A)
    extent = np.array([box.width_A, box.height_A, thickness_A])
    positions = rng.uniform(size=(count, 3)) * extent
    for _ in range(_STEPS):
        positions = positions + _RATE * _towards_neighbours(positions, box)
        positions[:, 2] = np.clip(positions[:, 2], 0.0, thickness_A)
    for _ in range(_STEPS):
        apart = _apart(positions, box)
        if not apart.any():
            break
        positions = positions + apart
        positions[:, 2] = np.clip(positions[:, 2], 0.0, thickness_A)
    return Atoms(np.full(count, "C"), positions).wrapped(box)


def _towards_neighbours(positions: Array, box: Box) -> Array:
    """Displacement (N, 3) of every atom that would mend its distances [A]."""
    tree = _tree(positions, box)
    _, nearest = tree.query(tree.data, k=_NEIGHBOURS + 1)
    count = len(positions)
    bonds = np.column_stack([np.repeat(np.arange(count), _NEIGHBOURS), nearest[:, 1:].ravel()])
    bonds = np.unique(np.sort(bonds, axis=1), axis=0)
    close = _pairs(tree, _SECOND_NEIGHBOUR_A)
    # Pairs as single numbers, to take the bonds out of them.
    close = np.setdiff1d(close @ [count, 1], bonds @ [count, 1])
    pairs = np.concatenate([bonds, np.column_stack(np.divmod(close, count))])
    wanted = np.repeat([_BOND_A, _SECOND_NEIGHBOUR_A], [len(bonds), len(close)])
    return _mend(positions, pairs, wanted, box)


def _apart(positions: Array, box: Box) -> Array:
    """Displacement (N, 3) that parts atoms closer than `_CLOSEST_A`; zero where none are."""
    pairs = _pairs(_tree(positions, box), _CLOSEST_A)
    return _mend(positions, pairs, np.full(len(pairs), 1.02 * _CLOSEST_A), box)


def _tree(positions: Array, box: Box) -> Any:
    """A search tree over the atoms that wraps x and y; a period of 0 leaves z alone."""
    inside = Atoms(np.full(len(positions), "C"), positions).wrapped(box).positions
    return organizer_module("scipy.spatial").cKDTree(inside, boxsize=[*box.size, 0.0])


def _pairs(tree: Any, distance_A: float) -> NDArray[np.int64]:
    """All pairs (M, 2) of atoms up to a distance, in a fixed order."""
    found = np.sort(tree.query_pairs(distance_A, output_type="ndarray"), axis=1)
    return np.asarray(found[np.lexsort((found[:, 1], found[:, 0]))])


def _mend(positions: Array, pairs: NDArray[np.int64], wanted: Array, box: Box) -> Array:
    """Displacement (N, 3) that brings each pair to the wanted distance, half by each atom."""
    first, second = pairs.T
    offsets = box.nearest(positions[first] - positions[second])
    distance = np.linalg.norm(offsets, axis=1)
    half = ((wanted - distance) / distance / 2)[:, None] * offsets
    out = np.zeros_like(positions)
    np.add.at(out, first, half)
    np.add.at(out, second, -half)
    return out
