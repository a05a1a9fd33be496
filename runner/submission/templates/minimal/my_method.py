"""The specimen's phase from the electrons' mean deflection, integrated (iDPC)."""

import numpy as np

from algorithms.base import Reconstruction, Sample
from schemas.spec import MismatchSpec


class MyMethod:
    """A dozen lines: centre of mass of each pattern, its field integrated, the object's scale."""

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) for a detector that is known: `spec` comes from the calibrator."""
        patterns = sample.counts()  # (Ny*Nx, Ky, Kx)
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
        return Reconstruction(x.clip(0, 1)[nearest])
