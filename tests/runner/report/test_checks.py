"""Checks of a measurement: each fault made on purpose is found, and clean scenes raise nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from algorithms.base import Sample
from physics.ideal import ArrayPatterns, IdealOperator
from physics.operator import vacuum_pattern
from runner.files.challenge import ChallengeSample, open_challenge
from runner.report.checks import Check, check_sample, counting, detector, exposure, sampling
from runner.report.checks.lattices import off_lattice_share, overlap, sums
from runner.report.checks.record import Level
from runner.report.checks.statistics import ScanStatistics
from runner.report.checks.thickness import fit_phase_object, phase_object
from runner.report.inspection import probe_diameter_A, scan_step_A
from runner.tiers.build import build_tier
from runner.tiers.examples.deformed import bent_foil
from runner.tiers.realism import Effects
from runner.tiers.realism.detector import draw_clusters
from runner.tiers.recipes import default_recipe
from schemas.challenge import Tier
from schemas.recipes import SPEC_RANGES
from schemas.spec import MismatchSpec
from tests.helpers.memory import added_peak_mib
from tests.helpers.nanobeam import nanobeam
from tests.helpers.operators import make_ideal
from tests.runner.small import make_sample

RANGES = SPEC_RANGES[Tier.PUBLIC]
DARK_E, BRIGHT_E = 0.02, 12.0


def expected_counts(ny: int = 24, nx: int = 24, n: int = 32, seed: int = 0) -> np.ndarray:
    """Electrons expected of a disk over a dark field that the specimen changes everywhere."""
    rng = np.random.default_rng(seed)
    axis = np.arange(n) - n // 2
    disk = np.hypot(axis[:, None], axis[None, :]) < 7
    specimen = rng.gamma(8.0, 1 / 8.0, (ny * nx, n // 4, n // 4)).repeat(4, 1).repeat(4, 2)
    shares = rng.uniform(0.3, 3.0, (n, n))
    return specimen * np.where(disk, BRIGHT_E, DARK_E * shares)


def statistics(counts: np.ndarray, gain: float = 1.0) -> ScanStatistics:
    side = round(len(counts) ** 0.5)
    values = counts.reshape(side, side, *counts.shape[1:]).astype(np.float32)
    return ScanStatistics.of(ArrayPatterns(values), gain)


def poisson_counts(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).poisson(expected_counts()).astype(float)


def of(name: str, checks: tuple[Check, ...]) -> Check:
    return next(check for check in checks if check.name == name)


def every_check(sample: ChallengeSample, **options: object) -> tuple[Check, ...]:
    operator = sample.operator
    return check_sample(
        sample,
        step_A=scan_step_A(operator, sample.y.shape[:2]),
        diameter_A=probe_diameter_A(operator),
        **options,
    )


# --- counts


@pytest.mark.parametrize("counts_an_electron", [1, 3])
def test_dispersion_is_the_detectors_not_the_specimens(counts_an_electron: int) -> None:
    """The naive variance over mean is not: the specimen's own variation is in it."""
    measured = counts_an_electron * poisson_counts()
    found = statistics(measured)
    value = counting.dispersion(found.pixels.mean, found.variance, positions=found.differences)
    assert value is not None
    assert value.value == pytest.approx(counts_an_electron, abs=5 * value.error)
    naive = found.variance.sum() / found.pixels.mean.sum()
    assert naive > 1.5 * counts_an_electron


def test_read_noise_is_taken_off() -> None:
    rng = np.random.default_rng(3)
    measured = poisson_counts() + rng.normal(0, 0.08, (576, 32, 32))
    attrs = make_ideal(window=32, read_noise=0.08).attrs
    check = counting.poisson(statistics(measured), attrs)
    assert check.level is Level.OK
    assert check.figures["dispersion_pixel"] == pytest.approx(1.0, abs=0.1)


def test_several_counts_an_electron_are_found_and_the_gain_is_told() -> None:
    attrs = make_ideal(window=32).attrs
    check = counting.poisson(statistics(3 * poisson_counts()), attrs)
    assert check.level is Level.WARNING
    assert "gain 3" in check.hint or "gain 2.9" in check.hint or "gain 3.0" in check.hint
    assert counting.poisson(statistics(poisson_counts()), attrs).level is Level.OK
    stated = attrs.model_copy(update={"gain": 3.0})
    assert counting.poisson(statistics(3 * poisson_counts(), 3.0), stated).level is Level.OK


