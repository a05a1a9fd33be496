r"""Bright-field images of single detector pixels, put back in register and summed.

By reciprocity each pixel q of the bright-field disk is a tilted illumination, whose image of a weak
phase is shifted by the geometric gradient of the aberration phase: m_q(R) = f(R + chi'(q)/2 pi).
So what it records at R belongs to R + s_q (parallax; tilt-corrected bright field: Spoth, Nguyen,
Muller & Kourkoutis, Microsc. Microanal. 23 (S1), 808 (2017); Varnavides et al., arXiv:2309.05250).
As the shifts differ, the sum is sampled finer than the scan: what the scan's step folds back is
averaged out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Sample
from algorithms.scan_lattice import spread
from algorithms.weak_phase import VacuumWave
from physics.geometry import DetectorGeometry
from physics.ideal import IdealOperator
from physics.operator import dft_matrix
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]
Complex128 = NDArray[np.complex128]
Frequency = tuple[float, float]

LEAST_LIGHT = 0.5
"""Pixels with less than this share of the brightest one's vacuum intensity are not of the disk."""

BLOCK_VALUES = 1 << 20
"""Counts that are put in place at a time: about 100 MB with their places."""

BLOCK_KERNEL_VALUES = 4 << 20
"""Kernel values in memory at a time: 32 MB."""

SHIFT_DEGREE = 3
"""Degree of the polynomial in q that the shifts are taken for: tilt, defocus and astigmatism, coma,
and spherical aberration."""

CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


@dataclass(frozen=True)
class TiltedImages:
    """The pixels of the disk, and where each one's image belongs.

    Attributes:
        vacuum: the probe on the detector.
        rows: (D,) of the pixels.
        cols: (D,) likewise.
        shifts: (D, 2), s_q as (row, col) [object pixels].
    """

    vacuum: VacuumWave
    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    shifts: Float64

    @classmethod
    def of(
        cls, ideal: IdealOperator, spec: MismatchSpec, usable: NDArray[np.bool_]
    ) -> TiltedImages:
        """All pixels of the disk that are `usable` (Ky, Kx)."""
        vacuum = VacuumWave(ideal, spec)
        rows, cols = np.nonzero(usable & _bright(vacuum.pattern))
        q_y, q_x = DetectorGeometry(ideal.window, spec).frequencies()
        return cls(vacuum, rows, cols, image_shifts(ideal, q_y[rows], q_x[cols]))

    def aligned(self, sample: Sample, mean: Float64) -> Float64:
        """The images in register, their means taken away, summed: (H, W) [share of the beam].

        One pass over the scan; memory for a block of patterns and for the image, however large the
        scan is.

        Args:
            sample: the measurement.
            mean: (Ky, Kx) position-averaged pattern [counts].
        """
        attrs = sample.operator.attrs
        ny, nx, ky, kx = sample.y.shape
        positions = sample.operator.positions_px.astype(np.float64)
        pixels = self.rows * kx + self.cols
        level = mean.reshape(-1)[pixels]
        image = np.zeros(sample.object_shape)
        block = max(1, BLOCK_VALUES // max(len(pixels), ky * kx // 4))
        for start in range(0, ny * nx, block):
            stop = min(start + block, ny * nx)
            counts = sample.y.read(start, stop).reshape(stop - start, -1)[:, pixels]
            places = positions[start:stop, None, :] + self.shifts[None, :, :]
            image += spread((counts - level).ravel(), places.reshape(-1, 2), image.shape)
            sample.progress(stop / (ny * nx))
        return image / (attrs.gain * attrs.dose_e)

    def kernels(self, frequencies: Sequence[Frequency]) -> Complex128:
        """u_g (G, m, m): `weak_phase.transfer(u_g, shape, g)` is H(k; g) of the aligned sum.

        A phase's frequency k + g is recorded as k, and shifted as k is. With the pixels' own
        kernels h_q, u_g(j) = sum_q exp(2 pi i g s_q) h_q(j + s_q), shifts divided among whole
        pixels as `lattice.spread` divides them.
        """
        whole = np.floor(self.shifts).astype(np.intp)
        fraction = self.shifts - whole
        n = len(self.vacuum.wave)
        reach = int(np.abs(whole).max()) + 1
        # h's origin n//2 comes to lie at (n + 2 reach)//2.
        side = n + 2 * reach
        total = np.zeros((len(frequencies), side, side), dtype=np.complex128)
        parts = [(whole + c, np.abs(1 - np.array(c) - fraction).prod(axis=1)) for c in CORNERS]
        shifts, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
        pixels = np.tile(np.arange(len(whole)), len(CORNERS))
        for shift, members in _alike(shifts, most=max(1, BLOCK_KERNEL_VALUES // n**2)):
            chosen = pixels[members]
            h = self.vacuum.pixel_kernels(self.rows[chosen], self.cols[chosen])
            summed = np.tensordot(weights[members], h, axes=1)
            turns = np.exp(2j * np.pi * (np.array(frequencies) @ shift))
            row, col = reach - shift
            total[:, row : row + n, col : col + n] += turns[:, None, None] * summed
        return total


def _alike(
    shifts: NDArray[np.intp], most: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Each shift (2,) that occurs among (N, 2), with the places where, `most` at a time."""
    found, group = np.unique(shifts, axis=0, return_inverse=True)
    order = np.argsort(group.reshape(-1), kind="stable")
    ends = np.cumsum(np.bincount(group.reshape(-1)))
    for shift, places in zip(found, np.split(order, ends[:-1]), strict=True):
        for start in range(0, len(places), most):
            yield shift, places[start : start + most]


def image_shifts(ideal: IdealOperator, q_y: Float64, q_x: Float64) -> Float64:
    """chi'(q) / 2 pi at frequencies q (D,) [nominal pixels]: (D, 2) as (row, col) [object pixels].

    From the phase steps between neighbouring pixels of the probe's own far field, through which a
    polynomial is laid: whatever the aberrations are, and free of the rim, where the phase ends.
    Defocus alone gives wavelength * C10 * q.
    """
    n = ideal.window
    matrix = dft_matrix(np.arange(n, dtype=np.float64) - n // 2, n)
    wave = matrix @ ideal.probe.astype(np.complex128) @ matrix.T
    bright = _bright(np.abs(wave) ** 2)
    shifts = np.empty((len(q_y), 2))
    for axis in (0, 1):
        pairs = bright & np.roll(bright, -1, axis)
        rows, cols = np.nonzero(pairs)
        turn = (wave * np.roll(wave, -1, axis).conj())[rows, cols]
        # The wave is A exp(-i chi), and a pixel is 1/n cycles an object pixel.
        slopes = np.angle(turn) * n / (2 * np.pi)
        half = 0.5 * np.eye(2)[axis]
        powers = _powers(rows - n // 2 + half[0], cols - n // 2 + half[1])
        fit = np.linalg.lstsq(powers, slopes, rcond=None)[0]
        shifts[:, axis] = _powers(q_y, q_x) @ fit
    return shifts


def _bright(pattern: Float64) -> NDArray[np.bool_]:
    """(Ky, Kx), True within the disk."""
    return np.asarray(pattern > LEAST_LIGHT * pattern.max(), dtype=np.bool_)


def _powers(q_y: Float64, q_x: Float64) -> Float64:
    """All products q_y^a q_x^b up to `SHIFT_DEGREE`, (D, 10)."""
    degrees = range(SHIFT_DEGREE + 1)
    terms = [q_y**a * q_x**b for a in degrees for b in degrees if a + b <= SHIFT_DEGREE]
    return np.stack(terms, axis=1)
