"""Lattices: their algebra, finding one in a scan or none, structure factors, tiling."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from algorithms.lattice.cell import UnitCell
from algorithms.lattice.disks import Reflections, fit_disks, mates
from algorithms.lattice.lattice import Float64, Lattice, half_plane, reduced
from algorithms.lattice.nonnegative import nonnegative_least_squares
from algorithms.lattice.placement import CentreOfMassNodes
from algorithms.lattice.search import Indexing, index
from algorithms.lattice.spectrum import ScanSpectrum
from algorithms.lattice.structure import (
    Search,
    observed,
    phase_object_ratio,
    r_factor,
    solve_structure,
)
from algorithms.pixels import PixelStatistics
from physics.operator import ForwardOperator
from schemas import MismatchSpec
from tests.helpers.crystals import (
    FIELD_PX,
    HONEYCOMB,
    SAMPLING_A,
    cell_of,
    commensurate,
    crystal_operator,
    image_of,
    turned_lattice,
)
from tests.helpers.operators import make_ideal
from tests.helpers.samples import atoms, measured

SPEC = MismatchSpec(camera_length=2.5, center_offset=1.1, elliptical_distortion=0.007)
EVERY_PIXEL = np.ones((32, 32), dtype=bool)
FIELD_A = FIELD_PX * SAMPLING_A

vectors = st.tuples(*[st.floats(-1.0, 1.0)] * 4).map(lambda v: np.array(v).reshape(2, 2))


def found_in(
    x: np.ndarray, *, seed: int = 0, spec: MismatchSpec = SPEC, **changes: float
) -> Indexing:
    """What is indexed in the noisy scan of an image."""
    sample = measured(crystal_operator(**changes), x, spec, seed=seed)
    indexing = index(ScanSpectrum.of(sample, spec, EVERY_PIXEL))
    assert indexing is not None
    return indexing


def in_terms_of(basis: Float64, other: Float64) -> Float64:
    """The matrix that makes `basis` of `other`."""
    return basis @ np.linalg.inv(other)


def error_of(found: Lattice, truth: Lattice) -> Float64:
    """Difference of the found basis from the true lattice's vectors nearest to it [A^-1]."""
    whole = np.rint(in_terms_of(found.basis, truth.basis))
    assert abs(np.linalg.det(whole)) == pytest.approx(1.0), "another lattice"
    return found.basis - whole @ truth.basis


# --- algebra --------------------------------------------------------------------------------------


@given(basis=vectors.filter(lambda b: abs(np.linalg.det(b)) > 0.05))
def test_a_reduced_basis_is_the_shortest_of_the_same_lattice(basis: Float64) -> None:
    found = reduced(basis)
    change = in_terms_of(found, basis)
    np.testing.assert_allclose(change, np.rint(change), atol=1e-6)
    assert abs(np.linalg.det(change)) == pytest.approx(1.0)
    around = np.stack(np.meshgrid(range(-40, 41), range(-40, 41)), axis=-1).reshape(-1, 2)
    lengths = np.linalg.norm(around[around.any(axis=1)] @ basis, axis=1)
    assert np.linalg.norm(found[0]) == pytest.approx(lengths.min(), rel=1e-9)
    assert abs(found[0] @ found[1]) <= 0.5 * (found[0] @ found[0]) * (1 + 1e-9)


def test_nodes_are_all_within_reach_and_their_mates() -> None:
    lattice = turned_lattice(3.1, 4.4, 97.0, 20.0)
    indices = lattice.nodes(1.0)
    wide = np.stack(np.meshgrid(range(-30, 31), range(-30, 31)), axis=-1).reshape(-1, 2)
    within = wide[np.linalg.norm(lattice.frequencies(wide), axis=1) <= 1.0]
    assert {tuple(n) for n in indices} == {tuple(n) for n in within}
    assert not indices[0].any()
    assert half_plane(indices).sum() == (len(indices) + 1) // 2
    np.testing.assert_array_equal(indices[mates(indices)], -indices)


def test_a_box_holds_whole_cells_or_none() -> None:
    exact = commensurate(((7, -6), (2, 9)))
    near = Lattice.known(exact.basis + 0.2 / FIELD_A)
    far = Lattice.known(exact.basis + 0.45 / FIELD_A)
    whole = near.in_box((FIELD_A, FIELD_A))
    assert whole is not None
    np.testing.assert_allclose(whole.basis, exact.basis, rtol=1e-12)
    assert far.in_box((FIELD_A, FIELD_A)) is None


