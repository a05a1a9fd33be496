"""The lattice of the disks: found in the average pattern, fitted in each.

Reciprocal lattice on the detector: disk h lies at c + G h, with h = (h1, h2) whole numbers and the
two columns of G the basis vectors. Found from the average pattern's disks; then, in each pattern,
fitted by weighted least squares over its disks.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.analysis.disks import Disks, fit_disks
from algorithms.analysis.template import ProbeTemplate

Float64 = NDArray[np.float64]
Int = NDArray[np.int_]

FAINTEST = 2e-4
"""Disks of the average pattern below this share of the direct beam are not looked at."""

CERTAIN = 8.0
"""Least significance of a disk of the average pattern."""

CONTRAST = 0.25
"""Least share of the electrons in a disk's place that must be the disk's own, not background."""

CANDIDATES = 14
"""Nearest disks from which bases are made."""

LEAST_SINE = 0.35
"""Basis vectors are more than 20 degrees apart."""

TOLERANCE = 0.12
"""A disk is on the lattice when its indices are this near to whole numbers."""

EXPLAINED = 0.7
"""Least share of the disks' weight that a lattice must explain."""

LEAST_DISKS = 4
"""Diffracted disks without which a plane lattice is not certain."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """A plane lattice on the detector.

    Attributes:
        center: (2,) the direct beam's row and column [pixels].
        basis: (2, 2) columns are the basis vectors as (y, x) [pixels].
    """

    center: Float64
    basis: Float64

    def places(self, orders: Int) -> Float64:
        """(M, 2) rows and columns of disks h (M, 2) [pixels]."""
        return np.asarray(self.center + orders @ self.basis.T)

    @property
    def shortest_px(self) -> float:
        """Length of the shortest lattice vector [pixels]."""
        return float(np.linalg.norm(reduced(self.basis), axis=0).min())


def average_disks(total: Float64, template: ProbeTemplate, usable: NDArray[np.bool_]) -> Disks:
    """Disks of the sum of all patterns, the direct beam first; none, if there is no direct beam.

    They are peaks of the correlation with the template, a disk's diameter apart, bright and certain
    enough, and more than their background.

    Args:
        total: (n, n) sum of the patterns [electrons].
        template: the probe's pattern.
        usable: (n, n), False for broken pixels.
    """
    n, reach = template.geometry.pixels, template.reach
    correlation = template.correlate(total[None])[0]
    inside = slice(reach, n - reach)
    peaks = np.zeros((n, n), dtype=bool)
    peaks[inside, inside] = True
    for dy, dx in itertools.product(range(-reach, reach + 1), repeat=2):
        if (dy, dx) != (0, 0):
            peaks &= correlation >= np.roll(correlation, (dy, dx), axis=(0, 1))
    at = np.argwhere(peaks)
    bright = correlation[peaks] > FAINTEST * correlation.max()
    at = at[bright]
    found = fit_disks(
        total[None], np.zeros(len(at), np.int_), at.astype(np.float64), template, usable=usable
    )
    there = np.asarray(correlation[at[:, 0], at[:, 1]])
    good = (found.significance > CERTAIN) & (found.electrons > CONTRAST * there)
    good &= np.linalg.norm(found.centers - at, axis=1) < reach
    if not good.any():
        return _pick(found, np.flatnonzero(good))
    off_axis = np.linalg.norm(found.centers - template.geometry.center, axis=1)
    direct = int(np.argmin(np.where(good, off_axis, np.inf)))
    others = np.flatnonzero(good & (np.arange(len(at)) != direct))
    return _pick(found, np.concatenate([[direct], others]))


def find_lattice(disks: Disks) -> Lattice | None:
    """The lattice of disks, the direct beam first; None when they are too few, or on no lattice.

    Every pair among the nearest disks is tried as a basis; the best explains the most weight for
    its cell: a cell as small as the tolerance would explain anything.
    """
    if len(disks.centers) <= LEAST_DISKS:
        return None
    vectors = disks.centers[1:] - disks.centers[0]
    weights = np.sqrt(disks.electrons[1:])
    near = np.argsort(np.linalg.norm(vectors, axis=1), kind="stable")[:CANDIDATES]
    best, score = None, 0.0
    for one, two in itertools.combinations(near, 2):
        basis = np.stack([vectors[one], vectors[two]], axis=1)
        lengths = np.linalg.norm(basis, axis=0)
        if abs(np.linalg.det(basis)) < LEAST_SINE * lengths.prod():
            continue
        hit = _on_lattice(vectors, basis)
        explained = float(weights[hit].sum() / weights.sum())
        # Larger cells are preferred: they explain the same with less freedom.
        merit = explained * abs(np.linalg.det(basis)) ** 0.1
        if explained > EXPLAINED and merit > score:
            best, score = basis, merit
    if best is None:
        return None
    basis = reduced(best)
    hit = _on_lattice(vectors, basis)
    if int(hit.sum()) < LEAST_DISKS:
        return None
    orders = np.rint(vectors @ np.linalg.inv(basis).T)
    chosen = np.concatenate([[True], hit])
    lattice = np.concatenate([np.zeros((1, 2)), orders])[chosen]
    design = np.column_stack([np.ones(len(lattice)), lattice])
    weight = np.sqrt(np.concatenate([[weights.max()], weights]))[chosen, None]
    solution = np.linalg.lstsq(design * weight, disks.centers[chosen] * weight, rcond=None)[0]
    return Lattice(solution[0], solution[1:].T)


def reduced(basis: Float64) -> Float64:
    """The same lattice by its two shortest vectors (columns), the first nearest to +x.

    Gauss's reduction; det > 0 in (x, y), that is the second lies towards +y from the first.
    """
    one, two = basis[:, 0], basis[:, 1]
    while True:
        if two @ two < one @ one:
            one, two = two, one
        step = np.rint((one @ two) / (one @ one))
        if step == 0:
            break
        two = two - step * one
    options = [one, -one, two, -two]
    first = max(options, key=lambda v: (round(float(v[1] / np.linalg.norm(v)), 6), v[0]))
    other = two if abs(first @ one) > abs(first @ two) else one
    turn = first[1] * other[0] - first[0] * other[1]
    return np.stack([first, other if turn > 0 else -other], axis=1)


def orders_within(lattice: Lattice, template: ProbeTemplate) -> Int:
    """(M, 2) orders of all disks whose boxes lie on the detector, by distance, (0, 0) first."""
    n, reach = template.geometry.pixels, template.reach
    most = int(np.ceil(n / lattice.shortest_px)) + 1
    span = np.arange(-most, most + 1)
    orders = np.stack(np.meshgrid(span, span, indexing="ij"), axis=-1).reshape(-1, 2)
    places = lattice.places(orders)
    orders = orders[((places >= reach) & (places <= n - 1 - reach)).all(axis=1)]
    length = np.linalg.norm(orders @ lattice.basis.T, axis=1)
    return np.asarray(orders[np.lexsort((*orders.T, np.round(length, 6)))])


def _on_lattice(vectors: Float64, basis: Float64) -> NDArray[np.bool_]:
    indices = vectors @ np.linalg.inv(basis).T
    return np.asarray(np.abs(indices - np.rint(indices)).max(axis=1) < TOLERANCE)


def _pick(disks: Disks, which: Int) -> Disks:
    return Disks(
        disks.centers[which], disks.sigma[which], disks.electrons[which], disks.significance[which]
    )


@dataclass(frozen=True, eq=False)
class LatticeFit:
    """Lattices of many patterns.

    Attributes:
        center: (B, 2) [unit of the places].
        basis: (B, 2, 2) columns are basis vectors.
        covariance: (B, 2, 3, 3) of (c, G_1, G_2) of each axis y, x.
        chi_square: (B,) weighted squares of the residuals over their degrees of freedom.
        used: (B, M) the disks that were used.
        determined: (B,) enough disks in two directions.
    """

    center: Float64
    basis: Float64
    covariance: Float64
    chi_square: Float64
    used: NDArray[np.bool_]
    determined: NDArray[np.bool_]


def fit_lattices(
    orders: Int,
    places: Float64,
    sigma: Float64,
    used: NDArray[np.bool_],
    *,
    prior: tuple[Float64, Float64] | None = None,
) -> LatticeFit:
    """Weighted least squares of c + G h over the disks of each pattern, each axis by itself.

    Args:
        orders: (M, 2) whole numbers h.
        places: (B, M, 2) measured disks.
        sigma: (B, M, 2) their standard errors.
        used: (B, M) which of them.
        prior: lattices (B, 2, 3), as (c, G_1, G_2) of each axis, and standard deviations of the
            same shape that they are believed to; None: the disks alone.
    """
    design = np.column_stack([np.ones(len(orders)), orders]).astype(np.float64)
    weight = np.where(used[:, :, None], 1.0 / sigma**2, 0.0)
    normal = np.einsum("mi,bma,mj->baij", design, weight, design)
    right = np.einsum("mi,bma->bai", design, weight * np.where(used[:, :, None], places, 0.0))
    # Three disks not on a line are needed: else the smallest eigenvalue vanishes.
    spread = np.einsum("mi,bm,mj->bij", design, used.astype(np.float64), design)
    determined = np.linalg.eigvalsh(spread)[:, 0] > 1e-3
    if prior is not None:
        trust = 1.0 / prior[1] ** 2
        normal = normal + trust[..., None] * np.eye(3)
        right = right + trust * prior[0]
    else:
        normal = np.where(determined[:, None, None, None], normal, np.eye(3))
    covariance = np.linalg.inv(normal)
    solution = np.einsum("baij,baj->bai", covariance, right)
    residual = np.where(
        used[:, :, None], (places - np.einsum("mi,bai->bma", design, solution)) / sigma, 0.0
    )
    freedom = 2.0 * (used.sum(axis=1) - 3)
    chi_square = np.square(residual).sum(axis=(1, 2)) / np.maximum(freedom, 1.0)
    return LatticeFit(
        solution[:, :, 0], solution[:, :, 1:], covariance, chi_square, used, determined
    )
