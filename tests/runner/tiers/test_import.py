"""Real scans: reading any datacube, the conventions of scan and detector, noise, and a picture."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from algorithms.base import Sample
from algorithms.registry import load_algorithm
from physics.ideal import ArrayPatterns, IdealOperator
from physics.operator import ForwardOperator
from physics.optics import probe, wavelength_A
from runner.files.challenge import ChallengeSample, open_challenge
from runner.tiers.imported import AXES, ImportOptions, Instrument, Layout, import_scan
from runner.tiers.imported.datacube import CubePatterns, Datacube, DetectorWindow
from runner.tiers.imported.measure import find_disk, measure_multiplicity
from schemas.findings import ContractError
from schemas.operator import OperatorAttrs
from schemas.spec import MismatchSpec

REAL_SCAN = os.environ.get("STEM4D_REAL_SCAN")

ENERGY_EV, SEMIANGLE_MRAD, C10_A, STEP_A, PIXEL_MRAD = 80e3, 21.4, -150.0, 0.93, 2.1
WINDOW = 48
SCAN = (15, 17)
ROTATION_DEG = -32.0
PHASE_RAD = 1.5
DOSE_E = 30_000.0
SPEC = MismatchSpec(camera_length=1.4, center_offset=0.2, elliptical_distortion=0.011)
RIM_PX = 0.7
"""Softness of the aperture's rim: instruments have no sharp one."""
TILT_PX = 0.22
"""What the disk's row is, and its column is not, further from the centre than SPEC says."""

INSTRUMENT = Instrument(
    energy_eV=ENERGY_EV,
    semiangle_mrad=SEMIANGLE_MRAD,
    C10_A=C10_A,
    scan_step_A=STEP_A,
    detector_pixel_mrad=PIXEL_MRAD,
    rotation_deg=ROTATION_DEG,
)


@dataclass(frozen=True)
class Scan:
    """A simulated scan of a padded object.

    Attributes:
        phi: true phase [rad], background 0.
        positions: (Ny*Nx, 2) [object pixels].
        counts: (Ny, Nx, n, n).
    """

    phi: np.ndarray
    positions: np.ndarray
    counts: np.ndarray


def docs_positions_A() -> np.ndarray:
    """Positions (row, column) [A] by the formula of docs/import.md, one by one."""
    c, s = np.cos(np.deg2rad(ROTATION_DEG)), np.sin(np.deg2rad(ROTATION_DEG))
    return np.array(
        [
            (STEP_A * (-j * s + i * c), STEP_A * (j * c + i * s))
            for i, j in itertools.product(range(SCAN[0]), range(SCAN[1]))
        ]
    )


