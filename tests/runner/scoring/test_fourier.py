"""Spectra and ring correlation, against what is known of simple images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.scoring.fourier import (
    Curve,
    power_spectrum,
    radial_power,
    resolution_A,
    ring_correlation,
    where_filled,
)

SAMPLING = 0.2


def noise(seed: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(side, side))


def wave(side: int, cycles: int) -> np.ndarray:
    return np.cos(2 * np.pi * cycles * np.arange(side) / side) * np.ones((side, 1))


@given(seed=st.integers(0, 99), factor=st.floats(0.1, 10), offset=st.floats(-5, 5))
def test_an_image_agrees_with_itself_whatever_its_scale(seed, factor, offset) -> None:
    image = noise(seed)
    curve = ring_correlation(image, factor * image + offset, SAMPLING, periodic=True)
    np.testing.assert_allclose(curve.value, 1.0)
    opposite = ring_correlation(image, -factor * image, SAMPLING, periodic=True)
    np.testing.assert_allclose(opposite.value, -1.0)


def test_independent_noise_does_not_correlate() -> None:
    """Expected 0, scattering by 1 / sqrt of the pixels of a ring."""
    curves = [
        ring_correlation(noise(2 * k), noise(2 * k + 1), SAMPLING, periodic=True).value
        for k in range(100)
    ]
    assert np.abs(np.mean(curves, axis=0)).max() < 0.15
    spread = np.std(curves, axis=0)
    assert spread[-1] < spread[0]


def test_known_signal_to_noise_ratio() -> None:
    """Truth against truth plus noise of the same power: 1 / sqrt(2)."""
    found = [
        ring_correlation(noise(k), noise(k) + noise(1000 + k), SAMPLING, periodic=True).value
        for k in range(60)
    ]
    np.testing.assert_allclose(np.mean(found, axis=0)[3:], np.sqrt(0.5), atol=0.05)


def test_a_wave_is_in_its_own_ring() -> None:
    curve = radial_power(wave(32, 5), SAMPLING, periodic=True)
    assert int(np.argmax(curve.value)) == 4
    assert curve.frequency[4] == pytest.approx(5 / (32 * SAMPLING))
    others = np.delete(curve.value, 4)
    assert others.max() < 1e-12 * curve.value[4]


def test_the_spectrum_holds_all_the_power() -> None:
    """Parseval: the sum of |F x|^2 / pixels is that of the image without its mean."""
    image = noise(3)
    power = power_spectrum(image + 7.0, periodic=True)
    assert power.sum() == pytest.approx(((image - image.mean()) ** 2).sum())
    assert power[16, 16] == pytest.approx(0.0, abs=1e-20)
    shifted = power_spectrum(wave(32, 3), periodic=True)
    assert set(zip(*np.nonzero(shifted > 1e-6), strict=True)) == {(16, 13), (16, 19)}


def test_edges_are_no_structure() -> None:
    """A ramp that does not repeat has a step at its edges; the window takes it away."""
    ramp = np.outer(np.ones(64), np.linspace(0, 1, 64))
    high = slice(20, None)
    free = radial_power(ramp, SAMPLING, periodic=False).value[high].max()
    assert free < 1e-3 * radial_power(ramp, SAMPLING, periodic=True).value[high].max()


def test_the_crossing_is_interpolated() -> None:
    frequency = np.array([1.0, 2.0, 3.0, 4.0])
    assert resolution_A(Curve(frequency, np.array([1.0, 0.9, 0.1, 0.8]))) == pytest.approx(1 / 2.5)
    assert resolution_A(Curve(frequency, np.ones(4))) is None
    assert resolution_A(Curve(frequency, np.zeros(4))) == pytest.approx(1.0)


def test_empty_rings_are_not_judged() -> None:
    """A crystal's truth has spots in two rings; noise of the reconstruction between is no loss."""
    truth = wave(32, 5) + 0.1 * wave(32, 9)
    found = truth + 1e-3 * noise(4)
    curve = ring_correlation(found, truth, SAMPLING, periodic=True)
    assert resolution_A(curve) is not None
    kept = where_filled(curve, radial_power(truth, SAMPLING, periodic=True))
    assert np.flatnonzero(np.isfinite(kept.value)).tolist() == [4, 8]
    assert resolution_A(kept) is None


def test_a_ring_with_nothing_agrees_in_nothing() -> None:
    curve = ring_correlation(wave(32, 5), noise(1), SAMPLING, periodic=True)
    assert np.isfinite(curve.value).all()
    flat = ring_correlation(np.ones((32, 32)), noise(1), SAMPLING, periodic=True)
    np.testing.assert_allclose(flat.value, 0.0)
