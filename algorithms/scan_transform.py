r"""The scan's Fourier transform, and the object's frequencies in it: what SSB and WDD share.

Each detector pixel, seen over the scan, is an image y(R). Its Fourier transform at the scan's
frequency Q,

    Y(Q) = 1/N sum_R w(R) (y(R) - <y>) exp(-2 pi i Q R),

holds the object's frequencies k = Q + m / step of every whole m: what lies above the scan's Nyquist
frequency is folded onto what lies below. Frequencies k are cycles per object pixel. R counts from
the scan's origin, so coefficients belong to an object that is shifted by it; `to_object` knows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from algorithms.base import Sample, unsuited
from algorithms.scan_lattice import ScanLattice
from physics.curvature import FrequencyBins

Float64 = NDArray[np.float64]

OFF_RASTER = 0.05
"""Largest distance of a scan position from an even raster, in periods of the finest fringe that the
aperture passes: a fringe that is moved by this much loses 5 % of its amplitude."""

RIM_PX = 1.5
"""What the disk's rim adds to its radius [nominal detector pixels]: the rim falls over a pixel, and
the window's finite side rounds it further."""

TAPER_STEPS = 2.0
"""Width of the scan's soft edge where the object is not periodic [scan steps]."""

READ_BYTES = 16 << 20
"""Patterns read at a time [bytes]."""

ELEMENTS_ALIVE = 4
"""Complex64 arrays of a pass's size that are in memory at the worst moment: the features, the same
with their soft edge, their transform, and the library's own copy."""


@dataclass(frozen=True)
class Raster:
    """An even raster along the object's axes.

    Attributes:
        origin: (row, column) of the first position [object pixels].
        step: (down, along) distance of two positions [object pixels].
        shape: (Ny, Nx) positions.
        period: (Py, Px) positions after which the transform repeats: the scan's own for one that
            fills a supercell; else larger by a probe window, so that rims do not meet.
    """

    origin: tuple[float, float]
    step: tuple[float, float]
    shape: tuple[int, int]
    period: tuple[int, int]

    @classmethod
    def of(cls, sample: Sample) -> Raster:
        """The raster of a sample.

        Raises:
            ContractError: SAMPLE_UNSUITED, the positions are no such raster.
        """
        lattice, ideal = ScanLattice.of(sample), sample.operator
        (ny, nx), (step_y, step_x) = sample.scan_shape, (lattice.slow[0], lattice.fast[1])
        even = np.stack(
            np.meshgrid(step_y * np.arange(ny), step_x * np.arange(nx), indexing="ij"), axis=-1
        )
        deviation = ideal.positions_px.astype(np.float64).reshape(even.shape) - even
        origin = deviation.mean(axis=(0, 1))
        off = float(np.linalg.norm(deviation - origin, axis=-1).max())
        finest = ideal.window / (2 * ideal.disk_radius_px)
        if off > OFF_RASTER * finest or min(step_y, step_x) <= 0:
            raise _not_even(sample, off, OFF_RASTER * finest)
        height, width = ideal.attrs.object_shape
        fills = (
            ideal.attrs.periodic
            and abs(ny * step_y - height) < OFF_RASTER * finest
            and abs(nx * step_x - width) < OFF_RASTER * finest
        )
        margin_y, margin_x = (
            0 if fills else math.ceil(ideal.window / step) for step in (step_y, step_x)
        )
        return cls(
            (float(origin[0]), float(origin[1])),
            (float(step_y), float(step_x)),
            (ny, nx),
            (ny + margin_y, nx + margin_x),
        )

    @property
    def closed(self) -> bool:
        """The scan fills a supercell, and its transform is exact."""
        return self.period == self.shape

    @cached_property
    def weight(self) -> Float64:
        """w(R), (Ny, Nx): 1, or falling softly to 0 at the rim of a scan that is not closed."""
        if self.closed:
            return np.ones(self.shape)
        return np.outer(*(_soft_edge(count) for count in self.shape))

    @property
    def noise_gain(self) -> float:
        """Variance of Y(Q) for y of variance 1: sum of w^2, over the square of the period."""
        return float((self.weight**2).sum()) / (self.period[0] * self.period[1]) ** 2


