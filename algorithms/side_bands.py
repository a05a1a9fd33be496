r"""What one Fourier component of a weak object does to the bright-field disk: the side bands.

With t = 1 + i phi + mu, phi(r) = sum_k phi_k exp(2 pi i k r) and mu real, and P^ the probe's far
field, the operator (contract, section 1) gives to first order, at the frequency q that a detector
pixel sees,

    I_R(q) = w |P^(q)|^2 + sum_k exp(2 pi i k R) [phi_k T_k(q) + mu_k M_k(q)],   w = dose * dq/dd
    T_k(q) = i w [conj(P^(q)) P^(q - n k) - P^(q) conj(P^(q + n k))]
    M_k(q) =   w [conj(P^(q)) P^(q - n k) + P^(q) conj(P^(q + n k))]

k in cycles per object pixel and n k in nominal detector pixels (Rodenburg, McCallum & Nellist,
Ultramicroscopy 48, 304 (1993)). P^ holds aperture and aberrations, A exp(-i chi), so that the phase
of T is what a sum over pixels must first take off. P^ is evaluated at the distorted q, from the
probe that the operator has: nothing is interpolated, and T is the operator's own derivative.

A phase object has no mu but to second order: -phi^2/2. Where the phase is not weak, mu takes that
up, which would else be put down to phi.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import Enum, auto

import numpy as np
import torch
from torch import Tensor

from algorithms.base import Sample
from algorithms.linear_phase import NormalEquations
from algorithms.pixels import PixelStatistics
from algorithms.scan_transform import RIM_PX, Aliases, Raster, scan_spectra
from physics.geometry import DetectorGeometry
from physics.ideal import IdealOperator
from physics.operator import batches, dft_matrix
from schemas.spec import MismatchSpec

LEAST_VARIANCE = 1e-2
"""Least variance of a detector pixel, relative to the largest: at the disk's rim there are few
electrons, but what scattered waves add among themselves, which no side band explains, is there."""

LEAST_SIDE_BAND = 1e-3
"""Least |T|, relative to the unscattered beam, of a pixel that the textbook's sum takes in."""

TEMPLATE_BYTES = 64 << 20
"""Templates made at a time [bytes]; some five times as much is at work."""


