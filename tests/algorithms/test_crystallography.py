"""pedt and microed: the crystal's cell, its refinement, and what is done without a lattice."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from algorithms.base import Reconstruction, Sample
from algorithms.cell_fit import CellFit, Waves, refine_rigid
from algorithms.crystal import FALLBACK
from algorithms.lattice.cell import UnitCell
from algorithms.objective import Objective
from algorithms.reconstructors.baseline import CpuBaseline
from algorithms.reconstructors.microed import Microed
from algorithms.reconstructors.pedt import Pedt
from runner.scoring.metrics import psnr_db
from schemas import MismatchSpec
from tests.helpers.crystals import (
    FIELD_PX,
    HONEYCOMB,
    SAMPLING_A,
    cell_of,
    commensurate,
    crystal_operator,
    image_of,
)
from tests.helpers.samples import atoms, measured

SPEC = MismatchSpec(camera_length=2.5, center_offset=1.1, elliptical_distortion=0.007)
SHAPE = (FIELD_PX, FIELD_PX)
IDEAL = crystal_operator()
SCALE_RAD = IDEAL.attrs.phase_scale_rad

CRYSTAL = cell_of(commensurate(((7, -6), (2, 9))), *HONEYCOMB).moved(np.array([0.31, 0.77]))
"""A honeycomb of 75 cells, its atoms at no special place."""


def in_radians(cell: UnitCell) -> UnitCell:
    """The cell whose image, less its minimum, is the phase of `image_of(cell)`."""
    factor = SCALE_RAD / np.ptp(cell.image(SHAPE, SAMPLING_A))
    return replace(cell, coefficients=cell.coefficients * factor)


@pytest.fixture(scope="module")
def perfect() -> Sample:
    return measured(IDEAL, image_of(CRYSTAL), SPEC)


@pytest.fixture(scope="module")
def stepped() -> tuple[Sample, np.ndarray]:
    """The crystal, half as thick on one half of the field: the step is two pixels wide."""
    rows = np.arange(FIELD_PX)[:, None]
    thickness = 0.75 + 0.25 * np.clip(8 * np.sin(2 * np.pi * rows / FIELD_PX), -1, 1)
    x = (image_of(CRYSTAL) * thickness).astype(np.float32)
    return measured(IDEAL, x, SPEC), x


@pytest.fixture(scope="module")
def solved(perfect: Sample) -> Reconstruction:
    return Pedt().reconstruct(perfect, SPEC)


@pytest.fixture(scope="module")
def refined(perfect: Sample) -> Reconstruction:
    return Microed().reconstruct(perfect, SPEC)


# --- pedt -----------------------------------------------------------------------------------------


def test_pedt_finds_a_crystal(solved: Reconstruction) -> None:
    """A perfect crystal, at its place, with its hand: the published row's 24 dB are the least."""
    found = solved
    x = image_of(CRYSTAL)
    assert psnr_db(found.x_hat, x) > 24
    assert psnr_db(found.x_hat[::-1, ::-1], x) < 20
    assert found.x_hat.dtype == np.float32
    assert found.x_hat.min() == 0.0
    assert found.diagnostics["lattice"]["found"]
    assert "average" in found.diagnostics["note"]
    json.dumps(found.diagnostics, allow_nan=False)


def test_pedt_is_deterministic(perfect: Sample, solved: Reconstruction) -> None:
    assert Pedt().reconstruct(perfect, SPEC).x_hat.tobytes() == solved.x_hat.tobytes()


