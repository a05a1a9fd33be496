"""Origin and hand of an image, settled against a reference: all shifts, both hands, by FFT.

Magnitudes are the same for rho(r), rho(r - s) and rho(-r). In two dimensions the twin rho(-r) is
the image turned by 180 degrees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Complex128 = NDArray[np.complex128]

REFINEMENTS = 6
"""Newton steps from the best pixel to the maximum between the pixels; three are enough."""


@dataclass(frozen=True)
class Alignment:
    """An image moved and turned onto a reference.

    Attributes:
        density: (h, w), moved.
        shift: (rows, cols) by which it was moved, after it was turned [pixels].
        twin: it was turned by 180 degrees.
        correlation: Pearson's, with the reference.
        other_hand: the best correlation of the hand that was not chosen. Where it is as good, the
            image is its own twin, or the reference cannot tell.
    """

    density: Float64
    shift: tuple[float, float]
    twin: bool
    correlation: float
    other_hand: float


def align(density: Float64, reference: Float64) -> Alignment:
    """Move an image (h, w) onto a reference (h, w), turning it if that fits better.

    Shifts are found to a small part of a pixel: the correlation of two band-limited images is a
    trigonometric polynomial, whose highest pixel is refined by Newton's method. Means are ignored.
    """
    moving = np.fft.fft2(density - density.mean())
    fixed = np.fft.fft2(reference - reference.mean())
    norm = float(np.linalg.norm(moving) * np.linalg.norm(fixed))
    if norm == 0.0:  # a flat image is everywhere as good
        return Alignment(density.copy(), (0.0, 0.0), False, 0.0, 0.0)
    hands = [_best_shift(hand, fixed) for hand in (moving, moving.conj())]
    twin = hands[1][1] > hands[0][1]
    shift, covariance = hands[twin]
    spectrum = np.fft.fft2(density)
    moved = np.fft.ifft2((spectrum.conj() if twin else spectrum) * _ramp(shift, density.shape)).real
    return Alignment(moved, shift, twin, covariance / norm, hands[not twin][1] / norm)


def phase_error_deg(found: Complex128, truth: Complex128, known: NDArray[np.bool_]) -> float:
    """Mean phase error [degrees] of the known coefficients (h, w), weighted by magnitude.

    90 is what chance gives. Both must have the same origin and hand.
    """
    error = np.abs(np.angle(found[known] * truth[known].conj()))
    weight = np.abs(truth[known])
    return float(np.degrees((weight * error).sum() / weight.sum()))


def _best_shift(moving: Complex128, fixed: Complex128) -> tuple[tuple[float, float], float]:
    """((rows, cols) [pixels], sum of products there), of spectra (h, w) without their means."""
    product = fixed * moving.conj()
    height, width = product.shape
    correlation = np.fft.ifft2(product).real
    row, col = np.unravel_index(int(correlation.argmax()), correlation.shape)
    k_y, k_x = _frequencies(product.shape)
    shift = np.array([float(row), float(col)])

    def terms(place: Float64) -> Complex128:
        angle = k_y * place[0] + k_x * place[1]
        wave: Complex128 = product * np.exp(1j * angle)
        return wave

    best = float(terms(shift).real.sum())
    for _ in range(REFINEMENTS):
        wave = terms(shift)
        slope = -np.array([(k * wave.imag).sum() for k in (k_y, k_x)])
        cross = -(k_y * k_x * wave.real).sum()
        bend = np.array(
            [
                [-(k_y**2 * wave.real).sum(), cross],
                [cross, -(k_x**2 * wave.real).sum()],
            ]
        )
        if np.linalg.det(bend) <= 0:  # flat along some direction: no better place to go to
            break
        step = -np.linalg.solve(bend, slope)
        value = float(terms(shift + step).real.sum())
        if not value > best:
            break
        best, shift = value, shift + step
    rows, cols = shift % (height, width)
    return (float(rows), float(cols)), best


def _frequencies(shape: tuple[int, ...]) -> tuple[Float64, Float64]:
    """Angular frequencies [rad/pixel], (h, 1) and (1, w); 0 at Nyquist, which has no sign."""
    k_y, k_x = (_axis(size) for size in shape)
    return k_y[:, None], k_x[None, :]


def _axis(size: int) -> Float64:
    k = 2 * np.pi * np.fft.fftfreq(size).astype(np.float64)
    if size % 2 == 0:
        k[size // 2] = 0.0
    return k


def _ramp(shift: tuple[float, float], shape: tuple[int, ...]) -> Complex128:
    k_y, k_x = _frequencies(shape)
    ramp: Complex128 = np.exp(-1j * (k_y * shift[0] + k_x * shift[1]))
    return ramp