# --- a lattice is found ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "turns",
    [((7, -6), (2, 9)), ((9, -3), (3, 9)), ((5, 5), (2, -7)), ((3, 8), (8, -1))],
    ids=["hexagonal", "square", "oblique", "rectangular"],
)
def test_lattices_of_every_kind_are_found(turns: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """To a hundredth of the field's resolution, which is 0.039 A^-1: 0.1 % of a typical vector."""
    truth = commensurate(turns)
    found = found_in(image_of(cell_of(truth, *HONEYCOMB)))
    assert found.found
    assert np.abs(error_of(found.lattice, truth)).max() * FIELD_A < 0.02


@pytest.mark.parametrize("turn_deg", [3.0, 41.0])
def test_a_lattice_at_any_angle_is_found_between_pixels(turn_deg: float) -> None:
    """No supercell: nothing is a whole number of turns. Nodes leak into each other a little."""
    truth = turned_lattice(3.16, 3.16, 120.0, turn_deg)
    ideal = make_ideal(
        window=32, object_shape=(95, 95), step=2, periodic=False, C10_A=-100.0, dose_e=8000.0
    )
    sample = measured(ideal, image_of(cell_of(truth, *HONEYCOMB), (95, 95)), SPEC)
    found = index(ScanSpectrum.of(sample, SPEC, EVERY_PIXEL))
    assert found is not None
    assert found.found
    assert np.abs(error_of(found.lattice, truth)).max() * FIELD_A < 0.05


def test_a_lattice_finer_than_the_scan_is_unfolded() -> None:
    """0.70 A^-1, above the scan's limit of 0.625: it appears at 0.55, but in other pixels."""
    truth = commensurate(((18, 0), (0, 18)))
    x = image_of(cell_of(truth, (0.2, 0.4, 1.0), width_A=0.25))
    found = found_in(x, phase_scale_rad=0.5)
    assert found.found
    assert np.abs(error_of(found.lattice, truth)).max() * FIELD_A < 0.05


def waves_in_noise(truth: Lattice, rng: np.random.Generator) -> ScanSpectrum:
    """A scan whose pixels vary with the six shortest waves of a lattice, in white noise."""
    axis = (np.arange(32) - 15.5) * 0.8
    places = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    pixel = np.arange(-6, 7) * 0.078
    pixels = np.stack(np.meshgrid(pixel, pixel, indexing="ij"), axis=-1).reshape(-1, 2)
    pixels = pixels[np.linalg.norm(pixels, axis=1) < 0.5]
    indices = truth.nodes(1.0)[1:]
    indices = indices[half_plane(indices)][:3]
    turns = 2 * np.pi * places @ truth.frequencies(indices).T
    phases = rng.uniform(0, 2 * np.pi, (len(pixels), len(indices)))
    values = rng.standard_normal((len(places), len(pixels)))
    for phase, turn in zip(phases.T, turns.T, strict=True):
        values += 0.3 * np.cos(turn[:, None] + phase)
    hann = np.cos(np.pi * places / FIELD_A) ** 2
    return ScanSpectrum(
        values, pixels, places, hann.prod(axis=1), 0.512, (FIELD_A, FIELD_A), (0.8, 0.8)
    )


@pytest.mark.slow
def test_the_errors_of_a_lattice_are_as_large_as_stated() -> None:
    """Six noises: each coordinate off by its own standard error, on the average."""
    truth = turned_lattice(3.2, 3.7, 104.0, 23.0)
    pulls = []
    for seed in range(6):
        found = index(waves_in_noise(truth, np.random.default_rng(seed)))
        assert found is not None
        assert found.found
        pulls.append(error_of(found.lattice, truth) / found.lattice.sigmas)
    assert 0.6 < np.sqrt(np.mean(np.square(pulls))) < 1.5


# --- no lattice is found where none is ------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
def test_random_atoms_are_no_lattice(seed: int) -> None:
    found = found_in(atoms((FIELD_PX, FIELD_PX), count=200, width_px=1.0, seed=seed), seed=seed)
    assert not found.found
    assert found.share < 0.35


@pytest.mark.parametrize("seed", range(2))
def test_noise_is_no_lattice(seed: int) -> None:
    """No specimen at all."""
    found = found_in(np.zeros((FIELD_PX, FIELD_PX), dtype=np.float32), seed=seed)
    assert not found.found
    assert found.significance < 12


def test_two_lattices_are_not_one() -> None:
    """As in a twisted bilayer: each holds half of the power."""
    layers = [cell_of(commensurate(t), *HONEYCOMB) for t in (((7, -6), (2, 9)), ((6, 7), (9, -2)))]
    both = sum(layer.image((FIELD_PX, FIELD_PX), SAMPLING_A) for layer in layers)
    x = ((both - both.min()) / np.ptp(both)).astype(np.float32)
    found = found_in(x)
    assert not found.found
    assert found.significance > 12  # it is the share that says no


def test_a_field_too_small_for_a_lattice_is_none() -> None:
    ideal = make_ideal(window=32, object_shape=(8, 8), step=4, C10_A=-100.0)
    sample = measured(ideal, atoms((8, 8), count=2), SPEC)
    assert index(ScanSpectrum.of(sample, SPEC, EVERY_PIXEL)) is None


@pytest.mark.slow
def test_false_alarms_are_rare() -> None:
    """None in forty fields of random atoms, many or few, and none in forty without a specimen."""
    alarms = 0
    for seed in range(100, 140):
        count = int(np.random.default_rng(seed).integers(60, 400))
        x = atoms((FIELD_PX, FIELD_PX), count=count, width_px=1.0, seed=seed)
        alarms += found_in(x, seed=seed).found + found_in(np.zeros_like(x), seed=seed).found
    assert alarms == 0


# --- structure factors from disks -----------------------------------------------------------------


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 30), cols=st.integers(1, 12))
def test_nonnegative_least_squares_is_scipys(seed: int, rows: int, cols: int) -> None:
    rng = np.random.default_rng(seed)
    matrix, target = rng.standard_normal((rows + cols, cols)), rng.standard_normal(rows + cols)
    expected, _ = scipy.optimize.nnls(matrix, target)
    found = nonnegative_least_squares(matrix.T @ matrix, matrix.T @ target)
    np.testing.assert_allclose(found, expected, atol=1e-8)


