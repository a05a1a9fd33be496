r"""The probe's ambiguity function and the object's: Wigner distribution deconvolution.

The inverse Fourier transform of a pattern over the detector is the exit wave's autocorrelation, and
over the scan it becomes (Rodenburg & Bates, Phil. Trans. R. Soc. A 339, 521 (1992))

    H(rho, Q) = sum over k that fold onto Q of Gamma_k(rho) chi_k(rho)
    chi_k(rho) = dose sum_u conj(P(u)) P(u + rho) exp(2 pi i k u)          the probe's
    Gamma_k(rho) = sum_kappa conj(t(kappa - k)) t(kappa) exp(2 pi i kappa rho)       the object's

t(kappa): the transmission's Fourier coefficients. Two terms hold the unscattered wave t(0), which
outshines all others: kappa = k and kappa = 0. They are what is solved for, as sum and difference:

    Gamma_k = p (e - 1) + m (e + 1) + rest,   e = exp(2 pi i k rho),   t(k) conj(t(0)) = m + p

p is the phase's part (first order: i phi_k), m the amplitude's. The rest, scattered waves that
interfere with each other, is taken for as likely at every kappa: its variance is `rest` |chi|^2 at
each rho. With noise of variance `noise` beside it, least squares weighs by 1/(noise + rest
|chi|^2), and its projection onto e chi is the textbook's deconvolution with a Wiener filter of
epsilon = noise/rest,

    sum_rho conj(e chi) H / (|chi|^2 + epsilon),

but for its normalisation, and for the aliases, which the textbook does not know.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from algorithms.scan_transform import Aliases
from algorithms.side_bands import TEMPLATE_BYTES
from physics.geometry import DetectorGeometry
from physics.ideal import IdealOperator
from physics.operator import batches
from schemas.spec import MismatchSpec

LEAST_OVERLAP = 1e-4
"""Least |chi|^2 that any k may have at a rho, relative to the peak, for that rho to be used."""


class Ambiguity:
    """chi_k at the rho at which the probe overlaps with itself; a grid of rho, row by row.

    The detector's pixels are 1/scale nominal ones, so that its transform has its samples at rho =
    scale times whole object pixels, along each axis.

    Args:
        ideal: the ideal operator.
        spec: the detector.
        aliases: the frequencies k.
        device: torch device.
        dtype: torch.complex64 or torch.complex128.

    Attributes:
        overlapping: (rows, cols) of rho, True where the probe overlaps with itself.
    """

    def __init__(
        self,
        ideal: IdealOperator,
        spec: MismatchSpec,
        aliases: Aliases,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.complex64,
    ) -> None:
        n = ideal.window
        geometry = DetectorGeometry(n, spec)
        self._dose, self._device, self._dtype = ideal.attrs.dose_e, device, dtype
        self._probe = ideal.probe.astype(np.complex128)
        shifts, self.overlapping = _overlap(self._probe)
        self._rho_y, self._rho_x = shifts[0] * geometry.scale_y, shifts[1] * geometry.scale_x
        place = np.arange(n) - geometry.center
        self._to_rho = [
            self._tensor(np.exp(2j * np.pi / n * np.outer(shift, place))) for shift in shifts
        ]
        self._k_y, self._k_x = aliases.k_y, aliases.k_x
        self._passed = torch.as_tensor(aliases.passed).to(device)
        u = np.arange(n) - n // 2
        self._waves = [
            self._tensor(np.exp(2j * np.pi * np.outer(k, u))) for k in (aliases.k_y, aliases.k_x)
        ]

    def features(self, electrons: Tensor, rows: slice) -> Tensor:
        """Patterns (B, Ky, Kx) to their transform at rows of rho, (B, rows, cols)."""
        along_y, along_x = self._to_rho
        transformed: Tensor = along_y[rows] @ electrons.to(self._dtype) @ along_x.T
        return transformed

    def unscattered(self, row: int) -> Tensor:
        """chi_0 at a row of rho, (cols,)."""
        return self._dose * self._products(row, slice(0, len(self._rho_x))).sum(dim=(-2, -1))

    def templates(self, row: int, cols: slice) -> tuple[Tensor, Tensor]:
        """(e chi, chi) at some rho of a row, each (cols, ay * Py, ax * Px)."""
        along_y, along_x = self._waves
        chi = self._dose * (along_y @ self._products(row, cols) @ along_x.T) * self._passed
        wave_y = self._tensor(np.exp(2j * np.pi * self._k_y * self._rho_y[row]))
        wave_x = self._tensor(np.exp(2j * np.pi * np.outer(self._rho_x[cols], self._k_x)))
        return wave_y[:, None] * wave_x[:, None, :] * chi, chi

    def column_blocks(self) -> Iterator[slice]:
        """Columns whose templates are worked on together."""
        each = self._passed.numel() * torch.empty(0, dtype=self._dtype).element_size()
        return batches(len(self._rho_x), max(1, TEMPLATE_BYTES // each))

    def _products(self, row: int, cols: slice) -> Tensor:
        """conj(P(u)) P(u + rho) for some rho of a row, (cols, n, n)."""
        q = np.fft.fftfreq(len(self._probe))
        ramp_y = np.exp(2j * np.pi * self._rho_y[row] * q)
        ramp_x = np.exp(2j * np.pi * np.outer(self._rho_x[cols], q))
        spectrum = np.fft.fft2(self._probe) * ramp_y[:, None]
        return self._tensor(self._probe.conj() * np.fft.ifft2(spectrum * ramp_x[:, None, :]))

    def _tensor(self, values: NDArray[np.complex128]) -> Tensor:
        return torch.as_tensor(values).to(self._device, self._dtype)


def _overlap(
    probe: NDArray[np.complex128],
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]]:
    """Shifts (rows, columns) [pixels] under which a probe overlaps with itself, and which pairs."""
    n = len(probe)
    bound = np.fft.ifft2(np.abs(np.fft.fft2(np.abs(probe))) ** 2).real ** 2
    overlapping = np.fft.fftshift(bound > LEAST_OVERLAP * bound.max())
    shifts = np.arange(n, dtype=np.float64) - n // 2
    rows, cols = overlapping.any(axis=1), overlapping.any(axis=0)
    return (shifts[rows], shifts[cols]), overlapping[np.ix_(rows, cols)]