def test_clusters_show_in_areas() -> None:
    """One count each in neighbouring pixels: a single pixel's index hardly sees it."""
    rng = np.random.default_rng(4)
    measured = draw_clusters(
        expected_counts(), counts_per_electron=4.0, point_spread_px=0.6, rng=rng
    )
    raw = counting.poisson(statistics(measured), make_ideal(window=32).attrs)
    assert raw.level is Level.WARNING
    assert raw.figures["dispersion_area"] > 1.4 * raw.figures["dispersion_pixel"]
    assert "several pixels" in raw.hint or "several counts" in raw.hint


def test_averaged_counts_scatter_too_little() -> None:
    measured = (poisson_counts(1) + poisson_counts(2)) / 2
    check = counting.poisson(statistics(measured), make_ideal(window=32).attrs)
    assert check.level is Level.WARNING
    assert "averaged or denoised" in check.hint
    assert "no whole electrons" in check.found


def test_few_electrons_are_not_judged() -> None:
    counts = np.random.default_rng(0).poisson(expected_counts() * 1e-4)
    assert counting.poisson(statistics(counts), make_ideal(window=32).attrs).level is (
        Level.NOT_JUDGED
    )


def test_hot_and_dead_pixels_are_named() -> None:
    counts, attrs = poisson_counts(), make_ideal(window=32).attrs
    assert counting.hot_pixels(statistics(counts), attrs, 7.0).level is Level.OK
    counts[:, 3, 5] = np.random.default_rng(0).poisson(40.0, len(counts))  # hot, not stuck
    counts[:, 16, 17] = 0.0  # dead, within the disk
    check = counting.hot_pixels(statistics(counts), attrs, 7.0)
    assert check.level is Level.WARNING
    assert (check.figures["hot"], check.figures["broken"]) == (1.0, 1.0)
    assert "(3, 5), (16, 17)" in check.found


# --- dynamic range


def test_clipped_counts_pile_up() -> None:
    counts, attrs = poisson_counts(), make_ideal(window=32).attrs
    assert detector.saturation(statistics(counts), attrs).level is Level.OK
    clipped = detector.saturation(statistics(np.minimum(counts, 15)), attrs)
    assert clipped.level is Level.WARNING
    assert "full scale of 4 bits" in clipped.found


def test_one_hot_pixel_is_no_ceiling() -> None:
    counts, attrs = poisson_counts(), make_ideal(window=32).attrs
    counts[:, 3, 5] = 255.0
    assert detector.saturation(statistics(counts), attrs).level is Level.OK


def test_negative_readings_that_were_cut_off() -> None:
    rng = np.random.default_rng(5)
    attrs = make_ideal(window=32, read_noise=0.5).attrs
    noisy = poisson_counts() + rng.normal(0, 0.5, (576, 32, 32))
    assert detector.saturation(statistics(noisy), attrs).level is Level.OK
    cut = detector.saturation(statistics(np.maximum(noisy, 0)), attrs)
    assert cut.level is Level.WARNING
    assert "cut off" in cut.found


# --- detector


def disk_operator() -> IdealOperator:
    return make_ideal(window=48, object_shape=(64, 64), sampling_A=0.3, C10_A=-20.0)


@pytest.mark.parametrize(
    ("shift", "fault"),
    [
        ((0, 0), None),
        ((1, 1), None),
        ((5, 5), "outside the range"),
        ((-2, 1), "outside the range"),
        ((19, 19), "cut"),
    ],
)
def test_disk_off_centre_or_cut(shift: tuple[int, int], fault: str | None) -> None:
    ideal = disk_operator()
    pattern = vacuum_pattern(ideal, MismatchSpec())
    moved = np.zeros_like(pattern)
    source = [slice(max(0, -s), 48 - max(0, s)) for s in shift]
    target = [slice(max(0, s), 48 - max(0, -s)) for s in shift]
    moved[target[0], target[1]] = pattern[source[0], source[1]]
    check = detector.disk(moved, ideal, RANGES)
    assert (check.level is Level.OK) == (fault is None), check.found
    assert fault is None or fault in check.found


def test_wrong_camera_length_shows_in_the_radius() -> None:
    ideal = disk_operator()
    pattern = vacuum_pattern(ideal, MismatchSpec(camera_length=25.0))
    check = detector.disk(pattern, ideal, RANGES)
    assert check.level is Level.WARNING
    assert "times the nominal" in check.found


