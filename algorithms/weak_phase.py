r"""What a detector sees of a weak phase: the forward operator's derivative at vacuum.

A detector that weighs its pixels with D(d) records the share of the beam

    m(R) = sum_d D(d) |psi^_R(d)|^2 dq/dd = m_vacuum + sum_j h(j) phi(R + j - n//2) + O(phi^2),
    h = 2 dq/dd Im(A^H[D psi^] conj(P)),  psi^ = A P,

with the far field A of the distorted detector (`physics.operator`). A convolution, so in Fourier
space a product with the transfer H(k) = sum_j h(j) exp(2 pi i k (j - n//2)). For a sharp detector
on the axis this is the contrast transfer 2 sin chi(k) of bright-field microscopy by reciprocity
(Rose, Optik 39, 416 (1974)); for D = q it is k F{|P|^2} (Lazic, Bosch & Lazar, Ultramicroscopy 160,
265 (2016)). Nothing is assumed here of aperture, aberrations or detector.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physics.geometry import DetectorGeometry
from physics.ideal import IdealOperator
from physics.operator import dft_matrix
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]
Complex128 = NDArray[np.complex128]


class VacuumWave:
    """The probe on the detector, and the first-order response of detector weights.

    Args:
        ideal: probe and instrument.
        spec: the detector.

    Attributes:
        wave: probe's far field (Ky, Kx).
        area_element: dq/dd.
    """

    def __init__(self, ideal: IdealOperator, spec: MismatchSpec) -> None:
        geometry = DetectorGeometry(ideal.window, spec)
        self._left, self._right = (dft_matrix(q, ideal.window) for q in geometry.frequencies())
        self._probe = ideal.probe.astype(np.complex128)
        self.area_element = geometry.area_element
        self.wave: Complex128 = self._left @ self._probe @ self._right.T

    @property
    def pattern(self) -> Float64:
        """Share of the beam on each pixel without a specimen, (Ky, Kx)."""
        return self.area_element * (self.wave.real**2 + self.wave.imag**2)

    def kernel(self, weights: Float64) -> Float64:
        """h (n, n) [1/rad] of detector weights (Ky, Kx): change of the recorded share."""
        back = self._left.conj().T @ (weights * self.wave) @ self._right.conj()
        h: Float64 = 2 * self.area_element * (back * self._probe.conj()).imag
        return h

    def pixel_kernels(self, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> Float64:
        """h of single pixels, (D, n, n): `kernel` for weights 1 at (rows[d], cols[d])."""
        left = self._left[rows].conj() * self.wave[rows, cols][:, None]
        back = left[:, :, None] * self._right[cols].conj()[:, None, :]
        h: Float64 = 2 * self.area_element * (back * self._probe.conj()).imag
        return h


def transfer(
    kernel: Float64 | Complex128,
    shape: tuple[int, int],
    frequency: tuple[float, float] = (0.0, 0.0),
) -> Complex128:
    """H(k + g) on the frequencies k of an (H, W) image, in the order of numpy's FFT.

    Args:
        kernel: h (m, m), its origin at m//2.
        shape: (H, W).
        frequency: g [cycles/pixel].
    """
    rows, cols = (np.arange(side) - side // 2 for side in kernel.shape)
    g_y, g_x = frequency
    turned = kernel * np.exp(2j * np.pi * (g_y * rows[:, None] + g_x * cols[None, :]))
    flat = (rows[:, None] % shape[0]) * shape[1] + cols[None, :] % shape[1]
    placed = [
        np.bincount(flat.ravel(), part.ravel(), shape[0] * shape[1]).reshape(shape)
        for part in (turned.real, turned.imag)
    ]
    # exp(+2 pi i k j): numpy's inverse transform, without its 1/(HW).
    result: Complex128 = np.fft.ifft2(placed[0] + 1j * placed[1]) * (shape[0] * shape[1])
    return result