def test_every_cell_is_the_average_one(solved: Reconstruction) -> None:
    """The image repeats with the lattice: what breaks it cannot be seen."""
    spectrum = np.abs(np.fft.fft2(solved.x_hat))
    bins = np.argwhere(spectrum > 1e-3 * spectrum[0, 0])
    turns = (bins + FIELD_PX // 2) % FIELD_PX - FIELD_PX // 2
    # The image is cut off at 0, and so has waves that fold: whole numbers of turns, all the same.
    nodes = np.linalg.solve(np.array([[7, -6], [2, 9]]).T, turns.T).T
    low = np.hypot(*turns.T) < FIELD_PX // 2
    assert low.sum() > 20
    np.testing.assert_allclose(nodes[low], np.rint(nodes[low]), atol=1e-6)


def test_a_lattice_that_the_scan_folds_is_unfolded_by_the_disks() -> None:
    """At 0.66 A^-1, just above the scan's limit: where its disks lie tells it from 0.59."""
    cell = cell_of(commensurate(((17, 0), (0, 17))), (0.2, 0.4, 1.0), width_A=0.25)
    ideal = crystal_operator(phase_scale_rad=0.2, dose_e=64000.0)
    found = Pedt().reconstruct(measured(ideal, image_of(cell), SPEC), SPEC)
    assert "fallback" not in found.diagnostics
    lengths = np.linalg.norm(found.diagnostics["cell_vectors_A"], axis=1)
    np.testing.assert_allclose(lengths, FIELD_PX * SAMPLING_A / 17, rtol=1e-3)
    assert found.diagnostics["disk_fit_chi_square"] < 1.5


# --- microed --------------------------------------------------------------------------------------


def test_microed_is_better_than_pedt(solved: Reconstruction, refined: Reconstruction) -> None:
    """All patterns carry one cell: on a perfect crystal little is left but the constant."""
    x = image_of(CRYSTAL)
    assert psnr_db(refined.x_hat, x) > max(psnr_db(solved.x_hat, x) + 5, 36)


def test_figures_of_merit_are_those_of_a_perfect_crystal(refined: Reconstruction) -> None:
    diagnostics = refined.diagnostics
    assert diagnostics["R1"] < 0.06
    assert diagnostics["goodness_of_fit"] == pytest.approx(1.0, abs=0.01)
    assert "warning" not in diagnostics
    assert diagnostics["losses"][-1] < diagnostics["losses"][0]
    json.dumps(diagnostics, allow_nan=False)


@pytest.mark.slow
def test_microed_is_deterministic(perfect: Sample, refined: Reconstruction) -> None:
    assert Microed().reconstruct(perfect, SPEC).x_hat.tobytes() == refined.x_hat.tobytes()


@pytest.mark.slow
def test_a_step_is_seen_by_the_scale_alone(stepped: tuple[Sample, np.ndarray]) -> None:
    sample, x = stepped
    with_map, without = (
        psnr_db(Microed(scale_reach=reach, refinements=15).reconstruct(sample, SPEC).x_hat, x)
        for reach in (0.5, 0.0)
    )
    assert with_map > without + 4


def test_what_is_no_crystal_shows_in_the_goodness_of_fit() -> None:
    """A field whose other half is disordered."""
    x = image_of(CRYSTAL).copy()
    x[:20] = 0.8 * atoms((20, FIELD_PX), count=60, width_px=1.0)
    found = Microed().reconstruct(measured(IDEAL, x, SPEC), SPEC)
    assert "fallback" in found.diagnostics or "warning" in found.diagnostics


def test_a_deadline_ends_the_refinement(perfect: Sample) -> None:
    late = replace(perfect, deadline=time.monotonic() - 1.0)
    found = Microed().reconstruct(late, SPEC)
    assert found.diagnostics["losses"] == []
    assert psnr_db(found.x_hat, image_of(CRYSTAL)) > 24


# --- the refinement's parts -----------------------------------------------------------------------


def test_waves_and_their_adjoint_are_a_pair() -> None:
    rng = np.random.default_rng(0)
    waves = Waves(CRYSTAL.lattice.frequencies(CRYSTAL.indices), torch.zeros(SHAPE).double(), 0.4)
    amplitudes = torch.as_tensor(rng.standard_normal((len(CRYSTAL.indices), 2)))
    image = torch.as_tensor(rng.standard_normal(SHAPE))
    one = (waves.image(torch.view_as_complex(amplitudes)) * image).sum()
    other = (torch.view_as_real(waves.adjoint(image)) * amplitudes).sum()
    assert float(one) == pytest.approx(float(other), rel=1e-12)


def test_the_slope_of_cell_and_scale_is_that_of_the_loss(perfect: Sample) -> None:
    """Against central differences, along random directions of all parameters at once."""
    objective = Objective(perfect, dtype=torch.float64)
    fit = CellFit(objective, perfect, in_radians(CRYSTAL), SPEC, scale_reach_invA=0.1)
    rng = np.random.default_rng(1)
    theta = fit._theta + 0.01 * torch.as_tensor(rng.standard_normal(fit._theta.shape))
    direction = torch.as_tensor(rng.standard_normal(theta.shape))
    _, slope = fit._gradient(theta)
    step = 1e-5
    ahead, behind = (fit._gradient(theta + sign * step * direction)[0] for sign in (1, -1))
    expected = (ahead - behind) / (2 * step)
    assert float((slope * direction).sum()) == pytest.approx(expected, rel=1e-5)


def test_scale_displacement_and_origin_are_recovered(perfect: Sample) -> None:
    """A cell that is too weak, too sharp and beside its place; to within its standard errors."""
    truth = in_radians(CRYSTAL)
    moved_A = np.array([0.08, -0.05])
    wrong = truth.smeared(-0.4, 0.9).moved(truth.lattice.basis @ moved_A)
    found, rigid = refine_rigid(Objective(perfect), perfect, wrong, SPEC)
    pulls = [
        (rigid.scale * 0.9 - 1) / rigid.sigmas[0],
        (rigid.B_A2 - 0.4) / rigid.sigmas[1],
        (rigid.origin_A[0] + moved_A[0]) / rigid.sigmas[2],
        (rigid.origin_A[1] + moved_A[1]) / rigid.sigmas[3],
    ]
    assert np.abs(pulls).max() < 4
    assert max(rigid.sigmas) < 0.03
    others = truth.indices.any(axis=1)
    error = np.abs(found.coefficients - truth.coefficients)[others]
    assert error.max() < 0.02 * np.abs(truth.coefficients[others]).max()


def test_a_perturbed_cell_is_recovered(perfect: Sample) -> None:
    """Coefficients off by up to a fifth of the strongest: back to the truth, and the loss falls."""
    truth = in_radians(CRYSTAL)
    rng = np.random.default_rng(2)
    strongest = np.abs(truth.coefficients[1:]).max()
    density = truth.grid((32, 32)) + 2.5 * strongest * rng.standard_normal((32, 32))
    wrong = UnitCell.from_grid(truth.lattice, truth.indices, density)
    fit = CellFit(Objective(perfect), perfect, wrong, SPEC, scale_reach_invA=0.0)
    losses = fit.run(20)
    assert losses[-1] < losses[0] - 100
    before, after = (
        np.abs(_at(cell, truth) - truth.coefficients)[1:].max() for cell in (wrong, fit.cell)
    )
    assert before > 0.1 * strongest
    assert after < 0.05 * strongest
    np.testing.assert_allclose(fit.scale.numpy(), 1.0)


def _at(cell: UnitCell, like: UnitCell) -> np.ndarray:
    """The cell's coefficients in the order of another's."""
    known = {tuple(node): F for node, F in zip(cell.indices, cell.coefficients, strict=True)}
    return np.array([known[tuple(node)] for node in like.indices])


# --- without a lattice ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", [Pedt(), Microed()], ids=["pedt", "microed"])
def test_without_a_lattice_the_fallback_is_named(method: Pedt | Microed) -> None:
    sample = measured(IDEAL, atoms(SHAPE, count=200, width_px=1.0), SPEC)
    found = method.reconstruct(sample, SPEC)
    assert found.diagnostics["fallback"] == FALLBACK == "cpu-baseline"
    assert "no lattice" in found.diagnostics["warning"]
    assert not found.diagnostics["lattice"]["found"]
    np.testing.assert_array_equal(found.x_hat, CpuBaseline().reconstruct(sample, SPEC).x_hat)
    json.dumps(found.diagnostics, allow_nan=False)
