"""Endless specimens to train on: a crystal, how it lies in the box, its defects, its support.

How it lies: a film that fills the box, strained to fit, with terraces; a flake; or grains, each
turned as it likes. A film may carry a second crystal: a flake of another material, or a film of its
own, twisted. Defects: vacancies, foreign atoms, adatoms, static displacements.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from physics.optics import interaction_rad_per_VA
from runner.tiers.specimens.amorphous import amorphous_carbon
from runner.tiers.specimens.crystal import (
    Array,
    Atoms,
    Box,
    Cell,
    Crystal,
    Mask,
    distances,
    lattice_points,
    stacked,
    terrace,
)
from runner.tiers.specimens.extra import organizer_module
from runner.tiers.specimens.model import Specimen
from runner.tiers.specimens.potential import image, specimen
from runner.tiers.specimens.supercell import fill, fits
from runner.training.crystals import PALETTE, cell_of, random_cell
from runner.training.materials import Material

PHASES_RAD = (0.12, 2.2)
"""Least and largest phase of a specimen that is kept [rad]."""

ATTEMPTS = 40
"""Crystals drawn before a scene is given up; about one in two has a phase within `PHASES_RAD`."""

FILMS = ((("Si", "N"), 0.95), (("Si", "O"), 1.0), (("Ge",), 1.25), (("Al", "O"), 1.0))
"""Amorphous supports: their elements, and how much wider than carbon's their neighbours are."""

TOO_CLOSE_A = 1.0
"""Atoms of two grains that meet closer than this are one."""


@dataclass(frozen=True)
class Source:
    """What crystals are drawn from.

    Attributes:
        materials: named ones.
        random_share: probability of a random crystal instead of a named one.
        light: named ones that are drawn apart.
        light_share: probability of one of these.
    """

    materials: tuple[Material, ...]
    random_share: float = 0.0
    light: tuple[Material, ...] = ()
    light_share: float = 0.0

    def draw(self, rng: np.random.Generator) -> tuple[Cell, float, str]:
        """(cell, period along the beam [A], name)."""
        drawn = rng.uniform()
        if drawn < self.random_share:
            return *random_cell(rng), "random crystal"
        materials = self.light if drawn < self.random_share + self.light_share else self.materials
        material = materials[int(rng.integers(len(materials)))]
        return *cell_of(material), material.name


def draw_training_specimen(
    source: Source,
    rng: np.random.Generator,
    *,
    shape: tuple[int, int],
    sampling_A: float,
    energy_eV: float,
) -> Specimen:
    """A specimen, drawn with the generator: the same state gives the same bytes.

    Raises:
        RuntimeError: no crystal of the source makes a phase within `PHASES_RAD`.
    """
    box = Box(shape[0] * sampling_A, shape[1] * sampling_A)
    for _ in range(ATTEMPTS):
        crystal = _crystal(source, box, rng)
        if len(crystal.atoms) == 0:
            continue
        levels, range_VA = image(crystal, box, shape)
        phase = interaction_rad_per_VA(energy_eV) * range_VA
        if PHASES_RAD[0] <= phase <= PHASES_RAD[1]:
            return specimen(
                levels,
                range_VA,
                name=crystal.description,
                family="training",
                sampling_A=sampling_A,
                energy_eV=energy_eV,
                description=crystal.description,
                strain_percent=crystal.strain_percent,
            )
    raise RuntimeError(f"no specimen within {PHASES_RAD} rad in {ATTEMPTS} attempts")


def _crystal(source: Source, box: Box, rng: np.random.Generator) -> Crystal:
    cell, period_A, name = source.draw(rng)
    arrangement = str(rng.choice(["film", "flake", "grains"], p=[0.6, 0.15, 0.25]))
    parts: list[Atoms] = []
    strain = 0.0
    found = fits(cell, box) if arrangement == "film" else []
    if found:
        fit = found[int(rng.integers(len(found)))]
        strain = fit.strain_percent
        parts.append(_film(fill(cell, fit, box), period_A, box, rng))
        if rng.uniform() < 0.35:
            if rng.uniform() < 0.4:
                above, _, other = source.draw(rng)
                layer = _flake(above, box, rng)
                name = f"{name} and {other}"
            else:
                layer = _grains(cell, box, rng, count=1)
                name = f"{name} and the same, twisted"
            parts.append(layer.moved((0.0, 0.0, 3 * period_A)))
    elif arrangement == "grains":
        parts.append(_grains(cell, box, rng, count=int(rng.integers(2, 5))))
    else:
        arrangement = "flake"
        parts.append(_flake(cell, box, rng))
        if rng.uniform() < 0.3:
            parts.append(_flake(cell, box, rng).moved((0.0, 0.0, period_A)))
    atoms = _with_defects(stacked(parts), box, rng)
    if rng.uniform() < (0.5 if arrangement == "flake" else 0.1):
        atoms = atoms + _support(box, rng)
    return Crystal(atoms.wrapped(box), f"{name}, {arrangement}", strain)


def _film(layer: Atoms, period_A: float, box: Box, rng: np.random.Generator) -> Atoms:
    """One to three periods of a crystal, and terraces of up to two more."""
    whole = int(rng.choice([1, 1, 1, 2, 3]))
    layers = [layer.moved((0.0, 0.0, i * period_A)) for i in range(whole)]
    for i in range(int(rng.choice([0, 0, 1, 2]))):
        above = layer.moved((0.0, 0.0, (whole + i) * period_A))
        layers.append(above.where(terrace(above, box, rng)))
    return stacked(layers)


