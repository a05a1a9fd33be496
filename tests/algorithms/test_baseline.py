"""cpu-baseline: centre of mass, integrated. Linear, so that each step can be checked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algorithms.base import Sample
from algorithms.idpc import center_of_mass, integrate
from algorithms.reconstructors.baseline import CpuBaseline
from physics.ideal import ArrayPatterns
from runner.scoring.metrics import psnr_db
from schemas import MismatchSpec
from tests.helpers.operators import make_ideal
from tests.helpers.samples import atoms, measured
from tests.helpers.strategies import published_specs

WEAK = make_ideal(
    window=24, object_shape=(48, 48), step=2, C10_A=0.0, phase_scale_rad=0.05, dose_e=1e12
)
"""In focus, weak and almost without noise: what theory says must come out."""

ALL_WORK = np.ones((24, 24), dtype=bool)

ROWS, COLS = np.indices((48, 48)) * (2 * np.pi / 48)
WAVES = 0.5 + 0.2 * np.cos(ROWS) + 0.15 * np.sin(2 * COLS) + 0.1 * np.cos(ROWS + COLS)


@given(seed=st.integers(0, 1000), sampling_A=st.floats(0.05, 5.0))
@settings(max_examples=20)
def test_integrating_a_gradient_gives_the_phase(seed: int, sampling_A: float) -> None:
    """Of any phase on the grid, but for its mean and its Nyquist rows, which have no gradient."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.fft2(rng.standard_normal((14, 18)))
    spectrum[0, 0] = 0.0
    spectrum[7, :] = spectrum[:, 9] = 0.0
    phase = np.fft.ifft2(spectrum).real
    k_y, k_x = np.fft.fftfreq(14, sampling_A)[:, None], np.fft.fftfreq(18, sampling_A)[None, :]
    field = np.stack([np.fft.ifft2(1j * k * np.fft.fft2(phase)).real for k in (k_y, k_x)])
    np.testing.assert_allclose(integrate(field, sampling_A), phase, atol=1e-9)


def test_a_curl_has_no_phase() -> None:
    field = np.stack([np.sin(COLS), np.zeros_like(COLS)])
    assert np.abs(integrate(field, 0.4)).max() < 1e-12


def test_the_centre_of_mass_is_the_slope_of_the_phase() -> None:
    """Whole turns over the supercell: (rows, cols) = (2, 3) turns of 48 pixels of 0.4 A."""
    turns = (2 * ROWS + 3 * COLS) / WEAK.attrs.phase_scale_rad
    sample = measured(WEAK, turns.astype(np.float32), MismatchSpec())
    momentum = center_of_mass(sample, MismatchSpec(), ALL_WORK)
    extent_A = 48 * 0.4
    np.testing.assert_allclose(momentum.mean(axis=0), (2 / extent_A, 3 / extent_A), rtol=3e-3)
    assert momentum.std(axis=0).max() < 1e-4


@given(spec=published_specs)
@settings(max_examples=10)
def test_the_centre_of_mass_is_seen_through_any_detector(spec: MismatchSpec) -> None:
    """Corrected by the spec, the distorted patterns give the undistorted momenta."""
    nominal = center_of_mass(
        measured(WEAK, WAVES.astype(np.float32), MismatchSpec()), MismatchSpec(), ALL_WORK
    )
    found = center_of_mass(measured(WEAK, WAVES.astype(np.float32), spec), spec, ALL_WORK)
    difference = (found - found.mean(axis=0)) - (nominal - nominal.mean(axis=0))
    assert np.abs(difference).max() < 0.03 * np.ptp(nominal)


def test_low_frequencies_of_a_weak_object_are_right() -> None:
    """Amplitude but for the probe's own transfer, near 1 there; and phase: no shift, no sign."""
    x_hat = (
        CpuBaseline()
        .reconstruct(measured(WEAK, WAVES.astype(np.float32), MismatchSpec()), MismatchSpec())
        .x_hat
    )
    found, expected = np.fft.fft2(x_hat), np.fft.fft2(WAVES)
    for k in ((1, 0), (0, 2), (1, 1)):
        transfer = found[k] / expected[k]
        assert 0.85 < transfer.real < 1.02
        assert abs(transfer.imag) < 0.02


@pytest.mark.parametrize("periodic", [True, False])
def test_a_shift_of_the_detector_changes_nothing(periodic: bool) -> None:
    """The mean momentum is the ramp, and the ramp is the centre's: it is taken away."""
    ideal = make_ideal(
        window=24, object_shape=(48, 48), step=2, periodic=periodic, phase_scale_rad=0.5
    )
    sample = measured(ideal, WAVES.astype(np.float32), MismatchSpec(center_offset=0.7))
    right, wrong = (
        CpuBaseline().reconstruct(sample, MismatchSpec(center_offset=offset)).x_hat
        for offset in (0.7, -1.0)
    )
    np.testing.assert_allclose(wrong, right, atol=1e-6)


@pytest.fixture(scope="module")
def noisy() -> Sample:
    ideal = make_ideal(window=24, object_shape=(48, 48), step=3, C10_A=-60.0, phase_scale_rad=0.5)
    return measured(ideal, atoms(count=40, seed=1), MismatchSpec())


def test_counts_and_electrons_give_the_same(noisy: Sample) -> None:
    """A gain is divided out."""
    scaled = replace(noisy, y=ArrayPatterns(noisy.y.values * np.float32(8.0)))
    np.testing.assert_allclose(
        CpuBaseline().reconstruct(scaled, MismatchSpec()).x_hat,
        CpuBaseline().reconstruct(noisy, MismatchSpec()).x_hat,
        atol=1e-5,
    )


def test_the_image_is_x(noisy: Sample) -> None:
    """Float32 in [0, 1], background at 0, better than nothing."""
    found = CpuBaseline().reconstruct(noisy, MismatchSpec())
    x = atoms(count=40, seed=1)
    assert found.x_hat.dtype == np.float32
    assert found.x_hat.min() == 0.0
    assert found.x_hat.max() <= 1.0
    assert found.spec is None
    assert psnr_db(found.x_hat, x) > psnr_db(np.zeros_like(x), x) + 1
    again = CpuBaseline().reconstruct(noisy, MismatchSpec())
    assert again.x_hat.tobytes() == found.x_hat.tobytes()


def test_patterns_without_an_electron_are_no_trouble(noisy: Sample) -> None:
    values = noisy.y.values.copy()
    values[2, 3] = 0.0
    found = CpuBaseline().reconstruct(replace(noisy, y=ArrayPatterns(values)), MismatchSpec())
    assert np.isfinite(found.x_hat).all()


@pytest.mark.parametrize("shape", [(30, 26), (41, 37)])
def test_padded_objects(shape: tuple[int, int]) -> None:
    ideal = make_ideal(object_shape=shape, periodic=False, step=3, phase_scale_rad=0.5)
    found = CpuBaseline().reconstruct(
        measured(ideal, atoms(shape, count=9), MismatchSpec()), MismatchSpec()
    )
    assert found.x_hat.shape == shape
    assert np.isfinite(found.x_hat).all()
