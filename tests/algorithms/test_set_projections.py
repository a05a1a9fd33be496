"""epie and dm: projections between measured moduli and one phase object."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from algorithms.base import Reconstruction, Sample
from algorithms.modulus import Modulus
from algorithms.reconstructors.baseline import CpuBaseline
from algorithms.reconstructors.dm import DifferenceMap, ExitWaves, exit_waves_bytes
from algorithms.reconstructors.epie import Epie, batch_slope
from algorithms.registry import load_algorithm
from algorithms.set_projection import HELD_OUT, SetProjection, StopRule
from physics.ideal import ArrayPatterns, IdealOperator
from physics.noise import ANSCOMBE_SHIFT, Likelihood, LikelihoodName
from physics.operator import ForwardOperator
from runner.scoring.metrics import psnr_db, psnr_offset_free_db
from schemas import ContractError, MismatchSpec
from tests.helpers.operators import make_ideal
from tests.helpers.samples import PUBLIC_RANGES, atoms, measured

INSTRUMENT = {"window": 24, "C10_A": -60.0, "phase_scale_rad": 0.5, "dose_e": 8000.0}
IDEAL = make_ideal(object_shape=(36, 36), step=3, **INSTRUMENT)
SPECS = {
    "nominal": MismatchSpec(),
    "short camera": MismatchSpec(camera_length=-2.0, center_offset=-0.8),
    "long camera": MismatchSpec(camera_length=4.0, center_offset=1.6, elliptical_distortion=0.009),
}
SPEC = SPECS["long camera"]
X = atoms((36, 36), count=22, seed=1)


def exact(ideal: IdealOperator, spec: MismatchSpec) -> Sample:
    """Expected electrons in the place of counts: nothing but the model."""
    operator = ForwardOperator(ideal, dtype=torch.float64)
    phi = operator.tensor(ideal.attrs.phase_scale_rad * X.astype(np.float64))
    expected = operator.expected(phi, spec).numpy().astype(np.float32)
    side = round(len(expected) ** 0.5)
    patterns = ArrayPatterns(expected.reshape(side, side, *expected.shape[1:]))
    return Sample("sample_00", patterns, ideal, PUBLIC_RANGES)


def true_phase(sample: Sample) -> Tensor:
    return torch.as_tensor(X * np.float32(sample.operator.attrs.phase_scale_rad))


def ready(sample: Sample, spec: MismatchSpec, shift: float = 0.375) -> SetProjection:
    return SetProjection.of(sample, spec, shift=shift, patterns_bytes=sample.memory_bytes)


@pytest.fixture(scope="module")
def noisy() -> Sample:
    return measured(IDEAL, X, SPEC)


# --- the modulus constraint -----------------------------------------------------------------------


@given(expected=st.floats(1e-6, 50.0), counts=st.integers(0, 50), shift=st.floats(0.0, 2.0))
@settings(max_examples=50)
def test_the_modulus_is_the_nearest_of_wave_and_rest(
    expected: float, counts: int, shift: float
) -> None:
    """Of all (wave, rest) with |wave|^2 + rest^2 = y + c, none is nearer to (sqrt I, sqrt c)."""
    modulus = Modulus(Likelihood(LikelihoodName.POISSON), shift)
    prepared = modulus.likelihood.prepare(torch.tensor([float(counts)], dtype=torch.float64))
    model = torch.tensor([expected], dtype=torch.float64)
    ratio = float(modulus.ratio(model, prepared))
    angle = np.linspace(0, np.pi / 2, 2001)
    length = np.sqrt(counts + shift)
    distance = (length * np.cos(angle) - np.sqrt(expected)) ** 2 + (
        length * np.sin(angle) - np.sqrt(shift)
    ) ** 2
    found = (ratio - 1) ** 2 * (expected + shift)
    assert found <= distance.min() + 1e-6
    if expected + shift > 1e-6:
        assert found == pytest.approx((np.sqrt(expected + shift) - length) ** 2, abs=1e-6)


def test_pixels_that_are_not_believed_keep_their_wave() -> None:
    usable = torch.tensor([[1.0, 0.0]])
    modulus = Modulus(Likelihood(LikelihoodName.POISSON, usable=usable), 0.375)
    prepared = modulus.likelihood.prepare(torch.tensor([[4.0, 4.0]]))
    ratio = modulus.ratio(torch.tensor([[1.0, 1.0]]), prepared)
    assert ratio[0, 0] > 1.5
    assert ratio[0, 1] == 1.0


# --- epie -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_batch_of_all_is_the_gradient_of_the_amplitude_loss(spec: MismatchSpec) -> None:
    """Against automatic differentiation of the loss itself; so the adjoint is right, not nearly."""
    sample = measured(IDEAL, X, spec)
    scan = replace(ready(sample, spec), apart=torch.zeros(144, dtype=torch.bool))
    ((_, prepared),) = scan.stream.blocks()
    everything = torch.arange(144)
    slope, held_out = batch_slope(scan.start, everything, prepared, scan)
    operator = ForwardOperator(IDEAL, dtype=torch.float64)
    phi = scan.start.double().requires_grad_()
    counts = operator.tensor(sample.counts())
    loss = ((operator.expected(phi, spec) + 0.375).sqrt() - (counts + 0.375).sqrt()).square().sum()
    loss.backward()
    assert phi.grad is not None
    scale = 2 * 8000.0 * float(operator.illumination().max())
    np.testing.assert_allclose(slope, phi.grad / scale, atol=2e-5 * float(slope.abs().max()))
    assert held_out == 0.0


def test_patterns_kept_apart_move_nothing(noisy: Sample) -> None:
    scan = ready(noisy, SPEC)
    ((_, prepared),) = scan.stream.blocks()
    apart = scan.apart.nonzero()[:, 0]
    assert len(apart) == 144 // HELD_OUT
    slope, loss = batch_slope(scan.start, apart, prepared[apart], scan)
    assert not slope.any()
    assert loss > 0


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_epie_finds_an_object_without_noise(spec: MismatchSpec) -> None:
    found = Epie(passes=40, decay=1e9, shift=0.0).reconstruct(exact(IDEAL, spec), spec)
    assert psnr_offset_free_db(found.x_hat, X) > 40


# --- dm -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_projection_on_moduli_ends_on_them(spec: MismatchSpec) -> None:
    """Through a detector that is not unitary: twice is once, and the moduli are the measured."""
    sample = exact(IDEAL, spec)
    scan = ready(sample, spec, shift=0.0)
    waves = ExitWaves(scan)
    ((_, prepared),) = scan.stream.blocks()
    before = scan.far.intensity(scan.far.forward(waves.psi[:9]))
    once = waves.with_modulus(waves.psi[:9], prepared[:9])
    after = scan.far.intensity(scan.far.forward(once))
    moduli = torch.as_tensor(sample.counts())[:9].sqrt()
    assert (before.sqrt() - moduli).norm() > 0.02 * moduli.norm()
    assert (after.sqrt() - moduli).norm() < 2e-3 * moduli.norm()
    twice = waves.with_modulus(once, prepared[:9])
    assert (twice - once).norm() < 0.1 * (once - waves.psi[:9]).norm()


@pytest.mark.parametrize("beta", [1.0, 0.7])
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_truth_is_a_fixed_point(spec: MismatchSpec, beta: float) -> None:
    """Without noise: neither the exit waves nor the object move from it."""
    sample = exact(IDEAL, spec)
    truth = true_phase(sample)
    scan = replace(ready(sample, spec), start=truth)
    waves = ExitWaves(scan)
    before = waves.psi.clone()
    found = waves.object_phase(truth)
    offset = (found - truth).mean()
    assert (found - truth - offset).abs().max() < 1e-4
    assert waves.step(truth, beta) < 1e-2
    assert (waves.psi - before).norm() < 1e-3 * before.norm()
    away = ExitWaves(replace(scan, start=torch.zeros_like(truth)))
    resting = away.psi.clone()
    away.step(torch.zeros_like(truth), beta)
    assert (away.psi - resting).norm() > 0.02 * resting.norm(), "elsewhere they do move"


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_dm_finds_an_object_without_noise(spec: MismatchSpec) -> None:
    found = DifferenceMap(beta=1.0, iterations=60, shift=0.0).reconstruct(exact(IDEAL, spec), spec)
    assert psnr_offset_free_db(found.x_hat, X) > 40


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_batches_without_a_pattern_kept_apart(spec: MismatchSpec) -> None:
    """Large patterns come one or two at a time; most batches then keep none apart."""
    scan = ready(exact(IDEAL, spec), spec)
    whole, small = ExitWaves(scan), ExitWaves(scan)
    loss = whole.step(scan.start, 0.9)
    scan.operator.batch = 2
    assert small.step(scan.start, 0.9) == pytest.approx(loss, rel=1e-4)
    torch.testing.assert_close(small.psi, whole.psi, rtol=1e-4, atol=1e-5)


def test_exit_waves_that_do_not_fit_are_refused(noisy: Sample) -> None:
    """With figures, and with what to use instead; with room for them alone, patterns stream."""
    needed = 8 * 144 * 24**2
    assert exit_waves_bytes(noisy) == needed
    with pytest.raises(ContractError) as raised:
        DifferenceMap().reconstruct(replace(noisy, memory_bytes=needed - 1), SPEC)
    (finding,) = raised.value.findings
    assert finding.code == "SAMPLE_UNSUITED"
    assert "144 positions" in finding.expected
    assert "epie" in finding.hint
    streamed = DifferenceMap(iterations=3).reconstruct(replace(noisy, memory_bytes=needed), SPEC)
    kept = DifferenceMap(iterations=3).reconstruct(noisy, SPEC)
    np.testing.assert_allclose(streamed.x_hat, kept.x_hat, atol=1e-4)


# --- both -----------------------------------------------------------------------------------------

METHODS = {"epie": Epie(), "dm": DifferenceMap()}


@pytest.fixture(scope="module")
def found(noisy: Sample) -> dict[str, Reconstruction]:
    return {name: method.reconstruct(noisy, SPEC) for name, method in METHODS.items()}


@pytest.mark.parametrize("name", METHODS)
def test_counts_give_a_good_image(
    name: str, noisy: Sample, found: dict[str, Reconstruction]
) -> None:
    image = found[name]
    first = CpuBaseline().reconstruct(noisy, SPEC).x_hat
    assert psnr_offset_free_db(image.x_hat, X) > psnr_offset_free_db(first, X) + 4
    assert image.x_hat.dtype == np.float32
    assert image.x_hat.min() == 0.0
    assert image.x_hat.max() <= 1.0
    assert image.spec is None
    losses = image.diagnostics["held_out_losses"]
    assert image.diagnostics["best_pass"] == int(np.argmin(losses)) > 0


@pytest.mark.parametrize("name", METHODS)
def test_the_same_bytes_twice(name: str, noisy: Sample, found: dict[str, Reconstruction]) -> None:
    again = METHODS[name].reconstruct(noisy, SPEC)
    assert again.x_hat.tobytes() == found[name].x_hat.tobytes()


def test_the_seed_decides_the_order_of_epie_and_hardly_the_image(
    noisy: Sample, found: dict[str, Reconstruction]
) -> None:
    other = Epie().reconstruct(replace(noisy, seed=1), SPEC)
    assert other.x_hat.tobytes() != found["epie"].x_hat.tobytes()
    assert psnr_db(other.x_hat, found["epie"].x_hat) > 30


@pytest.mark.parametrize("name", METHODS)
def test_sparse_counts_need_the_shift(name: str) -> None:
    """Where nine pixels in ten expect less than half an electron the plain modulus is far off."""
    fine = {"window": 48, "sampling_A": 0.2, "object_shape": (60, 60), "step": 4}
    ideal = make_ideal(C10_A=-60.0, phase_scale_rad=0.8, dose_e=4000.0, **fine)
    x = atoms((60, 60), count=14, width_px=2.4, seed=2)
    sample = measured(ideal, x, SPEC)
    assert (sample.counts().mean(axis=0) < 0.5).mean() > 0.9
    shifted, plain = (
        replace(METHODS[name], shift=shift).reconstruct(sample, SPEC).x_hat
        for shift in (ANSCOMBE_SHIFT, 0.0)
    )
    assert psnr_offset_free_db(shifted, x) > psnr_offset_free_db(plain, x) + 1.5


@pytest.mark.parametrize("name", METHODS)
def test_a_phase_that_holds_noise_is_no_start(
    name: str, noisy: Sample, found: dict[str, Reconstruction]
) -> None:
    noise = np.random.default_rng(0).standard_normal(X.shape).astype(np.float32)
    image = METHODS[name].reconstruct(replace(noisy, phase=noise), SPEC)
    assert image.x_hat.tobytes() == found[name].x_hat.tobytes()


@pytest.mark.parametrize("name", METHODS)
def test_time_that_is_up_ends_after_a_pass(name: str, noisy: Sample) -> None:
    image = METHODS[name].reconstruct(replace(noisy, deadline=0.0), SPEC)
    assert len(image.diagnostics["held_out_losses"]) == 1


@pytest.mark.parametrize("name", METHODS)
def test_broken_pixels_are_left_out(
    name: str, noisy: Sample, found: dict[str, Reconstruction]
) -> None:
    values = noisy.y.read(0, 144).reshape(noisy.y.shape).copy()
    values[:, :, 13, 15] = 0.0
    values[:, :, 10, 12] = 60_000.0
    image = METHODS[name].reconstruct(replace(noisy, y=ArrayPatterns(values)), SPEC)
    assert psnr_db(image.x_hat, X) > psnr_db(found[name].x_hat, X) - 1.5


def test_they_are_found_by_name() -> None:
    assert isinstance(load_algorithm("epie").reconstructor, Epie)  # type: ignore[attr-defined]
    assert isinstance(load_algorithm("dm").reconstructor, DifferenceMap)  # type: ignore[attr-defined]


def test_the_rule_keeps_the_best_and_waits() -> None:
    rule = StopRule(patience=2)
    images = [torch.full((1, 1), float(n)) for n in range(5)]
    goes_on = [
        rule.goes_on(image, loss)
        for image, loss in zip(images, [3.0, 2.0, 2.5, 1.0, 1.5], strict=True)
    ]
    assert goes_on == [True] * 5
    assert float(rule.best) == 3.0
    assert not rule.goes_on(images[0], 1.2)
    assert float(rule.best) == 3.0
