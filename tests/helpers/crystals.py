"""Simulated crystals: a cell's Fourier series of Gaussian atoms, on any lattice."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from algorithms.lattice.cell import UnitCell
from algorithms.lattice.lattice import Lattice
from physics.ideal import IdealOperator
from tests.helpers.operators import make_ideal

Float64 = NDArray[np.float64]

FIELD_PX, SAMPLING_A = 64, 0.4
"""A field of 25.6 A, as the default profile's, at twice its pixel."""


def crystal_operator(**changes: Any) -> IdealOperator:
    """32 x 32 positions, 0.8 A apart, of a supercell of 25.6 A; defocused, 8000 electrons each."""
    numbers = {"C10_A": -100.0, "phase_scale_rad": 0.8, "dose_e": 8000.0, **changes}
    size = {"window": 32, "object_shape": (FIELD_PX, FIELD_PX), "step": 2}
    return make_ideal(**{**size, **numbers})


def commensurate(turns: tuple[tuple[int, int], tuple[int, int]]) -> Lattice:
    """The lattice whose reciprocal vectors turn so many times, (y, x), over the field."""
    return Lattice.known(np.array(turns, dtype=np.float64) / (FIELD_PX * SAMPLING_A))


def turned_lattice(a_A: float, b_A: float, angle_deg: float, turn_deg: float) -> Lattice:
    """The lattice of cell vectors of given lengths and angle, the first one at `turn_deg` to x."""
    angles = np.deg2rad([turn_deg, turn_deg + angle_deg])
    lengths = np.array([[a_A], [b_A]])
    vectors = lengths * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    return Lattice.known(np.linalg.inv(vectors).T)


def cell_of(
    lattice: Lattice,
    *atoms: tuple[float, float, float],
    width_A: float = 0.35,
    reach_invA: float = 1.2,
) -> UnitCell:
    """Gaussian atoms (u1, u2, weight) of an rms width in a cell; the highest F_g is 1."""
    indices = lattice.nodes(reach_invA)
    lengths = np.linalg.norm(lattice.frequencies(indices), axis=1)
    places, weights = np.array(atoms)[:, :2], np.array(atoms)[:, 2]
    factors = np.exp(-2j * np.pi * indices @ places.T) @ weights
    falling = np.exp(-2 * (np.pi * width_A * lengths) ** 2)
    coefficients = factors * falling
    return UnitCell(lattice, indices, coefficients / np.abs(coefficients[1:]).max())


def image_of(cell: UnitCell, shape: tuple[int, int] = (FIELD_PX, FIELD_PX)) -> NDArray[np.float32]:
    """x (H, W) of a tiled cell, from 0 to 1."""
    image = cell.image(shape, SAMPLING_A)
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


HONEYCOMB = ((1 / 3, 2 / 3, 1.0), (2 / 3, 1 / 3, 0.6))
"""Two atoms of a hexagonal cell, as in MoS2 or BN; no twin of itself."""