@pytest.fixture(scope="module")
def scan() -> Scan:
    """Three blobs of unlike size under a rotated raster with fractional positions."""
    sampling = wavelength_A(ENERGY_EV) / (WINDOW * PIXEL_MRAD * 1e-3)
    positions = docs_positions_A() / sampling
    positions += WINDOW // 2 + 2 - positions.min(axis=0)
    height, width = (int(np.ceil(high)) + WINDOW // 2 + 2 for high in positions.max(axis=0))
    rows, columns = np.mgrid[:height, :width]
    middle = positions.mean(axis=0)
    phi = np.zeros((height, width))
    for row, column, radius, peak in ((-6, -8, 4, 1.2), (5, 9, 3, 0.8), (9, -7, 2, 1.0)):
        distance2 = (rows - middle[0] - row) ** 2 + (columns - middle[1] - column) ** 2
        phi += peak * np.exp(-distance2 / (2 * radius**2))
    beam = {
        "energy_eV": ENERGY_EV,
        "semiangle_mrad": SEMIANGLE_MRAD,
        "C10_A": C10_A,
        "Cs_A": 0.0,
        "sampling_A": sampling,
    }
    attrs = OperatorAttrs(
        **beam,
        wavelength_A=wavelength_A(ENERGY_EV),
        phase_scale_rad=1.0,
        dose_e=DOSE_E,
        gain=1.0,
        read_noise=0.0,
        periodic=False,
        object_shape=phi.shape,
        model="phase-object/far-field",
    )
    axis = np.arange(WINDOW) - WINDOW // 2
    outside = np.hypot(axis[:, None], axis[None, :]) - SEMIANGLE_MRAD / PIXEL_MRAD
    soft = 1 / np.sqrt(1 + np.exp(outside / RIM_PX))
    turn = np.exp(2j * np.pi * TILT_PX / WINDOW * (axis[:, None] - axis[None, :]))
    wave = (probe(**beam, window=WINDOW, amplitude=soft) * turn).astype(np.complex64)
    model = ForwardOperator(IdealOperator(attrs, wave, positions.astype(np.float32)))
    expected = model.expected(torch.tensor(phi, dtype=torch.float32), SPEC).numpy()
    counts = np.random.default_rng(3).poisson(expected).reshape(*SCAN, WINDOW, WINDOW)
    return Scan(phi, positions, counts)


def write_cube(path: Path, values: np.ndarray, name: str = "entry/data") -> Path:
    with h5py.File(path, "w") as file:
        file[name] = values
        file["entry/thumbnail"] = np.zeros((4, 4))
    return path


def on_larger_detector(counts: np.ndarray, top: int, left: int) -> np.ndarray:
    """The patterns on a detector of 70 x 61 pixels that sees nothing else."""
    raw = np.zeros((*counts.shape[:2], 70, 61), dtype=np.uint16)
    raw[:, :, top : top + WINDOW, left : left + WINDOW] = counts
    return raw


def imported(path: Path, folder: Path, **changes: Any) -> ChallengeSample:
    """The sample that an import gives, patterns in memory."""
    options = replace(ImportOptions(INSTRUMENT, gain=1.0, phase_scale_rad=PHASE_RAD), **changes)
    target = folder / "made" / "challenge.h5"
    import_scan(path, target, options)
    with open_challenge(target) as challenge:
        sample = challenge.sample(challenge.names[0])
        ny, nx, ky, kx = sample.y.shape
        y = ArrayPatterns(sample.y.read(0, ny * nx).reshape(ny, nx, ky, kx))
        return replace(sample, y=y)


def code_of(path: Path, folder: Path, **changes: Any) -> str:
    with pytest.raises(ContractError) as raised:
        imported(path, folder, **changes)
    return raised.value.findings[0].code


# --- reading


@st.composite
def layouts(draw: st.DrawFn) -> tuple[Layout, DetectorWindow, tuple[int, int], tuple[int, int]]:
    """Any axis order, flips, crops and binning of a cube of shape (4, 5, 12, 14)."""
    axes = draw(st.permutations(AXES))
    flips = draw(st.sets(st.sampled_from(AXES)))
    bin_, size = draw(st.sampled_from([(1, 9), (2, 5), (3, 4), (4, 3)]))
    window = DetectorWindow(
        draw(st.integers(0, 12 - size * bin_)), draw(st.integers(0, 14 - size * bin_)), size, bin_
    )
    y0, x0 = draw(st.integers(0, 3)), draw(st.integers(0, 4))
    rows, columns = (y0, draw(st.integers(y0 + 1, 4))), (x0, draw(st.integers(x0 + 1, 5)))
    return Layout(None, tuple(axes), tuple(flips)), window, rows, columns


@given(layouts(), st.data())
def test_blocks_are_the_cube_ordered_flipped_cropped_and_summed(
    layout_and_crops: tuple[Layout, DetectorWindow, tuple[int, int], tuple[int, int]],
    data: st.DataObject,
) -> None:
    layout, window, rows, columns = layout_and_crops
    cube = np.arange(4 * 5 * 12 * 14).reshape(4, 5, 12, 14) % 251
    stored = cube
    for name in layout.flips:
        stored = np.flip(stored, AXES.index(name))
    stored = stored.transpose([AXES.index(name) for name in layout.axes])
    n, b = window.size, window.bin
    part = cube[slice(*rows), slice(*columns), slice(*window.rows), slice(*window.columns)]
    want = part.reshape(*part.shape[:2], n, b, n, b).sum(axis=(3, 5)).reshape(-1, n, n)
    start = data.draw(st.integers(0, len(want) - 1))
    stop = data.draw(st.integers(start + 1, len(want)))
    with h5py.File("cube.h5", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset("cube", data=stored)
        patterns = CubePatterns(Datacube(dataset, layout), rows, columns, window)
        assert patterns.shape == (*part.shape[:2], n, n)
        np.testing.assert_array_equal(patterns.read(start, stop), want[start:stop])


def test_import_copies_counts_and_states_the_geometry(scan: Scan, tmp_path: Path) -> None:
    """An odd layout, the disk far from the middle: the same counts and the operator of the docs."""
    raw = on_larger_detector(scan.counts, top=13, left=4)
    stored = np.flip(raw, 2).transpose(3, 1, 2, 0)
    path = write_cube(tmp_path / "scan.h5", stored)
    layout = Layout("entry/data", ("det_x", "scan_x", "det_y", "scan_y"), ("det_y",))
    sample = imported(path, tmp_path, layout=layout, detector_size=WINDOW)
    np.testing.assert_array_equal(sample.y.read(0, 10**6), scan.counts.reshape(-1, WINDOW, WINDOW))
    found, attrs = sample.operator.positions_px.astype(float), sample.operator.attrs
    np.testing.assert_allclose((found - found[0]) * attrs.sampling_A, docs_positions_A(), atol=2e-4)
    assert attrs.sampling_A == pytest.approx(
        attrs.wavelength_A / (WINDOW * PIXEL_MRAD * 1e-3), rel=1e-9
    )
    assert attrs.dose_e == pytest.approx(scan.counts.sum() / np.prod(SCAN))
    assert not attrs.periodic
    assert sample.metadata.noise_model == "measured"
    assert sample.x_true is None
    assert sample.true_spec is None


def test_transposed_detector_mirrors_the_geometry(scan: Scan, tmp_path: Path) -> None:
    """Exchanging det_y and det_x exchanges the axes of the ellipse and of the centre."""
    path = write_cube(tmp_path / "scan.h5", scan.counts.astype(np.uint16))
    straight = find_disk(imported(path, tmp_path).y.read(0, 10**6).mean(axis=0, dtype=float))
    layout = Layout(axes=("scan_y", "scan_x", "det_x", "det_y"))
    turned = imported(path, tmp_path, layout=layout).y.read(0, 10**6).mean(axis=0, dtype=float)
    disk = find_disk(turned)
    assert disk.center_y == pytest.approx(straight.center_x, abs=1e-9)
    assert disk.radius_y == pytest.approx(straight.radius_x, abs=1e-9)
    assert disk.radius_x - disk.radius_y < -0.1


def test_crops_and_bins_are_those_of_the_cube(scan: Scan, tmp_path: Path) -> None:
    raw = on_larger_detector(scan.counts, top=10, left=6)
    path = write_cube(tmp_path / "scan.h5", raw)
    instrument = replace(INSTRUMENT, C10_A=-50.0)
    sample = imported(
        path,
        tmp_path,
        instrument=instrument,
        scan_crop=((2, 9), (3, 14)),
        detector_crop=((5, 62), (3, 58)),
        bin=2,
        detector_size=20,
    )
    assert sample.y.shape == (7, 11, 20, 20)
    disk = find_disk(sample.y.read(0, 77).mean(axis=0, dtype=float))
    assert disk.center_y == pytest.approx(10, abs=0.75)
    assert disk.center_x == pytest.approx(10, abs=0.75)
    assert sample.operator.attrs.sampling_A * 20 * 2 == pytest.approx(
        wavelength_A(ENERGY_EV) / (PIXEL_MRAD * 1e-3)
    )


# --- what is measured


@pytest.mark.parametrize(
    ("sizes", "want"), [((1,), 1.0), ((4,), 4.0), ((1, 4), (1 + 16) / (1 + 4))]
)
def test_multiplicity_is_the_noise_of_clusters(sizes: tuple[int, ...], want: float) -> None:
    """Each electron fires one of `sizes` pixels side by side, all sizes as often."""
    rng = np.random.default_rng(5)
    ny, nx, n = 12, 24, 40
    axis = np.arange(n) - n // 2
    inside = np.hypot(axis[:, None], axis[None, :]) < 8
    mean = np.where(inside, 4.0, 0.3) / len(sizes)
    counts = np.zeros((ny, nx, n, n))
    for size in sizes:
        electrons = rng.poisson(mean, counts.shape)
        for shift in itertools.islice(itertools.product((0, 1), (0, 1)), size):
            counts += np.roll(electrons, shift, axis=(2, 3))
    with h5py.File("cube.h5", "w", driver="core", backing_store=False) as file:
        cube = Datacube(file.create_dataset("cube", data=counts.astype(np.uint16)), Layout())
        patterns = CubePatterns(cube, (0, ny), (0, nx), DetectorWindow(0, 0, n))
        average = counts.mean(axis=(0, 1))
        found = measure_multiplicity(patterns, average, find_disk(average), read_noise=0.0)
    assert found is not None
    assert found.pixel == pytest.approx(1.0, abs=0.05)
    assert abs(found.value - want) < 4 * found.standard_error
    assert found.standard_error < 0.05 * want


def test_read_noise_is_no_multiplicity() -> None:
    rng = np.random.default_rng(6)
    ny, nx, n = 10, 24, 40
    axis = np.arange(n) - n // 2
    mean = np.where(np.hypot(axis[:, None], axis[None, :]) < 8, 30.0, 2.0)
    counts = rng.poisson(mean, (ny, nx, n, n)) + rng.normal(0.0, 1.5, (ny, nx, n, n))
    with h5py.File("cube.h5", "w", driver="core", backing_store=False) as file:
        cube = Datacube(file.create_dataset("cube", data=counts), Layout())
        patterns = CubePatterns(cube, (0, ny), (0, nx), DetectorWindow(0, 0, n))
        average = counts.mean(axis=(0, 1))
        found = measure_multiplicity(patterns, average, find_disk(average), read_noise=1.5)
    assert found is not None
    assert abs(found.value - 1.0) < 4 * found.standard_error


def test_gain_is_asked_for_where_it_cannot_be_measured(scan: Scan, tmp_path: Path) -> None:
    """Three positions in a row have too little dark field."""
    path = write_cube(tmp_path / "scan.h5", scan.counts)
    crop = ((0, 2), (0, 3))
    with pytest.raises(ContractError, match="give --gain"):
        imported(path, tmp_path, gain=None, scan_crop=crop)
    assert imported(path, tmp_path, gain=2.0, scan_crop=crop).operator.attrs.gain == 2.0


# --- reconstruction


def test_geometry_and_phase_come_back(scan: Scan, tmp_path: Path) -> None:
    """The whole way: plain HDF5, import with options, joint calibration, ptychography."""
    raw = on_larger_detector(scan.counts, top=9, left=8)
    path = write_cube(tmp_path / "scan.h5", raw.transpose(1, 0, 2, 3))
    layout = Layout(axes=("scan_x", "scan_y", "det_y", "det_x"))
    sample = imported(path, tmp_path, layout=layout, detector_size=WINDOW)
    job = Sample(sample.name, sample.y, sample.operator, sample.ranges)
    answer = load_algorithm("ptychography+gradient").solve(job)
    assert answer.spec is not None
    # The measured rim holds what the specimen scatters as well: a bias of 0.06 px of the radius.
    assert answer.spec.camera_length == pytest.approx(SPEC.camera_length, abs=1.0)
    assert answer.spec.center_offset == pytest.approx(SPEC.center_offset, abs=0.05)
    assert answer.spec.elliptical_distortion == pytest.approx(SPEC.elliptical_distortion, abs=0.002)
    found, truth = within_the_scan(answer.x_hat * PHASE_RAD, sample, scan)
    assert np.corrcoef(found, truth)[0, 1] > 0.97
    error = (found - found.mean()) - (truth - truth.mean())
    assert np.sqrt(np.mean(error**2)) < 0.1 * np.ptp(truth)


def within_the_scan(
    phase: np.ndarray, sample: ChallengeSample, scan: Scan
) -> tuple[np.ndarray, np.ndarray]:
    """Reconstructed and true phase where the scan has gone, on the truth's pixels."""
    shift = sample.operator.positions_px[0] - scan.positions[0]
    whole = np.rint(shift).astype(int)
    assert np.abs(shift - whole).max() < 0.51
    rows, columns = np.mgrid[: scan.phi.shape[0], : scan.phi.shape[1]]
    distance = np.hypot(
        rows.reshape(-1, 1) - scan.positions[:, 0], columns.reshape(-1, 1) - scan.positions[:, 1]
    )
    seen = distance.min(axis=1).reshape(rows.shape) < 2
    moved = phase[rows[seen] + whole[0], columns[seen] + whole[1]]
    return moved, scan.phi[seen]


# --- refusals


def test_exchanged_axes_are_seen_in_the_average(tmp_path: Path, scan: Scan) -> None:
    """Detector and scan exchanged: what should be a disk is none."""
    path = write_cube(tmp_path / "scan.h5", scan.counts)
    layout = Layout(axes=("det_y", "det_x", "scan_y", "scan_x"))
    assert code_of(path, tmp_path, layout=layout) in {"INPUT_INCONSISTENT", "USAGE"}


def test_wrong_numbers_are_seen_in_the_disk(tmp_path: Path, scan: Scan) -> None:
    path = write_cube(tmp_path / "scan.h5", scan.counts)
    wrong = replace(INSTRUMENT, semiangle_mrad=10.0)
    assert code_of(path, tmp_path, instrument=wrong) == "INPUT_INCONSISTENT"


def test_a_probe_larger_than_its_window_is_refused(tmp_path: Path, scan: Scan) -> None:
    path = write_cube(tmp_path / "scan.h5", scan.counts)
    wrong = replace(INSTRUMENT, C10_A=-900.0)
    with pytest.raises(ContractError, match="bin less, or check --c10"):
        imported(path, tmp_path, instrument=wrong)


@pytest.mark.parametrize(
    ("layout", "code"),
    [
        (Layout("entry/nothing"), "INPUT_MISSING_ITEM"),
        (Layout("entry"), "INPUT_MISSING_ITEM"),
        (Layout("entry/thumbnail"), "INPUT_MALFORMED"),
    ],
)
def test_a_dataset_that_is_no_cube_is_named(
    layout: Layout, code: str, scan: Scan, tmp_path: Path
) -> None:
    path = write_cube(tmp_path / "scan.h5", scan.counts)
    with pytest.raises(ContractError, match="entry/data") as raised:
        imported(path, tmp_path, layout=layout)
    assert raised.value.findings[0].code == code


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (np.zeros((6, 16, 16)), "INPUT_MISSING_ITEM"),
        (np.zeros((2, 3, 16, 16), dtype=complex), "INPUT_MALFORMED"),
        (np.full((2, 3, 16, 16), np.nan), "INPUT_MALFORMED"),
    ],
)
def test_values_that_are_no_scan_are_refused(values: np.ndarray, code: str, tmp_path: Path) -> None:
    assert code_of(write_cube(tmp_path / "scan.h5", values), tmp_path) == code