def _patch(cell: Cell, radius_A: float, rng: np.random.Generator) -> Atoms:
    """A crystal about the origin, at least to `radius_A`, turned at random."""
    points = lattice_points(cell, radius_A + float(np.linalg.norm(cell.a, axis=1).max()))
    positions = np.tile(cell.basis.positions, (len(points), 1))
    positions[:, :2] += np.repeat(points, len(cell.basis), axis=0)
    positions[:, :2] -= rng.uniform(size=2) @ cell.a
    atoms = Atoms(np.tile(cell.basis.symbols, len(points)), positions)
    return atoms.turned(float(rng.uniform(0.0, 360.0)))


def _flake(cell: Cell, box: Box, rng: np.random.Generator) -> Atoms:
    """A disc or a polygon of a crystal, somewhere in the box."""
    largest = 0.46 * float(box.size.min())
    radius = float(rng.uniform(0.35, 1.0)) * largest
    atoms = _patch(cell, radius, rng)
    sides = int(rng.choice([0, 3, 4, 5, 6]))
    turns = float(rng.uniform(0.0, 2 * np.pi)) + 2 * np.pi * np.arange(sides) / max(sides, 1)
    inside: Mask = np.linalg.norm(atoms.positions[:, :2], axis=1) <= radius
    if sides:
        normals = np.stack([np.cos(turns), np.sin(turns)])
        inside &= (atoms.positions[:, :2] @ normals).max(axis=1) <= 0.8 * radius
    place = rng.uniform(size=2) * box.size
    return atoms.where(inside).moved((float(place[0]), float(place[1]), 0.0))


def _grains(cell: Cell, box: Box, rng: np.random.Generator, *, count: int) -> Atoms:
    """Grains that fill the box: the cells of Voronoi about random seeds; one meets itself."""
    seeds = rng.uniform(size=(count, 2)) * box.size
    parts = []
    for number, seed in enumerate(seeds):
        patch = _patch(cell, 0.75 * float(box.size.max()), rng)
        reach = np.abs(patch.positions[:, :2]) < box.size / 2
        grain = patch.where(reach[:, 0] & reach[:, 1]).moved((float(seed[0]), float(seed[1]), 0.0))
        offsets = box.nearest(grain.positions[:, None, :2] - seeds[None])
        nearest = np.linalg.norm(offsets, axis=2).argmin(axis=1)
        own: Mask = np.equal(nearest, number)
        parts.append(grain.where(own))
    return _merged(stacked(parts).wrapped(box), box)


def _merged(atoms: Atoms, box: Box) -> Atoms:
    """Without the second of two atoms that are too close."""
    first, second = np.nonzero(distances(atoms, box) < TOO_CLOSE_A)
    return atoms.without(np.unique(second[second > first]))


def _with_defects(atoms: Atoms, box: Box, rng: np.random.Generator) -> Atoms:
    """Some of vacancies, foreign atoms, adatoms and displacements."""
    count = len(atoms)
    if count == 0:
        return atoms
    if rng.uniform() < 0.6:
        atoms = atoms.without(rng.permutation(count)[: int(rng.integers(1, 2 + count // 40))])
    if rng.uniform() < 0.3 and len(atoms):
        foreign = rng.permutation(len(atoms))[: int(rng.integers(1, 2 + len(atoms) // 40))]
        atoms = atoms.renamed(foreign, _stranger(atoms, rng))
    if rng.uniform() < 0.25 and len(atoms):
        places = rng.uniform(size=(int(rng.integers(1, 9)), 2)) * box.size
        heights = np.full(len(places), 5.0)
        symbols = np.full(len(places), _stranger(atoms, rng))
        atoms = atoms + Atoms(symbols, np.column_stack([places, heights]))
    if rng.uniform() < 0.4:
        spread = float(rng.uniform(0.02, 0.15))
        atoms = replace(atoms, positions=atoms.positions + _in_plane(rng, len(atoms), spread))
    return atoms


def _stranger(atoms: Atoms, rng: np.random.Generator) -> str:
    """An element; half of the time none that is heavier than those there.

    One heavy atom among light ones takes the whole range of x, and leaves a faint crystal.
    """
    atomic_numbers = organizer_module("ase.data").atomic_numbers
    heaviest = max(atomic_numbers[symbol] for symbol in set(atoms.symbols.tolist()))
    lighter = [symbol for symbol in PALETTE if atomic_numbers[symbol] <= heaviest]
    return str(rng.choice(lighter if lighter and rng.uniform() < 0.5 else PALETTE))


def _in_plane(rng: np.random.Generator, count: int, spread_A: float) -> Array:
    moves = np.zeros((count, 3))
    moves[:, :2] = rng.normal(0.0, spread_A, (count, 2))
    return moves


def _support(box: Box, rng: np.random.Generator) -> Atoms:
    """An amorphous film: carbon's neighbours at another element's distance."""
    elements, wider = FILMS[int(rng.integers(len(FILMS)))]
    smaller = Box(box.height_A / wider, box.width_A / wider)
    film = amorphous_carbon(smaller, float(rng.uniform(3.0, 8.0)), rng)
    symbols = rng.choice(elements, size=len(film))
    return Atoms(symbols, film.positions * np.array([wider, wider, 1.0]))
