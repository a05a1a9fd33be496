"""A material as a cell that repeats in the image plane: one period along the beam."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from runner.tiers.specimens.crystal import Atoms, Cell, atoms_of, hexagonal, rectangular
from runner.tiers.specimens.families.dichalcogenides import monolayer
from runner.tiers.specimens.families.honeycomb import honeycomb_layer
from runner.tiers.specimens.families.oxides import perovskite
from runner.training.materials import Material, Structure

QUINTUPLE_HEIGHTS_A = (0.0, 1.7, 3.7, 5.7, 7.4)
"""Heights of the five planes of a quintuple layer [A]; along the beam they show nowhere."""

CLOSEST_A = 1.1
"""No two columns of a random crystal are closer [A], about a carbon dimer's projected bond."""

PALETTE = ("C", "O", "Na", "Si", "S", "K", "Ti", "Fe", "Ge", "Sr", "Nb", "Ag", "Ba", "Ta", "Pb")
"""Elements of random crystals, light to heavy."""


def cell_of(material: Material) -> tuple[Cell, float]:
    """The cell, and its period along the beam [A]."""
    return _BUILDERS[material.structure](material)


def random_cell(rng: np.random.Generator) -> tuple[Cell, float]:
    """A crystal that nature does not have: any plane lattice, one to five columns."""
    a = float(rng.uniform(2.4, 6.5))
    b = a * float(rng.uniform(0.7, 1.5))
    angle = np.deg2rad(rng.choice([90.0, 120.0, rng.uniform(65.0, 115.0)]))
    lattice = np.array([[a, 0.0], [b * np.cos(angle), b * np.sin(angle)]])
    elements = rng.choice(PALETTE, size=int(rng.integers(1, 4)), replace=False)
    places: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
    for _ in range(int(rng.integers(1, 6))):
        place = rng.uniform(size=2) @ lattice
        if all(_apart(place - other, lattice) > CLOSEST_A for other in places):
            places.append(place)
    sites = [
        (str(rng.choice(elements)), float(x), float(y), float(rng.uniform(0.0, 3.0)))
        for x, y in places
    ]
    return Cell(lattice, atoms_of(*sites)), 3.0


def _apart(
    offset: np.ndarray[tuple[int], np.dtype[np.float64]],
    lattice: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> float:
    steps = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)])
    return float(np.linalg.norm(offset + steps @ lattice, axis=1).min())


def _trigonal(material: Material) -> tuple[Cell, float]:
    metal, outer = material.elements
    return monolayer(metal, outer, material.a, material.height), 6.5


def _octahedral(material: Material) -> tuple[Cell, float]:
    metal, outer = material.elements
    hollow = material.a / np.sqrt(3)
    basis = atoms_of(
        (metal, 0.0, 0.0, 0.0),
        (outer, 0.0, hollow, material.height),
        (outer, 0.0, 2 * hollow, -material.height),
    )
    return hexagonal(material.a, basis), 6.0


def _honeycomb(material: Material) -> tuple[Cell, float]:
    first, second = material.elements
    return honeycomb_layer(first, second, material.a), material.height


def _quintuple(material: Material) -> tuple[Cell, float]:
    metal, outer = material.elements
    rise = material.a / np.sqrt(3)
    planes = zip((0, 1, 2, 0, 1), QUINTUPLE_HEIGHTS_A, strict=True)
    sites = [
        (metal if plane in (1, 3) else outer, 0.0, shift * rise, z)
        for plane, (shift, z) in enumerate(planes)
    ]
    return hexagonal(material.a, atoms_of(*sites)), 9.5


def _perovskite(material: Material) -> tuple[Cell, float]:
    large, small, anion = material.elements
    return perovskite(large, small, anion, material.a), material.a


def _rock_salt(material: Material) -> tuple[Cell, float]:
    cation, anion = material.elements
    half = material.a / 2
    basis = atoms_of(
        (cation, 0.0, 0.0, 0.0),
        (anion, half, 0.0, 0.0),
        (anion, 0.0, 0.0, half),
        (cation, half, 0.0, half),
    )
    return Cell(np.array([[half, half], [-half, half]]), basis), material.a


def _zinc_blende_110(material: Material) -> tuple[Cell, float]:
    first, second = material.elements
    a, b = material.a, material.a / np.sqrt(2)
    basis = atoms_of((first, 0.0, 0.0, 0.0), (second, a / 4, 0.0, b / 2))
    return Cell(np.array([[a / 2, b / 2], [-a / 2, b / 2]]), basis), b


def _zinc_blende_001(material: Material) -> tuple[Cell, float]:
    first, second = material.elements
    half, quarter = material.a / 2, material.a / 4
    basis = atoms_of(
        (first, 0.0, 0.0, 0.0),
        (second, quarter, quarter, quarter),
        (first, half, 0.0, half),
        (second, half + quarter, quarter, half + quarter),
    )
    return Cell(np.array([[half, half], [-half, half]]), basis), material.a


def _fcc_001(material: Material) -> tuple[Cell, float]:
    d = material.a / np.sqrt(2)
    (metal,) = material.elements
    return rectangular(d, d, _two(metal, d / 2, d / 2, material.a / 2)), material.a


def _fcc_110(material: Material) -> tuple[Cell, float]:
    a, d = material.a, material.a / np.sqrt(2)
    (metal,) = material.elements
    return rectangular(a, d, _two(metal, a / 2, d / 2, d / 2)), d


def _fcc_111(material: Material) -> tuple[Cell, float]:
    d, rise = material.a / np.sqrt(2), material.a / np.sqrt(3)
    (metal,) = material.elements
    steps = [(metal, 0.0, layer * d / np.sqrt(3), layer * rise) for layer in range(2)]
    return hexagonal(d, atoms_of(*steps)), 2 * rise


def _bcc_001(material: Material) -> tuple[Cell, float]:
    a = material.a
    (metal,) = material.elements
    return rectangular(a, a, _two(metal, a / 2, a / 2, a / 2)), a


def _bcc_110(material: Material) -> tuple[Cell, float]:
    a, d = material.a, material.a * np.sqrt(2)
    (metal,) = material.elements
    centred = np.array([[a / 2, d / 2], [-a / 2, d / 2]])
    return Cell(centred, _two(metal, a / 2, 0.0, d / 2)), d


def _hcp(material: Material) -> tuple[Cell, float]:
    a = material.a
    (metal,) = material.elements
    return hexagonal(a, _two(metal, 0.0, a / np.sqrt(3), 0.8 * a)), 1.6 * a


def _two(metal: str, x: float, y: float, z: float) -> Atoms:
    return atoms_of((metal, 0.0, 0.0, 0.0), (metal, x, y, z))


_BUILDERS: Mapping[Structure, Callable[[Material], tuple[Cell, float]]] = {
    Structure.TRIGONAL_PRISMATIC: _trigonal,
    Structure.OCTAHEDRAL: _octahedral,
    Structure.HONEYCOMB: _honeycomb,
    Structure.QUINTUPLE: _quintuple,
    Structure.PEROVSKITE: _perovskite,
    Structure.ROCK_SALT: _rock_salt,
    Structure.ZINC_BLENDE_110: _zinc_blende_110,
    Structure.ZINC_BLENDE_001: _zinc_blende_001,
    Structure.FCC_001: _fcc_001,
    Structure.FCC_110: _fcc_110,
    Structure.FCC_111: _fcc_111,
    Structure.BCC_001: _bcc_001,
    Structure.BCC_110: _bcc_110,
    Structure.HCP: _hcp,
}
