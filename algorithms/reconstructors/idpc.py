"""idpc: integrated centre of mass, the probe's blur undone as far as the noise allows.

The centre of mass of a pattern is linear in the phase, however strong: <q>^(k) = k F{|P|^2}(k)
phi(k) (`algorithms.idpc`). Its two components are two images of one phase; Wiener's filter
(`algorithms.wiener`) integrates them and divides by the probe's transfer in one step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Reconstruction, Sample
from algorithms.idpc import center_of_mass
from algorithms.pixels import PixelStatistics
from algorithms.scan_lattice import ScanLattice
from algorithms.virtual_detectors import noise_of
from algorithms.weak_phase import VacuumWave, transfer
from algorithms.wiener import (
    Expectation,
    LinearImage,
    PhaseEstimate,
    estimate_phase,
    image_of,
    spectrum_of,
)
from physics.geometry import DetectorGeometry
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Idpc:
    """Integrated centre of mass, deconvolved.

    Attributes:
        expected: what is expected of x, for Wiener's filter.
    """

    expected: Expectation = Expectation()

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1].

        Raises:
            ContractError: SAMPLE_UNSUITED: the scan is no raster.
        """
        estimate = self.phase(sample, spec)
        return Reconstruction(
            image_of(estimate.phase, sample),
            diagnostics={"expected_share": estimate.share},
        )

    def phase(self, sample: Sample, spec: MismatchSpec) -> PhaseEstimate:
        """The phase (H, W) [rad]; one pass for the detector's broken pixels, one for the field."""
        lattice = ScanLattice.of(sample)
        statistics = PixelStatistics.of(sample.y)
        usable = statistics.usable(sample.operator.attrs.gain)
        field = center_of_mass(sample, spec, usable)
        vacuum = VacuumWave(sample.operator, spec)
        images = []
        for axis, weights in enumerate(_frequencies(sample, spec)):
            kernel = vacuum.kernel(weights)
            images.append(
                LinearImage(
                    spectrum_of(field[:, axis], sample, lattice),
                    partial(transfer, kernel, sample.object_shape),
                    noise_of(sample, weights, statistics.mean) * lattice.cell_px,
                )
            )
        return estimate_phase(sample, images, lattice, self.expected)


def _frequencies(sample: Sample, spec: MismatchSpec) -> tuple[Float64, Float64]:
    """(q_y, q_x) of every detector pixel, each (Ky, Kx) [A^-1]."""
    pixel = sample.operator.detector_pixel_invA
    q_y, q_x = DetectorGeometry(sample.operator.window, spec).frequencies()
    n = sample.operator.window
    return (
        np.broadcast_to(q_y[:, None] * pixel, (n, n)),
        np.broadcast_to(q_x[None, :] * pixel, (n, n)),
    )
