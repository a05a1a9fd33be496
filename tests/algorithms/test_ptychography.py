"""Ptychography: the image that the counts allow, in the time there is."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

import algorithms.base
from algorithms.base import Sample
from algorithms.descent import AcceleratedDescent
from algorithms.objective import Objective
from algorithms.phase_fit import PhaseFit
from algorithms.prior import SpectralPrior, TotalVariation
from algorithms.reconstructors.ptychography import Ptychography
from algorithms.registry import load_algorithm
from physics.curvature import Curvature, FrequencyBins
from physics.ideal import IdealOperator
from runner.scoring.formulas import blind_score
from runner.scoring.metrics import psnr_db, residual, ssim
from schemas import MismatchSpec
from tests.helpers.operators import make_ideal
from tests.helpers.samples import atoms, measured

INSTRUMENT = {"window": 24, "C10_A": -60.0, "phase_scale_rad": 0.5, "dose_e": 8000.0}
IDEAL = make_ideal(object_shape=(48, 48), step=3, **INSTRUMENT)
SPEC = MismatchSpec(camera_length=2.5, center_offset=1.1, elliptical_distortion=0.007)
X = atoms((48, 48), count=40, seed=1)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return measured(IDEAL, X, SPEC, true_spec=SPEC)


@pytest.fixture(scope="module")
def scores(sample: Sample) -> dict[str, tuple[float, float]]:
    """{algorithm: (blind score, PSNR [dB])}."""
    found = {}
    for name in (
        "ptychography+none",
        "ptychography+midpoint",
        "ptychography+gradient",
        "ptychography+oracle",
        "cpu-baseline+oracle",
    ):
        solved = load_algorithm(name).solve(sample)
        x_hat = solved.x_hat.astype(np.float64)
        consistency = residual(sample.y, IDEAL, x_hat, solved.spec).consistency
        psnr = psnr_db(x_hat, X)
        found[name] = (blind_score(psnr, ssim(x_hat, X), consistency), psnr)
    return found


# --- how good -------------------------------------------------------------------------------------


def test_with_the_true_detector_the_image_is_good(scores: dict[str, tuple[float, float]]) -> None:
    assert scores["ptychography+oracle"][1] > 23.5
    assert scores["ptychography+oracle"][1] > scores["cpu-baseline+oracle"][1] + 3


def test_calibrated_is_as_good_as_told(scores: dict[str, tuple[float, float]]) -> None:
    """The issue's own measure: within 0.02 of the oracle."""
    assert abs(scores["ptychography+gradient"][0] - scores["ptychography+oracle"][0]) < 0.02


def test_uncorrected_is_far_worse(scores: dict[str, tuple[float, float]]) -> None:
    """By at least 0.15; and an answer that looks at no data is no better."""
    for name in ("ptychography+none", "ptychography+midpoint"):
        assert scores[name][0] < scores["ptychography+gradient"][0] - 0.15
        assert scores[name][1] < scores["ptychography+gradient"][1] - 10


def test_the_prior_takes_noise_away(sample: Sample) -> None:
    likelihood = Ptychography(prior_iterations=0).reconstruct(sample, SPEC).x_hat
    posterior = Ptychography().reconstruct(sample, SPEC).x_hat
    assert psnr_db(posterior, X) > psnr_db(likelihood, X) + 1.0


def test_a_vacancy_stays_a_vacancy() -> None:
    """A stationary prior knows a lattice but not a place: the data must win there."""
    ideal = make_ideal(object_shape=(60, 60), step=3, **INSTRUMENT)
    rows, cols = np.indices((60, 60))
    x = np.zeros((60, 60))
    for a in range(0, 60, 6):
        for b in range(0, 60, 6):
            if (a, b) != (30, 30):
                d2 = ((rows - a + 30) % 60 - 30) ** 2 + ((cols - b + 30) % 60 - 30) ** 2
                x += np.exp(-d2 / (2 * 1.4**2))
    x = (x / x.max()).astype(np.float32)
    x_hat = Ptychography().reconstruct(measured(ideal, x, MismatchSpec()), MismatchSpec()).x_hat
    assert x_hat[30, 30] < 0.25
    assert x_hat[24, 24] > 0.8
    assert psnr_db(x_hat, x) > 27