def test_electrons_beyond_the_detector_are_those_of_the_tail() -> None:
    """I = c / q^4 outside a detector of half side q: pi q^2 I(q) electrons beyond a circle."""
    ideal = make_ideal(window=64, object_shape=(96, 96), sampling_A=0.2)
    axis = np.arange(64) - 32
    q = np.maximum(np.hypot(axis[:, None], axis[None, :]), 4.0)
    mean = 1e5 / q**4
    far = np.arange(32, 4000)
    beyond = float((2 * np.pi * far * 1e5 / far**4.0).sum())
    check = detector.field_of_view(mean, ideal)
    assert check.figures["lost"] == pytest.approx(beyond / (mean.sum() + beyond), rel=0.5)
    assert check.level is Level.OK
    assert detector.field_of_view(mean + 1.0, ideal).level is Level.WARNING
    near = make_ideal(window=16, sampling_A=0.8)
    assert detector.field_of_view(np.ones((16, 16)), near).level is Level.WARNING


# --- scan and dose


def test_area_overlap_is_the_lens_of_two_circles() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (200_000, 2))
    inside = np.hypot(*points.T) < 1
    both = inside & (np.hypot(points[:, 0] - 0.7, points[:, 1]) < 1)
    assert sampling.area_overlap(0.7, 2.0) == pytest.approx(both.sum() / inside.sum(), abs=0.005)
    assert sampling.area_overlap(3.0, 2.0) == 0.0


def test_step_is_judged_by_the_probe() -> None:
    ideal = make_ideal()
    diameter = probe_diameter_A(ideal)
    fine = sampling.scan_step(ideal, (diameter / 3, diameter / 4), diameter)
    coarse = sampling.scan_step(ideal, (diameter / 4, 1.2 * diameter), diameter)
    assert fine.level is Level.OK
    assert coarse.level is Level.WARNING
    assert coarse.figures["overlap"] == pytest.approx(-0.2)


def test_probe_that_does_not_fit_its_window() -> None:
    assert sampling.probe_window(disk_operator()).level is Level.OK
    wide = make_ideal(window=48, object_shape=(64, 64), sampling_A=0.3, C10_A=-600.0)
    assert sampling.probe_window(wide).level is Level.WARNING


def test_dose_is_judged_where_the_material_is_known() -> None:
    assert exposure.dose(1e4, None).level is Level.NOT_JUDGED
    assert exposure.dose(1e4, "mof").level is Level.WARNING
    assert exposure.dose(1e4, "inorganic").level is Level.OK
    assert exposure.dose(1e4, "mof").figures["factor"] == pytest.approx(125.0)


def test_doses_follow_from_what_their_sources_say() -> None:
    dose = {key: kind.dose_e_A2 for key, kind in exposure.TOLERANCES.items()}
    critical = 0.245 * 13**1.665 + 2.81
    valine = 13 / 1.8  # at 20 K, over how much more it bears there
    conductors = 1000 / 1.602176634e-19 / 1e16  # 1000 C/cm^2
    assert dose["protein"] == pytest.approx(critical, abs=1.0)
    assert dose["organic"] == pytest.approx(valine, abs=0.5)
    assert dose["inorganic"] == pytest.approx(conductors, rel=0.05)


def test_the_page_has_the_same_doses() -> None:
    page = (Path(__file__).parents[3] / "docs" / "inspect.md").read_text(encoding="utf-8")
    rows = [
        f"| `{key}` | {kind.dose_e_A2:g} | {kind.title} | {kind.source} |"
        for key, kind in exposure.TOLERANCES.items()
    ]
    assert "\n".join(rows) in page


# --- two crystals


@dataclass(frozen=True)
class Turned:
    """The foil, turned by an angle: another grain."""

    degrees: float

    def potential(self, points_A: np.ndarray, sampling_A: float) -> np.ndarray:
        c, s = np.cos(np.deg2rad(self.degrees)), np.sin(np.deg2rad(self.degrees))
        return bent_foil().potential(points_A @ np.array([[c, s], [-s, c]]), sampling_A)


def test_two_grains_over_one_another_are_suspected() -> None:
    """Their patterns added up: two lattices. One after the other there would be sums as well."""
    one = nanobeam(bent_foil(), (3, 3)).measured(MismatchSpec(), seed=0)
    two = nanobeam(Turned(17.0), (3, 3)).measured(MismatchSpec(), seed=1)
    usable = np.ones((one.operator.window,) * 2, dtype=bool)
    assert overlap(one.y, one.operator, usable).level is Level.OK
    both = (one.y.read(0, 9) + two.y.read(0, 9)).reshape(one.y.shape)
    check = overlap(ArrayPatterns(both), one.operator, usable)
    assert check.level is Level.WARNING
    assert check.figures["patterns_with_two"] > 0.5


