"""Detector noise: moments of the counts, and likelihoods that are right on average."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from physics.noise import EXACT_FLOOR_E, Likelihood, LikelihoodName, draw_counts

POISSON, ANSCOMBE = LikelihoodName.POISSON, LikelihoodName.ANSCOMBE
POISSON_GAUSSIAN = LikelihoodName.POISSON_GAUSSIAN

DETECTORS = [(1.0, 0.0), (3.5, 0.0), (1.0, 1.2), (20.0, 30.0)]
"""(gain [counts/electron], read noise [counts])."""


def electrons(mean: float, count: int = 100_000) -> np.ndarray:
    return np.full(count, mean)


@pytest.mark.parametrize(("gain", "read_noise"), DETECTORS)
@pytest.mark.parametrize("mean", [0.05, 3.0, 400.0])
def test_mean_and_variance_of_the_counts(mean: float, gain: float, read_noise: float) -> None:
    """gain I, and gain^2 I + read_noise^2, within five standard errors."""
    counts = draw_counts(
        electrons(mean), gain=gain, read_noise=read_noise, rng=np.random.default_rng(1)
    ).astype(np.float64)
    variance = gain**2 * mean + read_noise**2
    assert abs(counts.mean() - gain * mean) < 5 * np.sqrt(variance / len(counts))
    fourth = gain**4 * mean * (1 + 3 * mean) + 6 * gain**2 * mean * read_noise**2
    spread = np.sqrt((fourth + 3 * read_noise**4 - variance**2) / len(counts))
    assert abs(counts.var() - variance) < 5 * spread


def test_without_read_noise_counts_are_whole_electrons() -> None:
    counts = draw_counts(electrons(2.0), gain=3.0, read_noise=0.0, rng=np.random.default_rng(2))
    assert counts.dtype == np.float32
    assert set(np.unique(counts / 3.0)) <= set(range(20))


def test_counts_are_drawn_from_the_generator_alone() -> None:
    first, again, other = (
        draw_counts(electrons(2.0), gain=1.0, read_noise=0.5, rng=np.random.default_rng(seed))
        for seed in (3, 3, 4)
    )
    assert first.tobytes() == again.tobytes() != other.tobytes()


@pytest.mark.parametrize(("gain", "read_noise"), DETECTORS)
@pytest.mark.parametrize("name", [POISSON, ANSCOMBE])
def test_slope_is_what_autograd_finds(name: LikelihoodName, gain: float, read_noise: float) -> None:
    likelihood = Likelihood(name, gain, read_noise)
    rng = np.random.default_rng(5)
    mean = rng.uniform(0.01, 30.0, (4, 6, 6))
    counts = draw_counts(mean, gain=gain, read_noise=read_noise, rng=rng)
    prepared = likelihood.prepare(torch.as_tensor(counts, dtype=torch.float64))
    expected = torch.as_tensor(1.3 * mean, dtype=torch.float64).requires_grad_()
    (by_autograd,) = torch.autograd.grad(likelihood.loss(expected, prepared), expected)
    torch.testing.assert_close(likelihood.slope(expected.detach(), prepared), by_autograd)


def expected_slope(likelihood: Likelihood, truth: float, model: float) -> float:
    """Mean of the slope at `model` over all counts of `truth` electrons, by exact summation."""
    counts = np.arange(0, int(truth + 20 * np.sqrt(truth) + 40))
    chance = stats.poisson.pmf(counts, truth)
    prepared = likelihood.prepare(torch.as_tensor(likelihood.gain * counts, dtype=torch.float64))
    slope = likelihood.slope(torch.full_like(prepared, model), prepared).numpy()
    return float(chance @ slope)


@pytest.mark.parametrize("truth", [0.02, 0.5, 5.0, 60.0])
@pytest.mark.parametrize("gain", [1.0, 3.5])
def test_poisson_is_least_at_the_truth(truth: float, gain: float) -> None:
    """Exactly, at any dose: no bias where most pixels count nothing."""
    likelihood = Likelihood(POISSON, gain)
    assert expected_slope(likelihood, truth, truth) == pytest.approx(0.0, abs=1e-9)
    assert expected_slope(likelihood, truth, 0.8 * truth) < -1e-3
    assert expected_slope(likelihood, truth, 1.2 * truth) > 1e-3


@pytest.mark.parametrize("truth", [5.0, 60.0])
def test_anscombe_is_least_near_the_truth_where_counts_are_many(truth: float) -> None:
    likelihood = Likelihood(ANSCOMBE)
    assert expected_slope(likelihood, truth, 0.93 * truth) < 0
    assert expected_slope(likelihood, truth, 1.07 * truth) > 0


def test_anscombe_is_biased_where_counts_are_few() -> None:
    """Why Poisson is the default: at 0.05 electrons the least is at no electron at all."""
    assert expected_slope(Likelihood(ANSCOMBE), 0.05, 0.05) > 0.01


@pytest.mark.parametrize("name", [POISSON, ANSCOMBE])
@pytest.mark.parametrize(("gain", "read_noise"), [(1.0, 2.0), (20.0, 30.0)])
def test_read_noise_does_not_move_the_least(
    name: LikelihoodName, gain: float, read_noise: float
) -> None:
    likelihood = Likelihood(name, gain, read_noise)
    truth = 40.0
    counts = draw_counts(
        electrons(truth, 40_000), gain=gain, read_noise=read_noise, rng=np.random.default_rng(6)
    )
    prepared = likelihood.prepare(torch.as_tensor(counts, dtype=torch.float64))
    low, high = (
        float(likelihood.slope(torch.full_like(prepared, factor * truth), prepared).mean())
        for factor in (0.97, 1.03)
    )
    assert low < 0 < high


@pytest.mark.parametrize(("gain", "read_noise"), DETECTORS)
def test_fisher_weight_is_one_over_the_variance(gain: float, read_noise: float) -> None:
    """Of the electrons y/gain; and the curvature of the expected loss."""
    mean = 30.0
    weight = float(Likelihood(POISSON, gain, read_noise).fisher_weight(torch.tensor(mean)))
    assert weight == pytest.approx(1 / (mean + (read_noise / gain) ** 2), rel=1e-3)
    likelihood = Likelihood(POISSON, gain)
    ahead, behind = (expected_slope(likelihood, mean, mean + s * 0.01) for s in (1, -1))
    assert (ahead - behind) / 0.02 == pytest.approx(1 / mean, rel=1e-3)


def test_poisson_loss_is_the_log_probability() -> None:
    """Differences of the loss are differences of -log pmf; 0 for a perfect fit."""
    likelihood = Likelihood(POISSON)
    counts = torch.tensor([3.0, 10.0, 55.0], dtype=torch.float64)
    prepared = likelihood.prepare(counts)
    models = [torch.tensor([4.0, 9.0, 50.0]).double(), torch.tensor([2.5, 12.0, 58.0]).double()]
    losses = [float(likelihood.loss(model, prepared)) for model in models]
    exact = [-stats.poisson.logpmf(counts.numpy(), model.numpy()).sum() for model in models]
    assert losses[0] - losses[1] == pytest.approx(exact[0] - exact[1], rel=1e-2)
    assert float(likelihood.loss(counts, prepared)) == pytest.approx(0.0, abs=1e-12)


def test_anscombe_loss_has_unit_variance() -> None:
    """Anscombe's transform: every pixel of the right model costs one half on average."""
    likelihood = Likelihood(ANSCOMBE)
    counts = draw_counts(electrons(20.0), gain=1.0, read_noise=0.0, rng=np.random.default_rng(7))
    prepared = likelihood.prepare(torch.as_tensor(counts, dtype=torch.float64))
    loss = float(likelihood.loss(torch.full_like(prepared, 20.0), prepared))
    assert loss / len(counts) == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("name", [POISSON, ANSCOMBE])
