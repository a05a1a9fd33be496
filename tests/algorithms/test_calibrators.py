"""Calibrators: what each promises, and that the errors they state are the errors they make."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from algorithms.base import Calibration, Sample
from algorithms.calibrators.fixed import Midpoint, Nominal, Oracle
from algorithms.calibrators.gradient import Gradient, gauss_newton
from algorithms.calibrators.pacbed import Pacbed, fit_disk
from algorithms.objective import Objective, SpecInformation
from algorithms.phase_fit import PhaseFit
from algorithms.registry import CALIBRATORS, load_calibrator
from algorithms.trace import KEY as TRACE
from physics.bounds import cramer_rao
from physics.ideal import ArrayPatterns, IdealOperator
from physics.noise import LikelihoodName
from physics.operator import vacuum_pattern
from runner.tiers.build import draw_spec
from schemas import PARAMETERS, ContractError, ExitCode, MismatchSpec, SpecRange, SpecRanges
from tests.helpers.operators import make_ideal
from tests.helpers.samples import PUBLIC_RANGES, atoms, measured


def untimed(found: Calibration) -> Calibration:
    """Without the seconds of its trace, which are the machine's."""
    diagnostics = dict(found.diagnostics)
    if trace := diagnostics.get(TRACE):
        diagnostics[TRACE] = {**trace, "seconds": len(trace["seconds"])}
    return replace(found, diagnostics=diagnostics)


INSTRUMENT = {"window": 24, "C10_A": -60.0, "phase_scale_rad": 0.5, "dose_e": 4000.0}
PERIODIC = make_ideal(object_shape=(48, 48), **INSTRUMENT)
PADDED = make_ideal(object_shape=(72, 72), periodic=False, **INSTRUMENT)
COUNTING_BADLY = make_ideal(object_shape=(48, 48), gain=3.0, read_noise=2.0, **INSTRUMENT)

SPEC = MismatchSpec(camera_length=2.5, center_offset=1.1, elliptical_distortion=0.007)


def sample_of(ideal: IdealOperator, seed: int, spec: MismatchSpec = SPEC) -> Sample:
    x = atoms(ideal.attrs.object_shape, count=ideal.attrs.object_shape[0], seed=seed)
    return measured(ideal, x, spec, seed=seed, true_spec=spec)


def errors_of(found: Calibration, spec: MismatchSpec) -> np.ndarray:
    return np.array(found.spec.vector()) - spec.vector()


@pytest.fixture(scope="module")
def sample() -> Sample:
    return sample_of(PERIODIC, seed=0)


def narrow(**ends: tuple[float, float]) -> SpecRanges:
    """The public ranges, some of them replaced."""
    return SpecRanges(
        tuple(
            SpecRange(
                name=r.name,
                min=ends.get(r.name, (r.min, r.max))[0],
                max=ends.get(r.name, (r.min, r.max))[1],
                unit=r.unit,
            )
            for r in PUBLIC_RANGES.root
        )
    )


# --- those that measure nothing -------------------------------------------------------------------


def test_none_is_the_nominal_detector(sample: Sample) -> None:
    assert Nominal().estimate(sample).spec == MismatchSpec()
    away = replace(sample, ranges=narrow(camera_length=(1.0, 4.0), center_offset=(-2.0, -0.5)))
    spec = Nominal().estimate(away).spec
    assert spec == MismatchSpec(camera_length=1.0, center_offset=-0.5), "as near as can be"


def test_midpoint_is_the_middle_of_every_range(sample: Sample) -> None:
    spec = Midpoint().estimate(sample).spec
    assert spec == MismatchSpec(camera_length=1.0, center_offset=0.5, elliptical_distortion=0.0025)


def test_oracle_is_the_truth(sample: Sample) -> None:
    assert Oracle().estimate(sample).spec == SPEC