def test_sums_of_two_lattices_are_double_diffraction() -> None:
    a = np.array([[8.0, 0.0], [0.0, 8.0], [-8.0, 0.0]])
    b = np.array([[6.5, 3.1], [-3.1, 6.5]])
    assert sums(a, b, np.array([[14.5, 3.1], [20.0, 20.0]])).tolist() == [True, False]
    off = off_lattice_share(np.concatenate([a, b]), np.ones(5), 8 * np.eye(2))
    assert off == pytest.approx(0.4)


def test_overlapping_disks_are_not_judged() -> None:
    sample = make_sample(0, MismatchSpec())
    usable = np.ones((16, 16), dtype=bool)
    assert overlap(sample.y, sample.operator, usable).level is Level.NOT_JUDGED


# --- all of them


def test_clean_scenes_raise_nothing(tmp_path: Path) -> None:
    recipe = default_recipe(Tier.PUBLIC, scenes=4, seed=11)
    profile = recipe.profile.model_copy(update={"scan_shape": (16, 16)})
    files = build_tier(recipe.model_copy(update={"profile": profile}), tmp_path)
    with open_challenge(files.challenge) as file:
        for sample in file:
            raised = [c for c in every_check(sample) if c.level is Level.WARNING]
            assert not raised, (sample.metadata.scene, raised)


@pytest.mark.slow
def test_twenty_clean_scenes_raise_nothing_with_the_fit_either(tmp_path: Path) -> None:
    files = build_tier(default_recipe(Tier.PUBLIC, scenes=20), tmp_path)
    with open_challenge(files.challenge) as file:
        for sample in file:
            raised = [c for c in every_check(sample, fit=True) if c.level is Level.WARNING]
            assert not raised, (sample.metadata.scene, raised)


class Endless:
    """A large scan that is made as it is read, and remembers the largest part asked for."""

    shape = (16, 256, 64, 64)

    def __init__(self) -> None:
        axis = np.arange(64) - 32
        self.mean = np.where(np.hypot(axis[:, None], axis[None, :]) < 7, 9, 0).astype(np.float32)
        self.largest = 0

    def read(self, start: int, stop: int) -> np.ndarray:
        self.largest = max(self.largest, stop - start)
        return np.broadcast_to(self.mean, (stop - start, 64, 64)).copy()


def test_a_large_scan_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With small blocks a small scan shows it: the peak follows the block, not the scan."""
    monkeypatch.setattr("algorithms.pixels.BLOCK_BYTES", 2 << 20)
    monkeypatch.setattr("runner.report.checks.statistics.BLOCK_BYTES", 2 << 20)
    scan = Endless()
    whole = np.prod(scan.shape) * 4 / 2**20
    with added_peak_mib() as added:
        ScanStatistics.of(scan, 1.0)
        assert added() < whole / 2
    assert scan.largest * 64 * 64 * 4 <= 4 << 20


def test_phase_object_fit_tells_a_wrong_model() -> None:
    """The stated defocus is off by far: no phase object explains the patterns."""
    sample = make_sample(0, MismatchSpec(), dose_e=20_000.0)
    good = Sample(sample.name, sample.y, sample.operator, sample.ranges)
    wrong = make_ideal(window=16, object_shape=(32, 32), step=4, C10_A=120.0, dose_e=20_000.0)
    bad = replace(good, operator=wrong)
    assert phase_object(good).level is Level.OK
    assert phase_object(bad).figures["chi_square"] > 1.0 + 5 * 0.02


@pytest.mark.slow
def test_a_thick_crystal_is_no_phase_object(tmp_path: Path) -> None:
    """5 nm of SrTiO3 by multislice, nothing else changed."""
    profile = default_recipe(Tier.PUBLIC).profile.model_copy(update={"scan_shape": (12, 12)})
    recipe = default_recipe(Tier.PUBLIC, scenes=1).model_copy(
        update={"families": ("srtio3_001",), "profile": profile}
    )
    left = []
    for name, effects in (("thin", None), ("thick", Effects(thickness_A=50.0, multislice=True))):
        files = build_tier(recipe, tmp_path / name, effects=effects)
        with open_challenge(files.challenge) as file:
            sample = file.sample("sample_00")
            given = Sample(sample.name, sample.y, sample.operator, sample.ranges)
            left.append(fit_phase_object(given).unexplained)
    assert left[0] < 0.01
    assert left[1] > 0.15
