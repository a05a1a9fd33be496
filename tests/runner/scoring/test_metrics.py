"""Metrics against brute-force references and against what must not change them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from physics.ideal import ArrayPatterns
from runner.scoring import metrics
from schemas import MismatchSpec
from tests.runner.small import make_sample

IMAGE = (12, 15)
finite_images = arrays(np.float32, IMAGE, elements=st.floats(-(2.0**100), 2.0**100, width=32))


def image(seed: int, shape: tuple[int, int] = IMAGE) -> np.ndarray:
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def brute_force_ssim(a: np.ndarray, b: np.ndarray, window: int = 7) -> float:
    """Wang et al. (2004), eq. 13, window by window, with sample covariances."""
    c1, c2 = 0.01**2, 0.03**2
    a, b = a.astype(np.float64), b.astype(np.float64)
    values = []
    for row in range(a.shape[0] - window + 1):
        for col in range(a.shape[1] - window + 1):
            p = a[row : row + window, col : col + window].ravel()
            q = b[row : row + window, col : col + window].ravel()
            (var_p, cov), (_, var_q) = np.cov(p, q, ddof=1)
            values.append(
                ((2 * p.mean() * q.mean() + c1) * (2 * cov + c2))
                / ((p.mean() ** 2 + q.mean() ** 2 + c1) * (var_p + var_q + c2))
            )
    return float(np.mean(values))


def brute_force_patterns(x: np.ndarray, operator, spec: MismatchSpec) -> np.ndarray:
    """The contract's double sum over the window, written out, (N, n, n) electrons."""
    n, shape = operator.window, operator.attrs.object_shape
    j = np.arange(n) - n // 2
    scale = 1 + spec.camera_length / 100
    q_y = (np.arange(n) - n // 2 - spec.center_offset) / (scale * (1 - spec.elliptical_distortion))
    q_x = (np.arange(n) - n // 2 - spec.center_offset) / (scale * (1 + spec.elliptical_distortion))
    probe = operator.probe.astype(np.complex128)
    patterns = []
    for row, col in operator.positions_px.astype(int):
        window = x[np.ix_((row + j) % shape[0], (col + j) % shape[1])]
        psi = probe * np.exp(1j * operator.attrs.phase_scale_rad * window.astype(np.float64))
        wave = np.array(
            [
                [
                    np.sum(psi * np.exp(-2j * np.pi / n * (qy * j[:, None] + qx * j[None, :]))) / n
                    for qx in q_x
                ]
                for qy in q_y
            ]
        )
        area = 1 / (scale**2 * (1 - spec.elliptical_distortion**2))
        patterns.append(operator.attrs.dose_e * area * np.abs(wave) ** 2)
    return np.array(patterns)


def test_psnr_of_a_known_error() -> None:
    truth = np.zeros((10, 10), np.float32)
    assert metrics.psnr_db(truth + np.float32(0.1), truth) == pytest.approx(20.0, abs=1e-6)
    assert metrics.psnr_db(truth + np.float32(10), truth) == pytest.approx(-20.0, abs=1e-6)


def test_psnr_of_identical_images_is_finite_and_saturates_both_scores() -> None:
    truth = image(0)
    assert metrics.psnr_db(truth, truth) == metrics.PSNR_CAP_DB
    assert metrics.PSNR_CAP_DB > 50


@given(st.floats(-0.5, 0.5))
def test_offset_free_psnr_forgets_a_constant(offset: float) -> None:
    truth, other = image(1).astype(np.float64), image(2).astype(np.float64)
    plain = metrics.psnr_offset_free_db(other, truth)
    assert metrics.psnr_offset_free_db(other + offset, truth) == pytest.approx(plain, abs=1e-9)
    assert metrics.psnr_db(other + offset, truth) <= plain + 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_ssim_equals_the_formula_written_out(seed: int) -> None:
    truth = image(seed)
    other = (0.7 * truth + 0.3 * image(seed + 10)).astype(np.float32)
    assert metrics.ssim(other, truth) == pytest.approx(brute_force_ssim(other, truth), abs=1e-12)


def test_ssim_knows_the_scale() -> None:
    truth = image(3)
    assert metrics.ssim(truth, truth) == pytest.approx(1.0)
    assert metrics.ssim(0.5 * truth, truth) < 0.9
    assert metrics.ssim(truth + 0.5, truth) < 0.9


@settings(max_examples=200, deadline=None)
@given(finite_images)
def test_no_finite_image_leaves_the_bounds(values: np.ndarray) -> None:
    """Huge values must not turn rounding in the variances into a high similarity."""
    truth = image(4)
    assert -1.0 - 1e-6 <= metrics.ssim(values, truth) <= 1.0 + 1e-6
    assert math.isfinite(metrics.psnr_db(values, truth))
    assert math.isfinite(metrics.psnr_offset_free_db(values, truth))


@given(st.floats(1e3, 1e30))
def test_a_huge_constant_is_not_similar(value: float) -> None:
    assert abs(metrics.ssim(np.full(IMAGE, value, np.float32), image(5))) < 0.01


def test_residual_equals_the_sum_written_out(small_challenge) -> None:
    sample = small_challenge.samples[0]
    spec = MismatchSpec(camera_length=1.0, center_offset=-0.3, elliptical_distortion=0.004)
    x = np.random.default_rng(0).random(sample.x_true.shape)
    model = brute_force_patterns(x, sample.operator, spec)
    y = sample.y.values.reshape(model.shape).astype(np.float64)
    found = metrics.residual(sample.y, sample.operator, x, spec)
    expected = 1 - np.linalg.norm(y - model) / np.linalg.norm(y)
    assert found.consistency == pytest.approx(expected, abs=1e-10)
    assert found.chi_square == pytest.approx(np.sum((y - model) ** 2) / model.sum(), rel=1e-9)


def test_consistency_is_one_without_noise_and_zero_without_beam(small_challenge) -> None:
    sample = small_challenge.samples[0]
    model = brute_force_patterns(sample.x_true, sample.operator, sample.true_spec)
    y = ArrayPatterns(model.reshape(sample.y.shape))
    found = metrics.residual(y, sample.operator, sample.x_true, sample.true_spec)
    assert found.consistency == pytest.approx(1.0, abs=1e-9)
    empty = metrics.Residual(squared=found.measured, measured=found.measured, variance=1.0)
    assert empty.consistency == 0.0


def test_chi_square_of_the_truth_is_one(small_challenge) -> None:
    for sample in small_challenge.samples:
        found = metrics.residual(sample.y, sample.operator, sample.x_true, sample.true_spec)
        counts = sample.y.values.size
        assert found.chi_square == pytest.approx(1.0, abs=6 * math.sqrt(20 / counts))


def test_gain_scales_out_of_consistency_and_chi_square() -> None:
    """Counts and model both carry the gain, the variance its square."""
    spec = MismatchSpec(camera_length=1.0)
    plain, amplified = make_sample(0, spec), make_sample(0, spec, gain=7.0)
    a = metrics.residual(plain.y, plain.operator, plain.x_true, spec)
    b = metrics.residual(amplified.y, amplified.operator, amplified.x_true, spec)
    assert a.consistency == pytest.approx(b.consistency, abs=1e-6)
    assert a.chi_square == pytest.approx(b.chi_square, rel=1e-6)
