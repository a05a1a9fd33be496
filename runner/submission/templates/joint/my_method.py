"""Detector and specimen from the same patterns: nothing is calibrated beforehand."""

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Reconstruction, Sample
from physics.operator import vacuum_pattern
from schemas.spec import MismatchSpec

EDGE = (0.1, 0.9)
"""Up to the first fraction of the disk's level a pixel lies outside the bright-field disk, from the
second on inside; in between it belongs to it in part."""

STEPS = 6
"""Of the fit: two give the camera length to 0.2 %, six to 0.04 %."""


class MyMethod:
    """`solve` does both: the disk's place and shape give the detector, deflections the image."""

    def solve(self, sample: Sample) -> Reconstruction:
        """x_hat (H, W) and the spec that it was made with."""
        patterns = sample.counts()
        spec = measured_detector(sample, patterns.mean(0))
        sample.progress(0.5)
        return Reconstruction(integrated_deflection(sample, patterns, spec), spec)


def measured_detector(sample: Sample, mean: NDArray[np.float32]) -> MismatchSpec:
    """The spec that gives the bare probe the same disk as the mean pattern (Ky, Kx) has.

    Comparing the two, rather than the disk with its nominal radius, cancels what the aperture's
    edge and the pixels do to both: on a disk of six pixels that is 3 % of the camera length.
    """
    nominal, spec = sample.operator.disk_radius_px, MismatchSpec()
    for _ in range(STEPS):
        missing = disk(mean, nominal) - disk(vacuum_pattern(sample.operator, spec), nominal)
        spec = MismatchSpec.from_vector(tuple(spec.vector() + missing)).clipped(sample.ranges)
    return spec


def disk(pattern: NDArray[np.floating], nominal: float) -> NDArray[np.float64]:
    """Radius [% of `nominal`, which is in pixels], centre [pixels] and ellipse of a pattern's disk.

    A disk of radius R has the variance R^2 / 4 along each axis; camera length scales both, the
    ellipse one against the other.
    """
    level = np.quantile(pattern, 1 - np.pi * nominal**2 / pattern.size / 2)  # half of it is above
    low, high = level * EDGE[0], level * EDGE[1]
    inside = np.clip((pattern - low) / (high - low), 0, 1)
    pixel = np.arange(len(pattern)) - len(pattern) // 2
    rows, columns = (inside.sum(axis) / inside.sum() for axis in (1, 0))
    row, column = rows @ pixel, columns @ pixel
    tall, wide = 2 * np.sqrt([rows @ (pixel - row) ** 2, columns @ (pixel - column) ** 2])
    radius = 100 * (tall + wide) / 2 / nominal
    return np.array([radius, (row + column) / 2, (wide - tall) / (wide + tall)])


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
    (height, width), (ny, nx) = sample.object_shape, sample.scan_shape
    nearest = np.ix_(np.arange(height) * ny // height, np.arange(width) * nx // width)
    return x.clip(0, 1)[nearest]
