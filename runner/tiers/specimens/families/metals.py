"""Metals: rafts of a few atomic layers on a support, and a tilt grain boundary.

Lattice constants: Lide (ed.), CRC Handbook of Chemistry and Physics (Au, Pt, Al, CeO2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runner.tiers.specimens.amorphous import amorphous_carbon
from runner.tiers.specimens.crystal import (
    Atoms,
    Box,
    Cell,
    Crystal,
    atoms_of,
    distances,
    hexagonal,
    lattice_points,
    rectangular,
    stacked,
)
from runner.tiers.specimens.extra import organizer_module
from runner.tiers.specimens.supercell import choose_fit, fill, fits
from schemas.findings import refuse

_AU_A = 4.078
_PT_A = 3.924
AL_A = 4.050
CEO2_A = 5.411
_SUPPORT_GAP_A = 2.3
"""Height of a raft's lowest layer above its support."""
_CLOSEST_AL_A = 2.0
"""Atoms that meet closer than this at a grain boundary are one (neighbours are 2.86 A apart)."""
_RELAXED_EV_A, _RELAX_STEPS = 0.05, 200
"""Largest force left, and most steps taken, when a boundary is relaxed."""
_MARGIN_A = 3.0
"""Least support left free on every side of a raft, so that it stands alone in the periodic box."""


def _fcc_layer(a: float, facet: str) -> tuple[Cell, tuple[float, float], float]:
    """One atomic layer of an fcc metal (without symbols), the shift to the next, and its height."""
    d = a / np.sqrt(2)
    origin = atoms_of(("X", 0.0, 0.0, 0.0))
    if facet == "001":
        return rectangular(d, d, origin), (d / 2, d / 2), a / 2
    if facet == "110":
        return rectangular(a, d, origin), (a / 2, d / 2), d / 2
    if facet == "111":
        return hexagonal(d, origin), (0.0, d / np.sqrt(3)), a / np.sqrt(3)
    raise ValueError(f"no facet {facet}")


@dataclass(frozen=True)
class Raft:
    """A disc of fcc metal, each layer smaller than the one below.

    Attributes:
        symbol: the element.
        a: cubic lattice constant [A].
        facet: the plane it lies on: "001", "110" or "111".
        layers: atomic layers.
        radius_A: radius of the lowest layer [A].
    """

    symbol: str
    a: float
    facet: str
    layers: int
    radius_A: float

    def atoms(self, box: Box, rng: np.random.Generator) -> Atoms:
        """Its atoms at a random place of the box, turned at random; the lowest layer at z = 0."""
        cell, shift, rise = _fcc_layer(self.a, self.facet)
        lattice = lattice_points(cell, self.radius_A + 3 * self.a)
        centre = rng.uniform(-0.5, 0.5, size=2) @ cell.a
        parts: list[Atoms] = []
        for layer in range(self.layers):
            # Planes (111) stack ABC, the others AB.
            points = lattice + np.array(shift) * (layer if self.facet == "111" else layer % 2)
            inside = np.linalg.norm(points - centre, axis=1) < self.radius_A - layer * rise / 2
            heights = np.full(int(inside.sum()), layer * rise)
            positions = np.column_stack([points[inside] - centre, heights])
            parts.append(Atoms(np.full(len(heights), self.symbol), positions))
        place = rng.uniform(size=2) * box.size
        turned = stacked(parts).turned(float(rng.uniform(0.0, 360.0)))
        return turned.moved((float(place[0]), float(place[1]), 0.0)).wrapped(box)


def _raft_radius(box: Box, rng: np.random.Generator) -> float:
    """A random radius that leaves the raft alone in the box [A]."""
    return min(float(rng.uniform(6.5, 9.0)), float(box.size.min()) / 2 - _MARGIN_A)


def gold_on_amorphous_carbon(box: Box, rng: np.random.Generator) -> Crystal:
    """A gold raft of one to three layers on a film of amorphous carbon."""
    thickness = float(rng.uniform(5.0, 8.0))
    carbon = amorphous_carbon(box, thickness, rng)
    facet = ("001", "110", "111")[int(rng.integers(3))]
    layers = int(rng.choice([1, 2, 2, 3, 3]))
    gold = Raft("Au", _AU_A, facet, layers, _raft_radius(box, rng)).atoms(box, rng)
    return Crystal(
        carbon + gold.moved((0.0, 0.0, thickness + _SUPPORT_GAP_A)),
        f"gold raft ({facet}), {layers} layer(s), {len(gold)} atoms, "
        f"on {thickness:.1f} A of amorphous carbon",
        0.0,
    )


