"""least-squares: against dense solutions, optimality conditions, and images that are known."""

from __future__ import annotations

import time

import numpy as np
import pytest
import scipy.optimize
import torch
from numpy.typing import NDArray

from algorithms.base import ContractError, LinearSample
from algorithms.linear import (
    LinearProblem,
    Penalty,
    PenaltyName,
    differences,
    differences_adjoint,
    objective,
    solve,
)
from algorithms.reconstructors.least_squares import LeastSquares
from physics.ideal import ArrayOperator
from physics.primitives.array import ArrayMap
from physics.primitives.base import LinearPrimitive
from physics.primitives.build import build
from physics.primitives.detector import Noise, NoiseName
from physics.primitives.filters import Convolution
from physics.primitives.masks import Modulation
from physics.primitives.projection import ParallelBeam
from runner.scoring.metrics import psnr_db
from schemas import MismatchSpec
from tests.helpers.operators import make_ideal
from tests.helpers.samples import atoms, measured
from tests.helpers.variants import scene

RNG = np.random.default_rng(3)
MATRIX = RNG.standard_normal((30, 12))
DATA = RNG.standard_normal(30)


def dense(matrix: NDArray[np.float64], signal: tuple[int, ...]) -> ArrayMap:
    """In double precision, whatever files hold."""
    operator = ArrayOperator.of(matrix.astype(np.float32), (len(matrix),), signal_shape=signal)
    return ArrayMap(
        ArrayOperator(matrix, operator.action, operator.signal_shape, operator.data_shape)
    )


def solved(
    operator: LinearPrimitive, y: NDArray[np.generic], penalty: Penalty, steps: int = 5000
) -> NDArray[np.float64]:
    problem = LinearProblem(operator, torch.as_tensor(y))
    start = torch.zeros(operator.shape.domain, dtype=torch.float64)
    norm = problem.squared_norm(torch.Generator().manual_seed(0))
    found = solve(problem, penalty, start=start, squared_norm=norm, steps=steps, settled=1e-13)
    return found.x.numpy()


def difference_matrix(shape: tuple[int, ...]) -> NDArray[np.float64]:
    size = int(np.prod(shape))
    columns = [
        differences(torch.as_tensor(one.reshape(shape)), len(shape)).flatten().numpy()
        for one in np.eye(size)
    ]
    return np.stack(columns, axis=1)


# --- the solver -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(12,), (3, 4), (2, 3, 2)])
def test_differences_and_their_adjoint(shape: tuple[int, ...]) -> None:
    x = RNG.standard_normal(shape)
    for axis in range(len(shape)):
        found = np.moveaxis(differences(torch.as_tensor(x), len(shape))[axis].numpy(), axis, 0)
        np.testing.assert_array_equal(found[:-1], np.diff(np.moveaxis(x, axis, 0), axis=0))
        assert not found[-1].any()
    p = torch.as_tensor(RNG.standard_normal((len(shape), *shape)))
    product = float((differences(torch.as_tensor(x), len(shape)) * p).sum())
    assert product == pytest.approx(float((torch.as_tensor(x) * differences_adjoint(p)).sum()))


def test_the_norm_is_the_norm() -> None:
    problem = LinearProblem(dense(MATRIX, (12,)), torch.as_tensor(DATA))
    exact = np.linalg.norm(MATRIX, 2) ** 2
    found = problem.squared_norm(torch.Generator().manual_seed(0))
    assert exact <= found < 1.1 * exact


@pytest.mark.parametrize("name", [PenaltyName.RIDGE, PenaltyName.SMOOTH])
@pytest.mark.parametrize("shape", [(12,), (3, 4)])
def test_quadratic_penalties_are_numpy_s_solution(
    name: PenaltyName, shape: tuple[int, ...]
) -> None:
    roughness = np.eye(12) if name is PenaltyName.RIDGE else difference_matrix(shape)
    normal = MATRIX.T @ MATRIX + 0.7 * roughness.T @ roughness
    expected = np.linalg.solve(normal, MATRIX.T @ DATA).reshape(shape)
    found = solved(dense(MATRIX, shape), DATA, Penalty(name, 0.7))
    np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("name", [PenaltyName.RIDGE, PenaltyName.SMOOTH])
