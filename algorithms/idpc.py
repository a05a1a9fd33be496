"""Integrated centre of mass (iDPC): a linear image in one pass, and a start for better ones.

For a phase object the centre of mass of a pattern is the probe-averaged phase gradient,
<q> = (1/2 pi) grad(phi * |P|^2)(R) (Lazic, Bosch & Lazar, Ultramicroscopy 160, 265 (2016)), with
q in A^-1. The field is gridded on the object's pixels and integrated by FFT.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Sample
from algorithms.pixels import fill
from physics.geometry import DetectorGeometry
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]

SMOOTHING = 0.5
"""Width of the gridding kernel [scan steps]."""

BLOCK_BYTES = 16 << 20
"""Patterns read at a time [bytes]."""

GRID_FLOOR = 1e-3
"""Least relative weight at which a gridded value is trusted."""


def integrated_phase(
    sample: Sample,
    spec: MismatchSpec,
    usable: NDArray[np.bool_],
    *,
    smoothing: float = SMOOTHING,
) -> Float64:
    """Phase (H, W) [rad], blurred by the probe, its constant free, its ramp 0.

    Args:
        sample: the measurement.
        spec: the detector.
        usable: (Ky, Kx), False for broken pixels; they count as their neighbours do.
        smoothing: width of the gridding kernel [scan steps].
    """
    momentum = center_of_mass(sample, spec, usable)
    field = grid(momentum - momentum.mean(axis=0), sample, smoothing)
    return integrate(field, sample.operator.attrs.sampling_A)


def center_of_mass(sample: Sample, spec: MismatchSpec, usable: NDArray[np.bool_]) -> Float64:
    """Mean spatial frequency of every pattern, (Ny*Nx, 2) as (q_y, q_x) [A^-1], block by block.

    Broken pixels count as their neighbours do.
    """
    pixel = sample.operator.detector_pixel_invA
    q_y, q_x = DetectorGeometry(sample.operator.window, spec).frequencies()
    ny, nx, ky, kx = sample.y.shape
    block_size = max(1, BLOCK_BYTES // (4 * ky * kx))
    momentum = np.empty((ny * nx, 2))
    for start in range(0, ny * nx, block_size):
        stop = min(start + block_size, ny * nx)
        block = fill(sample.y.read(start, stop), usable)
        total = np.maximum(block.sum(axis=(1, 2)), 1e-12)
        momentum[start:stop, 0] = block.sum(axis=2) @ q_y / total
        momentum[start:stop, 1] = block.sum(axis=1) @ q_x / total
    return momentum * pixel


def grid(values: Float64, sample: Sample, smoothing: float) -> Float64:
    """Scattered (N, 2) values on the object's pixels, (2, H, W): a normalised Gaussian mean.

    Args:
        values: one vector a position.
        sample: whose positions.
        smoothing: width of the Gaussian [scan steps].
    """
    height, width = sample.object_shape
    positions = np.rint(sample.operator.positions_px).astype(int)
    flat = (positions[:, 0] % height) * width + positions[:, 1] % width
    span = np.ptp(sample.operator.positions_px, axis=0)
    area = float(np.prod(span + span / np.maximum(np.array(sample.scan_shape) - 1, 1)))
    sigma = smoothing * np.sqrt(area / len(values))
    rows, cols = np.fft.fftfreq(height), np.fft.fftfreq(width)
    kernel = np.exp(-2 * (np.pi * sigma) ** 2 * (rows[:, None] ** 2 + cols[None, :] ** 2))

    def smooth(weights: Float64) -> Float64:
        image = np.bincount(flat, weights, height * width).reshape(height, width)
        return np.fft.ifft2(np.fft.fft2(image) * kernel).real

    density = smooth(np.ones(len(values)))
    floor = GRID_FLOOR * density.max()
    field = np.stack([smooth(values[:, axis]) for axis in (0, 1)])
    return np.where(density > floor, field / np.maximum(density, floor), 0.0)


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