def platinum_on_ceria(box: Box, rng: np.random.Generator) -> Crystal:
    """A platinum raft (111) of one or two layers on CeO2 (001), one cell thick."""
    a = CEO2_A
    cell = Cell(
        np.array([[a / 2, a / 2], [-a / 2, a / 2]]),
        atoms_of(
            ("Ce", 0.0, 0.0, 0.0),
            ("O", a / 4, a / 4, a / 4),
            ("O", -a / 4, a / 4, a / 4),
            ("Ce", a / 2, 0.0, a / 2),
            ("O", a / 4, a / 4, 3 * a / 4),
            ("O", -a / 4, a / 4, 3 * a / 4),
        ),
    )
    fit = choose_fit(cell, box, rng)
    layers = int(rng.integers(1, 3))
    platinum = Raft("Pt", _PT_A, "111", layers, _raft_radius(box, rng)).atoms(box, rng)
    return Crystal(
        fill(cell, fit, box) + platinum.moved((0.0, 0.0, 3 * a / 4 + _SUPPORT_GAP_A)),
        f"platinum raft (111), {layers} layer(s), {len(platinum)} atoms, on CeO2 (001) "
        f"turned by {fit.rotation_deg:.1f} degrees",
        fit.strain_percent,
    )


def aluminium_grain_boundary(box: Box, rng: np.random.Generator) -> Crystal:
    """Aluminium along [001], two or three cells thick, with two symmetric tilt grain boundaries.

    One grain fills a stripe and its mirror image the rest of the box; pairs of atoms that meet too
    closely at a mirror plane become one atom on it. Then all atoms of one cell's thickness are
    relaxed, periodic along the beam as well. The default box holds, among others, the Sigma 5
    boundary exactly.
    """
    d = AL_A / np.sqrt(2)
    cell = Cell(
        np.array([[d, 0.0], [0.0, d]]),
        atoms_of(("Al", 0.0, 0.0, 0.0), ("Al", d / 2, d / 2, AL_A / 2)),
    )
    grains = [fit for fit in fits(cell, box) if _misorientation(fit.rotation_deg) > 10.0]
    if not grains:
        raise refuse(
            "USAGE",
            "specimen box",
            expected=f"a tilted aluminium grain that fits {box.width_A:g} x {box.height_A:g} A",
            found="none",
            hint="choose another object shape or sampling, or leave this family out",
        )
    fit = grains[int(rng.integers(len(grains)))]
    lower, upper = 0.25 * box.height_A, 0.75 * box.height_A
    grain = fill(cell, fit, box).moved((0.0, lower, 0.0)).wrapped(box)
    mirror = _mirrored(grain, lower).wrapped(box)
    inside = (grain.positions[:, 1] >= lower) & (grain.positions[:, 1] < upper)
    outside = (mirror.positions[:, 1] < lower) | (mirror.positions[:, 1] >= upper)
    joined = _merged(grain.where(inside) + mirror.where(outside), _CLOSEST_AL_A, box)
    relaxed = _relaxed(joined, AL_A, box)
    cells = int(rng.integers(2, 4))
    return Crystal(
        stacked([relaxed.moved((0.0, 0.0, i * AL_A)) for i in range(cells)]),
        f"Al [001], {cells} cells thick, two tilt boundaries of "
        f"{_misorientation(fit.rotation_deg):.1f} degrees",
        fit.strain_percent,
    )


def _misorientation(rotation_deg: float) -> float:
    """Angle between a grain turned by `rotation_deg` and its mirror image, 0 to 45 degrees."""
    turn = 2 * rotation_deg % 90.0
    return min(turn, 90.0 - turn)


def _mirrored(atoms: Atoms, y: float) -> Atoms:
    positions = atoms.positions.copy()
    positions[:, 1] = 2 * y - positions[:, 1]
    return Atoms(atoms.symbols, positions)


def _merged(atoms: Atoms, closest_A: float, box: Box) -> Atoms:
    """The atoms, with pairs closer than `closest_A` made one between them, the closest pair first.

    An atom is merged once only, so that a row of atoms cannot collapse into one.
    """
    apart = distances(atoms, box)
    positions = atoms.positions.copy()
    gone: list[int] = []
    while apart.min() < closest_A:
        first, second = np.unravel_index(int(apart.argmin()), apart.shape)
        positions[first] += box.nearest(positions[second] - positions[first]) / 2
        gone.append(int(second))
        for index in (first, second):
            apart[index, :] = apart[:, index] = np.inf
    return Atoms(atoms.symbols, positions).without(np.array(gone, dtype=np.int64)).wrapped(box)


def _relaxed(atoms: Atoms, period_A: float, box: Box) -> Atoms:
    """The atoms at rest in effective-medium theory, periodic along the beam with `period_A`.

    Jacobsen, Stoltze and Norskov, Surf. Sci. 366 (1996) 394, as implemented in ASE.
    """
    model = organizer_module("ase").Atoms(
        symbols=list(atoms.symbols),
        positions=atoms.positions,
        cell=[box.width_A, box.height_A, period_A],
        pbc=True,
    )
    model.calc = organizer_module("ase.calculators.emt").EMT()
    optimizer = organizer_module("ase.optimize").FIRE(model, logfile=None)
    optimizer.run(fmax=_RELAXED_EV_A, steps=_RELAX_STEPS)
    return Atoms(atoms.symbols, np.array(model.positions, dtype=float)).wrapped(box)
