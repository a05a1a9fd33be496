"""Wavelength, interaction and probe against published values and the contract's formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from physics.optics import aperture, interaction_rad_per_VA, probe, wavelength_A
from tests.helpers.operators import make_ideal

OPTICS: dict[str, Any] = {
    "energy_eV": 200e3,
    "semiangle_mrad": 12.0,
    "C10_A": -150.0,
    "Cs_A": 3e5,
    "sampling_A": 0.4,
}


@pytest.mark.parametrize(
    ("energy_eV", "published_A", "published_rad_per_VA"),
    [
        # Kirkland, Advanced Computing in Electron Microscopy, 2nd ed. (2010), tables of the
        # wavelength and of the interaction parameter; 80 keV: relativistic formula, 5 digits.
        (80e3, 0.041757, 1.0087e-3),
        (100e3, 0.037014, 0.9244e-3),
        (200e3, 0.025079, 0.7288e-3),
        (300e3, 0.019687, 0.6526e-3),
    ],
)
def test_published_values(
    energy_eV: float, published_A: float, published_rad_per_VA: float
) -> None:
    assert wavelength_A(energy_eV) == pytest.approx(published_A, rel=5e-5)
    assert interaction_rad_per_VA(energy_eV) == pytest.approx(published_rad_per_VA, rel=2e-4)


@given(energy_eV=st.floats(2e3, 5e6))
def test_slow_electrons_are_longer_and_act_more_strongly(energy_eV: float) -> None:
    assert wavelength_A(energy_eV) > wavelength_A(1.1 * energy_eV)
    assert interaction_rad_per_VA(energy_eV) > interaction_rad_per_VA(1.1 * energy_eV)


@pytest.mark.parametrize("window", [32, 33])
def test_probe_is_the_sum_of_the_contract(window: int) -> None:
    """chi = pi lambda C10 k^2 + pi/2 Cs lambda^3 k^4, P = F^-1{A exp(-i chi)}, summed directly."""
    wavelength = wavelength_A(OPTICS["energy_eV"])
    pixel = 1 / (window * OPTICS["sampling_A"])
    j = np.arange(window) - window // 2
    radius = OPTICS["semiangle_mrad"] * 1e-3 / wavelength / pixel
    weight = aperture(radius, window)
    wave = np.zeros((window, window), dtype=np.complex128)
    for row in range(window):
        for col in range(window):
            k_y, k_x = (row - window // 2) * pixel, (col - window // 2) * pixel
            k2 = k_y**2 + k_x**2
            chi = np.pi * wavelength * OPTICS["C10_A"] * k2
            chi += np.pi / 2 * OPTICS["Cs_A"] * wavelength**3 * k2**2
            plane = np.exp(2j * np.pi * OPTICS["sampling_A"] * k_y * j)[:, None] * np.exp(
                2j * np.pi * OPTICS["sampling_A"] * k_x * j
            )
            wave += weight[row, col] * np.exp(-1j * chi) * plane
    wave /= np.linalg.norm(wave)
    np.testing.assert_allclose(probe(**OPTICS, window=window), wave, atol=1e-6)


@given(
    C10_A=st.floats(-300, 300),
    Cs_A=st.floats(-1e6, 1e6),
    semiangle_mrad=st.floats(2, 25),
    window=st.integers(16, 48),
)
def test_probe_holds_one_electron_in_the_middle(
    C10_A: float, Cs_A: float, semiangle_mrad: float, window: int
) -> None:
    """Norm 1, and symmetric about (n//2, n//2), whatever the optics."""
    optics = {"C10_A": C10_A, "Cs_A": Cs_A, "semiangle_mrad": semiangle_mrad}
    wave = probe(energy_eV=80e3, sampling_A=0.4, window=window, **optics).astype(np.complex128)
    assert np.sum(np.abs(wave) ** 2) == pytest.approx(1.0, abs=1e-6)
    lowest = 1 - window % 2
    inner = wave[lowest:, lowest:]
    np.testing.assert_allclose(inner, inner[::-1, ::-1], atol=1e-6)
    np.testing.assert_allclose(wave, wave.T, atol=1e-6)


def test_focused_probe_is_real_and_highest_in_the_middle() -> None:
    wave = probe(**{**OPTICS, "C10_A": 0.0, "Cs_A": 0.0}, window=33)
    assert np.abs(wave.imag).max() < 1e-6
    assert np.unravel_index(wave.real.argmax(), wave.shape) == (16, 16)


def test_defocus_spreads_the_probe_and_its_sign_conjugates_it() -> None:
    over, focus, under = (
        probe(**{**OPTICS, "Cs_A": 0.0, "C10_A": c}, window=32) for c in (150.0, 0.0, -150.0)
    )
    np.testing.assert_allclose(over, under.conj(), atol=1e-6)
    assert np.abs(over).max() < np.abs(focus).max()
    # exp(-i chi) with chi ~ +C10 k^2: the phase at the centre lags for C10 > 0.
    assert np.angle(over[16, 16]) < 0 < np.angle(under[16, 16])


@given(radius=st.floats(2, 14))
def test_aperture_has_the_area_of_its_disk(radius: float) -> None:
    weight = aperture(radius, 32)
    assert weight.min() >= 0
    assert weight.max() <= 1
    assert weight.sum() == pytest.approx(np.pi * radius**2, abs=0.02 * np.pi * radius**2 + 1.0)


def test_an_aperture_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="finer sampling"):
        probe(**{**OPTICS, "sampling_A": 2.0}, window=32)


def test_disk_radius_and_detector_pixel_belong_together() -> None:
    """Semi-angle = radius [pixels] * pixel [1/A] * wavelength [A]."""
    ideal = make_ideal(window=24)
    angle = ideal.disk_radius_px * ideal.detector_pixel_invA * ideal.attrs.wavelength_A
    assert 1e3 * angle == pytest.approx(ideal.attrs.semiangle_mrad)
    assert ideal.detector_pixel_invA == pytest.approx(1 / (24 * ideal.attrs.sampling_A))
