"""What an image holds at each spatial frequency: power spectrum, and correlation with the truth.

Frequencies are in A^-1, rings one Fourier pixel of the shorter side wide, up to the Nyquist
frequency. An image that does not repeat is multiplied by a Hann window first, or its edges would
be taken for structure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.floating[Any]]
Float64 = NDArray[np.float64]

FRC_THRESHOLD = 0.5
"""Correlation with a known truth below which a frequency is not resolved.

It is the half-data threshold of 0.143 in other words: two halves that correlate by F estimate a
correlation of sqrt(2 F / (1 + F)) = 0.5 between their sum and the truth (Rosenthal & Henderson,
J. Mol. Biol. 333, 721 (2003)).
"""


EMPTY_SHARE = 1e-8
"""Power of a ring, as a share of the strongest one's, below which it holds nothing but rounding:
between the spots of a perfect crystal."""


@dataclass(frozen=True)
class Curve:
    """A value for each ring; NaN where there is none.

    Attributes:
        frequency: (R,) centre of the rings [A^-1], the first above 0.
        value: (R,) what was found there.
    """

    frequency: Float64
    value: Float64


def power_spectrum(image: Image, *, periodic: bool) -> Float64:
    """|F x|^2 / pixels (H, W), zero frequency at (H//2, W//2), of the image less its mean."""
    spectrum = np.abs(_transform(image, periodic=periodic)) ** 2 / image.size
    shifted: Float64 = np.fft.fftshift(spectrum)
    return shifted


def radial_power(image: Image, sampling_A: float, *, periodic: bool) -> Curve:
    """Mean of |F x|^2 / pixels over each ring."""
    power = np.abs(_transform(image, periodic=periodic)) ** 2 / image.size
    rings = _Rings.of(image.shape, sampling_A)
    return Curve(rings.frequency, rings.sums(power) / rings.sums(np.ones_like(power)))


def ring_correlation(one: Image, other: Image, sampling_A: float, *, periodic: bool) -> Curve:
    """Fourier ring correlation Re sum F G* / sqrt(sum |F|^2 sum |G|^2), from -1 to 1.

    (Saxton & Baumeister, J. Microsc. 127, 127 (1982).) A ring in which either image holds nothing
    has 0: nothing there agrees.

    Args:
        one: image (H, W).
        other: image of the same shape.
        sampling_A: side of a pixel [A].
        periodic: whether the images repeat.
    """
    f, g = (_transform(image, periodic=periodic) for image in (one, other))
    rings = _Rings.of(one.shape, sampling_A)
    norm = np.sqrt(rings.sums(np.abs(f) ** 2) * rings.sums(np.abs(g) ** 2))
    cross = rings.sums((f * g.conj()).real)
    return Curve(rings.frequency, np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0))


def where_filled(curve: Curve, power: Curve) -> Curve:
    """The curve where the truth holds something: there is nothing to resolve in an empty ring.

    Args:
        curve: of any quantity.
        power: of the truth, over the same rings.
    """
    filled = power.value > EMPTY_SHARE * power.value.max(initial=0.0)
    return Curve(curve.frequency, np.where(filled, curve.value, np.nan))


def resolution_A(curve: Curve, threshold: float = FRC_THRESHOLD) -> float | None:
    """1 / frequency at which the correlation first falls below the threshold [A].

    Interpolated between rings that have a value; None where it never falls: every frequency up to
    Nyquist's is resolved.
    """
    there = np.isfinite(curve.value)
    frequency, value = curve.frequency[there], curve.value[there]
    below = np.flatnonzero(value < threshold)
    if not below.size:
        return None
    last = int(below[0])
    if last == 0:
        return float(1.0 / frequency[0])
    f0, f1 = frequency[last - 1 : last + 1]
    v0, v1 = value[last - 1 : last + 1]
    return float(1.0 / (f0 + (f1 - f0) * (v0 - threshold) / (v0 - v1)))


def _transform(image: Image, *, periodic: bool) -> NDArray[np.complex128]:
    values = image.astype(np.float64)
    values = values - values.mean()
    if not periodic:
        height, width = values.shape
        values = values * np.outer(np.hanning(height), np.hanning(width))
    spectrum: NDArray[np.complex128] = np.fft.fft2(values)
    return spectrum


@dataclass(frozen=True)
class _Rings:
    """The ring of every Fourier pixel (H, W), -1 beyond Nyquist's and at 0."""

    frequency: Float64
    index: NDArray[np.int64]

    @classmethod
    def of(cls, shape: tuple[int, ...], sampling_A: float) -> _Rings:
        height, width = shape
        ky, kx = np.fft.fftfreq(height, sampling_A), np.fft.fftfreq(width, sampling_A)
        step = 1.0 / (min(height, width) * sampling_A)
        ring = np.rint(np.hypot(ky[:, None], kx[None, :]) / step).astype(np.int64)
        count = min(height, width) // 2
        index = np.where((ring >= 1) & (ring <= count), ring - 1, -1)
        return cls(step * np.arange(1, count + 1, dtype=np.float64), index)

    def sums(self, values: Float64) -> Float64:
        """Sum over each ring."""
        inside = self.index >= 0
        found: Float64 = np.bincount(
            self.index[inside], weights=values[inside], minlength=len(self.frequency)
        ).astype(np.float64)
        return found
