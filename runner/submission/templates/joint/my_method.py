"""Detector and specimen from the same patterns: nothing is calibrated beforehand."""

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Reconstruction, Sample
from schemas.spec import MismatchSpec

INSIDE = 0.5
"""A pixel belongs to the bright-field disk above this fraction of the disk's own level."""


class MyMethod:
    """`solve` does both: the disk's place and shape give the detector, deflections the image."""

    def solve(self, sample: Sample) -> Reconstruction:
        """x_hat (H, W) and the spec that it was made with."""
        patterns = sample.counts()
        spec = measured_detector(sample, patterns.mean(0))
        sample.progress(0.5)
        return Reconstruction(integrated_deflection(sample, patterns, spec), spec)


def measured_detector(sample: Sample, mean: NDArray[np.float32]) -> MismatchSpec:
    """The spec from the mean pattern (Ky, Kx): where the disk lies, and how wide it is.

    A disk of radius R has the variance R^2 / 4 along each axis; camera length scales both, the
    ellipse one against the other.
    """
    attrs = sample.operator.attrs
    size = mean.shape[0]
    nominal = attrs.semiangle_mrad * 1e-3 / attrs.wavelength_A * size * attrs.sampling_A
    disk = mean > INSIDE * np.quantile(mean, 1 - np.pi * nominal**2 / mean.size / 2)
    rows, columns = np.nonzero(disk)
    center = (rows.mean() + columns.mean()) / 2 - size // 2
    high, wide = 2 * rows.std(), 2 * columns.std()
    measured = MismatchSpec(
        camera_length=100 * ((high + wide) / 2 / nominal - 1),
        center_offset=center,
        elliptical_distortion=(wide - high) / (wide + high),
    )
    return measured.clipped(sample.ranges)


def integrated_deflection(
    sample: Sample, patterns: NDArray[np.float32], spec: MismatchSpec
) -> NDArray[np.float64]:
    """The phase (H, W) whose gradient is the mean deflection, as x in [0, 1]."""
    pixel = np.arange(patterns.shape[-1]) - patterns.shape[-1] // 2 - spec.center_offset
    per_electron = pixel / patterns.shape[-1] / patterns.sum((1, 2)).mean()
    down, right = patterns.sum(2) @ per_electron, patterns.sum(1) @ per_electron
    step = sample.object_shape[0] // sample.scan_shape[0]
    ky, kx = (np.fft.fftfreq(count, step) for count in sample.scan_shape)
    k = ky[:, None] + 1j * kx[None, :]
    deflection = np.fft.fft2((down + 1j * right).reshape(sample.scan_shape))
    phase = np.fft.ifft2(deflection / np.where(k == 0, np.inf, 1j * k)).real
    x = (phase - np.percentile(phase, 1)) / sample.operator.attrs.phase_scale_rad
    return np.kron(x.clip(0, 1), np.ones((step, step)))
