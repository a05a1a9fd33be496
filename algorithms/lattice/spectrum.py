"""The scan's spectrum: which spatial frequencies of the specimen the patterns vary with.

The Fourier transform of a detector pixel q over the scan holds, at the frequency G, the
interference of the disks around g and g - G. For most specimens the undiffracted disk is one of
the two, so that the pixels where it overlaps its copies at +G and -G carry G (Rodenburg, McCallum &
Nellist, Ultramicroscopy 48, 304 (1993)). Their power, averaged, needs no aberration to be known. It
is asked for in the extended zone, |G| up to the aperture's diameter. A frequency beyond the scan's
own limit returns at folded ones, but in its own pixels: of all that fold together the one owns the
power whose overlap parts bright pixels from dark ones best.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Sample
from algorithms.lattice.lattice import Lattice, reduced
from algorithms.pixels import fill
from physics.geometry import DetectorGeometry
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]
Complex128 = NDArray[np.complex128]

MOST_PATTERNS = 4096
"""Patterns that are used, those nearest to the middle of the scan: a peak is as sharp as the field
is wide, and 4096 positions place it well enough."""

MOST_PIXELS = 300
"""Detector pixels or blocks of pixels within the disk; a fine detector is binned to so many."""

FAR_LIKELIER = 8.0
"""Log-likelihood by which a higher frequency must explain a pattern of power better than the lowest
that folds onto it."""

BLOCK_BYTES = 32 << 20
"""Patterns read at a time [bytes]."""


@dataclass(frozen=True, eq=False)
class ScanSpectrum:
    """Patterns within the bright-field disk, ready to be transformed over the scan.

    Attributes:
        values: (N, M) counts less their mean over the scan, in units of their noise.
        pixels: (M, 2) frequencies (q_y, q_x) of the detector pixels or blocks [A^-1].
        places: (N, 2) scan positions (y, x) from their middle [A].
        taper: (N,) weight of each position, falling to 0 at the field's rim.
        aperture_invA: radius of the disk [A^-1].
        extent_A: (height, width) of the field that is used [A].
        steps_A: (y, x) scan step [A].
    """

    values: Float64
    pixels: Float64
    places: Float64
    taper: Float64
    aperture_invA: float
    extent_A: tuple[float, float]
    steps_A: tuple[float, float]

    @classmethod
    def of(cls, sample: Sample, spec: MismatchSpec, usable: NDArray[np.bool_]) -> ScanSpectrum:
        """Of a sample seen by the detector `spec`, broken pixels filled; one pass over the scan."""
        attrs, ideal = sample.operator.attrs, sample.operator
        chosen, places = _middle(ideal.positions_px.astype(np.float64) * attrs.sampling_A)
        bins, pixels = _disk(sample, spec)
        counts = _binned(sample, usable, chosen, bins, len(pixels))
        mean = counts.mean(axis=0)
        size = np.bincount(bins[bins >= 0], minlength=len(pixels))
        sigma = np.sqrt(attrs.gain * mean + size * attrs.read_noise**2 + 1e-12)
        extent, steps = _extent(places)
        hann = np.cos(np.pi * places / np.array(extent)) ** 2
        return cls(
            (counts - mean) / sigma,
            pixels,
            places,
            hann[:, 0] * hann[:, 1],
            attrs.semiangle_mrad * 1e-3 / attrs.wavelength_A,
            extent,
            steps,
        )

    @property
    def resolution(self) -> Float64:
        """(2,) frequency step (y, x) at which the field's transform is independent [A^-1]."""
        return 1.0 / np.array(self.extent_A)

    def transform(self, frequencies: Float64) -> Complex128:
        """(F, M) amplitudes at frequencies (F, 2) [A^-1]; noise alone has a mean square of 1."""
        weights = self.taper / np.linalg.norm(self.taper)
        values = weights[:, None] * self.values
        out = np.empty((len(frequencies), self.values.shape[1]), dtype=np.complex128)
        for start in range(0, len(frequencies), 512):
            part = slice(start, start + 512)
            angle = -2 * np.pi * frequencies[part] @ self.places.T
            out[part] = np.cos(angle) @ values + 1j * (np.sin(angle) @ values)
        return out

    def overlap(self, frequencies: Float64) -> Float64:
        """(F, M) in how many of the disk's overlaps with its two copies, at +-G, a pixel lies."""
        inside = np.zeros((len(frequencies), len(self.pixels)))
        for sign in (1, -1):
            apart = self.pixels[None] + sign * frequencies[:, None]
            inside += np.linalg.norm(apart, axis=2) <= self.aperture_invA
        return inside

    def owned(self, frequencies: Float64, power: Float64) -> NDArray[np.bool_]:
        """(F,) whether the power of a frequency is its own, and not that of one folded onto it.

        A pixel's power is exponentially distributed around its mean, and the mean is one beyond the
        overlaps, another in one and a third where both meet and interfere. The lowest frequency of
        those that fold together owns the power unless another is far likelier.

        Args:
            frequencies: (F, 2) [A^-1].
            power: (F, M) squared amplitudes there.
        """
        shifts = (np.stack(list(np.ndindex(3, 3))) - 1) / np.array(self.steps_A)
        folded = frequencies[:, None] + shifts  # (F, 9, 2); the fifth shift is none
        lengths = np.linalg.norm(folded, axis=2)
        lengths[lengths > 2 * self.aperture_invA] = np.inf
        score = np.full(lengths.shape, -np.inf)
        for number in range(len(shifts)):
            near = np.isfinite(lengths[:, number])
            score[near, number] = _likelihood(self.overlap(folded[near, number]), power[near])
        lowest = lengths <= lengths.min(axis=1, keepdims=True) * (1 + 1e-9)
        best = np.where(lowest, score, score - FAR_LIKELIER).argmax(axis=1)
        return np.asarray(best == len(shifts) // 2)

    def folds(self, lattice: Lattice) -> list[Lattice]:
        """Lattices that fold onto the same frequencies, within the aperture's diameter."""
        shifts = (np.stack(list(np.ndindex(3, 3))) - 1) / np.array(self.steps_A)
        ways = [
            [v for v in vector + shifts if np.linalg.norm(v) < 2 * self.aperture_invA]
            for vector in lattice.basis
        ]
        pairs = [np.stack(pair) for pair in product(*ways)]
        smallest = float(self.resolution.min()) ** 2
        return [
            Lattice(reduced(pair), lattice.covariance)
            for pair in pairs
            if abs(np.linalg.det(pair)) > smallest
        ]


def _middle(places_A: Float64) -> tuple[NDArray[np.int64], Float64]:
    """Indices of the patterns that are used, and where they were, from the field's middle."""
    middle = (places_A.min(axis=0) + places_A.max(axis=0)) / 2
    apart = np.abs(places_A - middle).max(axis=1)
    chosen = np.sort(np.argsort(apart, kind="stable")[:MOST_PATTERNS])
    used = places_A[chosen]
    return chosen, used - (used.min(axis=0) + used.max(axis=0)) / 2


def _extent(places: Float64) -> tuple[tuple[float, float], tuple[float, float]]:
    """(Height and width of the field, half a step beyond the outermost positions; step) [A]."""
    counts = np.array([max(len(np.unique(np.round(axis, 3))) - 1, 1) for axis in places.T])
    steps = np.maximum(np.ptp(places, axis=0) / counts, 1e-9)
    height, width = steps * (counts + 1)
    return (float(height), float(width)), (float(steps[0]), float(steps[1]))


def _likelihood(overlaps: Float64, power: Float64) -> Float64:
    """(F,) log-likelihood of exponential powers (F, M), a mean for each number of overlaps."""
    likelihood = np.zeros(len(power))
    for number in range(3):
        part = overlaps == number
        count = part.sum(axis=1)
        mean = (part * power).sum(axis=1) / np.maximum(count, 1)
        likelihood -= count * np.log(np.maximum(mean, 1e-12))
    return likelihood


def _disk(sample: Sample, spec: MismatchSpec) -> tuple[NDArray[np.int64], Float64]:
    """Bin of each detector pixel (Ky, Kx), -1 beyond the disk; frequency of each bin (M, 2)."""
    ideal = sample.operator
    q_y, q_x = DetectorGeometry(ideal.window, spec).frequencies()
    inside = np.hypot(q_y[:, None], q_x[None, :]) <= ideal.disk_radius_px
    block = max(1, int(np.ceil(np.sqrt(inside.sum() / MOST_PIXELS))))
    rows, cols = np.nonzero(inside)
    label = (rows // block) * ideal.window + cols // block
    _, number = np.unique(label, return_inverse=True)
    bins = np.full(inside.shape, -1)
    bins[rows, cols] = number
    size = np.bincount(number)
    centre = [np.bincount(number, q) / size for q in (q_y[rows], q_x[cols])]
    return bins, np.stack(centre, axis=1) * ideal.detector_pixel_invA


def _binned(
    sample: Sample,
    usable: NDArray[np.bool_],
    chosen: NDArray[np.int64],
    bins: NDArray[np.int64],
    count: int,
) -> Float64:
    """(N, M) counts of the chosen patterns in each bin, block by block."""
    _, _, ky, kx = sample.y.shape
    inside = bins.reshape(-1) >= 0
    sums = np.zeros((int(inside.sum()), count))
    sums[np.arange(len(sums)), bins.reshape(-1)[inside]] = 1.0
    block = max(1, BLOCK_BYTES // (4 * ky * kx))
    out = np.empty((len(chosen), count))
    for start in range(0, len(sample.operator.positions_px), block):
        stop = min(start + block, len(sample.operator.positions_px))
        first, last = np.searchsorted(chosen, [start, stop])
        if first < last:
            patterns = fill(sample.y.read(start, stop)[chosen[first:last] - start], usable)
            out[first:last] = patterns.reshape(last - first, -1)[:, inside] @ sums
    return out
