"""Direct methods on 4D-STEM data: magnitudes from the scan, phases from nothing but them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from algorithms.base import Sample
from algorithms.phasing.align import align
from algorithms.reconstructors.direct_methods import DirectMethods, resized
from algorithms.registry import load_algorithm
from algorithms.scan_fourier import ScanCoefficients, scan_coefficients
from physics.ideal import ArrayPatterns
from runner.scoring.metrics import psnr_db
from schemas import ContractError, MismatchSpec
from tests.helpers.operators import make_ideal
from tests.helpers.samples import atoms, measured
from tests.helpers.strategies import published_specs

INSTRUMENT = {"window": 24, "C10_A": -60.0, "object_shape": (48, 48), "step": 3}
"""Scan steps of 1.2 A, which fold the aperture's band, up to 1.02 / A, up to five times."""

WEAK = make_ideal(phase_scale_rad=0.05, dose_e=1e12, **INSTRUMENT)


def crystal(shape: tuple[int, int] = (48, 48)) -> NDArray[np.float32]:
    """Cells of 12 pixels with a heavy and a light atom, one of each missing: not its own twin."""
    rows, cols = np.indices(shape)
    x = np.zeros(shape)
    for a in range(0, shape[0], 12):
        for b in range(0, shape[1], 12):
            for row, col, height in ((a + 2, b + 3, 1.0), (a + 8, b + 6.5, 0.6)):
                if (a, b, height) in {(12, 24, 1.0), (24, 12, 0.6)}:
                    continue
                d_row = (rows - row + shape[0] / 2) % shape[0] - shape[0] / 2
                d_col = (cols - col + shape[1] / 2) % shape[1] - shape[1] / 2
                x += height * np.exp(-(d_row**2 + d_col**2) / (2 * 1.3**2))
    return (x / x.max()).astype(np.float32)


X = crystal()
IDEAL = make_ideal(phase_scale_rad=0.6, dose_e=8000.0, **INSTRUMENT)
SPEC = MismatchSpec(camera_length=2.5, center_offset=1.1, elliptical_distortion=0.007)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return measured(IDEAL, X, SPEC)


def sine(x: NDArray[np.float32], scale_rad: float) -> NDArray[np.complex128]:
    """What the scan should tell: the Fourier transform of sin(phi - phi_0)."""
    phi = scale_rad * x.astype(np.float64)
    return np.fft.fft2(np.sin(phi - np.angle(np.exp(1j * phi).mean())))


def relative_error(found: ScanCoefficients, truth: NDArray[np.complex128]) -> float:
    """Of the coefficients in the band, weighted by what is stated to be known of them."""
    band = found.within_band
    weight = 1 / np.sqrt(found.variance[band])
    error = np.linalg.norm(weight * (found.values - truth)[band])
    return float(error / np.linalg.norm(weight * truth[band]))


# --- magnitudes from the scan ---------------------------------------------------------------------


@given(spec=published_specs)
@settings(max_examples=6, deadline=None)
def test_the_scan_tells_the_coefficients_of_a_weak_object(spec: MismatchSpec) -> None:
    """Every one in the band, magnitude and phase, through folded frequencies and any detector."""
    x = atoms(count=40, seed=3)
    found = scan_coefficients(measured(WEAK, x, spec), spec)
    assert found.within_band.sum() > 1000
    assert not found.within_band[0, 0]
    assert relative_error(found, sine(x, 0.05)) < 0.02


def test_a_strong_object_is_seen_to_third_order() -> None:
    """At 0.3 rad the second order of the phase, a tenth of it, is gone; the third is left."""
    x = atoms(count=40, seed=3)
    strong = make_ideal(phase_scale_rad=0.3, dose_e=1e12, **INSTRUMENT)
    found = scan_coefficients(measured(strong, x, MismatchSpec()), MismatchSpec())
    assert relative_error(found, sine(x, 0.3)) < 0.05


def test_a_raster_may_begin_anywhere() -> None:
    moved = make_ideal(phase_scale_rad=0.05, dose_e=1e12, shift=(2.0, 1.0), **INSTRUMENT)
    x = atoms(count=40, seed=3)
    found = scan_coefficients(measured(moved, x, MismatchSpec()), MismatchSpec())
    assert relative_error(found, sine(x, 0.05)) < 0.02


def test_the_stated_variance_is_the_scatter_of_repeated_measurements() -> None:
    """And magnitudes without the noise's power are right on average."""
    ideal = make_ideal(phase_scale_rad=0.1, dose_e=2000.0, **INSTRUMENT)
    found = [
        scan_coefficients(measured(ideal, X, MismatchSpec(), seed=seed), MismatchSpec())
        for seed in range(8)
    ]
    band = found[0].within_band
    values = np.stack([one.values[band] for one in found])
    scatter = (np.abs(values - values.mean(axis=0)) ** 2).sum(axis=0) / (len(found) - 1)
    ratio = scatter / found[0].variance[band]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.15)
    unbiased = (np.abs(values) ** 2).mean(axis=0) - found[0].variance[band]
    weight = 1 / found[0].variance[band]
    truth = np.abs(sine(X, 0.1)[band]) ** 2
    # With the noise's power it would be one more for each of the 1200 coefficients.
    assert (weight * unbiased).sum() == pytest.approx((weight * truth).sum(), abs=60)
    seen = found[0].observed(4.0)
    np.testing.assert_allclose(
        found[0].magnitudes(4.0)[seen] ** 2,
        np.abs(found[0].values[seen]) ** 2 - found[0].variance[seen],
    )


