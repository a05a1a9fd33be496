"""virtual-detector: the image of a ring of scattering angles, put on the scale of the phase.

Bright field and annular bright field show a weak phase by the aberrations, with a transfer that
follows from the known probe (`algorithms.weak_phase`); it is undone by Wiener's filter
(`algorithms.wiener`). Annular dark field shows no weak phase at all, but the electrons that steep
phases scatter: an incoherent image, on a scale of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Reconstruction, Sample, unsuited
from algorithms.pixels import PixelStatistics
from algorithms.scan_lattice import ScanLattice
from algorithms.virtual_detectors import AngleUnit, Annulus, noise_of, record
from algorithms.weak_phase import VacuumWave, transfer
from algorithms.wiener import (
    LEAST_RESPONSE,
    Expectation,
    LinearImage,
    PhaseEstimate,
    band_of,
    estimate_phase,
    image_of,
    second_order,
    spectrum_of,
)
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]

COHERENT_PART = 0.1
"""Part of a dark-field image's contrast that is taken for speckle, not for an image by |P|^2."""


@dataclass(frozen=True)
class Recorded:
    """What a ring recorded.

    Attributes:
        lattice: the scan.
        weights: (Ky, Kx), the ring's share of each pixel; 0 where a pixel is broken.
        shares: (Ny*Nx,) of the beam.
        noise: variance of one of them.
    """

    lattice: ScanLattice
    weights: Float64
    shares: Float64
    noise: float

    @classmethod
    def of(cls, sample: Sample, spec: MismatchSpec, ring: Annulus) -> Recorded:
        """One pass for the detector's broken pixels, one for the image."""
        lattice = ScanLattice.of(sample)
        statistics = PixelStatistics.of(sample.y)
        usable = statistics.usable(sample.operator.attrs.gain)
        weights = ring.coverage(sample.operator, spec) * usable
        noise = noise_of(sample, weights, statistics.mean)
        return cls(lattice, weights, record(sample, weights), noise)

    def image(self, sample: Sample, kernel: Float64, error: float = 0.0) -> LinearImage:
        """As a linear image by a kernel (n, n), with an `error` of the model beside the noise."""
        return LinearImage(
            spectrum_of(self.shares, sample, self.lattice),
            partial(transfer, kernel, sample.object_shape),
            self.noise * self.lattice.cell_px + error,
        )

    def summary(self) -> dict[str, float]:
        """For people: the image before anything was done to it."""
        return {
            "mean_share_of_beam": float(self.shares.mean()),
            "contrast_rms": float(self.shares.std() / max(self.shares.mean(), 1e-30)),
            "noise_rms": float(np.sqrt(self.noise) / max(self.shares.mean(), 1e-30)),
        }


@dataclass(frozen=True)
class VirtualDetector:
    """The phase from one ring's contrast; by default the inner half of the bright-field disk.

    Attributes:
        inner: inner angle [unit].
        outer: outer angle [unit].
        unit: disk (1 is the convergence semi-angle) or mrad.
        expected: what is expected of x, for Wiener's filter.
    """

    inner: float = 0.0
    outer: float = 0.5
    unit: str = AngleUnit.DISK.value
    expected: Expectation = Expectation()

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1].

        Raises:
            ContractError: SAMPLE_UNSUITED: the ring shows next to nothing of a weak phase, or the
                scan is no raster.
        """
        recorded = Recorded.of(sample, spec, self.ring)
        estimate = self.phase(sample, spec, recorded)
        return Reconstruction(
            image_of(estimate.phase, sample),
            diagnostics=_diagnostics(recorded, estimate),
        )

    @property
    def ring(self) -> Annulus:
        """The detector."""
        return Annulus(self.inner, self.outer, AngleUnit(self.unit))

    def phase(self, sample: Sample, spec: MismatchSpec, recorded: Recorded) -> PhaseEstimate:
        """The phase that the ring's image shows."""
        kernel = VacuumWave(sample.operator, spec).kernel(recorded.weights)
        error = second_order(sample, self.expected, float(recorded.shares.mean()))
        image = recorded.image(sample, kernel, error)
        estimate = estimate_phase(sample, [image], recorded.lattice, self.expected)
        if not estimate.shows_phase:
            raise unsuited(
                sample,
                needs="a ring inside the disk and an aberrated probe, so that some frequency comes"
                f" through by {LEAST_RESPONSE:.0%}",
                found=f"{estimate.response.max():.1%} with {self.inner:g} to {self.outer:g}"
                f" {self.unit}, C10 {sample.operator.attrs.C10_A:g} A",
                instead="idpc and ptychography see a phase in focus as well",
            )
        return estimate


@dataclass(frozen=True)
class AnnularBrightField(VirtualDetector):
    """The outer half of the bright-field disk; the attributes are those of `VirtualDetector`."""

    inner: float = 0.5
    outer: float = 1.0


@dataclass(frozen=True)
class AnnularDarkField(VirtualDetector):
    """What is scattered out of the disk, an incoherent image blurred by the probe |P|^2.

    The blur is undone as far as noise allows. No theory tells the scale of such an image in x: it
    is chosen so that the image varies as much as is expected of x (`contrast`). The attributes are
    those of `VirtualDetector`.
    """

    inner: float = 1.5
    outer: float = 4.0

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1].

        Raises:
            ContractError: SAMPLE_UNSUITED: nothing but noise in the ring, or the scan is no raster.
        """
        recorded = Recorded.of(sample, spec, self.ring)
        signal = float(recorded.shares.var()) - recorded.noise
        if signal <= 0:
            raise unsuited(
                sample,
                needs=f"contrast above the noise from {self.inner:g} to {self.outer:g} {self.unit}",
                found=f"relative contrast {recorded.summary()['contrast_rms']:.2g},"
                f" noise {recorded.summary()['noise_rms']:.2g}",
                instead="idpc and ptychography use the electrons of the disk",
            )
        estimate = self._object(sample, recorded, signal)
        return Reconstruction(
            image_of(estimate.phase, sample),
            diagnostics=_diagnostics(recorded, estimate),
        )

    def _object(self, sample: Sample, recorded: Recorded, signal: float) -> PhaseEstimate:
        """What scatters, in units in which its variance is the expected one."""
        probe = np.abs(sample.operator.probe.astype(np.complex128)) ** 2
        through = np.abs(transfer(probe, sample.object_shape)) ** 2
        expected = float((through * self.expected.power(sample)).mean())
        error = signal * (COHERENT_PART / band_of(sample)) ** 2
        image = recorded.image(sample, probe * np.sqrt(signal / expected), error)
        return estimate_phase(sample, [image], recorded.lattice, self.expected)


def _diagnostics(recorded: Recorded, estimate: PhaseEstimate) -> Mapping[str, Any]:
    return {**recorded.summary(), "expected_share": estimate.share}