def test_empty_and_negative_pixels_are_no_trouble(name: LikelihoodName) -> None:
    """Read noise makes counts below zero, and vacuum expects none: value and slope stay finite."""
    likelihood = Likelihood(name, 1.0, 0.5)
    prepared = likelihood.prepare(torch.tensor([-2.0, -0.1, 0.0, 4.0]))
    expected = torch.zeros(4)
    assert torch.isfinite(likelihood.slope(expected, prepared)).all()
    assert np.isfinite(float(likelihood.loss(expected, prepared)))


@pytest.mark.parametrize("read_noise", [0.3, 1.0, 4.0])
def test_read_noise_in_the_dark_is_no_signal(read_noise: float) -> None:
    """Poisson: the slope is right on average where a pixel expects a tenth of an electron."""
    likelihood = Likelihood(POISSON, 1.0, read_noise)
    truth = 0.1
    counts = draw_counts(
        electrons(truth, 200_000), gain=1.0, read_noise=read_noise, rng=np.random.default_rng(8)
    )
    prepared = likelihood.prepare(torch.as_tensor(counts, dtype=torch.float64))
    slopes = likelihood.slope(torch.full_like(prepared, truth), prepared).numpy()
    assert abs(slopes.mean()) < 5 * slopes.std() / np.sqrt(len(slopes))


# --- Poisson and Gaussian, exactly ----------------------------------------------------------------