def test_gain_and_dead_pixels_change_nothing(sample: Sample) -> None:
    reference = scan_coefficients(sample, SPEC)
    loud = make_ideal(phase_scale_rad=0.6, dose_e=8000.0, gain=5.0, **INSTRUMENT)
    values = 5.0 * sample.y.read(0, 256).reshape(sample.y.shape)
    found = scan_coefficients(replace(sample, operator=loud, y=ArrayPatterns(values)), SPEC)
    np.testing.assert_allclose(found.values, reference.values, atol=1e-3)
    values = values.copy()
    values[:, :, 13, 14] = 0.0
    found = scan_coefficients(replace(sample, operator=loud, y=ArrayPatterns(values)), SPEC)
    strong = reference.observed(6.0)
    np.testing.assert_allclose(
        np.abs(found.values[strong]), np.abs(reference.values[strong]), rtol=0.25
    )


# --- the image ------------------------------------------------------------------------------------


def test_a_crystal_is_solved_from_magnitudes(sample: Sample) -> None:
    """Lattice, hand, origin and vacancies; far better than no phases, and than the other hand."""
    found = DirectMethods().reconstruct(sample, SPEC)
    assert psnr_db(found.x_hat, X) > 19.5
    assert psnr_db(found.x_hat, X) > psnr_db(np.zeros_like(X), X) + 6
    turned = np.roll(found.x_hat[::-1, ::-1], 1, axis=(0, 1))
    assert align(turned.astype(np.float64), X.astype(np.float64)).twin
    assert found.diagnostics["converged"]
    assert found.diagnostics["correlation_with_scan"] > 0.9
    assert (
        found.diagnostics["correlation_of_other_hand"] < found.diagnostics["correlation_with_scan"]
    )
    assert found.spec is None
    assert found.x_hat.dtype == np.float32
    assert found.x_hat.min() == 0.0
    assert found.x_hat.max() <= 1.0


def test_the_phases_of_the_data_give_origin_and_hand_and_no_more(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all phases of the data replaced by noise, the solution is the same; its place is not."""
    honest = DirectMethods().reconstruct(sample, SPEC)
    measured_once = scan_coefficients(sample, SPEC)
    noise = np.fft.fft2(np.random.default_rng(0).standard_normal((48, 48)))
    scrambled = np.abs(measured_once.values) * np.exp(1j * np.angle(noise))
    monkeypatch.setattr(
        "algorithms.reconstructors.direct_methods.scan_coefficients",
        lambda *_: ScanCoefficients(scrambled, measured_once.variance),
    )
    blinded = DirectMethods().reconstruct(sample, SPEC)
    for item in ("figure_of_merit", "agreement_of_starts"):
        assert blinded.diagnostics[item] == pytest.approx(honest.diagnostics[item], rel=1e-6)
    assert blinded.diagnostics["correlation_with_scan"] < 0.85
    assert honest.diagnostics["correlation_with_scan"] > 0.9


def test_the_same_bytes_twice(sample: Sample) -> None:
    first, again = (DirectMethods().reconstruct(sample, SPEC).x_hat for _ in range(2))
    assert first.tobytes() == again.tobytes()


def test_time_that_is_up_ends_the_search(sample: Sample) -> None:
    found = DirectMethods(iterations=10_000).reconstruct(replace(sample, deadline=0.0), SPEC)
    assert found.diagnostics["iterations"] == 10


def test_it_is_found_by_name_and_calibrated(sample: Sample) -> None:
    solved = load_algorithm("direct-methods+pacbed").solve(sample)
    assert psnr_db(solved.x_hat, X) > 19.5


# --- what it cannot serve -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"periodic": False}, "not periodic"),
        ({"step": 5}, "a raster over 50.0 x 50.0 pixels"),
    ],
)
def test_without_a_raster_that_tiles_there_is_no_transform(
    changes: dict[str, object], found: str
) -> None:
    ideal = make_ideal(**{**INSTRUMENT, **changes})
    with pytest.raises(ContractError) as raised:
        DirectMethods().reconstruct(measured(ideal, X, MismatchSpec()), MismatchSpec())
    (finding,) = raised.value.findings
    assert finding.code == "SAMPLE_UNSUITED"
    assert found in finding.found
    assert "ptychography" in finding.hint


def test_too_few_electrons_are_said_to_be_too_few() -> None:
    ideal = make_ideal(phase_scale_rad=0.05, dose_e=20.0, **INSTRUMENT)
    with pytest.raises(ContractError, match="standard errors"):
        DirectMethods().reconstruct(measured(ideal, X, MismatchSpec()), MismatchSpec())


# --- grids ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(24, 30), (48, 40), (25, 31)])
def test_another_grid_shows_the_same_image(shape: tuple[int, int]) -> None:
    """A band-limited image: its values where the grids meet, and its mean and power."""
    rows, cols = np.indices((16, 20))
    image = 0.3 + np.cos(2 * np.pi * (2 * rows / 16 + 3 * cols / 20) + 0.4)
    other = np.fft.ifft2(resized(np.fft.fft2(image), shape))
    assert np.abs(other.imag).max() < 1e-12
    there_rows, there_cols = np.indices(shape)
    expected = 0.3 + np.cos(
        2 * np.pi * (2 * there_rows / shape[0] + 3 * there_cols / shape[1]) + 0.4
    )
    np.testing.assert_allclose(other.real, expected, atol=1e-12)