def test_beyond_the_scan_there_is_no_noise() -> None:
    """A padded object: its margin, which no electron met, does not set background or prior."""
    ideal = make_ideal(object_shape=(80, 80), step=3, periodic=False, **INSTRUMENT)
    x = atoms((80, 80), count=90, seed=3)
    x_hat = Ptychography().reconstruct(measured(ideal, x, SPEC), SPEC).x_hat
    inner = (slice(14, -14), slice(14, -14))
    assert psnr_db(x_hat[inner], x[inner]) > 23
    assert np.median(x_hat[inner][x[inner] < 0.01]) < 0.08
    assert x_hat[:4].std() < 0.15


@pytest.mark.parametrize(("gain", "read_noise"), [(1.0, 0.0), (20.0, 0.0), (4.0, 3.0)])
@pytest.mark.parametrize("likelihood", ["poisson", "anscombe"])
def test_any_detector_and_likelihood(likelihood: str, gain: float, read_noise: float) -> None:
    dose = {**INSTRUMENT, "dose_e": 40_000.0}
    ideal = make_ideal(object_shape=(48, 48), step=3, gain=gain, read_noise=read_noise, **dose)
    found = Ptychography(likelihood=likelihood).reconstruct(measured(ideal, X, SPEC), SPEC)
    assert psnr_db(found.x_hat, X) > 25


# --- what is returned -----------------------------------------------------------------------------


def test_the_image_is_x(sample: Sample) -> None:
    found = Ptychography().reconstruct(sample, SPEC)
    assert found.x_hat.dtype == np.float32
    assert found.x_hat.shape == (48, 48)
    assert found.x_hat.min() == 0.0
    assert found.x_hat.max() <= 1.0
    assert found.spec is None, "the spec is the calibrator's"


def test_the_same_bytes_twice_and_other_seeds_hardly_matter(sample: Sample) -> None:
    first, again, other = (
        Ptychography().reconstruct(replace(sample, seed=seed), SPEC).x_hat for seed in (1, 1, 2)
    )
    assert first.tobytes() == again.tobytes()
    assert psnr_db(other, first) > 35


def test_the_loss_falls(sample: Sample) -> None:
    fitted = Ptychography(prior_iterations=0).reconstruct(sample, SPEC).diagnostics["losses"]
    assert fitted[-1] < 0.75 * fitted[0], "of the loss of the integrated centre of mass"
    assert all(after < 1.05 * before for before, after in pairwise(fitted))


def test_steps_go_on_while_the_loss_falls(sample: Sample) -> None:
    """Too few were asked for: the image is that of enough."""
    few = Ptychography(prior_iterations=1).reconstruct(sample, SPEC)
    enough = Ptychography(prior_iterations=12).reconstruct(sample, SPEC)
    losses = few.diagnostics["losses"]
    assert len(losses) > 8 + 1
    assert losses[-1] == pytest.approx(enough.diagnostics["losses"][-1], abs=0.01 * 48 * 48)
    assert float(np.abs(few.x_hat - enough.x_hat).max()) < 0.03


def test_progress_reaches_one(sample: Sample) -> None:
    told: list[float] = []
    Ptychography().reconstruct(replace(sample, progress=told.append), SPEC)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


# --- the deadline ---------------------------------------------------------------------------------


def test_out_of_time_an_image_is_still_returned(sample: Sample) -> None:
    begun = time.monotonic()
    found = Ptychography().reconstruct(replace(sample, deadline=begun - 1), SPEC)
    assert found.diagnostics["iterations"] == 0
    assert found.x_hat.shape == (48, 48)
    assert np.isfinite(found.x_hat).all()


