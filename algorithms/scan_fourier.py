"""Fourier coefficients of a thin object from the scan's Fourier transform: the disks' overlaps.

Over the scan, the counts of one detector pixel vary as the object does. With t = sum_Q tau_Q
exp(2 pi i Q.r) and the weak-phase tau_Q = i s_Q tau_0 (s_-Q = conj s_Q), the Fourier component K of
the counts at detector frequency q is

    Y_K(q) = |tau_0|^2 w sum over Q = K (mod the scan's own lattice) of s_Q h_Q(q),
    h_Q(q) = i [P^(q - Q) conj P^(q) - P^(q) conj P^(q + Q)]

(Rodenburg, McCallum & Nellist, Ultramicroscopy 48, 304 (1993)): each Q shows where the disk
overlaps itself moved by +Q and -Q. A scan step longer than the resolution folds several Q onto one
K, but their overlaps are other pixels, so weighted least squares over the bright field parts them.

Terms of even order in the phase are the same for +Q and -Q and drop out: |tau_0| s is the transform
of sin(phi - phi_0), phi_0 the phase of tau_0, but for what three scatterings at once add.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Sample, unsuited
from algorithms.pixels import BLOCK_BYTES, PixelStatistics
from physics.geometry import DetectorGeometry
from physics.operator import dft_matrix
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]
Complex128 = NDArray[np.complex128]

DISK_EDGE = 0.05
"""The bright field: detector pixels where the probe's wave is above this share of its largest."""

ON_GRID_PX = 1e-2
"""Positions this near to a raster's are on it [pixels]."""

RIDGE = 1e-9
"""Added to the normal equations, relative to the largest information of any coefficient: one that
no overlap shows comes out as 0 with an enormous error, not as a division by 0."""


@dataclass(frozen=True)
class ScanCoefficients:
    """What the scan tells of each Fourier coefficient of the object.

    Attributes:
        values: (H, W) complex, `numpy.fft.fft2` of sin(phi - phi_0); 0 where unknown.
        variance: (H, W) of the counts' noise in `values`, real and imaginary part together;
            infinite where nothing is known.
    """

    values: Complex128
    variance: Float64

    @property
    def within_band(self) -> NDArray[np.bool_]:
        """(H, W), coefficients that the overlaps reach: up to twice the semi-angle, without 0."""
        return np.isfinite(self.variance)

    def observed(self, sigmas: float) -> NDArray[np.bool_]:
        """(H, W), coefficients above `sigmas` of their own noise; the same of Q and -Q."""
        noise = np.where(self.within_band, self.variance, 0.0)
        return self.within_band & (np.abs(self.values) ** 2 > sigmas**2 * noise)

    def magnitudes(self, sigmas: float) -> Float64:
        """(H, W), of the observed ones, without the power that noise adds; 0 elsewhere."""
        power = np.abs(self.values) ** 2 - np.where(self.within_band, self.variance, 0.0)
        return np.where(self.observed(sigmas), np.sqrt(np.maximum(power, 0.0)), 0.0)


def scan_coefficients(sample: Sample, spec: MismatchSpec) -> ScanCoefficients:
    """The coefficients of a periodic object that a raster covers, two passes over the patterns.

    In memory are the bright-field pixels alone, about a thirtieth of the patterns.

    Raises:
        ContractError: SAMPLE_UNSUITED where the object is not periodic, or no raster tiles it.
    """
    origin = _raster_origin(sample)
    attrs, window = sample.operator.attrs, sample.operator.window
    pixels = PixelStatistics.of(sample.y)
    overlaps = _Overlaps(sample, spec)
    bright = overlaps.bright & pixels.usable(attrs.gain)
    if not bright.any():
        raise unsuited(
            sample,
            needs="detector pixels within the bright-field disk",
            found=f"no usable one of {window} x {window}",
            instead="ptychography, which uses the dark field as well",
        )
    components = _components(sample, bright)
    noise = (attrs.read_noise / attrs.gain) ** 2
    mean = np.maximum(pixels.mean[bright] / attrs.gain, 0.0) + noise
    # A pixel that never counted says less than one electron in the whole scan would.
    sharpness = np.sqrt(pixels.count / np.maximum(mean, 1 / pixels.count))
    values = np.zeros(attrs.object_shape, dtype=np.complex128)
    variance = np.full(attrs.object_shape, np.inf)
    ridge = RIDGE * overlaps.largest_information(bright, sharpness)
    for component, aliases in overlaps.aliases(sample.scan_shape).items():
        design = sharpness[:, None] * overlaps.of(aliases)[:, bright].T
        normal = design.conj().T @ design + ridge * np.eye(len(aliases))
        covariance = np.linalg.inv(normal)
        found = covariance @ (design.conj().T @ (sharpness * components[component]))
        for (row, col), value, spread in zip(aliases, found, covariance.diagonal(), strict=True):
            values[row, col], variance[row, col] = value, spread.real
    values *= _ramp(attrs.object_shape, origin)
    values, variance = _of_real_image(values, variance)
    # |tau_0|^2 s has been found; the sum of all |tau|^2 is 1 where nothing is absorbed.
    scattered = float((np.abs(values) ** 2 - np.where(np.isfinite(variance), variance, 0)).sum())
    unscattered = (1 + np.sqrt(max(1 - 4 * scattered, 0.0))) / 2
    scale = values.size / np.sqrt(unscattered)
    return ScanCoefficients(scale * values, scale**2 * variance)


