"""Virtual detectors: rings of scattering angle, seen through the calibrated detector."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Sample
from physics.geometry import DetectorGeometry
from physics.ideal import IdealOperator
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]

BLOCK_BYTES = 16 << 20
"""Patterns read at a time [bytes]."""

SUBPIXELS = 8
"""A detector pixel's share in a ring is counted on this many points along each side: to 1 % of a
pixel that the rim cuts in half."""


class AngleUnit(StrEnum):
    """Units of a ring's angles."""

    DISK = "disk"
    """Radius of the bright-field disk, the convergence semi-angle."""
    MRAD = "mrad"


@dataclass(frozen=True)
class Annulus:
    """A ring of scattering angle; a disk where `inner` is 0.

    What of it lies beyond the detector is not seen.

    Attributes:
        inner: inner angle [unit].
        outer: outer angle [unit].
        unit: disk (1 is the convergence semi-angle) or mrad.

    Raises:
        ValueError: the ring is empty.
    """

    inner: float
    outer: float
    unit: AngleUnit = AngleUnit.DISK

    def __post_init__(self) -> None:
        """Refuse an empty ring."""
        if not 0 <= self.inner < self.outer:
            raise ValueError(f"a ring needs 0 <= inner < outer, found {self.inner}, {self.outer}")

    def angles_mrad(self, ideal: IdealOperator) -> tuple[float, float]:
        """(inner, outer) [mrad]."""
        scale = ideal.attrs.semiangle_mrad if self.unit is AngleUnit.DISK else 1.0
        return self.inner * scale, self.outer * scale

    def coverage(self, ideal: IdealOperator, spec: MismatchSpec) -> Float64:
        """Share of each detector pixel that lies in the ring, (Ky, Kx) from 0 to 1.

        The ring is round in angle, so it is an ellipse on a distorted detector; a hard mask would
        jump by whole pixels with the spec.
        """
        inner, outer = (self._radius_px(angle, ideal) for angle in self.angles_mrad(ideal))
        n = ideal.window
        points = np.arange(n * SUBPIXELS, dtype=np.float64)
        points = (points + 0.5) / SUBPIXELS - 0.5
        q_y, q_x = DetectorGeometry(n, spec).to_frequency(points, points)
        square = q_y[:, None] ** 2 + q_x[None, :] ** 2
        inside = (square >= inner**2) & (square < outer**2)
        shares: Float64 = inside.reshape(n, SUBPIXELS, n, SUBPIXELS).mean(axis=(1, 3))
        return shares

    @staticmethod
    def _radius_px(angle_mrad: float, ideal: IdealOperator) -> float:
        """Nominal detector pixels of a scattering angle."""
        return angle_mrad * 1e-3 / ideal.attrs.wavelength_A / ideal.detector_pixel_invA


def record(sample: Sample, weights: Float64) -> Float64:
    """What a virtual detector records at every position, (Ny*Nx,): its share of the beam.

    One pass over the scan, block by block.

    Args:
        sample: the measurement.
        weights: (Ky, Kx), by how much each pixel counts.
    """
    ny, nx, ky, kx = sample.y.shape
    block = max(1, BLOCK_BYTES // (4 * ky * kx))
    flat = weights.reshape(-1)
    shares = np.empty(ny * nx)
    for start in range(0, ny * nx, block):
        stop = min(start + block, ny * nx)
        counts = sample.y.read(start, stop)
        shares[start:stop] = counts.reshape(stop - start, -1) @ flat
        sample.progress(stop / (ny * nx))
    attrs = sample.operator.attrs
    return shares / (attrs.gain * attrs.dose_e)


def noise_of(sample: Sample, weights: Float64, mean: Float64) -> float:
    """Variance of what `record` gives, from counting electrons and from the read noise.

    Args:
        sample: the measurement.
        weights: (Ky, Kx).
        mean: (Ky, Kx) position-averaged pattern [counts].
    """
    attrs = sample.operator.attrs
    variance_e = mean.clip(0.0) / attrs.gain + (attrs.read_noise / attrs.gain) ** 2
    return float((weights**2 * variance_e).sum()) / attrs.dose_e**2