def reflections_of(
    cell: UnitCell, spec: MismatchSpec, *, seed: int | None, phase_rad: float = 0.8
) -> tuple[Reflections, Float64]:
    """(fitted, true |T_g|^2) of a crystal's averaged pattern; without noise if `seed` is None."""
    ideal = crystal_operator(phase_scale_rad=phase_rad)
    x = image_of(cell)
    sample = measured(ideal, x, spec, seed=seed or 0)
    if seed is None:
        forward = ForwardOperator(ideal)
        pacbed = forward.expected(forward.tensor(phase_rad * x), spec).mean(dim=0).double().numpy()
    else:
        pacbed = PixelStatistics.of(sample.y).mean
    fitted = fit_disks(pacbed, 1024, sample, cell.lattice, spec, EVERY_PIXEL)
    spectrum = np.fft.fft2(np.exp(1j * phase_rad * x.astype(float))) / x.size
    turns = np.rint(fitted.lattice.frequencies(fitted.indices) * FIELD_A).astype(int)
    return fitted, np.abs(spectrum[turns[:, 0], turns[:, 1]]) ** 2


@pytest.mark.parametrize("spec", [MismatchSpec(), SPEC], ids=["nominal", "mismatched"])
def test_overlapping_disks_give_the_structure_factors(spec: MismatchSpec) -> None:
    """Nodes 4.7 pixels apart, disks 13 wide: without noise they come apart."""
    cell = cell_of(commensurate(((9, -3), (3, 9))), *HONEYCOMB, reach_invA=0.8)
    fitted, truth = reflections_of(cell, spec, seed=None)
    np.testing.assert_allclose(np.sqrt(fitted.intensities), np.sqrt(truth), atol=1e-3)
    assert np.sqrt(truth[1:]).max() > 0.05
    assert fitted.intensities.sum() == pytest.approx(1.0, abs=1e-3)


def test_errors_of_structure_factors_are_as_large_as_stated() -> None:
    fitted, truth = reflections_of(
        cell_of(commensurate(((9, -3), (3, 9))), *HONEYCOMB), SPEC, seed=1
    )
    pulls = (fitted.intensities - truth) / fitted.sigmas
    strong = truth > 3 * fitted.sigmas  # the others are held at 0 half of the time
    assert strong.sum() > 10
    assert 0.6 < np.sqrt(np.mean(pulls[strong] ** 2)) < 1.5
    assert (fitted.intensities >= 0).all()