def test_oracle_refuses_a_blind_sample(sample: Sample) -> None:
    with pytest.raises(ContractError) as failure:
        Oracle().estimate(replace(sample, true_spec=None))
    assert failure.value.findings[0].code == "TRUTH_MISSING"
    assert failure.value.exit_code == ExitCode.INPUT


@pytest.mark.parametrize("name", sorted(set(CALIBRATORS) - {"oracle"}))
def test_no_other_looks_at_the_truth(sample: Sample, name: str) -> None:
    calibrator = load_calibrator(name)
    lied_to = replace(sample, true_spec=MismatchSpec(camera_length=-1.9))
    honest = calibrator.estimate(replace(sample, true_spec=None))
    assert untimed(calibrator.estimate(lied_to)) == untimed(honest)


@pytest.mark.parametrize("name", sorted(set(CALIBRATORS) - {"oracle"}))
@pytest.mark.parametrize(
    "ranges",
    [
        narrow(camera_length=(-2.0, -1.0)),
        narrow(center_offset=(1.5, 2.0)),
        narrow(elliptical_distortion=(-0.005, -0.004), camera_length=(3.0, 3.5)),
    ],
    ids=["camera length", "centre", "two"],
)
def test_the_answer_is_within_the_ranges(sample: Sample, name: str, ranges: SpecRanges) -> None:
    """Even where the truth is not."""
    spec = load_calibrator(name).estimate(replace(sample, ranges=ranges)).spec
    assert spec.clipped(ranges) == spec


@pytest.mark.parametrize("name", ["pacbed", "gradient"])
def test_the_same_twice(sample: Sample, name: str) -> None:
    calibrator = load_calibrator(name)
    once, twice = calibrator.estimate(sample), calibrator.estimate(sample)
    assert untimed(once) == untimed(twice)
    assert once.phase is None or once.phase.tobytes() == twice.phase.tobytes()


# --- pacbed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_pacbed_finds_an_empty_disk(sample: Sample, seed: int) -> None:
    """Without a specimen the model is exact: right to the rounding of the fit."""
    spec = draw_spec(PUBLIC_RANGES, np.random.default_rng(seed))
    average = PERIODIC.attrs.dose_e * vacuum_pattern(PERIODIC, spec)
    found, _ = fit_disk(average, sample)
    np.testing.assert_allclose(found.vector(), spec.vector(), atol=2e-4)


@pytest.mark.parametrize(
    "ideal", [PERIODIC, PADDED, COUNTING_BADLY], ids=["periodic", "padded", "read noise"]
)
def test_pacbed_is_close(ideal: IdealOperator) -> None:
    for seed in range(3):
        spec = draw_spec(PUBLIC_RANGES, np.random.default_rng(seed))
        found = Pacbed().estimate(sample_of(ideal, seed, spec))
        length, offset, ellipse = np.abs(errors_of(found, spec))
        assert length < 0.25
        assert offset < 0.02
        assert ellipse < 0.003


# --- gradient -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ideal", [PERIODIC, PADDED, COUNTING_BADLY], ids=["periodic", "padded", "read noise"]
)
def test_gradient_is_as_good_as_it_says(ideal: IdealOperator) -> None:
    """Within five of its own standard errors; those are small."""
    for seed in range(2):
        spec = draw_spec(PUBLIC_RANGES, np.random.default_rng(10 + seed))
        found = Gradient().estimate(sample_of(ideal, seed, spec))
        stated = np.array([found.standard_errors[name] for name in PARAMETERS])
        assert (np.abs(errors_of(found, spec)) < 5 * stated).all()
        assert (stated < (0.1, 0.005, 0.002)).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "ideal", [PERIODIC, PADDED, COUNTING_BADLY], ids=["periodic", "padded", "read noise"]
)
def test_stated_errors_are_true_on_average(ideal: IdealOperator) -> None:
    """Over 40 samples: errors over stated errors have a spread near 1 and no large mean.

    The specimen's own slope counts as an error of the centre where the object is padded.
    """
    scores = []
    for seed in range(40):
        spec = draw_spec(PUBLIC_RANGES, np.random.default_rng(100 + seed))
        found = Gradient().estimate(sample_of(ideal, seed, spec))
        stated = np.array([found.standard_errors[name] for name in PARAMETERS])
        scores.append(errors_of(found, spec) / stated)
    spread = np.sqrt(np.mean(np.square(scores), axis=0))
    assert (spread > 0.6).all(), spread
    assert (spread < (1.6, 1.6 if ideal.attrs.periodic else 3.0, 1.6)).all(), spread
    assert (np.abs(np.mean(scores, axis=0)) < 1.0).all()


