"""The probe's own pattern as a template: where a diffracted disk lies, to a fraction of a pixel.

A crystal whose disks do not overlap sends a copy of the probe's pattern to every reflection. Under
the detector's map a copy centred at detector position c is

    D_c(d) = dq/dd |psi^(q(d) - q(c))|^2,

exact for every c and every geometry: psi^ is a trigonometric sum over the window, so its values
off the grid follow from those on the grid by the window's Dirichlet kernel. The probe's spectrum
ends at the aperture, so two small matrix products a disk do it, and with the kernel's slope they
give dD/dc.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics.geometry import DetectorGeometry
from physics.ideal import IdealOperator
from physics.operator import dft_matrix
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]

SUPPORT = 1e-4
"""Least amplitude of the probe's spectrum, relative to its largest, that is kept."""

MARGIN_PX = 2
"""Detector pixels around the disk that belong to its box: the rim's blur, and some background."""

SMALL = 1e-5
"""Below this distance [pixels] the kernel is taken from its series."""


def dirichlet(u: Float64, n: int) -> tuple[Float64, Float64]:
    """A window's kernel sin(pi u) / (n sin(pi u / n)) and its slope at |u| < n [pixels]."""
    far = np.where(np.abs(u) < SMALL, 1.0, u)
    sin_n, cos_n = np.sin(np.pi * far / n), np.cos(np.pi * far / n)
    sin_u, cos_u = np.sin(np.pi * far), np.cos(np.pi * far)
    value = sin_u / (n * sin_n)
    slope = np.pi * (cos_u / (n * sin_n) - sin_u * cos_n / (n * sin_n) ** 2)
    near = np.abs(u) < SMALL
    series = -(np.pi**2) / 3 * (1 - 1 / n**2) * u
    return np.where(near, 1.0, value), np.where(near, series, slope)


@dataclass(frozen=True, eq=False)
class ProbeTemplate:
    """The probe's pattern at any place of a detector.

    Attributes:
        geometry: the detector's map.
        spectrum: (R, C) the probe's far field within the aperture's bounding box.
        rows: (R,) its rows' frequencies [nominal pixels].
        cols: (C,) its columns' frequencies.
        reach: half side of a disk's box: 2 reach + 1 detector pixels.
    """

    geometry: DetectorGeometry
    spectrum: NDArray[np.complex128]
    rows: Float64
    cols: Float64
    reach: int

    @classmethod
    def of(cls, ideal: IdealOperator, spec: MismatchSpec) -> ProbeTemplate:
        """The template of a sample's probe on a detector."""
        n = ideal.window
        geometry = DetectorGeometry(n, spec)
        axis = np.arange(n, dtype=np.float64) - n // 2
        matrix = dft_matrix(axis, n)
        wave = matrix @ ideal.probe.astype(np.complex128) @ matrix.T
        strong = np.abs(wave) > SUPPORT * np.abs(wave).max()
        within = [np.flatnonzero(strong.any(axis=other)) for other in (1, 0)]
        part = tuple(slice(int(span[0]), int(span[-1]) + 1) for span in within)
        rows, cols = axis[part[0]], axis[part[1]]
        if n % 2 == 0:
            # The window of an even n reaches half a pixel further to one side: with this phase the
            # kernel is real, and of the same form as for an odd n.
            wave[part] *= np.exp(-1j * np.pi / n * (rows[:, None] + cols[None, :]))
        stretch = max(geometry.scale_y, geometry.scale_x)
        radius = stretch * max(np.abs(rows).max(), np.abs(cols).max())
        return cls(geometry, wave[part], rows, cols, math.ceil(radius) + MARGIN_PX)

    @property
    def side(self) -> int:
        """Side of a box [detector pixels]."""
        return 2 * self.reach + 1

    def frequency_scale_invA(self, pixel_invA: float) -> Float64:
        """(2,) A^-1 per detector pixel along y and x, for a nominal pixel of `pixel_invA`."""
        return pixel_invA / np.array([self.geometry.scale_y, self.geometry.scale_x])

    def disks(self, offsets: Float64) -> tuple[Float64, Float64, Float64]:
        """Disks of one electron: D, dD/dc_y and dD/dc_x, each (M, side, side).

        Args:
            offsets: (M, 2) each disk's centre from its box's middle pixel, (y, x) [pixels].
        """
        n = self.geometry.pixels
        axis = np.arange(-self.reach, self.reach + 1)
        factors = []
        for offset, scale, at in (
            (offsets[:, :1], self.geometry.scale_y, self.rows),
            (offsets[:, 1:], self.geometry.scale_x, self.cols),
        ):
            place = (axis - offset)[:, :, None] / scale - at
            value, slope = dirichlet(place, n)
            factors.append((value, -slope / scale))
        (rows, rows_slope), (cols, cols_slope) = factors
        right = self.spectrum @ cols.transpose(0, 2, 1)
        wave = rows @ right
        by_y = rows_slope @ right
        by_x = rows @ (self.spectrum @ cols_slope.transpose(0, 2, 1))
        area = self.geometry.area_element
        return (
            area * (wave.real**2 + wave.imag**2),
            2 * area * (wave.real * by_y.real + wave.imag * by_y.imag),
            2 * area * (wave.real * by_x.real + wave.imag * by_x.imag),
        )

    def correlate(self, patterns: Float64) -> Float64:
        """Electrons (B, n, n) of a disk centred on each pixel, were there no background.

        The least-squares amplitude sum_d y(d) D_c(d) / sum_d D_c(d)^2; patterns (B, n, n)
        [electrons]. It wraps around the detector's rim, where no box fits anyway.
        """
        n, reach = self.geometry.pixels, self.reach
        disk = self.disks(np.zeros((1, 2)))[0][0]
        kernel = np.zeros((n, n))
        kernel[: self.side, : self.side] = disk / np.square(disk).sum()
        kernel = np.roll(kernel, (-reach, -reach), axis=(0, 1))
        transform = np.fft.rfft2(patterns) * np.conj(np.fft.rfft2(kernel))
        return np.asarray(np.fft.irfft2(transform, s=(n, n)))