def test_weak_reflections_are_not_observed() -> None:
    fitted, truth = reflections_of(
        cell_of(commensurate(((9, -3), (3, 9))), *HONEYCOMB), SPEC, seed=1
    )
    seen = observed(fitted)
    assert truth[~seen].max() < 5 * np.median(fitted.sigmas[~seen])
    assert (truth[seen] > fitted.sigmas[seen]).mean() > 0.5


# --- phases and place -----------------------------------------------------------------------------


@pytest.mark.parametrize("phase_rad", [0.1, 1.5], ids=["weak", "strong"])
def test_the_centre_of_mass_measures_structure_factors(phase_rad: float) -> None:
    """Magnitude and phase, of a phase object of any strength."""
    cell = cell_of(commensurate(((5, 5), (2, -7))), *HONEYCOMB, width_A=0.5).moved(
        np.array([0.2, 0.1])
    )
    ideal = crystal_operator(phase_scale_rad=phase_rad, C10_A=0.0, dose_e=1e9)
    x = image_of(cell)
    sample = measured(ideal, x, SPEC)
    nodes = CentreOfMassNodes.of(sample, cell.lattice, SPEC, EVERY_PIXEL)
    spectrum = np.fft.fft2(phase_rad * x.astype(float)) / x.size
    turns = np.rint(cell.lattice.frequencies(nodes.indices) * FIELD_A).astype(int)
    truth = spectrum[turns[:, 0], turns[:, 1]]
    assert nodes.trusted.sum() >= 12
    error = (nodes.values / nodes.response - truth)[nodes.trusted]
    # What a strong object scatters beyond the detector is missing from the mean.
    assert np.abs(error).max() < 0.06 * np.abs(truth).max()


@pytest.mark.parametrize("seed", range(2))
def test_a_honeycomb_is_solved_at_its_place(seed: int) -> None:
    """Intensities alone do not tell a honeycomb from its rivals, nor it from its twin."""
    shift = np.random.default_rng(seed).uniform(size=2)
    cell = cell_of(commensurate(((7, -6), (2, 9))), *HONEYCOMB).moved(shift)
    sample = measured(crystal_operator(), image_of(cell), SPEC, seed=seed)
    fitted = fit_disks(
        PixelStatistics.of(sample.y).mean, 1024, sample, cell.lattice, SPEC, EVERY_PIXEL
    )
    nodes = CentreOfMassNodes.of(sample, cell.lattice, SPEC, EVERY_PIXEL)
    solved, _ = solve_structure(fitted, nodes, Search(starts=8, iterations=200, seed=seed))
    truth, image = image_of(cell).ravel(), solved.image((FIELD_PX, FIELD_PX), SAMPLING_A).ravel()
    assert np.corrcoef(truth, image)[0, 1] > 0.99
    twin = solved.twin().image((FIELD_PX, FIELD_PX), SAMPLING_A).ravel()
    assert np.corrcoef(truth, twin)[0, 1] < 0.9
    assert r_factor(solved, fitted) < 0.05


def test_a_phase_object_transmits_less_than_its_phase() -> None:
    """By the Bessel function: exp(i a cos) has the amplitude J_1(a), where a / 2 is kinematic."""
    amplitude = 1.2
    lattice = commensurate(((4, 0), (0, 4)))
    indices = np.array([[0, 0], [1, 0], [-1, 0]])
    cell = UnitCell(lattice, indices, np.array([0.0, amplitude / 2, amplitude / 2], dtype=complex))
    ratio = phase_object_ratio(cell)
    assert ratio[1] == pytest.approx((amplitude / 2) / scipy.special.jv(1, amplitude), rel=1e-3)
    weak = UnitCell(lattice, indices, cell.coefficients * 1e-3)
    np.testing.assert_allclose(phase_object_ratio(weak)[1:], 1.0, atol=1e-6)


