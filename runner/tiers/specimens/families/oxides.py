"""Thin oxide films seen along [001], with terraces of another thickness.

Lattice constants: Abramov et al., Acta Cryst. B51 (1995) 942 (SrTiO3); Lide (ed.), CRC Handbook of
Chemistry and Physics (MgO).
"""

from __future__ import annotations

import numpy as np

from runner.tiers.specimens.crystal import (
    Box,
    Cell,
    Crystal,
    atoms_of,
    choose_apart,
    rectangular,
    stacked,
    terrace,
)
from runner.tiers.specimens.supercell import choose_fit, fill

SRTIO3_A = 3.905
MGO_A = 4.212


def perovskite(large: str, small: str, anion: str, a: float) -> Cell:
    """A cubic perovskite seen along [001], lattice constant a [A]."""
    basis = atoms_of(
        (large, 0.0, 0.0, 0.0),
        (small, a / 2, a / 2, a / 2),
        (anion, a / 2, a / 2, 0.0),
        (anion, a / 2, 0.0, a / 2),
        (anion, 0.0, a / 2, a / 2),
    )
    return rectangular(a, a, basis)


def srtio3_001(box: Box, rng: np.random.Generator) -> Crystal:
    """SrTiO3 one cell thick, two on a terrace, with two to four strontium vacancies."""
    a = SRTIO3_A
    cell = perovskite("Sr", "Ti", "O", a)
    fit = choose_fit(cell, box, rng)
    base = fill(cell, fit, box)
    upper = base.where(terrace(base, box, rng)).moved((0.0, 0.0, a))
    strontium = base.indices_of("Sr")
    vacancies = int(rng.integers(2, 5))
    gone = strontium[choose_apart(base.positions[strontium], vacancies, a, box, rng)]
    return Crystal(
        base.without(gone) + upper,
        f"SrTiO3 [001], one cell and a terrace of two, {vacancies} strontium vacancies, "
        f"turned by {fit.rotation_deg:.1f} degrees",
        fit.strain_percent,
    )


def mgo_terraces(box: Box, rng: np.random.Generator) -> Crystal:
    """MgO, two atomic layers thick, with terraces of a third and of a fourth layer."""
    half = MGO_A / 2
    lattice = np.array([[half, half], [-half, half]])
    even = Cell(lattice, atoms_of(("Mg", 0.0, 0.0, 0.0), ("O", half, 0.0, 0.0)))
    odd = Cell(lattice, atoms_of(("O", 0.0, 0.0, 0.0), ("Mg", half, 0.0, 0.0)))
    fit = choose_fit(even, box, rng)
    layers = [fill((even, odd)[i % 2], fit, box).moved((0.0, 0.0, i * half)) for i in range(4)]
    third, fourth = (layer.where(terrace(layer, box, rng)) for layer in layers[2:])
    return Crystal(
        stacked([*layers[:2], third, fourth]),
        "MgO [001], two layers and terraces of a third and a fourth, "
        f"turned by {fit.rotation_deg:.1f} degrees",
        fit.strain_percent,
    )
