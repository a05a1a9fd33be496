"""Origin and hand of a cell, which intensities do not tell: from the centre of mass.

The centre of mass of a pattern is the phase's slope averaged by the probe, for any phase, however
strong (`algorithms.idpc`). So its Fourier coefficient over the scan, at a node G of the lattice, is

    q_G = i G conj(A_G) F_G,   A_G = sum_r |P(r)|^2 exp(-2 pi i G.r),

a measurement of F_G with its phase: of those few nodes that the probe's width lets through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Sample
from algorithms.idpc import center_of_mass
from algorithms.lattice.cell import Complex128, UnitCell, on_grid
from algorithms.lattice.lattice import Float64, Int64, Lattice
from schemas.spec import MismatchSpec

FINE = 64
"""Points along each cell vector at which an origin is tried."""

APART = 0.06
"""Two origins nearer than this along both cell vectors are one, in cells."""


@dataclass(frozen=True, eq=False)
class CentreOfMassNodes:
    """What the centre of mass says of the cell, at the nodes below the scan's own limit.

    Attributes:
        indices: (J, 2) nodes, without (0, 0); both of each Friedel pair.
        values: (J,) i G.q_G / |G|, complex [A^-1]; i times i, the slope, is in it.
        response: (J,) what a unit F_G would give, complex [A^-1 rad^-1].
    """

    indices: Int64
    values: Complex128
    response: Complex128

    @classmethod
    def of(
        cls, sample: Sample, lattice: Lattice, spec: MismatchSpec, usable: NDArray[np.bool_]
    ) -> CentreOfMassNodes:
        """Of all patterns; one pass."""
        attrs, ideal = sample.operator.attrs, sample.operator
        aperture = attrs.semiangle_mrad * 1e-3 / attrs.wavelength_A
        places = ideal.positions_px * attrs.sampling_A
        indices = lattice.nodes(min(2 * aperture, _scan_limit(places)))[1:]
        nodes = lattice.frequencies(indices)
        momentum = center_of_mass(sample, spec, usable)
        waves = np.exp(-2j * np.pi * nodes @ places.T.astype(np.float64))
        slopes = waves @ (momentum - momentum.mean(axis=0)) / len(places)
        lengths = np.linalg.norm(nodes, axis=1)
        along = (slopes * nodes).sum(axis=1) / lengths
        return cls(indices, along, 1j * lengths * _probe_transfer(sample, nodes).conj())

    def overlap(self, cell: UnitCell) -> float:
        """Pearson's correlation of the measured slopes with those of a cell, -1 to 1."""
        model = self.response * _picked(cell, self.indices)
        norm = np.linalg.norm(model) * np.linalg.norm(self.values)
        return float((self.values.conj() * model).sum().real / max(float(norm), 1e-30))

    def candidates(self, cell: UnitCell, count: int) -> list[UnitCell]:
        """The cell at the likeliest origins, both hands, the best first.

        Origins are maxima of the correlation over the cell, by FFT on a fine grid.
        """
        found: list[tuple[float, UnitCell]] = []
        for hand in (cell, cell.twin()):
            products = self.values.conj() * self.response * _picked(hand, self.indices)
            # sum_g p_g exp(-2 pi i g.u) on the grid of u.
            surface = np.fft.fft2(on_grid(self.indices, products, (FINE, FINE))).real
            for place in _maxima(surface, count):
                moved = hand.moved(np.array(place) / FINE)
                found.append((self.overlap(moved), moved))
        found.sort(key=lambda pair: -pair[0])
        return [moved for _, moved in found[:count]]


def _picked(cell: UnitCell, indices: Int64) -> Complex128:
    """(J,) the cell's coefficients at `indices`; 0 where it has none."""
    known = {(int(h), int(k)): value for (h, k), value in zip(*_parts(cell), strict=True)}
    return np.array([known.get((int(h), int(k)), 0.0) for h, k in indices], dtype=np.complex128)


def _parts(cell: UnitCell) -> tuple[Int64, Complex128]:
    return cell.indices, cell.coefficients


def _probe_transfer(sample: Sample, nodes: Float64) -> Complex128:
    """A_G of |P|^2, (J,)."""
    ideal = sample.operator
    axis = (np.arange(ideal.window) - ideal.window // 2) * ideal.attrs.sampling_A
    density = np.abs(ideal.probe.astype(np.complex128)) ** 2
    waves_y, waves_x = (np.exp(-2j * np.pi * np.outer(along, axis)) for along in nodes.T)
    transfer: Complex128 = np.einsum("jy,yx,jx->j", waves_y, density, waves_x)
    return transfer


def _scan_limit(places: Float64) -> float:
    """The scan's Nyquist frequency [A^-1], from the mean area of a position."""
    steps = [max(len(np.unique(np.round(axis, 3))) - 1, 1) for axis in places.T]
    return float(min(0.5 * n / max(np.ptp(axis), 1e-9) for n, axis in zip(steps, places.T, strict=True)))


def _maxima(surface: Float64, count: int) -> Sequence[tuple[int, int]]:
    """Places of the highest values, no two of them `APART` or nearer, on a periodic grid."""
    left = surface.copy()
    reach = int(np.ceil(APART * FINE))
    places: list[tuple[int, int]] = []
    while len(places) < count:
        row, col = (int(i) for i in np.unravel_index(int(left.argmax()), left.shape))
        places.append((row, col))
        span = np.arange(-reach, reach + 1)
        left[np.ix_((row + span) % FINE, (col + span) % FINE)] = -np.inf
    return places
