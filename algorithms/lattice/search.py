"""Is there a lattice, and which: peaks of the scan's spectrum, indexed and refined.

1. The spectrum's power on a grid of frequencies up to the aperture's diameter.
2. Its highest peaks, two by two, span trial lattices. A trial is worth the share of all power that
   lies within `REACH` of its nodes, less the share that would lie there by chance, `PRICE` times.
   Half of a basis takes the power of the whole one but four times the chance; twice a basis loses
   power.
3. The best trial is refined on the continuous spectrum: the basis that gives its nodes most power
   is the most likely one for waves in white noise (Rife & Boorstyn, IEEE Trans. Inf. Theory 20, 591
   (1974)), here with a taper, so that nodes do not disturb each other.
4. It is a lattice if the nodes stand out of the noise and hold enough of the power.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from algorithms.lattice.lattice import Float64, Lattice, half_plane, reduced
from algorithms.lattice.spectrum import ScanSpectrum

GRID = 0.5
"""Spacing of the search grid, in the field's resolution."""

REACH = 1.25
"""Distance from a node within which power is the node's, in the field's resolution: the tapered
field's own peak, which is 2 wide from its top to its first zero, holds 95 % of its power there."""

NEAREST = 1.5
"""Frequencies within this of the origin are left out, in the field's resolution: slow changes of
thickness or of the beam."""

PEAKS = 14
"""Highest peaks from which bases are tried."""

WIDEST_DEG = 150.0
"""No basis is flatter than this before it is reduced: two peaks in line are none."""

LEAST_NODES = 4
"""Friedel pairs of nodes that a lattice has within the aperture's diameter at least; a longer basis
than that could be no more than two waves."""

PRICE = 2.0
"""What a trial pays for chance. At 1, diffuse scattering between the nodes, which is no more than
that of defects, would buy a lattice of half the basis."""

LEAST_SHARE = 0.65
"""Least share of the power, chance taken off, that makes a lattice: more than one of two equal
lattices has (0.4 to 0.62), less than a crystal with terraces and vacancies (0.8 to 0.9)."""

LEAST_SIGNIFICANCE = 12.0
"""Least sum of excess power at the best nodes, in standard deviations of the noise."""

NEWTON_STEPS = 6


@dataclass(frozen=True, eq=False)
class Indexing:
    """A trial lattice, and what speaks for it.

    Attributes:
        lattice: the best lattice, whatever it is worth; with the basis's covariance.
        share: share of the spectrum's power at its nodes, by-chance share taken off, at most 1.
        significance: power at its nodes above the noise's, in standard deviations of the noise.
        nodes: Friedel pairs of nodes that were looked at.
    """

    lattice: Lattice
    share: float
    significance: float
    nodes: int

    @property
    def found(self) -> bool:
        """Whether there is a lattice: the limits are `LEAST_SHARE` and `LEAST_SIGNIFICANCE`."""
        return self.share >= LEAST_SHARE and self.significance >= LEAST_SIGNIFICANCE

    def why_not(self) -> str:
        """Why this is no lattice, with figures."""
        return (
            f"no lattice: the best one holds {self.share:.2f} of the scattered power beyond chance"
            f" (a lattice has {LEAST_SHARE:g}), {self.significance:.0f} standard deviations above"
            f" noise (at least {LEAST_SIGNIFICANCE:g})"
        )

    def report(self) -> dict[str, Any]:
        """For people and JSON."""
        return {
            "found": self.found,
            "share_of_power": self.share,
            "least_share": LEAST_SHARE,
            "significance": self.significance,
            "least_significance": LEAST_SIGNIFICANCE,
            "reciprocal_vectors_invA": self.lattice.basis.tolist(),
            "reciprocal_sigmas_invA": self.lattice.sigmas.tolist(),
        }


def index(spectrum: ScanSpectrum) -> Indexing | None:
    """The best lattice of a scan; None where not even a trial can be made.

    That is where the field holds too few resolution elements for two peaks.
    """
    grid = _Grid.of(spectrum)
    peaks = grid.peaks(PEAKS)
    trials = [reduced(np.stack(pair)) for pair in combinations(peaks, 2) if _spans(*pair, spectrum)]
    trials = [
        basis for basis in trials if len(_pairs(Lattice.known(basis), spectrum)) >= LEAST_NODES
    ]
    if not trials:
        return None
    best = max(trials, key=lambda basis: grid.worth(Lattice.known(basis), spectrum))
    lattice = refined(Lattice.known(best), spectrum)
    return Indexing(
        lattice,
        grid.share(lattice, spectrum),
        grid.significance(lattice, spectrum),
        len(_pairs(lattice, spectrum)),
    )


