"""A two-dimensional lattice: two reciprocal vectors, their nodes, and whole cells in a box.

Vectors are rows (y, x). A node (h, k) is the frequency g = h b1 + k b2 [A^-1]; a point r [A] has
the fractional coordinates u = (b1.r, b2.r), so that g.r = h u1 + k u2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

WHOLE_TOLERANCE = 0.3
"""Largest distance of a reciprocal vector from one of the box's own, in those's spacing, at which
the crystal is taken to repeat with the box: a third of what neighbours are apart."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """A lattice in the specimen's plane.

    Attributes:
        basis: (2, 2) reciprocal vectors b1, b2 [A^-1], rows, as (y, x).
        covariance: (4, 4) of the flattened basis [A^-2]; 0 where it is known.
    """

    basis: Float64
    covariance: Float64

    @classmethod
    def known(cls, basis: Float64) -> Lattice:
        """A lattice whose vectors are given."""
        return cls(np.asarray(basis, dtype=np.float64), np.zeros((4, 4)))

    @property
    def vectors(self) -> Float64:
        """(2, 2) cell vectors a1, a2 [A], rows, as (y, x): a_i.b_j is 1 or 0."""
        return np.asarray(np.linalg.inv(self.basis).T, dtype=np.float64)

    @property
    def area_A2(self) -> float:
        """Area of the cell [A^2]."""
        return 1.0 / abs(float(np.linalg.det(self.basis)))

    @property
    def shortest(self) -> float:
        """Length of the shortest reciprocal vector [A^-1], of a reduced basis."""
        return float(np.linalg.norm(self.basis, axis=1).min())

    @property
    def sigmas(self) -> Float64:
        """(2, 2) standard errors of the basis [A^-1]."""
        sigmas: Float64 = np.sqrt(np.diag(self.covariance)).reshape(2, 2)
        return sigmas

    def frequencies(self, indices: Int64) -> Float64:
        """(J, 2) frequencies [A^-1] of the nodes `indices` (J, 2)."""
        frequencies: Float64 = indices @ self.basis
        return frequencies

    def nodes(self, reach_invA: float) -> Int64:
        """(J, 2) indices of all nodes up to `reach_invA` from the origin, nearest first, 0 first.

        A node follows its Friedel mate directly, so that the order is the same on every machine.
        """
        longest = float(np.linalg.norm(self.vectors, axis=1).max())
        span = int(np.ceil(reach_invA * longest)) + 1
        axis = np.arange(-span, span + 1)
        indices = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
        lengths = np.linalg.norm(self.frequencies(indices), axis=1)
        indices, lengths = indices[lengths <= reach_invA], lengths[lengths <= reach_invA]
        first = np.where(half_plane(indices), indices.T, -indices.T)
        order = np.lexsort((~half_plane(indices), first[1], first[0], np.round(lengths, 9)))
        return np.asarray(indices[order], dtype=np.int64)

    def in_box(self, extent_A: tuple[float, float]) -> Lattice | None:
        """The lattice of which the box (height, width) holds whole cells; None if none is near.

        A supercell that repeats lets through only multiples of its own frequencies.
        """
        extent = np.array(extent_A)
        turns = np.rint(self.basis * extent)
        near = bool((np.abs(self.basis * extent - turns) <= WHOLE_TOLERANCE).all())
        if not near or abs(np.linalg.det(turns)) < 0.5:
            return None
        return Lattice(turns / extent, np.zeros((4, 4)))


def half_plane(indices: Int64) -> NDArray[np.bool_]:
    """(J,), true for one of every Friedel pair (h, k), (-h, -k), and for (0, 0)."""
    half: NDArray[np.bool_] = (indices[:, 0] > 0) | ((indices[:, 0] == 0) & (indices[:, 1] >= 0))
    return half


def nonzero(indices: Int64) -> NDArray[np.bool_]:
    """(J,), false for (0, 0)."""
    return np.asarray((indices != 0).any(axis=1))


def reduced(basis: Float64) -> Float64:
    """The two shortest vectors of the lattice of `basis`, the shorter first.

    Lagrange's and Gauss's reduction; the angle between the two is 60 to 120 degrees.

    Args:
        basis: (2, 2), rows.
    """
    short, long = sorted(basis, key=lambda vector: float(vector @ vector))
    while True:
        long = long - np.rint((long @ short) / (short @ short)) * short
        if long @ long >= (short @ short) * (1 - 1e-12):
            break
        short, long = long, short
    return np.stack([short, long])