@pytest.mark.parametrize("allowed", [3, 9, 15])
def test_it_stops_when_the_time_is_over(
    sample: Sample, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    """A clock that goes one second each time it is looked at."""
    ticks = iter(range(10_000))
    monkeypatch.setattr(algorithms.base.time, "monotonic", lambda: float(next(ticks)))
    found = Ptychography().reconstruct(replace(sample, deadline=float(allowed)), SPEC)
    assert allowed - 2 <= found.diagnostics["iterations"] <= allowed
    assert np.isfinite(found.x_hat).all()


# --- curvature and prior --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ideal",
    [
        make_ideal(object_shape=(32, 32), step=2, **INSTRUMENT),
        make_ideal(object_shape=(56, 56), step=3, periodic=False, **INSTRUMENT),
    ],
    ids=["periodic", "padded"],
)
def test_noise_is_as_predicted(ideal: IdealOperator) -> None:
    """Power of the maximum-likelihood image's noise over repeats, against the Fisher information.

    Compared over the frequencies that the data determine well, where the fit has converged.
    """
    shape = ideal.attrs.object_shape
    x = atoms(shape, count=shape[0], seed=4)
    fits = [PhaseFit(measured(ideal, x, MismatchSpec(), seed=s), MismatchSpec()) for s in range(6)]
    for fit in fits:
        fit.run(MismatchSpec(), 25)
    images = torch.stack([fit.phi for fit in fits])
    curvature = Curvature.estimate(
        fits[0].objective.information(images.mean(dim=0), MismatchSpec()),
        torch.Generator().manual_seed(0),
    )
    repeats = len(images)
    measured_power = torch.stack(
        [curvature.power(image - images.mean(dim=0)) for image in images]
    ).sum(dim=0) / (repeats - 1)
    rings = curvature.spectrum > 0.3 * curvature.spectrum.max()
    found = curvature.bins.mean(measured_power)[rings]
    predicted = curvature.bins.mean(curvature.noise_power())[rings]
    ratio = found / predicted
    assert 0.6 < float(ratio.median()) < 1.7, ratio
    assert (ratio > 0.3).all(), ratio
    assert (ratio < 3.0).all(), ratio


def test_coverage_and_window_are_weights() -> None:
    ideal = make_ideal(object_shape=(56, 56), step=3, periodic=False, **INSTRUMENT)
    objective = Objective(measured(ideal, atoms((56, 56)), MismatchSpec()))
    curvature = Curvature.estimate(
        objective.information(torch.zeros(56, 56), MismatchSpec()), torch.Generator().manual_seed(0)
    )
    for weight in (curvature.coverage, curvature.window):
        assert float(weight.min()) >= 0
        assert float(weight.max()) == pytest.approx(1.0)
    assert float(curvature.window[24:32, 24:32].min()) > 0.9
    assert float(curvature.window[:4].max()) < 0.05
    assert (curvature.spectrum >= 0).all()


def test_power_of_a_well_seen_image_is_its_own() -> None:
    ideal = make_ideal(object_shape=(32, 32), step=2, **INSTRUMENT)
    objective = Objective(measured(ideal, atoms((32, 32)), MismatchSpec()))
    curvature = Curvature.estimate(
        objective.information(torch.zeros(32, 32), MismatchSpec()), torch.Generator().manual_seed(0)
    )
    image = torch.as_tensor(np.random.default_rng(0).standard_normal((32, 32)), dtype=torch.float32)
    own = torch.fft.fft2(image - image.mean()).abs().square()
    assert float(torch.linalg.norm(curvature.power(image + 3) - own)) < 0.02 * float(
        torch.linalg.norm(own)
    )


# --- total variation ------------------------------------------------------------------------------


def test_total_variation_s_slope_is_its_own() -> None:
    prior = TotalVariation.from_estimate(
        torch.as_tensor(atoms((24, 30), count=12)), flat_curvature((24, 30), 1e4), 1.0
    )
    phi, direction = (
        torch.as_tensor(np.random.default_rng(s).standard_normal((24, 30))) for s in (1, 2)
    )
    _, slope = prior.gradient(phi)
    ahead, behind = (prior.gradient(phi + s * 1e-5 * direction)[0] for s in (1, -1))
    assert float((slope * direction).sum()) == pytest.approx((ahead - behind) / 2e-5, rel=1e-5)
    assert prior.gradient(phi + 5.0)[0] == pytest.approx(prior.gradient(phi)[0])
    step, steeper = prior.gradient(phi)[1], prior.gradient(phi + 1e-3 * direction)[1]
    along = float(((steeper - step) * direction).sum()) / 1e-3
    bound = (prior.curvature * torch.fft.fft2(direction).abs().square()).sum() / phi.numel()
    assert along <= float(bound), "the curvature bounds it"


