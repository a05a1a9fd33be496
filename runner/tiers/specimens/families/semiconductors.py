"""Compound and elemental semiconductors: Si [110], Bi2Se3 with point defects, a GaN dislocation.

Lattice constants: Lide (ed.), CRC Handbook of Chemistry and Physics (Si, GaN); Nakajima, J. Phys.
Chem. Solids 24 (1963) 479 (Bi2Se3).
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
    stacked,
    terrace,
)
from runner.tiers.specimens.dislocation import DislocationPair
from runner.tiers.specimens.supercell import choose_fit, fill

SI_A = 5.431
_BI2SE3_A = 4.139
_BI2SE3_HEIGHTS_A = (0.0, 1.58, 3.51, 5.44, 7.02)
"""Se, Bi, Se, Bi, Se of one quintuple layer."""
_GAN_A, GAN_C, _GAN_U = 3.189, 5.185, 0.377
_GAN_POISSON = 0.2
"""In-plane Poisson ratio (Moram and Vickers, Rep. Prog. Phys. 72 (2009) 036502)."""


def silicon_110(box: Box, rng: np.random.Generator) -> Crystal:
    """Silicon dumbbells: two periods thick, with terraces of a third and of a fourth."""
    a, b = SI_A, SI_A / np.sqrt(2)
    # The projected lattice is centred: the centring vector also climbs by half a period along the
    # beam, which shifts a column but takes no atom from it.
    lattice = np.array([[a / 2, b / 2], [-a / 2, b / 2]])
    cell = Cell(lattice, atoms_of(("Si", 0.0, 0.0, 0.0), ("Si", a / 4, 0.0, b / 2)))
    fit = choose_fit(cell, box, rng)
    layers = [fill(cell, fit, box).moved((0.0, 0.0, i * b)) for i in range(4)]
    third, fourth = (layer.where(terrace(layer, box, rng)) for layer in layers[2:])
    return Crystal(
        stacked([*layers[:2], third, fourth]),
        "Si [110], two periods and terraces of a third and a fourth, "
        f"turned by {fit.rotation_deg:.1f} degrees",
        fit.strain_percent,
    )


def bismuth_selenide_defects(box: Box, rng: np.random.Generator) -> Crystal:
    """One quintuple layer of Bi2Se3 along [0001], with selenium vacancies and bismuth antisites."""
    rise = _BI2SE3_A / np.sqrt(3)
    stacking = (0.0, rise, 2 * rise, 0.0, rise)
    sites = zip(("Se", "Bi", "Se", "Bi", "Se"), stacking, _BI2SE3_HEIGHTS_A, strict=True)
    cell = hexagonal(_BI2SE3_A, atoms_of(*((symbol, 0.0, y, z) for symbol, y, z in sites)))
    fit = choose_fit(cell, box, rng)
    atoms = fill(cell, fit, box)
    selenium = atoms.indices_of("Se")
    vacancies, antisites = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    sites_apart = choose_apart(atoms.positions[selenium], vacancies + antisites, 5.0, box, rng)
    chosen = selenium[sites_apart]
    atoms = atoms.renamed(chosen[vacancies:], "Bi").without(chosen[:vacancies])
    return Crystal(
        atoms,
        f"Bi2Se3 quintuple layer [0001], {vacancies} selenium vacancies, {antisites} bismuth "
        f"antisites, turned by {fit.rotation_deg:.1f} degrees",
        fit.strain_percent,
    )


def gan_edge_dislocations(box: Box, rng: np.random.Generator) -> Crystal:
    """GaN along [0001], one or two cells thick, with two opposite edge dislocations.

    Threading dislocations of Burgers vector <11-20>/3, seen end on. The two lie on one glide plane,
    half a box apart, so that no atom has to be added or taken away; Burgers vectors in a periodic
    box must add up to zero.
    """
    rise = _GAN_A / np.sqrt(3)
    cells = int(rng.integers(1, 3))
    sites = [
        (symbol, 0.0, y, (layer + z) * GAN_C)
        for layer in range(cells)
        for symbol, y, z in (
            ("Ga", 0.0, 0.0),
            ("N", 0.0, _GAN_U),
            ("Ga", rise, 0.5),
            ("N", rise, 0.5 + _GAN_U),
        )
    ]
    cell = hexagonal(_GAN_A, atoms_of(*sites))
    fit = choose_fit(cell, box, rng)
    atoms = fill(cell, fit, box)
    burgers = fit.deformation @ cell.a[0]
    column = atoms.positions[int(rng.integers(len(atoms))) // len(sites) * len(sites), :2]
    # Between two rows that a bond joins at a right angle to the Burgers vector: the wide gap.
    first = column + fit.deformation @ np.array([0.25 * _GAN_A, rise / 2])
    steps = round(0.5 * float(box.size.min()) / float(np.linalg.norm(burgers)))
    pair = DislocationPair(first, burgers, steps, _GAN_POISSON)
    positions = atoms.positions.copy()
    positions[:, :2] += pair.displacement(atoms.positions[:, :2], box)
    return Crystal(
        Atoms(atoms.symbols, positions).wrapped(box),
        f"GaN [0001], {cells} cell(s) thick, two opposite edge dislocations "
        f"{steps * float(np.linalg.norm(burgers)):.1f} A apart, "
        f"turned by {fit.rotation_deg:.1f} degrees",
        fit.strain_percent,
    )