def test_gradient_beats_pacbed_where_the_specimen_is_strong() -> None:
    """What the specimen scatters within the disk biases the average pattern, not the joint fit."""
    ideal = make_ideal(object_shape=(48, 48), **{**INSTRUMENT, "phase_scale_rad": 1.2})
    squares = {"pacbed": np.zeros(3), "gradient": np.zeros(3)}
    for seed in range(4):
        spec = draw_spec(PUBLIC_RANGES, np.random.default_rng(seed))
        sample = sample_of(ideal, seed, spec)
        for name in squares:
            squares[name] += errors_of(load_calibrator(name).estimate(sample), spec) ** 2
    assert squares["gradient"][0] < 0.5 * squares["pacbed"][0]


def test_a_gauss_newton_step_lands(sample: Sample) -> None:
    """From ten standard errors away, at a phase that fits, to about one."""
    fit = PhaseFit(sample, SPEC)
    fit.run(SPEC, 12)
    bound = cramer_rao(fit.objective.information(fit.phi, SPEC), fit.curvature)
    stated = np.array(list(bound.joint_sigma.values()))
    least = SPEC
    for _ in range(4):
        found = fit.objective.spec_information(fit.phi, least)
        least, settled = gauss_newton(found, least, sample)
    assert settled
    away = MismatchSpec.from_vector(tuple(np.array(least.vector()) + 10 * stated * (1, -1, 1)))
    found = fit.objective.spec_information(fit.phi, away)
    landed, settled = gauss_newton(found, away, sample)
    assert not settled
    assert (np.abs(errors_of(Calibration(landed), least)) < 1.5 * stated).all()


def test_an_empty_sample_is_calibrated_as_well() -> None:
    """Vacuum: no phase to find, the disk alone."""
    sample = measured(PERIODIC, np.zeros((48, 48), np.float32), SPEC)
    found = Gradient().estimate(sample)
    stated = np.array([found.standard_errors[name] for name in PARAMETERS])
    assert (np.abs(errors_of(found, SPEC)) < 5 * stated).all()


def test_a_parameter_at_the_end_of_its_range(sample: Sample) -> None:
    spec = MismatchSpec(camera_length=4.0, center_offset=2.0, elliptical_distortion=0.01)
    found = Gradient().estimate(sample_of(PERIODIC, 5, spec))
    assert found.spec.clipped(PUBLIC_RANGES) == found.spec
    assert (np.abs(errors_of(found, spec)) < (0.15, 0.01, 0.003)).all()


def test_out_of_time_the_answer_is_still_one(sample: Sample) -> None:
    told: list[float] = []
    late = replace(sample, deadline=time.monotonic() - 1, progress=told.append)
    found = Gradient().estimate(late)
    assert found.spec.clipped(PUBLIC_RANGES) == found.spec
    assert found.standard_errors == {}
    assert len(told) < 3
    length, offset, _ = np.abs(errors_of(found, SPEC))
    assert length < 0.5, "the disk's fit is at hand"
    assert offset < 0.05


def test_progress_grows_and_stays_below_one(sample: Sample) -> None:
    told: list[float] = []
    Gradient().estimate(replace(sample, progress=told.append))
    assert told == sorted(told)
    assert told[0] > 0
    assert told[-1] <= 1