def test_two_cubes_need_a_name(scan: Scan, tmp_path: Path) -> None:
    path = write_cube(tmp_path / "scan.h5", scan.counts)
    with h5py.File(path, "a") as file:
        file["other"] = np.zeros((1, 1, 2, 2))
    assert code_of(path, tmp_path) == "USAGE"


@pytest.mark.parametrize(
    "changes",
    [
        {"scan_crop": ((0, 99), (0, 3))},
        {"detector_crop": ((5, 5), (0, 40))},
        {"detector_size": WINDOW + 8},
        {"center_px": (2.0, 2.0)},
    ],
)
def test_crops_that_do_not_fit_are_refused(
    changes: dict[str, Any], scan: Scan, tmp_path: Path
) -> None:
    path = write_cube(tmp_path / "scan.h5", scan.counts)
    assert code_of(path, tmp_path, **changes) == "USAGE"
    assert not (tmp_path / "made" / "challenge.h5").exists()


@pytest.mark.parametrize("wrong", [{"axes": ("scan_y", "scan_x", "det_y")}, {"flips": ("rows",)}])
def test_axes_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match="det_x"):
        Layout(**wrong)


# --- the real scan


@pytest.mark.slow
@pytest.mark.skipif(REAL_SCAN is None, reason="STEM4D_REAL_SCAN names no file of the real scan")
def test_gold_is_plain_in_the_real_scan(tmp_path: Path) -> None:
    """A part of the rotavirus scan with one gold particle: it is what stands out."""
    assert REAL_SCAN is not None
    with h5py.File(REAL_SCAN) as file:
        attrs = {name: float(value) for name, value in file.attrs.items() if name != "source"}
    options = ImportOptions(
        Instrument(
            energy_eV=attrs["energy_eV"],
            semiangle_mrad=attrs["semiangle_mrad"],
            C10_A=-attrs["defocus_magnitude_A"],
            scan_step_A=attrs["scan_step_A"],
            rotation_deg=attrs["scan_rotation_deg"],
            detector_pixel_mrad=attrs["detector_pixel_mrad_nominal"],
        ),
        scan_crop=((34, 58), (30, 54)),
        detector_size=80,
    )
    report = import_scan(Path(REAL_SCAN), tmp_path / "scan.h5", options)
    assert report.noise.multiplicity == pytest.approx(5.6, abs=0.4)
    with open_challenge(tmp_path / "scan.h5") as challenge:
        sample = challenge.sample("sample_00")
        job = Sample(sample.name, sample.y, sample.operator, sample.ranges)
        answer = load_algorithm("ptychography+gradient").solve(job)
    assert answer.spec is not None
    assert answer.spec.elliptical_distortion == pytest.approx(-0.026, abs=0.006)
    light = ForwardOperator(sample.operator).illumination().numpy()
    seen = light > 0.5 * np.median(light[light > 0.1 * light.max()])
    # Gold is 100 A wide: it stands out of what varies over 150 A.
    width_px = 150.0 / sample.operator.attrs.sampling_A
    detail = (answer.x_hat - ndimage.gaussian_filter(answer.x_hat, width_px))[seen]
    sigma = 1.4826 * np.median(np.abs(detail - np.median(detail)))
    assert detail.max() > 4 * sigma