class _Overlaps:
    """h_Q(q) of every detector pixel, electrons per unit of |tau_0|^2 s_Q."""

    def __init__(self, sample: Sample, spec: MismatchSpec) -> None:
        operator = sample.operator
        n, (height, width) = operator.window, operator.attrs.object_shape
        self._shape = (height, width)
        geometry = DetectorGeometry(n, spec)
        self._weight = operator.attrs.dose_e * geometry.area_element
        reach = 2 * operator.disk_radius_px / n  # cycles per pixel
        self._reach = reach
        self._rows = int(min(reach * height, (height - 1) // 2))
        self._cols = int(min(reach * width, (width - 1) // 2))
        probe = operator.probe.astype(np.complex128)
        q_y, q_x = geometry.frequencies()
        self._left = {
            row: dft_matrix(q_y - row * n / height, n) @ probe
            for row in range(-self._rows, self._rows + 1)
        }
        self._right = {
            col: dft_matrix(q_x - col * n / width, n).T
            for col in range(-self._cols, self._cols + 1)
        }
        self._disk = self._left[0] @ self._right[0]
        size = np.abs(self._disk)
        self.bright: NDArray[np.bool_] = size > DISK_EDGE * size.max()

    def aliases(self, scan_shape: tuple[int, int]) -> dict[tuple[int, int], list[tuple[int, int]]]:
        """{Fourier component of the scan: the object's frequencies that are folded onto it}.

        Without component 0: what is folded there is lost in the average pattern.
        """
        (ny, nx), (height, width) = scan_shape, self._shape
        folded: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        for row in range(-self._rows, self._rows + 1):
            for col in range(-self._cols, self._cols + 1):
                component = (row % ny, col % nx)
                if component != (0, 0) and np.hypot(row / height, col / width) <= self._reach:
                    folded[component].append((row, col))
        return folded

    def of(self, frequencies: list[tuple[int, int]]) -> Complex128:
        """(frequencies, Ky, Kx)."""
        return np.stack([self._of(row, col) for row, col in frequencies])

    def largest_information(self, bright: NDArray[np.bool_], sharpness: Float64) -> float:
        """A bound of the information on any coefficient [1/rad^2]: as if all disks overlapped."""
        full = 2 * self._weight * np.abs(self._disk[bright]) ** 2
        return float(((sharpness * full) ** 2).sum())

    def _of(self, row: int, col: int) -> Complex128:
        there = self._left[row] @ self._right[col] * self._disk.conj()
        back = self._disk * (self._left[-row] @ self._right[-col]).conj()
        overlap: Complex128 = 1j * self._weight * (there - back)
        return overlap


def _components(sample: Sample, bright: NDArray[np.bool_]) -> Complex128:
    """Fourier transform over the scan of the bright pixels, (Ny, Nx, pixels) [electrons]."""
    ny, nx, ky, kx = sample.y.shape
    block = max(1, BLOCK_BYTES // (4 * ky * kx))
    counts = np.empty((ny * nx, int(bright.sum())), dtype=np.float32)
    for start in range(0, ny * nx, block):
        stop = min(start + block, ny * nx)
        counts[start:stop] = sample.y.read(start, stop)[:, bright]
    scan = counts.reshape(ny, nx, -1) / sample.operator.attrs.gain
    transform: Complex128 = np.fft.fft2(scan, axes=(0, 1)) / (ny * nx)
    return transform


def _raster_origin(sample: Sample) -> Float64:
    """(row, col) of the first position [pixels], of a raster that tiles the periodic object."""
    attrs, (ny, nx) = sample.operator.attrs, sample.scan_shape
    positions = sample.operator.positions_px.astype(np.float64).reshape(ny, nx, 2)
    height, width = attrs.object_shape
    rows, cols = np.meshgrid(np.arange(ny), np.arange(nx), indexing="ij")
    raster = np.stack([rows * (height / ny), cols * (width / nx)], axis=-1)
    origin: Float64 = positions[0, 0]
    off = float(np.abs(positions - origin - raster).max())
    if not attrs.periodic or off > ON_GRID_PX:
        raise unsuited(
            sample,
            needs=f"a periodic object, and a raster of {ny} x {nx} positions that tiles its"
            f" {height} x {width} pixels evenly: the scan's Fourier transform is then the object's",
            found="an object that is not periodic"
            if not attrs.periodic
            else f"positions up to {off:.2g} pixels off such a raster",
            instead="ptychography, which takes any positions",
        )
    return origin


def _ramp(shape: tuple[int, int], origin: Float64) -> Complex128:
    """exp(-2 pi i Q.R0), (H, W): back to where the object begins."""
    rows, cols = (np.fft.fftfreq(size) for size in shape)
    ramp: Complex128 = np.exp(-2j * np.pi * (rows[:, None] * origin[0] + cols[None, :] * origin[1]))
    return ramp


def _of_real_image(values: Complex128, variance: Float64) -> tuple[Complex128, Float64]:
    """Q and -Q brought together: the same data give both, but for rounding and for K = -K."""
    mate_values = np.roll(values[::-1, ::-1], 1, axis=(0, 1))
    mate_variance = np.roll(variance[::-1, ::-1], 1, axis=(0, 1))
    return (values + mate_values.conj()) / 2, (variance + mate_variance) / 2
