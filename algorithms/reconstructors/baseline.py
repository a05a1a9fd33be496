"""cpu-baseline: centre of mass, integrated (iDPC). Linear in the data, one pass, no iterations.

For a phase object the centre of mass of a pattern is the probe-averaged phase gradient,
<q> = (1/2 pi) grad(phi * |P|^2)(R) (Lazic, Bosch & Lazar, Ultramicroscopy 160, 265 (2016)), with
q in A^-1. The field is gridded on the object's pixels and integrated by FFT; background at 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Reconstruction, Sample
from algorithms.pixels import PixelStatistics, fill
from physics.geometry import DetectorGeometry
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]

BLOCK = 512
"""Patterns read at a time."""

BACKGROUND_PERCENTILE = 1.0
"""Percentile of x that is put to 0."""

GRID_FLOOR = 1e-3
"""Least relative weight at which a gridded value is trusted."""


@dataclass(frozen=True)
class CpuBaseline:
    """Integrated centre of mass.

    Attributes:
        smoothing: width of the gridding kernel [scan steps].
    """

    smoothing: float = 0.5

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1]."""
        momentum = center_of_mass(sample, spec)
        field = self._grid(momentum - momentum.mean(axis=0), sample)
        phase = integrate(field, sample.operator.attrs.sampling_A)
        x = phase / sample.operator.attrs.phase_scale_rad
        x -= np.percentile(x, BACKGROUND_PERCENTILE)
        return Reconstruction(np.clip(x, 0.0, 1.0).astype(np.float32))

    def _grid(self, values: Float64, sample: Sample) -> Float64:
        """Scattered (N, 2) values on the object's pixels, (2, H, W): a normalised Gaussian mean."""
        height, width = sample.object_shape
        positions = np.rint(sample.operator.positions_px).astype(int)
        flat = (positions[:, 0] % height) * width + positions[:, 1] % width
        span = np.ptp(sample.operator.positions_px, axis=0)
        area = float(np.prod(span + span / np.maximum(np.array(sample.scan_shape) - 1, 1)))
        sigma = self.smoothing * np.sqrt(area / len(values))
        rows, cols = np.fft.fftfreq(height), np.fft.fftfreq(width)
        kernel = np.exp(-2 * (np.pi * sigma) ** 2 * (rows[:, None] ** 2 + cols[None, :] ** 2))

        def smooth(weights: Float64) -> Float64:
            image = np.bincount(flat, weights, height * width).reshape(height, width)
            return np.fft.ifft2(np.fft.fft2(image) * kernel).real

        density = smooth(np.ones(len(values)))
        floor = GRID_FLOOR * density.max()
        field = np.stack([smooth(values[:, axis]) for axis in (0, 1)])
        return np.where(density > floor, field / np.maximum(density, floor), 0.0)


def center_of_mass(sample: Sample, spec: MismatchSpec) -> Float64:
    """Mean spatial frequency of every pattern, (Ny*Nx, 2) as (q_y, q_x) [A^-1], block by block.

    Broken pixels count as their neighbours do.
    """
    pixel = sample.operator.detector_pixel_invA
    q_y, q_x = DetectorGeometry(sample.operator.window, spec).frequencies()
    usable = PixelStatistics.of(sample.y).usable(sample.operator.attrs.gain)
    ny, nx, _, _ = sample.y.shape
    momentum = np.empty((ny * nx, 2))
    for start in range(0, ny * nx, BLOCK):
        stop = min(start + BLOCK, ny * nx)
        block = fill(sample.y.read(start, stop), usable)
        total = np.maximum(block.sum(axis=(1, 2)), 1e-12)
        momentum[start:stop, 0] = block.sum(axis=2) @ q_y / total
        momentum[start:stop, 1] = block.sum(axis=1) @ q_x / total
    return momentum * pixel


def integrate(field: Float64, sampling_A: float) -> Float64:
    """Phase (H, W) [rad] whose gradient over 2 pi is nearest to the field (2, H, W) [A^-1]."""
    k_y = np.fft.fftfreq(field.shape[1], sampling_A)[:, None]
    k_x = np.fft.fftfreq(field.shape[2], sampling_A)[None, :]
    k2 = k_y**2 + k_x**2
    k2[0, 0] = 1.0
    transform = np.fft.fft2(field)
    phase = -1j * (k_y * transform[0] + k_x * transform[1]) / k2
    phase[0, 0] = 0.0
    return np.fft.ifft2(phase).real
