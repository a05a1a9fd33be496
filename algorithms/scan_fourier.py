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

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from algorithms.base import Sample, unsuited
from algorithms.linear_phase import NormalEquations
from algorithms.scan_transform import Aliases, Raster
from algorithms.side_bands import Unknowns, measured_side_bands
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]
Complex128 = NDArray[np.complex128]

RIDGE = 1e-9
"""Added to the normal equations, relative to the largest information of any coefficient: one that
no overlap shows comes out as 0 with an enormous error, not as a division by 0."""

LEAST_RIDGE = 1e-300
"""Where nothing at all was measured."""


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
    """The coefficients of a periodic object that a raster covers, from the bright-field pixels.

    Raises:
        ContractError: SAMPLE_UNSUITED where the object is not periodic, or no raster tiles it.
    """
    raster = _closed_raster(sample)
    aliases = Aliases.of(sample, raster, folded=True)
    # The deadline and the progress are those of the search that comes after.
    unhurried = replace(sample, deadline=None, progress=lambda _: None)
    equations = measured_side_bands(unhurried, spec, raster, aliases, Unknowns.PHASE)
    reach = 2 * sample.operator.disk_radius_px / sample.operator.window
    values, variance = _solved(equations, aliases, sample.object_shape, reach)
    values *= _ramp(sample.object_shape, raster.origin)
    values, variance = _of_real_image(values, variance)
    # |tau_0|^2 s has been found; the sum of all |tau|^2 is 1 where nothing is absorbed.
    scattered = float((np.abs(values) ** 2 - np.where(np.isfinite(variance), variance, 0)).sum())
    unscattered = (1 + np.sqrt(max(1 - 4 * scattered, 0.0))) / 2
    scale = values.size / np.sqrt(unscattered)
    return ScanCoefficients(scale * values, scale**2 * variance)


def _closed_raster(sample: Sample) -> Raster:
    """The raster of a scan that tiles the periodic object, so that its transform is exact."""
    raster = Raster.of(sample)
    if not raster.closed:
        attrs, (ny, nx) = sample.operator.attrs, sample.scan_shape
        height, width = attrs.object_shape
        covered = [step * count for step, count in zip(raster.step, raster.shape, strict=True)]
        raise unsuited(
            sample,
            needs=f"a periodic object, and a raster of {ny} x {nx} positions that tiles its"
            f" {height} x {width} pixels evenly: the scan's Fourier transform is then the object's",
            found=f"a raster over {covered[0]:.1f} x {covered[1]:.1f} pixels"
            if attrs.periodic
            else "an object that is not periodic",
            instead="ptychography, which takes any positions",
        )
    return raster


def _solved(
    equations: NormalEquations, aliases: Aliases, shape: tuple[int, int], reach: float
) -> tuple[Complex128, Float64]:
    """(phi_k, variance of its noise) at the FFT's frequencies of the object, each (H, W).

    Those beyond `reach` [cycles/pixel], where disks hardly overlap by their rims, are left unknown.
    """
    ridge = RIDGE * float(equations.information.max())
    identity = torch.eye(equations.gram.shape[-1], dtype=equations.gram.dtype).to(equations.gram)
    covariance = torch.linalg.inv(equations.gram + max(ridge, LEAST_RIDGE) * identity)
    found = (covariance @ equations.projection[..., None])[..., 0]
    spread = covariance.diagonal(dim1=-2, dim2=-1).real
    rows, cols = (
        np.rint(k * side).astype(np.intp)
        for side, k in zip(shape, (aliases.k_y, aliases.k_x), strict=True)
    )
    values, variance = np.zeros(shape, dtype=np.complex128), np.full(shape, np.inf)
    within = np.hypot(aliases.k_y[:, None], aliases.k_x[None, :]) <= reach
    row, col = np.nonzero(aliases.passed & within)
    values[rows[row], cols[col]] = aliases.unfold(found).cpu().numpy()[row, col]
    variance[rows[row], cols[col]] = aliases.unfold(spread).cpu().numpy()[row, col]
    return values, variance


def _ramp(shape: tuple[int, int], origin: tuple[float, float]) -> Complex128:
    """exp(-2 pi i Q.R0), (H, W): back to where the object begins."""
    rows, cols = (np.fft.fftfreq(size) for size in shape)
    ramp: Complex128 = np.exp(-2j * np.pi * (rows[:, None] * origin[0] + cols[None, :] * origin[1]))
    return ramp


def _of_real_image(values: Complex128, variance: Float64) -> tuple[Complex128, Float64]:
    """Q and -Q brought together: the same data give both, but for rounding and for K = -K."""
    mate_values = np.roll(values[::-1, ::-1], 1, axis=(0, 1))
    mate_variance = np.roll(variance[::-1, ::-1], 1, axis=(0, 1))
    return (values + mate_values.conj()) / 2, (variance + mate_variance) / 2