def test_bounded_below_is_scipy_s_solution(name: PenaltyName) -> None:
    roughness = np.eye(12) if name is PenaltyName.RIDGE else difference_matrix((12,))
    stacked = np.vstack([MATRIX, np.sqrt(0.7) * roughness])
    expected, _ = scipy.optimize.nnls(stacked, np.concatenate([DATA, np.zeros(len(roughness))]))
    found = solved(dense(MATRIX, (12,)), DATA, Penalty(name, 0.7, nonnegative=True))
    assert (expected == 0).any()
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_total_variation_is_optimal() -> None:
    """H^T (H x - y) + weight D^T u = 0 with |u| <= 1, u = sign(D x) where x jumps (a line)."""
    weight = 4.0
    found = solved(dense(MATRIX, (12,)), DATA, Penalty(PenaltyName.TOTAL_VARIATION, weight))
    slope = MATRIX.T @ (MATRIX @ found - DATA)
    roughness = difference_matrix((12,))[:-1]  # the far end has no difference
    dual = scipy.optimize.lsq_linear(weight * roughness.T, -slope, bounds=(-1 - 1e-9, 1 + 1e-9))
    assert np.abs(weight * roughness.T @ dual.x + slope).max() < 1e-5
    jumps = np.abs(np.diff(found)) > 1e-3
    assert 0 < jumps.sum() < 11
    np.testing.assert_allclose(dual.x[jumps], np.sign(np.diff(found))[jumps], atol=1e-5)


@pytest.mark.parametrize("nonnegative", [False, True])
def test_nothing_near_is_better(nonnegative: bool) -> None:
    """Of an image: the objective grows in any direction that the bound allows."""
    penalty = Penalty(PenaltyName.TOTAL_VARIATION, 2.0, nonnegative)
    operator = dense(MATRIX, (3, 4))
    problem = LinearProblem(operator, torch.as_tensor(DATA))
    best = torch.as_tensor(solved(operator, DATA, penalty))
    assert not nonnegative or float(best.min()) >= 0
    value = objective(problem, penalty, best)
    for size in (1e-3, 1e-2, 0.3):
        for _ in range(50):
            other = best + size * torch.as_tensor(RNG.standard_normal((3, 4)))
            other = other.clamp_min(0.0) if nonnegative else other
            assert objective(problem, penalty, other) > value - 1e-9


def test_what_is_left_out_has_no_say() -> None:
    operator = dense(MATRIX, (12,))
    problem = LinearProblem(operator, torch.as_tensor(DATA))
    held = torch.zeros(30, dtype=torch.float64)
    held[::3] = 1.0
    spoilt = torch.as_tensor(DATA) + 100.0 * held
    x = torch.as_tensor(RNG.standard_normal(12))
    kept = LinearProblem(operator, spoilt).without(held)
    mask = held.numpy() == 0
    expected = MATRIX[mask].T @ (MATRIX[mask] @ x.numpy() - DATA[mask])
    np.testing.assert_allclose(kept.gradient(x), expected)
    np.testing.assert_allclose(problem.gradient(x), MATRIX.T @ (MATRIX @ x.numpy() - DATA))