def refined(lattice: Lattice, spectrum: ScanSpectrum) -> Lattice:
    """The basis with most power at its nodes, by Newton steps, and its covariance.

    The covariance is that of white noise in the patterns: H^-1 J H^-1 with the curvature H of the
    power and the scatter J of its slope. What a specimen's own disorder adds is not in it.
    """
    indices = _pairs(lattice, spectrum)
    inside = spectrum.overlap(lattice.frequencies(indices))

    def power(basis: Float64) -> float:
        amplitudes = spectrum.transform(indices @ basis.reshape(2, 2))
        return float((inside * np.abs(amplitudes) ** 2).sum())

    basis = lattice.basis.ravel()
    step = 0.02 * float(spectrum.resolution.min())
    value = power(basis)
    for _ in range(NEWTON_STEPS):
        slope, curvature = _derivatives(power, basis, step)
        values, axes = np.linalg.eigh(curvature)
        # Uphill along each axis, whatever its curvature, no further than the peak is wide.
        move = axes @ ((axes.T @ slope) / np.maximum(np.abs(values), 1e-9 * np.abs(values).max()))
        move *= min(1.0, 0.5 * float(spectrum.resolution.min()) / float(np.abs(move).max()))
        while (trial := power(basis + move)) < value and np.abs(move).max() > 1e-9 * step:
            move = move / 2
        basis, value = basis + move, max(trial, value)
    _, curvature = _derivatives(power, basis, step)
    inverse = np.linalg.inv(curvature)
    covariance = inverse @ _slope_scatter(indices, basis.reshape(2, 2), inside, spectrum) @ inverse
    return Lattice(basis.reshape(2, 2), covariance)


def _derivatives(
    function: Callable[[Float64], float], at: Float64, step: float
) -> tuple[Float64, Float64]:
    """Slope (n,) and second derivatives (n, n), by central differences."""
    moves = step * np.eye(len(at))
    middle = function(at)
    ahead = np.array([function(at + move) for move in moves])
    behind = np.array([function(at - move) for move in moves])
    curvature = np.diag((ahead + behind - 2 * middle) / step**2)
    for i, j in combinations(range(len(at)), 2):
        crossed = [function(at + a * moves[i] + b * moves[j]) for a in (1, -1) for b in (1, -1)]
        mixed = (crossed[0] - crossed[1] - crossed[2] + crossed[3]) / (4 * step**2)
        curvature[i, j] = curvature[j, i] = mixed
    return (ahead - behind) / (2 * step), curvature


def _slope_scatter(
    indices: NDArray[np.int64], basis: Float64, inside: Float64, spectrum: ScanSpectrum
) -> Float64:
    """(4, 4) covariance of the power's slope, of noise that is white in the patterns."""
    weights = spectrum.taper**2 / (spectrum.taper**2).sum()
    moments = (2 * np.pi) ** 2 * (weights[:, None] * spectrum.places).T @ spectrum.places
    strength = 2 * (inside**2 * np.abs(spectrum.transform(indices @ basis)) ** 2).sum(axis=1)
    outer = np.einsum("j,ja,jb->ab", strength, indices, indices)
    return np.kron(outer, moments)


def _pairs(lattice: Lattice, spectrum: ScanSpectrum) -> NDArray[np.int64]:
    """(J, 2) one node of each Friedel pair that the aperture lets interfere, the origin apart."""
    indices = lattice.nodes(2 * spectrum.aperture_invA * (1 - 1e-9))[1:]
    indices = indices[half_plane(indices)]
    seen = spectrum.overlap(lattice.frequencies(indices)).any(axis=1)
    return indices[seen]


def _spans(first: Float64, second: Float64, spectrum: ScanSpectrum) -> bool:
    """Whether two peaks make a basis: not in line, and longer than the resolution."""
    basis = _reduced_or_none(first, second)
    return basis is not None and bool(
        (np.linalg.norm(basis / spectrum.resolution, axis=1) > 2 * REACH).all()
    )