def test_a_strong_phase_is_corrected_for() -> None:
    """From exact |T_g| of 2 rad: magnitudes of the phase, and not those of exp(i phase)."""
    cell = cell_of(commensurate(((7, -6), (2, 9))), *HONEYCOMB)
    strength = 2.0 / np.ptp(cell.grid((48, 48)))
    truth = UnitCell(cell.lattice, cell.indices, strength * cell.coefficients)
    wave = np.exp(1j * truth.grid((48, 48)))
    powers = np.abs(UnitCell.from_grid(cell.lattice, cell.indices, wave).coefficients) ** 2
    powers = (powers + powers[mates(cell.indices)]) / 2
    sigmas = np.full(len(powers), 1e-12)
    reflections = Reflections(cell.lattice, cell.indices, powers, sigmas, 0.0, 1.0)
    low = slice(1, 7)
    response = np.ones(6, dtype=np.complex128)
    nodes = CentreOfMassNodes(cell.indices[low], truth.coefficients[low], response, 1e-12)
    solved, _ = solve_structure(reflections, nodes, Search(starts=8, iterations=200, seed=0))
    magnitudes = np.abs(truth.coefficients)[1:]
    kinematic = np.abs(np.sqrt(powers[1:]) - magnitudes).sum()
    corrected = np.abs(np.abs(solved.coefficients)[1:] - magnitudes).sum()
    assert kinematic > 0.07 * magnitudes.sum()
    assert corrected < 0.5 * kinematic


# --- tiling ---------------------------------------------------------------------------------------


def test_tiling_a_whole_number_of_cells_is_exact() -> None:
    """Four cells of 16 pixels each way: in each the pixels of the cell's own grid."""
    rng = np.random.default_rng(0)
    density = np.fft.ifft2(np.fft.fft2(rng.standard_normal((16, 16))) * _low_pass(16)).real
    lattice = commensurate(((4, 0), (0, 4)))
    cell = UnitCell.from_grid(lattice, lattice.nodes(1.2), density)
    tiled = cell.image((FIELD_PX, FIELD_PX), SAMPLING_A)
    np.testing.assert_allclose(tiled, np.tile(density, (4, 4)), atol=1e-12)
    np.testing.assert_allclose(cell.grid((16, 16)), density, atol=1e-12)


def test_an_oblique_cell_repeats_with_its_vectors() -> None:
    cell = cell_of(commensurate(((7, -6), (2, 9))), *HONEYCOMB)
    tiled = cell.image((FIELD_PX, FIELD_PX), SAMPLING_A)
    step = np.rint(75 * cell.lattice.vectors[0] / SAMPLING_A).astype(int)  # 75 cells in the field
    np.testing.assert_allclose(75 * cell.lattice.vectors[0] / SAMPLING_A, step, atol=1e-6)
    np.testing.assert_allclose(np.roll(tiled, step, (0, 1)), tiled, atol=1e-9)


@given(rows=st.integers(-30, 30), cols=st.integers(-30, 30))
@settings(max_examples=20)
def test_a_moved_cell_is_a_moved_image(rows: int, cols: int) -> None:
    cell = cell_of(commensurate(((5, 5), (2, -7))), *HONEYCOMB)
    image = cell.image((FIELD_PX, FIELD_PX), SAMPLING_A)
    by = cell.lattice.basis @ (SAMPLING_A * np.array([rows, cols]))
    moved = cell.moved(by).image((FIELD_PX, FIELD_PX), SAMPLING_A)
    np.testing.assert_allclose(moved, np.roll(image, (rows, cols), (0, 1)), atol=1e-9)


def test_a_twin_is_turned_by_half_a_turn() -> None:
    cell = cell_of(commensurate(((5, 5), (2, -7))), *HONEYCOMB)
    image = cell.image((FIELD_PX, FIELD_PX), SAMPLING_A)
    turned = np.roll(image[::-1, ::-1], (1, 1), (0, 1))
    np.testing.assert_allclose(
        cell.twin().image((FIELD_PX, FIELD_PX), SAMPLING_A), turned, atol=1e-9
    )


def test_a_displacement_parameter_is_a_blur() -> None:
    """B = 8 pi^2 <u^2> widens a Gaussian atom's square by <u^2>."""
    lattice = commensurate(((5, 5), (2, -7)))
    sharp, wide = (cell_of(lattice, *HONEYCOMB, width_A=w) for w in (0.3, 0.4))
    blurred = sharp.smeared(8 * np.pi**2 * (0.4**2 - 0.3**2))
    ratio = blurred.coefficients[1:] / wide.coefficients[1:]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)


def _low_pass(side: int) -> Float64:
    """1 for frequencies within 7 turns of a cell's side, in each direction."""
    k = np.abs(np.fft.fftfreq(side, 1 / side))
    within = np.hypot(k[:, None], k[None, :]) < 7.4
    return within.astype(np.float64)