def test_problems_in_a_batch_are_solved_as_if_alone() -> None:
    operator = dense(MATRIX, (3, 4))
    keep = torch.ones((2, 30), dtype=torch.float64)
    keep[0, ::3] = keep[1, 1::3] = 0.0
    for penalty in (
        Penalty(PenaltyName.SMOOTH, 0.7),
        Penalty(PenaltyName.TOTAL_VARIATION, 2.0, nonnegative=True),
    ):
        whole = LinearProblem(operator, torch.as_tensor(DATA))
        norm = whole.squared_norm(torch.Generator().manual_seed(0))
        options = {"squared_norm": norm, "steps": 5000, "settled": 1e-12}
        start = torch.zeros((2, 3, 4), dtype=torch.float64)
        both = solve(whole.without(1 - keep), penalty, start=start, **options).x
        for number in range(2):
            alone = whole.without(1 - keep[number])
            one = solve(alone, penalty, start=start[number], **options).x
            torch.testing.assert_close(both[number], one, rtol=0, atol=1e-6)


# --- the method -----------------------------------------------------------------------------------

SIDE = 32
TRUTH = scene(SIDE)
AXIS = np.arange(7) - 3
PSF = np.exp(-(AXIS[:, None] ** 2 + AXIS[None, :] ** 2) / (2 * 1.3**2))


def sample_of(
    model: LinearPrimitive, noise: float, seed: int = 0, x: NDArray[np.float64] = TRUTH
) -> LinearSample:
    clean = model.forward(torch.as_tensor(x)).numpy()
    rng = np.random.default_rng(seed)
    y = clean + noise * rng.standard_normal(clean.shape)
    if np.iscomplexobj(clean):
        y = y + 1j * noise * rng.standard_normal(clean.shape)
    return LinearSample("sample_00", y, model, seed=seed)


def test_denoising_beats_the_input() -> None:
    sample = sample_of(Modulation(np.ones((SIDE, SIDE))), 0.1)
    found = LeastSquares().reconstruct_linear(sample)
    assert psnr_db(found.x_hat, TRUTH) > psnr_db(sample.y, TRUTH) + 8.0


def test_deblurring_beats_the_input() -> None:
    sample = sample_of(Convolution((SIDE, SIDE), PSF / PSF.sum()), 0.02)
    found = LeastSquares().reconstruct_linear(sample)
    assert psnr_db(found.x_hat, TRUTH) > psnr_db(sample.y, TRUTH) + 5.0
    assert found.diagnostics["relative_residual"] < 0.1


def test_a_scan_of_few_views_is_inverted() -> None:
    """Twelve views of a 32 x 32 image, built from its notation; noise of 1 % of the peak."""
    views = ParallelBeam(tuple(np.arange(0.0, 180.0, 15.0)), 47)
    symbols = {"views": views, "g": 1.0, "eta": Noise(NoiseName.GAUSSIAN, 0.15)}
    model = build("Pi(views) -> D(g, eta)", symbols, domain=(SIDE, SIDE))
    assert isinstance(model, LinearPrimitive)
    y = model.sample(torch.as_tensor(TRUTH), np.random.default_rng(0))
    found = LeastSquares().reconstruct_linear(LinearSample("sample_00", y, model))
    assert psnr_db(found.x_hat, TRUTH) > 28.0