def _reduced_or_none(first: Float64, second: Float64) -> Float64 | None:
    """The reduced basis of two vectors, None where they are in line."""
    cosine = abs(first @ second) / (np.linalg.norm(first) * np.linalg.norm(second))
    if cosine > -np.cos(np.deg2rad(WIDEST_DEG)):
        return None
    return reduced(np.stack([first, second]))


@dataclass(frozen=True, eq=False)
class _Grid:
    """The spectrum on a grid of one half plane.

    Attributes:
        frequencies: (F, 2) [A^-1].
        excess: (F,) sum of excess power over the pixels of the overlap; 0 where it is not owned.
        variance: (F,) of that sum for noise alone.
    """

    frequencies: Float64
    excess: Float64
    variance: Float64

    @classmethod
    def of(cls, spectrum: ScanSpectrum) -> _Grid:
        step = GRID * spectrum.resolution
        reach = 2 * spectrum.aperture_invA
        spans = [np.arange(-int(reach / s), int(reach / s) + 1) for s in step]
        places = np.stack(np.meshgrid(*spans, indexing="ij"), axis=-1).reshape(-1, 2)
        places = places[half_plane(places)]
        frequencies = places * step
        far = np.linalg.norm(places * GRID, axis=1) > NEAREST
        frequencies = frequencies[far & (np.linalg.norm(frequencies, axis=1) < reach)]
        inside = spectrum.overlap(frequencies)
        power = np.abs(spectrum.transform(frequencies)) ** 2
        owned = spectrum.owned(frequencies, power)
        excess = np.where(owned, (inside * (power - 1)).sum(axis=1), 0.0)
        return cls(frequencies, excess, np.where(owned, (inside**2).sum(axis=1), 0.0))

    def peaks(self, count: int) -> list[Float64]:
        """The highest local maxima, highest first."""
        found: list[Float64] = []
        step = 2.5 * np.abs(np.diff(np.unique(self.frequencies[:, 0]))).min()
        for place in np.argsort(-self.excess, kind="stable"):
            candidate = self.frequencies[place]
            mirrored = np.concatenate([np.array(found), -np.array(found)]) if found else None
            if mirrored is None or np.linalg.norm(mirrored - candidate, axis=1).min() > step:
                found.append(candidate)
            if len(found) == count:
                break
        return found

    def near(self, lattice: Lattice, spectrum: ScanSpectrum) -> NDArray[np.bool_]:
        """(F,) whether a frequency belongs to a node, the origin apart."""
        fractions = self.frequencies @ np.linalg.inv(lattice.basis)
        # The nearest node of a reduced basis is one of the four around.
        corners = np.floor(fractions)[:, None] + np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        apart = (self.frequencies[:, None] - corners @ lattice.basis) / spectrum.resolution
        belongs = np.linalg.norm(apart, axis=2) <= REACH
        return np.asarray((belongs & corners.any(axis=2)).any(axis=1))

    def worth(self, lattice: Lattice, spectrum: ScanSpectrum) -> float:
        """Share of the power at the nodes, less the price of chance."""
        share, chance = self._shares(lattice, spectrum)
        return share - PRICE * chance

    def share(self, lattice: Lattice, spectrum: ScanSpectrum) -> float:
        """Share of the power at the nodes, chance taken off: 0 by chance, 1 if all is there."""
        share, chance = self._shares(lattice, spectrum)
        return (share - chance) / (1 - chance) if chance < 1 else 0.0

    def _shares(self, lattice: Lattice, spectrum: ScanSpectrum) -> tuple[float, float]:
        """(Share of the power at the nodes, share of all frequencies), by their noise's weight."""
        near = self.near(lattice, spectrum)
        total = max(float(self.excess.sum()), 1e-9)
        share = min(max(float(self.excess[near].sum()) / total, 0.0), 1.0)
        return share, float(np.sqrt(self.variance[near]).sum() / np.sqrt(self.variance).sum())

    def significance(self, lattice: Lattice, spectrum: ScanSpectrum) -> float:
        """Power at the nodes above the noise's, in its standard deviations."""
        near = self.near(lattice, spectrum)
        # Neighbours on the grid are not independent: two thirds of a Hann window's variance.
        independent = GRID**2 / 2.25
        sigma = np.sqrt(self.variance[near].sum() / independent)
        return float(self.excess[near].sum() / max(sigma, 1e-9))