def test_held_out_patterns_choose_a_sensible_total_variation() -> None:
    """Neither none nor the strongest, and the image gains by it; no truth is asked."""
    ideal = make_ideal(object_shape=(48, 48), **{**INSTRUMENT, "dose_e": 600.0})
    x = atoms((48, 48), count=20, width_px=2.5, seed=1)
    sample = measured(ideal, x, MismatchSpec(), seed=1)
    plain = Ptychography(prior="none").reconstruct(sample, MismatchSpec())
    strengths = (1e-3, 0.1, 0.3, 1.0, 100.0)
    method = Ptychography(prior="total-variation", strengths=strengths, prior_iterations=12)
    found = method.reconstruct(sample, MismatchSpec())
    assert found.diagnostics["strength"] in strengths[1:-1]
    assert psnr_db(found.x_hat, x) > psnr_db(plain.x_hat, x) + 1.0


# --- a start that was handed on -------------------------------------------------------------------


def test_a_phase_from_the_calibrator_saves_steps() -> None:
    """And leads to as good an image."""
    ideal = make_ideal(object_shape=(48, 48), **INSTRUMENT)
    x = atoms((48, 48), count=48, seed=2)
    sample = measured(ideal, x, MismatchSpec(), seed=2)
    cold = Ptychography().reconstruct(sample, MismatchSpec())
    fit = PhaseFit(sample, MismatchSpec())
    fit.run(MismatchSpec(), 12)
    begun = replace(sample, phase=fit.phi.numpy())
    warm = Ptychography().reconstruct(begun, MismatchSpec())
    assert warm.diagnostics["iterations"] <= cold.diagnostics["iterations"] - 6
    assert psnr_db(warm.x_hat, x) > psnr_db(cold.x_hat, x) - 0.5


def flat_curvature(shape: tuple[int, int], information: float) -> Curvature:
    """The same information at every frequency, everywhere."""
    bins = FrequencyBins.of(shape, torch.device("cpu"))
    spectrum = torch.full((len(bins.count),), information)
    return Curvature(spectrum, torch.ones(shape), torch.ones(shape), bins)


def test_the_prior_s_slope_is_its_own() -> None:
    prior = SpectralPrior.from_estimate(
        torch.as_tensor(atoms((24, 30), count=12)), flat_curvature((24, 30), 100.0)
    )
    phi, direction = (
        torch.as_tensor(np.random.default_rng(s).standard_normal((24, 30))) for s in (1, 2)
    )
    _, slope = prior.gradient(phi)
    ahead, behind = (prior.gradient(phi + s * 1e-5 * direction)[0] for s in (1, -1))
    assert float((slope * direction).sum()) == pytest.approx((ahead - behind) / 2e-5, rel=1e-5)
    assert prior.gradient(phi + 5.0)[0] == pytest.approx(prior.gradient(phi)[0]), (
        "no say in a constant"
    )


def test_the_prior_is_weak_where_there_is_signal_and_strong_where_not() -> None:
    """A lattice in noise: its peaks are left alone, what is noise is held at zero."""
    information = 100.0
    rows, _ = np.indices((32, 32))
    noise = np.random.default_rng(0).standard_normal((32, 32)) / np.sqrt(information)
    lattice = torch.as_tensor(np.cos(2 * np.pi * 4 * rows / 32) + noise, dtype=torch.float32)
    prior = SpectralPrior.from_estimate(lattice, flat_curvature((32, 32), information)).curvature
    assert float(prior[4, 0]) < 0.01 * information
    assert float(prior[28, 0]) == pytest.approx(float(prior[4, 0]), rel=1e-3)
    assert float(prior[0, 0]) == 0.0
    assert float(prior[0, 4]) > 3 * information, "of the same ring, but no peak"
    others = prior.flatten()[[40, 170, 333, 500]]
    assert (others > 3 * information).all()


# --- descent --------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1.0, 1.9, 6.0])
def test_descent_finds_the_least_of_a_bowl(length: float) -> None:
    """Steep and shallow directions, a step that fits or is several times too long."""
    rng = np.random.default_rng(0)
    scale = torch.as_tensor(np.geomspace(0.02, 1.0, 100).reshape(10, 10))
    truth = torch.as_tensor(rng.standard_normal((10, 10)))

    def bowl(phi: torch.Tensor) -> tuple[float, torch.Tensor]:
        return float((scale * (phi - truth) ** 2).sum()) / 2, scale * (phi - truth)

    descent = AcceleratedDescent(torch.zeros(10, 10, dtype=torch.float64), lambda g: length * g)
    first = descent.step(bowl)
    for _ in range(120):
        descent.step(bowl)
    assert bowl(descent.phi)[0] < 1e-4 * first