def _not_even(sample: Sample, off: float, allowed: float) -> Exception:
    return unsuited(
        sample,
        needs=f"positions within {allowed:.2f} pixels of an even raster along the object's axes,"
        " rows downwards and columns to the right",
        found=f"positions up to {off:.2f} pixels off it",
        instead="parallax and idpc take turned rasters; ptychography takes any positions",
    )


def _too_coarse(sample: Sample, raster: Raster, most: int, pixels: float) -> Exception:
    ideal = sample.operator
    widest = ideal.window / (2 * ideal.disk_radius_px) * math.sqrt(pixels / math.pi)
    return unsuited(
        sample,
        needs="fewer frequencies folded onto one than the bright-field disk has pixels, which"
        f" takes steps below about {widest:.0f} object pixels",
        found=f"{most} frequencies for {pixels:.0f} pixels, at steps of {max(raster.step):.1f}",
        instead="ptychography uses the dark field as well; or scan with smaller steps",
    )


def _soft_edge(count: int) -> Float64:
    """Raised cosine at both ends, (count,)."""
    inside = np.minimum(np.arange(count), np.arange(count)[::-1]) + 0.5
    edge = np.clip(inside / TAPER_STEPS, 0.0, 1.0)
    return np.asarray(np.sin(np.pi / 2 * edge) ** 2, dtype=np.float64)


