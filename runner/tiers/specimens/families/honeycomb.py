"""Stacks of flat honeycomb layers: twisted graphene, and boron nitride with pits.

Lattice constants: Trucano and Chen, Nature 258 (1975) 136 (graphite); Pease, Acta Cryst. 5 (1952)
356 (h-BN).
"""

from __future__ import annotations

import numpy as np

from runner.tiers.specimens.crystal import (
    Array,
    Atoms,
    Box,
    Cell,
    Crystal,
    atoms_of,
    choose_apart,
    hexagonal,
    stacked,
)
from runner.tiers.specimens.supercell import Fit, choose_fit, fill, fits
from schemas.findings import refuse

_GRAPHENE_A, _GRAPHENE_GAP_A = 2.461, 3.35
_BN_A, _BN_GAP_A = 2.504, 3.33
_SMALLEST_TWIST_DEG = 3.0
"""Below it the moire is longer than the box and the two layers look like one stacking."""


def honeycomb_layer(first: str, second: str, a: float) -> Cell:
    """A flat layer of two elements, lattice constant a [A]."""
    return hexagonal(a, atoms_of((first, 0.0, 0.0, 0.0), (second, 0.0, a / np.sqrt(3), 0.0)))


def _twist(first_deg: float, second_deg: float) -> float:
    """Angle between two honeycomb layers, folded into 0 to 30 degrees by their symmetry."""
    turn = abs(first_deg - second_deg) % 60.0
    return min(turn, 60.0 - turn)


def twisted_bilayer_graphene(box: Box, rng: np.random.Generator) -> Crystal:
    """Two graphene layers, each in an orientation of its own that fits the box.

    First the twist is drawn, of all those that the box allows, then a pair of layers that has it.
    """
    cell = honeycomb_layer("C", "C", _GRAPHENE_A)
    found = fits(cell, box)
    pairs: dict[float, list[tuple[Fit, Fit]]] = {}
    for lower in found:
        for upper in found:
            twist = round(_twist(upper.rotation_deg, lower.rotation_deg), 1)
            if twist > _SMALLEST_TWIST_DEG:
                pairs.setdefault(twist, []).append((lower, upper))
    if not pairs:
        raise refuse(
            "USAGE",
            "specimen box",
            expected=f"two orientations of graphene that fit {box.width_A:g} x {box.height_A:g} A",
            found="fewer",
            hint="choose another object shape or sampling, or leave this family out",
        )
    twist = sorted(pairs)[int(rng.integers(len(pairs)))]
    lower, upper = pairs[twist][int(rng.integers(len(pairs[twist])))]
    shift = rng.uniform(size=2) * _GRAPHENE_A
    lifted = fill(cell, upper, box).moved((float(shift[0]), float(shift[1]), _GRAPHENE_GAP_A))
    return Crystal(
        fill(cell, lower, box) + lifted.wrapped(box),
        f"bilayer graphene twisted by {twist:.1f} degrees",
        max(lower.strain_percent, upper.strain_percent),
    )


def boron_nitride_pits(box: Box, rng: np.random.Generator) -> Crystal:
    """Three to five layers of h-BN, AA' stacked, with two or three triangular pits.

    Pits have nitrogen edges, as those that an electron beam makes (Meyer, Chuvilin, Algara-Siller,
    Biskupek and Kaiser, Nano Lett. 9 (2009) 2683), and turn by 180 degrees from layer to layer.
    """
    cells = (honeycomb_layer("B", "N", _BN_A), honeycomb_layer("N", "B", _BN_A))
    fit = choose_fit(cells[0], box, rng)
    count = int(rng.integers(3, 6))
    layers = [fill(cells[i % 2], fit, box).moved((0.0, 0.0, i * _BN_GAP_A)) for i in range(count)]
    pits = int(rng.integers(2, 4))
    boron = layers[-1].indices_of("B")
    chosen = boron[choose_apart(layers[-1].positions[boron], pits, 9.0, box, rng)]
    for centre in layers[-1].positions[chosen, :2]:
        rows = int(rng.integers(1, 4))
        depth = int(rng.integers(2, count + 1))
        for i in range(count - depth, count):
            layers[i] = _pit(layers[i], centre, rows, box)
    return Crystal(
        stacked(layers),
        f"h-BN, {count} layers, {pits} triangular pits, turned by {fit.rotation_deg:.1f} degrees",
        fit.strain_percent,
    )


def _pit(layer: Atoms, centre: Array, rows: int, box: Box) -> Atoms:
    """A layer less the triangle of `rows` rows of boron nearest to a point, and what it encloses.

    The triangle grows from its corner towards the nitrogen neighbours, so that every nitrogen left
    at its edge keeps a bond.
    """
    boron, nitrogen = layer.indices_of("B"), layer.indices_of("N")
    corner = layer.positions[boron[_nearest(layer.positions[boron], centre, box)], :2]
    bond = _BN_A / np.sqrt(3)
    bonds = box.nearest(layer.positions[nitrogen, :2] - corner)
    bonds = bonds[np.linalg.norm(bonds, axis=1) < 1.2 * bond]
    along, other = bonds[0] - bonds[1], bonds[0] - bonds[2]
    gone = {
        int(boron[_nearest(layer.positions[boron], corner + i * along + j * other, box)])
        for i in range(rows)
        for j in range(rows - i)
    }
    for index in nitrogen:
        offsets = box.nearest(layer.positions[boron, :2] - layer.positions[index, :2])
        around = boron[np.linalg.norm(offsets, axis=1) < 1.2 * bond]
        if gone.issuperset(int(i) for i in around):
            gone.add(int(index))
    return layer.without(np.array(sorted(gone), dtype=np.int64))


def _nearest(positions: Array, point: Array, box: Box) -> int:
    offsets = box.nearest(positions[:, :2] - point)
    return int(np.linalg.norm(offsets, axis=1).argmin())
