"""The comparison with other packages: its measure, its exchange, its ratios, its failures."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import page
from benchmarks.peers import launch, measure, report
from benchmarks.peers.adapters.exchange import Problem, Recorder, cropped, padded, phase_of
from benchmarks.peers.candidates import CANDIDATES
from benchmarks.peers.packages import PEERS, Entry, entries
from benchmarks.peers.problems import MISMATCHED, NOMINAL, Scene
from benchmarks.peers.turns import Turns


@pytest.fixture
def scene(rng: np.random.Generator) -> Scene:
    region = np.zeros((12, 12), dtype=bool)
    region[3:9, 3:9] = True
    x = rng.random((12, 12), dtype=np.float32)
    return Scene("scene", {}, Path(), x, phase_scale_rad=0.5, region=region, patterns=4)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def problem(rng: np.random.Generator) -> Problem:
    return Problem(
        counts=rng.poisson(3.0, (2, 3, 4, 4)).astype(np.float32),
        probe=(rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))).astype(np.complex64),
        positions_px=np.array([[0, 0], [0, 2], [0, 4], [2, 0], [2, 2], [2, 4]], dtype=np.float32),
        object_shape=(6, 6),
        sampling_A=0.25,
        energy_eV=80e3,
        wavelength_A=0.0418,
        semiangle_mrad=20.0,
        C10_A=-100.0,
        dose_e=48.0,
        phase_scale_rad=0.5,
        true_spec=(1.0, 0.5, 0.001),
    )


def test_psnr_sees_noise_but_no_offset_and_nothing_beyond_the_region(
    scene: Scene, rng: np.random.Generator
) -> None:
    noise = 0.01 * rng.normal(size=(12, 12))
    phase = 0.5 * (scene.x_true + noise) + 0.7
    quality = measure.psnr_db(phase.astype(np.float32), scene)
    inside = noise[scene.region]
    assert quality == pytest.approx(-10 * np.log10(inside.var()), abs=0.01)
    phase[0, 0] = 1e6
    assert measure.psnr_db(phase.astype(np.float32), scene) == pytest.approx(quality, abs=0.01)


def test_a_diverged_image_is_worse_than_any(scene: Scene) -> None:
    diverged = measure.psnr_db(np.full((12, 12), np.nan, dtype=np.float32), scene)
    assert diverged < measure.psnr_db(
        np.full((12, 12), 1e4, dtype=np.float32) * scene.x_true, scene
    )


def test_a_problem_survives_its_file(problem: Problem, tmp_path: Path) -> None:
    problem.save(tmp_path / "problem.npz")
    again = Problem.load(tmp_path / "problem.npz")
    assert again.phase is None
    for name, value in vars(problem).items():
        np.testing.assert_array_equal(getattr(again, name), value)


def test_a_patterns_electrons_are_those_of_the_corner_probe(problem: Problem) -> None:
    power = np.abs(np.fft.fft2(problem.corner_probe(48.0))) ** 2
    assert power.sum() == pytest.approx(48.0 * np.sum(np.abs(problem.probe) ** 2), rel=1e-5)


def test_laying_out_and_cropping_are_inverse(rng: np.random.Generator) -> None:
    image = rng.random((6, 6))
    larger = padded(image, 4, 14)
    np.testing.assert_array_equal(cropped(larger, 4, (6, 6)), image)
    np.testing.assert_array_equal(larger[:, :8], larger[:, 6:14])


def test_the_phase_of_an_object_does_not_wrap_at_its_offset(rng: np.random.Generator) -> None:
    phase = rng.uniform(-0.5, 0.5, (8, 8))
    difference = phase_of(np.exp(1j * (phase + np.pi))) - phase
    np.testing.assert_allclose(difference, difference[0, 0], atol=1e-12)


def test_a_recorder_counts_iterations_alone() -> None:
    clock = Recorder()
    clock.start()
    clock.pause()
    clock.add(np.zeros((2, 2)), extra_seconds=5.0)
    clock.pause()
    clock.add(np.zeros((2, 2)))
    assert clock.seconds[0] >= 5.0
    assert clock.seconds[1] < 1.0


def _curve(name: str, package: str | None, psnr: list[float], seconds: list[float]) -> report.Curve:
    return {
        "name": name,
        "package": package,
        "data": NOMINAL,
        "scene": "scene",
        "psnr_db": psnr,
        "seconds": seconds,
        "peak_mib": 100.0,
    }


def test_the_ratio_is_our_time_to_their_last_psnr_over_theirs() -> None:
    curves = [
        _curve(report.OURS, None, [18.0, 25.0, 30.0], [0.5, 1.0, 1.5]),
        _curve("py4DSTEM", "py4DSTEM", [15.0, 19.95, 20.0], [4.0, 8.0, 12.0]),
        _curve("better", "better", [25.0, 31.0], [1.0, 2.0]),
    ]
    result = {"curves": curves}
    assert report.ratio_to_peer(result, "py4DSTEM") == [pytest.approx(1.0 / 12.0)]
    assert report.converged_ratio(result, "py4DSTEM") == [pytest.approx(1.0 / 8.0)]
    assert report.ratio_to_peer(result, "better") == [np.inf]


def test_an_adapter_that_fails_is_told_with_its_last_words(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "with_py4dstem.py").write_text("raise ImportError('no such wheel')\n")
    monkeypatch.setattr("benchmarks.peers.packages.ADAPTERS", tmp_path)
    entry = Entry("py4DSTEM", NOMINAL, PEERS[0], {})
    with pytest.raises(launch.AdapterFailedError, match="no such wheel"):
        launch.call_adapter(entry, "check", tmp_path, Path(sys.executable), launch.Cores(1))


def test_what_fails_is_reported_and_the_others_go_on(
    problem: Problem, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "with_py4dstem.py").write_text("raise ImportError('no such wheel')\n")
    (tmp_path / "with_quantem.py").write_text(
        "import sys, numpy\n"
        "numpy.savez(sys.argv[4], images=numpy.zeros((2, 12, 12)), seconds=[1.0, 2.0],"
        " setup_seconds=0.5, peak_bytes=2**20)\n"
    )
    monkeypatch.setattr("benchmarks.peers.packages.ADAPTERS", tmp_path)
    broken, sound = PEERS[0], next(p for p in PEERS if p.adapter == "with_quantem.py")
    here = Path(sys.executable)
    turns = Turns([Entry("broken", NOMINAL, broken, {}), Entry("sound", NOMINAL, sound, {})])
    scene = replace(scene, files={NOMINAL: tmp_path / "unused.npz"})
    saved: list[int] = []
    turns.take(
        *([scene], {broken.name: here, sound.name: here}, launch.Cores(1), 2),
        save=lambda: saved.append(len(turns.curves())),
    )
    assert [(f["name"], "no such wheel" in f["reason"]) for f in turns.failed()] == [
        ("broken", True)
    ]
    (curve,) = turns.curves()
    assert curve["name"] == "sound"
    assert curve["seconds"] == [1.0, 2.0]
    assert len(curve["total_seconds_of_each_run"]) == 2
    assert saved == [1, 1]


def test_every_curve_has_settings_for_both_kinds_of_data() -> None:
    found = entries({package.name: package for package in PEERS}, iterations=3)
    have = {(entry.name, entry.data) for entry in found if entry.package}
    assert have == {(name, data) for name in CANDIDATES for data in (NOMINAL, MISMATCHED)}
    assert {entry.package.name for entry in found if entry.package} == {p.name for p in PEERS}


def test_a_package_that_is_not_installed_takes_no_part() -> None:
    found = entries({PEERS[0].name: PEERS[0]}, iterations=3)
    assert {entry.package for entry in found} == {None, PEERS[0]}


def test_tables_go_between_the_marks_of_a_page_and_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    begin, end = "<!-- peers: begin -->", "<!-- peers: end -->"
    path.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    page.put("peers", "new", path)
    assert path.read_text() == f"before\n{begin}\nnew\n{end}\nafter\n"
    path.write_text("no marks\n")
    with pytest.raises(SystemExit, match="marks"):
        page.put("peers", "new", path)
