"""Phases of the lowest structure factors, origin and hand with them: from the centre of mass.

The centre of mass of a pattern is the phase's slope averaged by the probe, for any phase, however
strong (`algorithms.idpc`). So its Fourier coefficient over the scan, at a node G of the lattice, is

    q_G = i G conj(A_G) F_G,   A_G = sum_r |P(r)|^2 exp(-2 pi i G.r),

a measurement of F_G with its phase, of those few nodes that the scan resolves and the probe's
width lets through. Intensities tell neither these phases nor the origin and hand that they fix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Sample
from algorithms.idpc import center_of_mass
from algorithms.lattice.cell import Complex128, UnitCell
from algorithms.lattice.lattice import Float64, Int64, Lattice
from schemas.spec import MismatchSpec

PHASE_SIGMAS = 4.0
"""A node's phase is believed when its slope is so many standard errors long: the phase's own error
is then below 15 degrees."""


@dataclass(frozen=True, eq=False)
class CentreOfMassNodes:
    """What the centre of mass says of the cell, at the nodes below the scan's own limit.

    Attributes:
        indices: (J, 2) nodes, without (0, 0); both of each Friedel pair.
        values: (J,) q_G along G, complex [A^-1].
        response: (J,) what a unit F_G would give, complex [A^-1 rad^-1].
        sigma: standard error of each value, from the scatter that no node explains [A^-1].
    """

    indices: Int64
    values: Complex128
    response: Complex128
    sigma: float

    @classmethod
    def of(
        cls, sample: Sample, lattice: Lattice, spec: MismatchSpec, usable: NDArray[np.bool_]
    ) -> CentreOfMassNodes:
        """Of all patterns; one pass."""
        attrs, ideal = sample.operator.attrs, sample.operator
        aperture = attrs.semiangle_mrad * 1e-3 / attrs.wavelength_A
        places = ideal.positions_px.astype(np.float64) * attrs.sampling_A
        indices = lattice.nodes(min(2 * aperture, _scan_limit(places)))[1:]
        nodes = lattice.frequencies(indices)
        momentum = center_of_mass(sample, spec, usable)
        momentum = momentum - momentum.mean(axis=0)
        slopes = np.empty((len(nodes), 2), dtype=np.complex128)
        for number, node in enumerate(nodes):  # one by one: a scan may have a million positions
            slopes[number] = np.exp(-2j * np.pi * (places @ node)) @ momentum / len(places)
        left = max(float((momentum**2).sum()) / len(places) - float((np.abs(slopes) ** 2).sum()), 0)
        lengths = np.linalg.norm(nodes, axis=1)
        along = (slopes * nodes).sum(axis=1) / lengths
        response = 1j * lengths * _probe_transfer(sample, nodes).conj()
        return cls(indices, along, response, float(np.sqrt(left / 2 / len(places))))

    @property
    def trusted(self) -> NDArray[np.bool_]:
        """(J,) nodes whose phase is believed."""
        return np.asarray(np.abs(self.values) > PHASE_SIGMAS * self.sigma)

    @property
    def phases(self) -> Float64:
        """(J,) phases of F_G [rad]."""
        return np.asarray(np.angle(self.values / self.response))

    def correlation(self, cell: UnitCell) -> float:
        """Pearson's correlation of the measured slopes with those of a cell, -1 to 1."""
        known = {
            (int(h), int(k)): F for (h, k), F in zip(cell.indices, cell.coefficients, strict=True)
        }
        picked = np.array([known.get((int(h), int(k)), 0.0) for h, k in self.indices])
        model = self.response * picked
        norm = float(np.linalg.norm(model) * np.linalg.norm(self.values))
        return float((self.values.conj() * model).sum().real / norm) if norm > 0 else 0.0


def _probe_transfer(sample: Sample, nodes: Float64) -> Complex128:
    """A_G of |P|^2, (J,)."""
    ideal = sample.operator
    axis = (np.arange(ideal.window) - ideal.window // 2) * ideal.attrs.sampling_A
    density = np.abs(ideal.probe.astype(np.complex128)) ** 2
    waves_y, waves_x = (np.exp(-2j * np.pi * np.outer(along, axis)) for along in nodes.T)
    transfer: Complex128 = np.einsum("jy,yx,jx->j", waves_y, density, waves_x)
    return transfer


def _scan_limit(places: Float64) -> float:
    """The scan's Nyquist frequency [A^-1], of the coarser direction."""
    steps = [max(len(np.unique(np.round(axis, 3))) - 1, 1) for axis in places.T]
    spans = np.maximum(np.ptp(places, axis=0), 1e-9)
    return float(min(0.5 * count / span for count, span in zip(steps, spans, strict=True)))