# --- detectors that are not as they should be -----------------------------------------------------


def broken(sample: Sample, share: float, seed: int = 0) -> Sample:
    """The same measurement by a detector of which a share of pixels is dead or stuck."""
    rng = np.random.default_rng(seed)
    counts = sample.y.values.copy()
    bad = rng.uniform(size=counts.shape[2:]) < share
    level = np.where(rng.uniform(size=bad.shape) < 0.5, 0.0, counts.max())
    counts[:, :, bad] = level[bad]
    return replace(sample, y=ArrayPatterns(counts))


@pytest.mark.parametrize("ideal", [PERIODIC, COUNTING_BADLY], ids=["periodic", "read noise"])
def test_broken_pixels_cost_little(ideal: IdealOperator) -> None:
    """A tenth of the detector dead or stuck at its highest value."""
    for seed in range(2):
        spec = draw_spec(PUBLIC_RANGES, np.random.default_rng(10 + seed))
        found = Gradient().estimate(broken(sample_of(ideal, seed, spec), 0.1, seed))
        stated = np.array([found.standard_errors[name] for name in PARAMETERS])
        assert found.diagnostics["broken_pixels"] > 20
        assert (np.abs(errors_of(found, spec)) < 5 * stated).all()
        assert (stated < (0.12, 0.006, 0.002)).all()


def test_electrons_that_count_several_times_widen_the_errors(sample: Sample) -> None:
    """Each electron fires a square of four pixels: half as much is known as counts suggest."""
    counts = sample.y.values
    spread = sum(np.roll(counts, shift, axis=(2, 3)) for shift in ((0, 0), (0, 1), (1, 0), (1, 1)))
    several = replace(sample, y=ArrayPatterns(spread / 4))
    plain, found = Gradient().estimate(sample), Gradient().estimate(several)
    for name in PARAMETERS[1:]:
        assert found.standard_errors[name] > 0.75 * plain.standard_errors[name]
    blurred = replace(sample, y=ArrayPatterns(spread.astype(np.float32)))
    told = Gradient().estimate(blurred)
    assert max(told.diagnostics["error_inflation"]) > 1.5


def test_a_detector_that_blurs_widens_the_errors_and_is_doubted() -> None:
    """What is wrong in every pattern alike moves the spec; its errors must not hide that."""
    sample = sample_of(PERIODIC, 3)
    counts = sample.y.values
    blurred = 0.8 * counts + 0.05 * sum(
        np.roll(counts, shift, axis=axis) for axis in (2, 3) for shift in (1, -1)
    )
    rng = np.random.default_rng(0)
    drawn = rng.poisson(blurred).astype(np.float32)
    found = Gradient().estimate(replace(sample, y=ArrayPatterns(drawn)))
    plain = Gradient().estimate(sample)
    stated = np.array([found.standard_errors[name] for name in PARAMETERS])
    assert stated[0] > 2 * plain.standard_errors["camera_length"]
    assert "more than noise" in found.diagnostics["warning"]
    assert (np.abs(errors_of(found, SPEC)) < 5 * stated).all()


@pytest.mark.parametrize("which", ["pattern_scatter", "pixel_scatter"])
def test_either_scatter_widens_the_errors_and_neither_narrows_them(which: str) -> None:
    """S = 9 F is errors three times as wide, S = F / 4 no less than what the counts allow."""
    fisher = np.array([[4.0, 1.0, 0.2], [1.0, 9.0, 0.5], [0.2, 0.5, 1.0]])
    right = SpecInformation(np.zeros(3), fisher, fisher, fisher, 1.0, 1.0, 0.01)
    np.testing.assert_allclose(right.inflation, 1.0)
    np.testing.assert_allclose(replace(right, **{which: 9 * fisher}).inflation, 3.0)
    np.testing.assert_allclose(replace(right, **{which: fisher / 4}).inflation, 1.0)


