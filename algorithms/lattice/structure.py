"""From the intensities of reflections to the content of the cell: phases, phase object, R factor.

Phases of the lowest nodes are measured (`placement`); the others are found by charge flipping,
which keeps those, as high-resolution images extend their phases with diffraction's magnitudes (Fan,
Xiang, Li, Pan, Uyeda & Fujiyoshi, Ultramicroscopy 36, 361 (1991)).

Intensities are those of t = exp(i phi), |T_g|^2, and a weak phase has |T_g| = |F_g|. A stronger one
is corrected for: by the ratio |F_g| / |T_g| in the cell that was found, and phased once more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.lattice.cell import UnitCell, grid_shape, on_grid
from algorithms.lattice.disks import Reflections, mates
from algorithms.lattice.lattice import Float64, Int64, nonzero
from algorithms.lattice.placement import CentreOfMassNodes
from algorithms.phasing.dual_space import charge_flipping
from algorithms.phasing.solution import Phasing

OBSERVED_SIGMAS = 2.0
"""Mean I/sigma of a shell of reflections down to which it counts as observed."""

SHELL_INVA = 0.2
"""Width of such a shell [A^-1]."""

ROUNDS = 3
"""Times that phases are found, each with better magnitudes than the one before."""

MOST_CORRECTION = 2.0
"""Largest factor by which a magnitude is corrected: where exp(i phi) all but lacks a wave, a ratio
says nothing."""

GRID_FINER = 1.5
"""The cell's grid holds the observed reflections this many times over."""

TRANSMISSION_FINER = 2.0
"""The grid of exp(i phi) is finer again by this: its waves are shorter than those of phi."""


@dataclass(frozen=True)
class Search:
    """How phases are searched for.

    Attributes:
        starts: random starts.
        iterations: of each start.
        seed: of the starts.
    """

    starts: int
    iterations: int
    seed: int


def observed(reflections: Reflections) -> NDArray[np.bool_]:
    """(J,) reflections up to the resolution: shells of a mean I/sigma above `OBSERVED_SIGMAS`."""
    ratio = reflections.friedel() / np.maximum(reflections.sigmas, 1e-30)
    shells = (reflections.lengths / SHELL_INVA).astype(int)
    last = 0.0
    for shell in np.unique(shells):
        if ratio[shells == shell].mean() < OBSERVED_SIGMAS:
            break
        last = SHELL_INVA * (shell + 1)
    return np.asarray(reflections.lengths < last)


def solve_structure(
    reflections: Reflections, measured: CentreOfMassNodes, search: Search
) -> tuple[UnitCell, Phasing]:
    """The cell of observed reflections, at its place, and how well the phases came out.

    Raises:
        ValueError: no reflection but (0, 0) is observed.
    """
    seen = observed(reflections)
    indices = reflections.indices[seen]
    magnitudes = np.sqrt(reflections.friedel()[seen])
    correction = np.ones(len(indices))
    for _ in range(ROUNDS):
        cell, phasing = _phased(reflections, indices, correction * magnitudes, measured, search)
        correction = phase_object_ratio(cell)
    return cell, phasing


def _phased(
    reflections: Reflections,
    indices: Int64,
    magnitudes: Float64,
    measured: CentreOfMassNodes,
    search: Search,
) -> tuple[UnitCell, Phasing]:
    shape = grid_shape(indices, GRID_FINER)
    known = on_grid(indices, nonzero(indices), shape).real > 0
    phases = np.full(shape, np.nan)
    told = measured.trusted
    rows, cols = measured.indices[told].T
    phases[rows % shape[0], cols % shape[1]] = measured.phases[told]
    phasing = charge_flipping(
        np.where(known, on_grid(indices, magnitudes, shape).real, 0.0) * known.size,
        known,
        rng=np.random.default_rng(search.seed),
        starts=search.starts,
        iterations=search.iterations,
        phases=phases,
    )
    return UnitCell.from_grid(reflections.lattice, indices, phasing.density), phasing


def phase_object_ratio(cell: UnitCell) -> Float64:
    """(J,) |F_g| / |T_g| in a cell, its Friedel pairs averaged; 1 where the phase is weak."""
    magnitudes = np.sqrt(transmitted(cell))
    ratio = np.abs(cell.coefficients) / np.maximum(magnitudes, 1e-30)
    bounded: Float64 = np.clip(ratio, 1 / MOST_CORRECTION, MOST_CORRECTION)
    return bounded


def transmitted(cell: UnitCell) -> Float64:
    """(J,) |T_g|^2 of exp(i phi), averaged over each Friedel pair."""
    shape = grid_shape(cell.indices, TRANSMISSION_FINER)
    wave = np.exp(1j * cell.grid(shape))
    powers = np.abs(UnitCell.from_grid(cell.lattice, cell.indices, wave).coefficients) ** 2
    averaged: Float64 = (powers + powers[mates(cell.indices)]) / 2
    return averaged


def r_factor(cell: UnitCell, reflections: Reflections) -> float:
    """R1 = sum ||T_obs| - |T_calc|| / sum |T_obs| over the observed reflections, (0, 0) apart.

    Exact for a phase object of any strength: T_calc is that of exp(i phi).
    """
    place = {
        (int(h), int(k)): value
        for (h, k), value in zip(cell.indices, transmitted(cell), strict=True)
    }
    seen = observed(reflections) & nonzero(reflections.indices)
    calculated = [place.get((int(h), int(k)), 0.0) for h, k in reflections.indices[seen]]
    measured = np.sqrt(reflections.friedel()[seen])
    return float(np.abs(measured - np.sqrt(calculated)).sum() / measured.sum())