class SideBands:
    """T_k and M_k of the detector pixels that lie in the bright-field disk.

    Args:
        ideal: the ideal operator.
        spec: the detector.
        aliases: the frequencies k.
        device: torch device.
        dtype: torch.complex64 or torch.complex128.

    Attributes:
        rows: the detector rows that the disk meets.
        cols: the columns.
        inside: (rows, cols), True within the disk and its rim.
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
        q_y, q_x = geometry.frequencies()
        disk = np.hypot(q_y[:, None], q_x[None, :]) <= ideal.disk_radius_px + RIM_PX
        rows, cols = np.nonzero(disk)
        self.rows = slice(int(rows.min()), int(rows.max()) + 1)
        self.cols = slice(int(cols.min()), int(cols.max()) + 1)
        self.inside = disk[self.rows, self.cols]
        q_y, q_x = q_y[self.rows], q_x[self.cols]
        probe = ideal.probe.astype(np.complex128)

        def tensor(values: np.ndarray) -> Tensor:
            return torch.as_tensor(values).to(device, dtype)

        self._unscattered = tensor(dft_matrix(q_y, n) @ probe @ dft_matrix(q_x, n).T)
        # Two factors of P^(q -+ n k) = A_y probe A_x^T, rows and columns apart.
        self._factors = [
            (
                tensor(
                    dft_matrix(np.subtract.outer(q_y, sign * n * aliases.k_y).ravel(), n) @ probe
                ),
                tensor(dft_matrix(np.subtract.outer(q_x, sign * n * aliases.k_x).ravel(), n)),
            )
            for sign in (1, -1)
        ]
        self._passed = torch.as_tensor(aliases.passed).to(device)
        self._weight = ideal.attrs.dose_e * geometry.area_element
        self._dtype = dtype

    @property
    def least(self) -> float:
        """|T| of a side band of the relative strength `LEAST_SIDE_BAND` [electrons/rad]."""
        return LEAST_SIDE_BAND * self._weight * float(self._unscattered.abs().max()) ** 2

    def templates(self, row: int, cols: slice) -> tuple[Tensor, Tensor]:
        """(T, M) of the pixels `cols` of a row, each (cols, ay * Py, ax * Px) [electrons/rad]."""
        ky, kx = self._passed.shape
        below, above = (
            (left[row * ky : (row + 1) * ky] @ right[cols.start * kx : cols.stop * kx].T)
            .reshape(ky, -1, kx)
            .movedim(1, 0)
            for left, right in self._factors
        )
        unscattered = self._weight * self._unscattered[row, cols][:, None, None]
        lower = unscattered.conj() * below * self._passed
        upper = unscattered * above.conj() * self._passed
        return 1j * (lower - upper), lower + upper

    def column_blocks(self) -> Iterator[slice]:
        """Columns whose templates are worked on together."""
        each = self._passed.numel() * self._unscattered.element_size()
        return batches(self.inside.shape[1], max(1, TEMPLATE_BYTES // each))


class Unknowns(Enum):
    """What the side bands are solved for, and how pixels are weighed."""

    PHASE_AND_AMPLITUDE = auto()
    """phi_k and mu_k, pixels by their noise."""
    PHASE = auto()
    """phi_k alone, pixels by their noise."""
    TEXTBOOK = auto()
    """phi_k alone, pixels by 1/|T|, which makes b the plain sum of side bands, the phase of T taken
    off. For one alias."""


def measured_side_bands(
    sample: Sample,
    spec: MismatchSpec,
    raster: Raster,
    aliases: Aliases,
    unknowns: Unknowns = Unknowns.PHASE_AND_AMPLITUDE,
) -> NormalEquations:
    """The normal equations of the side bands, from the disk's pixels; one pass, or as many as fit.

    At the deadline those detector rows are left out that have not been worked on.

    Args:
        sample: the measurement.
        spec: the detector.
        raster: its scan.
        aliases: the frequencies.
        unknowns: what is solved for.
    """
    attrs, device = sample.operator.attrs, sample.device
    bands = SideBands(sample.operator, spec, aliases, device)
    statistics = PixelStatistics.of(sample.y)
    usable = bands.inside & statistics.usable(attrs.gain)[bands.rows, bands.cols]
    variance = (
        statistics.mean[bands.rows, bands.cols] / attrs.gain + (attrs.read_noise / attrs.gain) ** 2
    )
    variance = raster.noise_gain * np.maximum(variance, LEAST_VARIANCE * variance.max())
    weights = torch.as_tensor(usable / variance).to(device)[..., None, None]
    height, width = bands.inside.shape
    kinds = 2 if unknowns is Unknowns.PHASE_AND_AMPLITUDE else 1
    equations = NormalEquations.empty(raster.period, kinds * math.prod(aliases.counts), device)

    def pixels(counts: np.ndarray, rows: slice) -> Tensor:
        chosen = counts[:, bands.rows, bands.cols][:, rows]
        return torch.as_tensor(chosen / np.float32(attrs.gain)).to(device)

    for row, spectra in scan_spectra(sample, raster, pixels, height, width):
        if sample.seconds_left <= 0:
            break
        for cols in bands.column_blocks():
            phase, amplitude = (aliases.fold(part) for part in bands.templates(row, cols))
            if unknowns is Unknowns.TEXTBOOK:
                length = phase[..., 0].abs()
                seen = (weights[row, cols] > 0) & (length > bands.least)
                equations.add(phase, spectra[cols], seen / length.clamp_min(bands.least))
                continue
            both = torch.cat([phase, amplitude], dim=-1)
            templates = phase if unknowns is Unknowns.PHASE else both
            equations.add(templates, spectra[cols], weights[row, cols])
        sample.progress((row + 1) / height)
    return equations


def speckle_pixels(ideal: IdealOperator) -> float:
    """Detector pixels in a speckle: the window's area over that which the probe lights."""
    power = np.abs(ideal.probe.astype(np.complex128)) ** 2
    return float(power.size * (power**2).sum() / power.sum() ** 2)