@pytest.mark.parametrize("read_noise", [0.15, 0.4, 1.0, 3.0])
@pytest.mark.parametrize("truth", [0.05, 1.0, 12.0, 150.0])
def test_poisson_gaussian_is_the_sum_over_electrons(truth: float, read_noise: float) -> None:
    """Against scipy's mass and density, every term written out; models right and far off."""
    likelihood = Likelihood(POISSON_GAUSSIAN, 2.0, 2.0 * read_noise)
    rng = np.random.default_rng(3)
    counts = draw_counts(electrons(truth, 200), gain=2.0, read_noise=2.0 * read_noise, rng=rng)
    measured = counts.astype(np.float64) / 2.0
    models = truth * np.geomspace(0.2, 5.0, 200)
    k = np.arange(2000)[:, None]
    chance = stats.poisson.pmf(k, models + EXACT_FLOOR_E) * stats.norm.pdf(measured, k, read_noise)
    exact = -np.log(chance.sum(axis=0) * read_noise * np.sqrt(2 * np.pi)).sum()
    slope = 1 - (k * chance).sum(axis=0) / chance.sum(axis=0) / (models + EXACT_FLOOR_E)
    prepared = likelihood.prepare(torch.as_tensor(counts, dtype=torch.float64))
    expected = torch.as_tensor(models)
    assert float(likelihood.loss(expected, prepared)) == pytest.approx(exact, rel=1e-5)
    np.testing.assert_allclose(likelihood.slope(expected, prepared), slope, rtol=1e-4, atol=1e-5)
    single = likelihood.slope(expected.float(), prepared.float())
    np.testing.assert_allclose(single, slope, rtol=2e-3, atol=2e-3)


def test_poisson_gaussian_tells_more_than_its_approximation() -> None:
    """Read noise of 0.3 electrons still shows single electrons; the shifted Poisson blurs them."""
    truth, read_noise = 0.2, 0.3
    counts = draw_counts(
        electrons(truth, 100_000), gain=1.0, read_noise=read_noise, rng=np.random.default_rng(4)
    )
    spread = {}
    for name in (POISSON, POISSON_GAUSSIAN):
        likelihood = Likelihood(name, 1.0, read_noise)
        prepared = likelihood.prepare(torch.as_tensor(counts, dtype=torch.float64))
        here, ahead = (
            likelihood.slope(torch.full_like(prepared, value), prepared)
            for value in (truth, truth + 1e-4)
        )
        assert abs(float(here.mean())) < 5 * float(here.std()) / np.sqrt(len(counts)) + 0.01
        curvature = float((ahead - here).mean()) / 1e-4
        spread[name] = float(here.std()) / curvature
    assert spread[POISSON_GAUSSIAN] < 0.93 * spread[POISSON]


def test_poisson_gaussian_needs_read_noise() -> None:
    with pytest.raises(ValueError, match="read_noise > 0"):
        Likelihood(POISSON_GAUSSIAN)


# --- broken pixels, and what is left over ---------------------------------------------------------


@pytest.mark.parametrize("name", [POISSON, ANSCOMBE, POISSON_GAUSSIAN])
def test_a_pixel_that_is_not_believed_says_nothing(name: LikelihoodName) -> None:
    usable = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    likelihood = Likelihood(name, 1.0, 0.5, usable)
    counts = torch.tensor([[[3.0, 4.0], [0.0, 1.0]]])
    lied = counts.clone()
    lied[0, 0, 1] = 1e4
    expected = torch.full((1, 2, 2), 2.0)
    for question in ("slope", "loss", "dispersion"):
        told, lied_to = (
            getattr(likelihood, question)(expected, likelihood.prepare(y)) for y in (counts, lied)
        )
        torch.testing.assert_close(told, lied_to)
    assert float(likelihood.slope(expected, likelihood.prepare(lied))[0, 0, 1]) == 0.0
    assert float(likelihood.fisher_weight(expected)[0, 0, 1]) == 0.0


@pytest.mark.parametrize("name", [POISSON, ANSCOMBE, POISSON_GAUSSIAN])
@pytest.mark.parametrize("mean", [0.05, 2.0, 40.0])
def test_dispersion_is_one_where_noise_alone_is_left(name: LikelihoodName, mean: float) -> None:
    likelihood = Likelihood(name, 2.0, 0.6)
    counts = draw_counts(
        electrons(mean, 100_000), gain=2.0, read_noise=0.6, rng=np.random.default_rng(5)
    )
    prepared = likelihood.prepare(torch.as_tensor(counts, dtype=torch.float64))
    expected = torch.full_like(prepared, mean)
    squared, variance, spread = likelihood.dispersion(expected, prepared)
    tolerance = 5 * np.sqrt(spread) / variance
    if name == ANSCOMBE and mean < 1:
        tolerance += 0.05  # its root cuts what read noise puts below zero
    assert squared / variance == pytest.approx(1.0, abs=tolerance)
    wrong = likelihood.dispersion(0.5 * expected, prepared)
    assert wrong[0] / wrong[1] > 1.1 * squared / variance
