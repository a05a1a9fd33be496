r"""Structure factors from the position-averaged pattern: disks at the lattice's nodes.

A specimen that repeats has the transmission t(r) = sum_g T_g exp(2 pi i g.r). Averaged over all
positions of the beam the disks around its nodes no longer interfere,

    mean_R I_R(q) = dose sum_g |T_g|^2 D(q - g),

D the probe's own pattern: the convergent beam averages over its directions, as precession does
(Vincent & Midgley, Ultramicroscopy 53, 271 (1994)). Disks overlap where nodes are nearer than their
diameter, so their intensities are what fits the pattern best, none negative.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Sample
from algorithms.lattice.lattice import Float64, Int64, Lattice
from algorithms.lattice.nonnegative import nonnegative_least_squares
from physics.operator import tilted_vacuum_patterns
from schemas.spec import MismatchSpec

RIDGE = 1e-9
"""Added to the diagonal, relative to its largest: two nodes may be the same on the detector."""

FLOOR_COUNTS = 1.0
"""Least variance of a pixel of the summed pattern [electrons^2]: one electron."""

REWEIGHTINGS = 2
"""Fits, each with the variances that the one before expects."""


@dataclass(frozen=True, eq=False)
class Reflections:
    """Intensities of a lattice's nodes.

    Attributes:
        lattice: the lattice.
        indices: (J, 2) nodes, (0, 0) first, both of each Friedel pair.
        intensities: (J,) |T_g|^2, shares of all electrons; never negative.
        sigmas: (J,) standard errors, of the counts' noise.
        background: electrons per pixel and pattern that no disk explains.
        chi_square: reduced, of the fit.
    """

    lattice: Lattice
    indices: Int64
    intensities: Float64
    sigmas: Float64
    background: float
    chi_square: float

    @property
    def lengths(self) -> Float64:
        """(J,) |g| [A^-1]."""
        return np.asarray(np.linalg.norm(self.lattice.frequencies(self.indices), axis=1))

    def friedel(self) -> Float64:
        """(J,) intensities averaged over each Friedel pair, weighted by their errors."""
        mate = mates(self.indices)
        weights = 1 / np.maximum(self.sigmas, 1e-30) ** 2
        sums = weights * self.intensities + weights[mate] * self.intensities[mate]
        averaged: Float64 = sums / (weights + weights[mate])
        return averaged


def mates(indices: Int64) -> Int64:
    """(J,) for each node, where -g is.

    Raises:
        KeyError: a node has no mate.
    """
    place = {(int(h), int(k)): number for number, (h, k) in enumerate(indices)}
    return np.array([place[(-int(h), -int(k))] for h, k in indices], dtype=np.int64)


def detector_nodes(sample: Sample, lattice: Lattice) -> Int64:
    """(J, 2) nodes that the object's pixels can hold, (0, 0) first."""
    nyquist = 0.5 / sample.operator.attrs.sampling_A
    indices = lattice.nodes(np.sqrt(2) * nyquist)
    held = (np.abs(lattice.frequencies(indices)) < nyquist * (1 - 1e-9)).all(axis=1)
    return indices[held]


def fit_disks(
    pacbed: Float64,
    count: int,
    sample: Sample,
    lattice: Lattice,
    spec: MismatchSpec,
    usable: NDArray[np.bool_],
) -> Reflections:
    """Intensities of the nodes of `lattice` in a position-averaged pattern (Ky, Kx) [counts].

    Args:
        pacbed: mean counts.
        count: patterns that were averaged.
        sample: whose probe and instrument they are.
        lattice: the lattice.
        spec: the calibrated detector.
        usable: (Ky, Kx), False for broken pixels.
    """
    attrs, ideal = sample.operator.attrs, sample.operator
    indices = detector_nodes(sample, lattice)
    tilts = lattice.frequencies(indices) / ideal.detector_pixel_invA
    disks = attrs.dose_e * tilted_vacuum_patterns(ideal, spec, tilts)
    model = np.concatenate([disks, np.ones((1, *pacbed.shape))])[:, usable]
    measured = pacbed[usable] / attrs.gain
    read = (attrs.read_noise / attrs.gain) ** 2
    expected = measured
    for _ in range(REWEIGHTINGS):
        variance = np.maximum(expected + read, FLOOR_COUNTS / count) / count
        weighted = model / variance
        normal = weighted @ model.T
        normal[np.diag_indices_from(normal)] += RIDGE * np.diag(normal).max()
        found = nonnegative_least_squares(normal, weighted @ measured)
        expected = found @ model
    free = max(len(measured) - int((found > 0).sum()), 1)
    chi_square = float(((measured - expected) ** 2 / variance).sum() / free)
    sigmas = np.sqrt(np.diag(np.linalg.inv(normal)))
    return Reflections(lattice, indices, found[:-1], sigmas[:-1], float(found[-1]), chi_square)