def test_a_model_that_fits_is_not_doubted_and_one_that_does_not_is(sample: Sample) -> None:
    found = Gradient().estimate(sample).diagnostics
    assert found["reduced_chi_square"] == pytest.approx(1.0, abs=0.05)
    assert "warning" not in found
    rng = np.random.default_rng(0)
    flicker = sample.y.values * rng.uniform(0.5, 1.5, (*sample.scan_shape, 1, 1))
    doubted = Gradient().estimate(replace(sample, y=ArrayPatterns(flicker.astype(np.float32))))
    assert doubted.diagnostics["reduced_chi_square"] > 1.2
    assert "more than noise" in doubted.diagnostics["warning"]


# --- the objective --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(LikelihoodName))
def test_the_gradient_of_the_objective_is_its_slope(name: LikelihoodName) -> None:
    ideal = make_ideal(object_shape=(20, 20), gain=2.0, read_noise=1.0)
    x = atoms((20, 20), count=6)
    objective = Objective(measured(ideal, x, SPEC), name, dtype=torch.float64)
    phi = objective.operator.tensor(0.8 * x)
    direction = torch.as_tensor(np.random.default_rng(1).standard_normal((20, 20)))
    some = torch.arange(objective.operator.count) % 3 != 1
    for chosen in (None, some):
        _, slope = objective.gradient(phi, SPEC, chosen)
        ahead, behind = (objective.loss(phi + s * 1e-5 * direction, SPEC, chosen) for s in (1, -1))
        assert float((slope * direction).sum()) == pytest.approx((ahead - behind) / 2e-5, rel=1e-4)
    whole = objective.loss(phi, SPEC)
    parts = sum(objective.loss(phi, SPEC, part) for part in (some, ~some))
    assert parts == pytest.approx(whole, rel=1e-9)
    assert objective.gradient(phi, SPEC)[0] == pytest.approx(whole, rel=1e-9)


def test_the_spec_s_slope_is_the_objective_s() -> None:
    ideal = make_ideal(object_shape=(20, 20))
    x = atoms((20, 20), count=6)
    objective = Objective(measured(ideal, x, SPEC), dtype=torch.float64)
    phi = objective.operator.tensor(0.8 * x)
    found = objective.spec_information(phi, SPEC)
    known, _ = objective.information(phi, SPEC).of_spec()
    np.testing.assert_allclose(found.fisher, known)
    for parameter, step in enumerate((1e-3, 1e-4, 1e-6)):
        change = step * np.eye(3)[parameter]
        ahead, behind = (
            objective.gradient(phi, MismatchSpec.from_vector(tuple(np.array(SPEC.vector()) + s)))[0]
            for s in (change, -change)
        )
        assert found.slope[parameter] == pytest.approx((ahead - behind) / (2 * step), rel=1e-4)


def test_patterns_that_do_not_fit_in_memory_are_read_again(sample: Sample) -> None:
    """Block by block in each pass: the same numbers, but for the order of the sums."""
    kept = Gradient().estimate(sample)
    read: list[tuple[int, int]] = []

    class Counting(ArrayPatterns):
        def read(self, start: int, stop: int) -> np.ndarray:
            read.append((start, stop))
            return super().read(start, stop)

    small = sample.y.values.nbytes // 2
    streamed = replace(sample, y=Counting(sample.y.values), memory_bytes=small)
    again = Gradient().estimate(streamed)
    for name, error in kept.standard_errors.items():
        difference = getattr(again.spec, name) - getattr(kept.spec, name)
        assert abs(difference) < 0.01 * error
    count = sample.operator.positions_px.shape[0]
    read = read[2:]  # the first two are the average pattern and the centre of mass
    assert max(stop - start for start, stop in read) * 6 <= count
    assert sum(stop - start for start, stop in read) > 10 * count
