"""Atoms: a plain list of them, crystal cells, and the random choices that all families share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.findings import refuse

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Box:
    """The periodic supercell in the image plane [A]; rows run along y, columns along x."""

    height_A: float
    width_A: float

    @property
    def size(self) -> Array:
        """(width, height), in the order (x, y) of atom positions."""
        return np.array([self.width_A, self.height_A])

    def nearest(self, offsets: Array) -> Array:
        """Shortest periodic images of in-plane offsets (..., 2 or 3); z is left as it is."""
        out = offsets.copy()
        out[..., :2] -= self.size * np.rint(out[..., :2] / self.size)
        return out


@dataclass(frozen=True, eq=False)
class Atoms:
    """Atoms, each with an element symbol and a position (x, y, z) [A]; the beam runs along z."""

    symbols: NDArray[np.str_]
    positions: Array

    def __post_init__(self) -> None:
        if self.positions.shape != (len(self.symbols), 3):
            raise ValueError(f"{len(self.symbols)} symbols, positions {self.positions.shape}")

    def __len__(self) -> int:
        return len(self.symbols)

    def __add__(self, other: Atoms) -> Atoms:
        return Atoms(
            np.concatenate([self.symbols, other.symbols]),
            np.concatenate([self.positions, other.positions]),
        )

    def where(self, mask: Mask) -> Atoms:
        """The atoms for which the mask is true."""
        return Atoms(self.symbols[mask], self.positions[mask])

    def without(self, indices: NDArray[np.int64]) -> Atoms:
        """All atoms but these."""
        mask = np.ones(len(self), dtype=bool)
        mask[indices] = False
        return self.where(mask)

    def moved(self, offset: tuple[float, float, float]) -> Atoms:
        """Every atom shifted by (x, y, z) [A]."""
        return Atoms(self.symbols, self.positions + np.array(offset))

    def turned(self, degrees: float) -> Atoms:
        """Turned in the image plane about the origin, counter-clockwise in (x, y)."""
        cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        turned = self.positions.copy()
        turned[:, :2] = self.positions[:, :2] @ np.array([[cos, sin], [-sin, cos]])
        return Atoms(self.symbols, turned)

    def renamed(self, indices: NDArray[np.int64], symbol: str) -> Atoms:
        """The same sites, with another element on some of them."""
        # An array of one-letter symbols would cut a longer one short.
        symbols = self.symbols.astype(np.result_type(self.symbols, np.str_(symbol)))
        symbols[indices] = symbol
        return Atoms(symbols, self.positions)

    def wrapped(self, box: Box) -> Atoms:
        """Positions inside the box, 0 <= x < width and 0 <= y < height."""
        positions = self.positions.copy()
        positions[:, :2] %= box.size
        # The remainder of a number just below zero rounds to the divisor itself.
        positions[:, :2] = np.where(positions[:, :2] < box.size, positions[:, :2], 0.0)
        return Atoms(self.symbols, positions)

    def indices_of(self, symbol: str) -> NDArray[np.int64]:
        """Where an element sits."""
        return np.flatnonzero(self.symbols == symbol)


def atoms_of(*sites: tuple[str, float, float, float]) -> Atoms:
    """Atoms from (symbol, x, y, z) rows."""
    symbols = np.array([site[0] for site in sites], dtype=np.str_)
    return Atoms(symbols, np.array([site[1:] for site in sites], dtype=float).reshape(-1, 3))


def stacked(layers: list[Atoms]) -> Atoms:
    """All layers in one list."""
    total = layers[0]
    for layer in layers[1:]:
        total = total + layer
    return total


@dataclass(frozen=True, eq=False)
class Cell:
    """A crystal that repeats in the image plane.

    Attributes:
        a: (2, 2) rows are the two in-plane lattice vectors [A].
        basis: atoms of one cell; the whole thickness of the specimen, not one period along z.
    """

    a: Array
    basis: Atoms


def hexagonal(a: float, basis: Atoms) -> Cell:
    """A hexagonal cell, a1 along x and a2 at 120 degrees."""
    return Cell(np.array([[a, 0.0], [-a / 2, a * np.sqrt(3) / 2]]), basis)


def rectangular(a: float, b: float, basis: Atoms) -> Cell:
    """A rectangular cell, a along x and b along y."""
    return Cell(np.array([[a, 0.0], [0.0, b]]), basis)


def lattice_points(cell: Cell, radius_A: float) -> Array:
    """In-plane positions (M, 2) of all lattice points up to `radius_A` from the origin [A]."""
    reach = int(np.ceil(radius_A * float(np.linalg.norm(np.linalg.inv(cell.a), axis=0).max())))
    span = np.arange(-reach, reach + 1)
    steps = np.stack(np.meshgrid(span, span, indexing="ij"), axis=-1).reshape(-1, 2)
    points = steps @ cell.a
    return np.asarray(points[np.linalg.norm(points, axis=1) <= radius_A])


def hexagonal_flake(cell: Cell, inner_radius_A: float) -> Atoms:
    """Whole cells of a hexagonal crystal whose lattice points lie in a hexagon about the origin.

    Its sides run along the lattice vectors.
    """
    points = lattice_points(cell, 1.2 * inner_radius_A)
    turns = np.deg2rad([30.0, 90.0, 150.0])
    normals = np.stack([np.cos(turns), np.sin(turns)])
    points = points[np.abs(points @ normals).max(axis=1) <= inner_radius_A]
    positions = np.tile(cell.basis.positions, (len(points), 1))
    positions[:, :2] += np.repeat(points, len(cell.basis), axis=0)
    return Atoms(np.tile(cell.basis.symbols, len(points)), positions)


@dataclass(frozen=True, eq=False)
class Crystal:
    """A model that fills the box: its atoms, what it is, and how far it had to be strained."""

    atoms: Atoms
    description: str
    strain_percent: float


def distances(atoms: Atoms, box: Box) -> Array:
    """(N, N) distances in the periodic box [A]; infinite on the diagonal."""
    offsets = box.nearest(atoms.positions[:, None] - atoms.positions[None])
    out: Array = np.linalg.norm(offsets, axis=-1)
    np.fill_diagonal(out, np.inf)
    return out


def choose_apart(
    positions: Array, count: int, spacing_A: float, box: Box, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Indices of `count` random in-plane positions, at least `spacing_A` from each other.

    Raises:
        ContractError: so many do not fit.
    """
    chosen: list[int] = []
    for index in rng.permutation(len(positions)):
        offsets = box.nearest(positions[chosen, :2] - positions[index, :2])
        if len(chosen) == 0 or np.linalg.norm(offsets, axis=1).min() >= spacing_A:
            chosen.append(int(index))
        if len(chosen) == count:
            return np.array(chosen, dtype=np.int64)
    raise refuse(
        "USAGE",
        "specimen box",
        expected=f"room for {count} defects, {spacing_A:g} A apart",
        found=f"{box.width_A:g} x {box.height_A:g} A, where {len(chosen)} fit",
        hint="choose a larger object shape or sampling",
    )


def terrace(atoms: Atoms, box: Box, rng: np.random.Generator) -> Mask:
    """Atoms on a random terrace that covers about half of the box: a stripe, or an island.

    Both are closed under the box's periodicity, so that no step appears at its edge.
    """
    centre = rng.uniform(size=2) * box.size
    offsets = box.nearest(atoms.positions[:, :2] - centre)
    if rng.integers(2):
        axis = int(rng.integers(2))
        out: Mask = np.abs(offsets[:, axis]) < 0.25 * box.size[axis]
        return out
    half_area_radius = 0.4 * float(box.size.min())  # pi * 0.4^2 = 0.50
    inside: Mask = np.linalg.norm(offsets, axis=1) < half_area_radius
    return inside