def test_complex_data_of_a_real_image() -> None:
    """Half of k-space, as in magnetic resonance."""
    mask = np.random.default_rng(1).uniform(0, 1, (SIDE, SIDE)) < 0.5
    mask[SIDE // 2 - 3 : SIDE // 2 + 4, SIDE // 2 - 3 : SIDE // 2 + 4] = True
    model = build("F(k)", {"k": mask}, domain=(SIDE, SIDE))
    assert isinstance(model, LinearPrimitive)
    sample = sample_of(model, 0.02)
    assert np.iscomplexobj(sample.y)
    found = LeastSquares().reconstruct_linear(sample)
    filled = model.adjoint(torch.as_tensor(sample.y)).real.numpy()
    assert psnr_db(found.x_hat, TRUTH) > psnr_db(filled, TRUTH) + 8.0


@pytest.mark.parametrize(("penalty", "loss_db"), [("total-variation", 1.0), ("smooth", 2.0)])
def test_the_strength_is_near_the_best(penalty: str, loss_db: float) -> None:
    """Chosen without the truth, against the best of a fine scale.

    A quadratic penalty fills what was held out worse than it removes noise, and is taken too weak.
    """
    sample = sample_of(Modulation(np.ones((SIDE, SIDE))), 0.1)
    chosen = LeastSquares(penalty=penalty).reconstruct_linear(sample)
    methods = [
        LeastSquares(penalty=penalty, strength=float(strength))
        for strength in np.geomspace(1e-3, 3.0, 12)
    ]
    best = max(psnr_db(one.reconstruct_linear(sample).x_hat, TRUTH) for one in methods)
    assert psnr_db(chosen.x_hat, TRUTH) > best - loss_db


@pytest.mark.parametrize("scale", [1e-4, 1e5])
def test_units_do_not_matter(scale: float) -> None:
    """Neither those of y nor those of x: the result scales, the strength stays."""
    identity = Modulation(np.ones((16, 16)))
    plain = sample_of(identity, 0.1, x=scene(16))
    expected = LeastSquares().reconstruct_linear(plain)
    brighter = LinearSample("sample_00", scale * plain.y, identity)
    louder = LinearSample("sample_00", scale * plain.y, Modulation(np.full((16, 16), scale)))
    for sample, unit in ((brighter, scale), (louder, 1.0)):
        found = LeastSquares().reconstruct_linear(sample)
        assert found.diagnostics["strength"] == pytest.approx(expected.diagnostics["strength"])
        np.testing.assert_allclose(found.x_hat / unit, expected.x_hat, atol=1e-4)


def test_a_penalty_that_predicts_nothing_says_so() -> None:
    """Of the identity, no other entry sees what is left out, and ridge knows no neighbours."""
    sample = sample_of(Modulation(np.ones((SIDE, SIDE))), 0.1)
    found = LeastSquares(penalty="ridge").reconstruct_linear(sample)
    assert "a guess" in found.diagnostics["warning"]
    assert "warning" not in LeastSquares().reconstruct_linear(sample).diagnostics


@pytest.mark.parametrize("penalty", [name.value for name in PenaltyName])
def test_an_operator_that_gives_nothing(penalty: str) -> None:
    sample = LinearSample("sample_00", np.ones((8, 8)), Modulation(np.zeros((8, 8))))
    found = LeastSquares(penalty=penalty).reconstruct_linear(sample)
    assert not found.x_hat.any()
    assert found.diagnostics["relative_residual"] == 1.0


def test_nothing_measured() -> None:
    sample = LinearSample("sample_00", np.zeros((8, 8)), Modulation(np.ones((8, 8))))
    assert not LeastSquares().reconstruct_linear(sample).x_hat.any()


def test_the_same_bytes_again() -> None:
    sample = sample_of(Modulation(np.ones((16, 16))), 0.2, x=scene(16))
    first, again = (LeastSquares().reconstruct_linear(sample).x_hat for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert first.dtype == np.float32


def test_it_ends_in_time_and_tells_how_far_it_is() -> None:
    told: list[float] = []
    clean = sample_of(Convolution((SIDE, SIDE), PSF), 0.5)
    sample = LinearSample(
        clean.name,
        clean.y,
        clean.operator,
        deadline=time.monotonic() + 0.2,
        progress=told.append,
    )
    begin = time.monotonic()
    found = LeastSquares(iterations=10**6).reconstruct_linear(sample)
    assert time.monotonic() - begin < 3.0
    assert np.isfinite(found.x_hat).all()
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_4d_stem_is_not_linear() -> None:
    ideal = make_ideal()
    sample = measured(ideal, atoms((32, 32)), MismatchSpec())
    with pytest.raises(ContractError) as failure:
        LeastSquares().reconstruct(sample, MismatchSpec())
    (entry,) = failure.value.findings
    assert entry.code == "SAMPLE_UNSUITED"
    assert "ptychography" in entry.hint
    assert "exp" in entry.found