@dataclass(frozen=True)
class Aliases:
    """The object's frequencies that the aperture passes, sorted by the scan's they fold onto.

    A grid of (ay, Py, ax, Px): the frequencies [:, Qy, :, Qx] fold onto Q, one of them the scan's
    own.

    Attributes:
        k_y: rows' frequency, (ay * Py,) [cycles/object pixel], in the FFT's order.
        k_x: columns' frequency, (ax * Px,), likewise.
        passed: (ay * Py, ax * Px), True where the aperture passes a frequency that the object
            has; False for those that fold onto 0, where the unscattered beam hides them.
        raster: the scan.
    """

    k_y: Float64
    k_x: Float64
    passed: NDArray[np.bool_]
    raster: Raster

    @classmethod
    def of(cls, sample: Sample, raster: Raster, *, folded: bool) -> Aliases:
        """Frequencies up to twice the aperture's radius, and below the object's Nyquist.

        Args:
            sample: the measurement.
            raster: its scan.
            folded: those above the scan's Nyquist frequency as well; False leaves one alias, and
                takes what the others add for the object's.

        Raises:
            ContractError: SAMPLE_UNSUITED, more frequencies fold onto one than the disk has pixels.
        """
        ideal = sample.operator
        limit = 2 * (ideal.disk_radius_px + RIM_PX) / ideal.window
        axes: list[Float64] = []
        for step, period in zip(raster.step, raster.period, strict=True):
            most = math.floor(min(limit, 0.5) * period * step)
            count = math.ceil((2 * most + 1) / period) if folded else 1
            whole = np.fft.fftfreq(count * period, 1 / (count * period)).astype(np.float64)
            axes.append(whole / (period * step))
        k_y, k_x = axes
        radius = np.hypot(k_y[:, None], k_x[None, :])
        # The last frequency of an even axis has no mirror image.
        below = [np.abs(k) < min(0.5, k.max() + k[1] / 2) for k in axes]
        passed = (radius <= limit) & np.outer(*below)
        passed[:: raster.period[0], :: raster.period[1]] = False
        aliases = cls(k_y, k_x, passed, raster)
        pixels = math.pi * ideal.disk_radius_px**2
        if folded and aliases.most > pixels:
            raise _too_coarse(sample, raster, aliases.most, pixels)
        return aliases

    @property
    def counts(self) -> tuple[int, int]:
        """(ay, ax): aliases along each axis."""
        return (len(self.k_y) // self.raster.period[0], len(self.k_x) // self.raster.period[1])

    @property
    def most(self) -> int:
        """Most frequencies that fold onto one."""
        return int(self.fold(torch.as_tensor(self.passed)).sum(dim=-1).max())

    def rings(self, device: torch.device) -> FrequencyBins:
        """Rings of frequency as wide as the coarser axis' spacing, for radial averages."""
        radius = np.hypot(self.k_y[:, None], self.k_x[None, :])
        width = max(self.k_y[1], self.k_x[1])
        ring = torch.as_tensor(np.rint(radius / width).astype(np.int64)).to(device)
        return FrequencyBins(ring, torch.bincount(ring.reshape(-1)))

    def fold(self, values: Tensor) -> Tensor:
        """(..., ay * Py, ax * Px) sorted by the scan's frequency, (..., Py, Px, ay * ax)."""
        (ay, ax), (py, px) = self.counts, self.raster.period
        split = values.reshape(*values.shape[:-2], ay, py, ax, px)
        sorted_ = split.movedim((-3, -1), (-4, -3))
        return sorted_.reshape(*values.shape[:-2], py, px, ay * ax)

    def unfold(self, values: Tensor) -> Tensor:
        """The inverse of `fold`."""
        (ay, ax), (py, px) = self.counts, self.raster.period
        split = values.reshape(*values.shape[:-3], py, px, ay, ax)
        grid = split.movedim((-4, -3), (-3, -1))
        return grid.reshape(*values.shape[:-3], ay * py, ax * px)

    def to_object(self, coefficients: Tensor, shape: tuple[int, int]) -> Tensor:
        """sum_k c(k) exp(2 pi i k (r - origin)) on the object's pixels, (H, W) complex.

        Args:
            coefficients: c, (ay * Py, ax * Px) complex.
            shape: (H, W).
        """
        waves = [
            torch.as_tensor(np.exp(2j * np.pi * np.outer(np.arange(side) - origin, k)))
            for side, origin, k in zip(shape, self.raster.origin, (self.k_y, self.k_x), strict=True)
        ]
        rows, cols = (wave.to(coefficients.device, coefficients.dtype) for wave in waves)
        return rows @ coefficients @ cols.T

    def seen(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """(H, W), True within the raster: beyond it an image is the transform's margin."""
        if self.raster.closed:
            return np.ones(shape, dtype=bool)
        inside = [
            np.abs(np.arange(side) - origin - step * (count - 1) / 2) <= step * count / 2
            for side, origin, step, count in zip(
                shape, self.raster.origin, self.raster.step, self.raster.shape, strict=True
            )
        ]
        return np.outer(*inside)


def scan_spectra(
    sample: Sample,
    raster: Raster,
    features: Callable[[NDArray[np.float32], slice], Tensor],
    rows: int,
    row_size: int,
) -> Iterator[tuple[int, Tensor]]:
    """The scan's Fourier transform of features of the patterns, one row of features at a time.

    The patterns are read once where all features fit the sample's memory budget; else once for as
    many rows of them as fit.

    Args:
        sample: the measurement.
        raster: its scan.
        features: counts (B, Ky, Kx), rows of features -> (B, rows, row_size); linear.
        rows: rows of features.
        row_size: features in each.

    Yields:
        Row of features, its Y: (row_size, Py, Px) complex64.
    """
    ny, nx, ky, kx = sample.y.shape
    at_once = sample.memory_bytes // (8 * ELEMENTS_ALIVE * math.prod(raster.period) * row_size)
    block = max(1, READ_BYTES // (4 * ky * kx))
    weight = torch.as_tensor(raster.weight, dtype=torch.float32, device=sample.device)
    for first in range(0, rows, max(1, at_once)):
        chosen = slice(first, min(first + max(1, at_once), rows))
        parts = []
        for start in range(0, ny * nx, block):
            parts.append(features(sample.y.read(start, min(start + block, ny * nx)), chosen))
        images = torch.cat(parts).movedim(0, -1).reshape(-1, row_size, ny, nx)
        del parts
        for offset, image in enumerate(images):
            deviation = weight * (image - image.mean(dim=(-2, -1), keepdim=True))
            yield (
                chosen.start + offset,
                torch.fft.fft2(deviation, s=raster.period) / math.prod(raster.period),
            )
