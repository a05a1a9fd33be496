"""One lattice per pattern: disks are found shell by shell, each where the last ones predict it.

Begun at the average pattern's lattice. The innermost disks may be a good part of a lattice vector
away from there; each shell makes the next one's place more certain. At the end every disk is
measured once more at its predicted place, and the lattice is fitted to these alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.analysis.disks import fit_disks
from algorithms.analysis.lattice import Lattice, LatticeFit, fit_lattices
from algorithms.analysis.template import ProbeTemplate

Float64 = NDArray[np.float64]
Int = NDArray[np.int_]

FIRST_REACH = 0.35
"""The first shell is searched this far around its place [shortest lattice vector]."""

LATER_REACH_PX = 2.0
"""Later shells, and the direct beam, are searched this far [pixels]; or a third of the disk's
radius, if that is more."""

BELIEF = 0.08
"""Relative standard deviation that the average lattice is believed to while disks are sought."""

CENTRE_BELIEF_PX = 3.0
"""Likewise the place of the direct beam [pixels]."""

SHELL_WIDTH = 1.25
"""A shell holds the disks up to this many times its first one's distance."""

SEEN = 3.0
"""Least significance of a disk that helps to find the next ones."""

OUTLIER = 5.0
"""Disks further than this many standard errors from their lattice are left out, once."""


@dataclass(frozen=True, eq=False)
class Tracker:
    """Finds the lattice of each pattern.

    Attributes:
        template: the probe's pattern.
        start: the average pattern's lattice.
        orders: (M, 2) disks to be used, (0, 0) first, by distance.
        usable: (n, n), False for broken pixels.
        variance_e: variance of the read noise [electrons^2].
        least_significance: of a disk in the final fit.
    """

    template: ProbeTemplate
    start: Lattice
    orders: Int
    usable: NDArray[np.bool_]
    variance_e: float
    least_significance: float

    def lattices(self, patterns: Float64) -> LatticeFit:
        """Lattices of patterns (B, n, n) [electrons]."""
        correlation = self.template.correlate(patterns)
        count = len(patterns)
        state = np.tile(np.column_stack([self.start.center, self.start.basis]), (count, 1, 1))
        places = np.zeros((count, len(self.orders), 2))
        sigma = np.ones_like(places)
        used = np.zeros((count, len(self.orders)), dtype=bool)
        begun, belief = state.copy(), self._belief(state)
        for number, shell in enumerate(self._shells()):
            reach = self._reach(number)
            predicted = self._predicted(state, shell)
            peaks = _peaks(correlation, predicted, reach, self.template.reach)
            places[:, shell], sigma[:, shell], seen = self._measured(patterns, peaks, SEEN)
            near = np.abs(places[:, shell] - predicted).max(axis=2) <= reach + 1
            used[:, shell] = seen & near
            fit = fit_lattices(self.orders, places, sigma, used, prior=(begun, belief))
            state = np.concatenate([fit.center[:, :, None], fit.basis], axis=2)
        return self._final(patterns, state)

    def _final(self, patterns: Float64, state: Float64) -> LatticeFit:
        """Every disk once more from its predicted place; outliers left out once."""
        every = np.arange(len(self.orders))
        predicted = self._predicted(state, every)
        places, sigma, seen = self._measured(patterns, predicted, self.least_significance)
        used = seen & (np.abs(places - predicted).max(axis=2) <= self._reach(1))
        fit = fit_lattices(self.orders, places, sigma, used)
        model = fit.center[:, None] + np.einsum("mi,bai->bma", self.orders, fit.basis)
        off = np.abs((places - model) / sigma).max(axis=2)
        # A misfit that all disks share is the model's, not an outlier's.
        limit = OUTLIER * np.sqrt(np.maximum(fit.chi_square, 1.0))
        used &= off <= limit[:, None]
        return fit_lattices(self.orders, places, sigma, used)

    def _measured(
        self, patterns: Float64, at: Float64, least: float
    ) -> tuple[Float64, Float64, NDArray[np.bool_]]:
        """Places (B, S, 2) of disks begun at (B, S, 2), their errors, and (B, S) which count.

        Disks whose box leaves the detector do not.
        """
        count, shell, _ = at.shape
        n, reach = self.template.geometry.pixels, self.template.reach
        whole = np.rint(at)
        inside = ((whole >= reach) & (whole <= n - 1 - reach)).all(axis=2)
        which = np.repeat(np.arange(count), shell).reshape(count, shell)[inside]
        disks = fit_disks(
            patterns,
            which,
            at[inside],
            self.template,
            usable=self.usable,
            variance_e=self.variance_e,
        )
        places, sigma = at.copy(), np.ones_like(at)
        seen = np.zeros((count, shell), dtype=bool)
        places[inside], sigma[inside] = disks.centers, disks.sigma
        seen[inside] = disks.significance > least
        return places, sigma, seen

    def _predicted(self, state: Float64, shell: Int) -> Float64:
        """(B, S, 2) places of a shell's disks."""
        return np.asarray(
            state[:, None, :, 0] + np.einsum("mi,bai->bma", self.orders[shell], state[:, :, 1:])
        )

    def _belief(self, state: Float64) -> Float64:
        """Standard deviations (B, 2, 3) of the average lattice."""
        belief = np.full_like(state, CENTRE_BELIEF_PX)
        belief[:, :, 1:] = BELIEF * self.start.shortest_px
        return belief

    def _reach(self, number: int) -> float:
        """How far around its place a shell is searched [pixels]; the direct beam is shell 0."""
        later = max(LATER_REACH_PX, self.template.reach / 3)
        return max(later, FIRST_REACH * self.start.shortest_px) if number == 1 else later

    def _shells(self) -> list[Int]:
        """Indices of the disks of each shell: the direct beam, then outwards."""
        distance = np.linalg.norm(self.orders @ self.start.basis.T, axis=1)
        shells, first = [np.array([0])], 1
        while first < len(distance):
            inside = np.flatnonzero(distance <= SHELL_WIDTH * distance[first])
            shells.append(inside[inside >= first])
            first = int(inside[-1]) + 1
        return shells


def _peaks(correlation: Float64, at: Float64, reach: float, margin: int) -> Float64:
    """The highest pixel (B, S, 2) of correlations (B, n, n) around places (B, S, 2).

    Places outside the detector are left as they are.
    """
    n = correlation.shape[1]
    steps = int(np.floor(reach))
    span = np.arange(-steps, steps + 1)
    whole = np.rint(at).astype(np.int_)
    rows = whole[:, :, 0, None, None] + span[:, None]
    cols = whole[:, :, 1, None, None] + span[None, :]
    legal = (rows >= margin) & (rows < n - margin) & (cols >= margin) & (cols < n - margin)
    which = np.arange(len(at))[:, None, None, None]
    values = correlation[which, np.clip(rows, 0, n - 1), np.clip(cols, 0, n - 1)]
    flat = np.where(legal, values, -np.inf).reshape(*at.shape[:2], -1)
    best = flat.argmax(axis=2)
    peaks = whole + np.stack([best // len(span) - steps, best % len(span) - steps], axis=2)
    return np.where(legal.any(axis=(2, 3))[:, :, None], peaks, at)
