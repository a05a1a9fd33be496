"""The forward operator: one list of properties, asked of every form of operator.

A new form goes into `tests/helpers/operators.py`; a new property is a test here that takes `ideal`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from numpy.typing import NDArray
from torch import Tensor

from physics.ideal import IdealOperator
from physics.operator import FarField, ForwardOperator, batches, vacuum_pattern
from schemas.spec import MismatchSpec
from tests.helpers.operators import (
    OPERATORS,
    SPECS,
    make_ideal,
    random_phase,
    with_gaussian_probe,
)
from tests.helpers.strategies import published_specs

EVERY = slice(None)
DTYPES = {torch.float32: 1e-5, torch.float64: 1e-10}
"""Relative error that each precision is allowed."""

FRACTIONAL = {name for name, o in OPERATORS.items() if (o.positions_px % 1 != 0).any()}
"""Forms whose probe is shifted by parts of a pixel; what leaves its window comes in opposite."""


@pytest.fixture(params=sorted(OPERATORS))
def ideal(request: pytest.FixtureRequest) -> IdealOperator:
    return OPERATORS[request.param]


@pytest.fixture(params=sorted(SPECS))
def spec(request: pytest.FixtureRequest) -> MismatchSpec:
    return SPECS[request.param]


def error(found: NDArray[np.generic], expected: NDArray[np.generic]) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def double(ideal: IdealOperator) -> ForwardOperator:
    return ForwardOperator(ideal, dtype=torch.float64)


def random_like(shape: tuple[int, ...], seed: int = 1) -> Tensor:
    return torch.as_tensor(np.random.default_rng(seed).standard_normal(shape))


# --- an independent reference: the contract's formulas, one sum after another ---------------------


def interpolated(probe: NDArray[np.complex64], at: NDArray[np.float64]) -> NDArray[np.complex128]:
    """The probe, band-limited as it is, at pixels `at` = (rows, cols), each (n,)."""
    n = len(probe)
    k = np.arange(n) - n // 2
    j = np.arange(n) - n // 2
    forward = np.exp(-2j * np.pi * np.outer(k, j) / n) / n
    spectrum = forward @ probe.astype(np.complex128) @ forward.T
    rows, cols = (np.exp(2j * np.pi * np.outer(axis - n // 2, k) / n) for axis in at)
    return rows @ spectrum @ cols.T


def brute_force(
    ideal: IdealOperator, phase: NDArray[np.float64], spec: MismatchSpec
) -> NDArray[np.float64]:
    """Expected electrons (B, n, n) by the sum of the contract's section 1, written out."""
    n, attrs = ideal.window, ideal.attrs
    height, width = attrs.object_shape
    length, offset, ellipse = spec.vector()
    scale_x = (1 + length / 100) * (1 + ellipse)
    scale_y = (1 + length / 100) * (1 - ellipse)
    d = np.arange(n)
    q_y, q_x = (d - n // 2 - offset) / scale_y, (d - n // 2 - offset) / scale_x
    j = np.arange(n) - n // 2
    kernel = np.exp(
        -2j
        * np.pi
        / n
        * (
            q_y[:, None, None, None] * j[None, None, :, None]
            + q_x[None, :, None, None] * j[None, None, None, :]
        )
    ).reshape(n * n, n * n)
    patterns = []
    for row, col in ideal.positions_px.astype(np.float64):
        near_row, near_col = round(row), round(col)
        window = np.empty((n, n), dtype=np.complex128)
        for a in range(n):
            for b in range(n):
                r, c = near_row - n // 2 + a, near_col - n // 2 + b
                assert attrs.periodic or (0 <= r < height and 0 <= c < width)
                window[a, b] = np.exp(1j * phase[r % height, c % width])
        at = np.stack([d - (row - near_row), d - (col - near_col)])
        psi = window * interpolated(ideal.probe, at)
        patterns.append(np.abs(kernel @ psi.ravel() / n).reshape(n, n) ** 2)
    area = 1 / ((1 + length / 100) ** 2 * (1 - ellipse**2))
    return attrs.dose_e * area * np.array(patterns)


def few_positions(ideal: IdealOperator) -> IdealOperator:
    """Four of the positions, the raster's corners among them."""
    chosen = np.linspace(0, len(ideal.positions_px) - 1, 4).astype(int)
    return replace(ideal, positions_px=ideal.positions_px[chosen])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_equals_the_sum_of_the_contract(
    ideal: IdealOperator, spec: MismatchSpec, dtype: torch.dtype
) -> None:
    few = few_positions(ideal)
    phase = random_phase(few)
    forward = ForwardOperator(few, dtype=dtype)
    found = forward.expected(forward.tensor(phase), spec)
    assert found.dtype == dtype
    expected = brute_force(few, phase, spec)
    assert error(found.double().numpy(), expected) < DTYPES[dtype]


def test_equals_an_fft_on_the_nominal_detector() -> None:
    """In single precision, with numpy's own FFT and its own centring."""
    ideal = OPERATORS["periodic"]
    phase = random_phase(ideal)
    forward = ForwardOperator(ideal)
    found = forward.expected(forward.tensor(phase), MismatchSpec()).numpy()
    n = ideal.window
    for pattern, (row, col) in zip(found, ideal.positions_px.astype(int), strict=True):
        window = np.roll(phase, (n // 2 - row, n // 2 - col), axis=(0, 1))[:n, :n]
        psi = ideal.probe * np.exp(1j * window)
        wave = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(psi), norm="ortho"))
        assert error(pattern, ideal.attrs.dose_e * np.abs(wave) ** 2) < 1e-5


def test_the_fft_and_the_matrices_meet(ideal: IdealOperator) -> None:
    """The nominal detector is no special case: its neighbours come arbitrarily near to it."""
    forward = double(ideal)
    phi = forward.tensor(random_phase(ideal))
    nominal = forward.expected(phi, MismatchSpec()).numpy()
    beside = forward.expected(phi, MismatchSpec(camera_length=1e-11)).numpy()
    assert error(beside, nominal) < 1e-9


# --- electrons ------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1.0, -0.37, 2.3])
def test_no_electron_is_lost(ideal: IdealOperator, offset: float) -> None:
    """Nor by a shift of the detector: its pixels then still cover one period of the far field."""
    forward = double(ideal)
    patterns = forward.expected(
        forward.tensor(random_phase(ideal)), MismatchSpec(center_offset=offset)
    )
    np.testing.assert_allclose(patterns.sum(dim=(1, 2)), ideal.attrs.dose_e, rtol=1e-6)


@given(spec=published_specs)
def test_no_electron_is_lost_by_any_detector_large_enough(spec: MismatchSpec) -> None:
    """Probe and specimen so smooth that the pattern ends well inside the detector."""
    ideal = with_gaussian_probe(make_ideal(window=24, object_shape=(24, 24), step=12), 2.2)
    rows, cols = np.mgrid[:24, :24] * (2 * np.pi / 24)
    forward = double(ideal)
    patterns = forward.expected(forward.tensor(0.4 * np.cos(rows) + 0.3 * np.sin(cols)), spec)
    np.testing.assert_allclose(patterns.sum(dim=(1, 2)), ideal.attrs.dose_e, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(set(OPERATORS) - FRACTIONAL))
def test_vacuum_pattern_is_the_operator_without_a_specimen(name: str, spec: MismatchSpec) -> None:
    ideal = OPERATORS[name]
    forward = double(ideal)
    empty = forward.expected(forward.tensor(np.zeros(ideal.attrs.object_shape)), spec).numpy()
    assert error(empty[0], ideal.attrs.dose_e * vacuum_pattern(ideal, spec)) < 1e-10
    assert error(empty, np.broadcast_to(empty[0], empty.shape)) < 1e-12


# --- derivatives ----------------------------------------------------------------------------------


def batch_of(
    forward: ForwardOperator, phi: Tensor, spec: MismatchSpec, index: slice | Tensor = EVERY
) -> tuple[FarField, Tensor, Tensor]:
    """(far field, exit waves, detector waves) of a batch."""
    far = forward.far_field(spec)
    psi = forward.exit_waves(forward.transmission(phi), far, index)
    return far, psi, far.forward(psi)


def pull_back(
    forward: ForwardOperator,
    psi: Tensor,
    psi_hat: Tensor,
    slope: Tensor,
    far: FarField,
    index: slice | Tensor = EVERY,
) -> Tensor:
    """What `pull_back` adds to nothing."""
    total = torch.zeros(forward.object_shape, dtype=slope.dtype)
    forward.pull_back(psi, psi_hat, slope, far, index, into=total)
    return total


def test_pull_back_is_what_autograd_finds(ideal: IdealOperator, spec: MismatchSpec) -> None:
    """A loss that weighs every detector pixel differently."""
    forward = double(ideal)
    phi = forward.tensor(random_phase(ideal)).requires_grad_()
    patterns = forward.expected(phi, spec)
    weight = random_like(tuple(patterns.shape))
    (by_autograd,) = torch.autograd.grad((weight * patterns).sum(), phi)
    with torch.no_grad():
        far, psi, psi_hat = batch_of(forward, phi, spec)
        analytic = pull_back(forward, psi, psi_hat, weight, far)
    assert error(analytic.numpy(), by_autograd.numpy()) < 1e-11


def test_pull_back_and_directional_are_adjoint(ideal: IdealOperator, spec: MismatchSpec) -> None:
    """<J v, w> = <v, J^T w>."""
    forward = double(ideal)
    far, psi, psi_hat = batch_of(forward, forward.tensor(random_phase(ideal)), spec)
    v = random_like(forward.object_shape, seed=2)
    w = random_like(tuple(psi_hat.shape), seed=3)
    left = float((forward.directional(psi, psi_hat, v, far, EVERY) * w).sum())
    right = float((v * pull_back(forward, psi, psi_hat, w, far)).sum())
    size = float(torch.linalg.norm(forward.directional(psi, psi_hat, v, far, EVERY)))
    assert abs(left - right) < 1e-12 * size * float(torch.linalg.norm(w))


def test_directional_is_the_slope_of_the_intensity(
    ideal: IdealOperator, spec: MismatchSpec
) -> None:
    forward = double(ideal)
    phi = forward.tensor(random_phase(ideal))
    v = random_like(forward.object_shape)
    far, psi, psi_hat = batch_of(forward, phi, spec)
    step = 1e-5
    ahead, behind = (forward.expected(phi + s * step * v, spec) for s in (1, -1))
    by_difference = (ahead - behind) / (2 * step)
    found = forward.directional(psi, psi_hat, v, far, EVERY)
    assert error(found.numpy(), by_difference.numpy()) < 1e-7


@pytest.mark.parametrize("name", sorted(OPERATORS))
@settings(max_examples=10)
@given(spec=published_specs)
def test_spec_derivatives_are_the_slopes_of_the_intensity(name: str, spec: MismatchSpec) -> None:
    forward = double(few_positions(OPERATORS[name]))
    phi = forward.tensor(random_phase(forward.ideal))
    intensity, derivatives = forward.spec_derivatives(phi, spec)
    assert error(intensity.numpy(), forward.expected(phi, spec).numpy()) < 1e-10
    for parameter, step in enumerate((1e-3, 1e-4, 1e-6)):
        vector = np.array(spec.vector())
        change = step * np.eye(3)[parameter]
        ahead, behind = (
            forward.expected(phi, MismatchSpec.from_vector(tuple(vector + s * change)))
            for s in (1, -1)
        )
        by_difference = (ahead - behind) / (2 * step)
        assert error(derivatives[parameter].numpy(), by_difference.numpy()) < 1e-6


# --- batches, windows, positions ------------------------------------------------------------------


def test_batches_change_nothing(ideal: IdealOperator, spec: MismatchSpec) -> None:
    forward = double(ideal)
    phi = forward.tensor(random_phase(ideal))
    whole = forward.expected(phi, spec)
    parts = [forward.expected(phi, spec, index) for index in batches(forward.count, 5)]
    torch.testing.assert_close(torch.cat(parts), whole)
    some = torch.tensor([3, 0, 1])
    torch.testing.assert_close(forward.expected(phi, spec, some), whole[some])
    derivatives = forward.spec_derivatives(phi, spec)[1]
    torch.testing.assert_close(forward.spec_derivatives(phi, spec, some)[1], derivatives[:, some])


@pytest.mark.parametrize(("count", "size"), [(0, 4), (1, 4), (4, 4), (9, 4), (12, 5)])
def test_batches_cover_the_scan_once(count: int, size: int) -> None:
    found = [i for index in batches(count, size) for i in range(index.start, index.stop)]
    assert found == list(range(count))


def test_pull_backs_of_batches_add_up(ideal: IdealOperator, spec: MismatchSpec) -> None:
    forward = double(ideal)
    phi = forward.tensor(random_phase(ideal))
    far, psi, psi_hat = batch_of(forward, phi, spec)
    slope = random_like(tuple(psi_hat.shape))
    whole = pull_back(forward, psi, psi_hat, slope, far)
    total = torch.zeros_like(whole)
    for index in batches(forward.count, 3):
        far, psi, psi_hat = batch_of(forward, phi, spec, index)
        forward.pull_back(psi, psi_hat, slope[index], far, index, into=total)
    torch.testing.assert_close(total, whole)


def test_a_periodic_object_has_no_edge() -> None:
    """Object and scan moved together, over the edge of the supercell: the same patterns."""
    ideal = make_ideal(object_shape=(20, 28), step=3)
    phase = random_phase(ideal)
    moved = replace(ideal, positions_px=ideal.positions_px + np.float32([13, -9]))
    here, there = double(ideal), double(moved)
    before = here.expected(here.tensor(phase), SPECS["all"])
    after = there.expected(there.tensor(np.roll(phase, (13, -9), axis=(0, 1))), SPECS["all"])
    torch.testing.assert_close(after, before)


def test_padding_hides_the_edge_of_an_object() -> None:
    """A padded object, and the same cut from a larger periodic one: the same patterns."""
    padded = OPERATORS["padded"]
    height, width = padded.attrs.object_shape
    phase = random_phase(padded)
    larger = np.random.default_rng(9).uniform(0, 2, (height + 11, width + 7))
    larger[:height, :width] = phase
    attrs = padded.attrs.model_copy(update={"periodic": True, "object_shape": larger.shape})
    forward, wide = double(padded), double(replace(padded, attrs=attrs))
    torch.testing.assert_close(
        wide.expected(wide.tensor(larger), SPECS["all"]),
        forward.expected(forward.tensor(phase), SPECS["all"]),
    )


def test_half_a_pixel_is_a_whole_pixel_of_a_grid_twice_as_fine() -> None:
    """The same probe drawn on half the pixel and moved by whole pixels there: the same wave."""
    coarse = make_ideal(window=16, object_shape=(16, 16), step=16, shift=(0.5, -0.5))
    fine = make_ideal(window=32, object_shape=(32, 32), step=32, sampling_A=0.2)
    forward = double(coarse)
    far = forward.far_field(SPECS["all"])
    flat = forward.transmission(forward.tensor(np.zeros((16, 16))))
    found = forward.exit_waves(flat, far, EVERY)[0].numpy()
    expected = 2 * np.roll(fine.probe, (1, -1), axis=(0, 1))[::2, ::2]
    assert error(found, expected) < 1e-5


@given(spec=published_specs)
def test_a_probe_shift_leaves_its_pattern_where_it_is(spec: MismatchSpec) -> None:
    """A shift in real space is a phase in the far field: no intensity moves."""
    still = with_gaussian_probe(make_ideal(window=24, object_shape=(24, 24), step=24), 2.2)
    moved = replace(still, positions_px=still.positions_px + np.float32([0.3, -0.4]))
    here, there = (
        double(ideal).expected(torch.zeros(24, 24, dtype=torch.float64), spec).numpy()
        for ideal in (still, moved)
    )
    assert error(there, here) < 1e-6


def test_illumination_is_the_sum_of_the_probes(ideal: IdealOperator) -> None:
    found = double(ideal).illumination().numpy()
    n = ideal.window
    height, width = ideal.attrs.object_shape
    expected = np.zeros((height, width))
    d = np.arange(n)
    for row, col in ideal.positions_px.astype(np.float64):
        near_row, near_col = round(row), round(col)
        at = np.stack([d - (row - near_row), d - (col - near_col)])
        weight = np.abs(interpolated(ideal.probe, at)) ** 2
        rows, cols = (near_row - n // 2 + d) % height, (near_col - n // 2 + d) % width
        np.add.at(expected, (rows[:, None], cols[None, :]), weight)
    assert error(found, expected) < 1e-10
    assert math.isclose(found.sum(), len(ideal.positions_px), rel_tol=1e-5)


def test_illumination_of_some_positions_adds_up(ideal: IdealOperator) -> None:
    forward = double(ideal)
    order = torch.as_tensor(np.random.default_rng(0).permutation(forward.count))
    parts = [forward.illumination(part).numpy() for part in (order[:3], order[3:])]
    assert error(sum(parts), forward.illumination().numpy()) < 1e-12


def test_back_to_object_is_the_adjoint_of_exit_waves(
    ideal: IdealOperator, spec: MismatchSpec
) -> None:
    forward = double(ideal)
    far = forward.far_field(spec)
    shape = (forward.count, ideal.window, ideal.window)
    transmission, psi = (
        torch.complex(random_like(s, seed), random_like(s, seed + 1))
        for s, seed in ((ideal.attrs.object_shape, 1), (shape, 3))
    )
    there = torch.vdot(psi.flatten(), forward.exit_waves(transmission, far, EVERY).flatten())
    back = torch.zeros_like(transmission)
    forward.back_to_object(psi, far, EVERY, into=back)
    assert torch.allclose(there, torch.vdot(back.flatten(), transmission.flatten()), rtol=1e-10)


def test_the_pseudo_inverse_undoes_what_the_detector_sees(
    ideal: IdealOperator, spec: MismatchSpec
) -> None:
    """A A^+ A = A but for the few frequencies hardly seen; on the nominal detector it is A^H."""
    forward = double(ideal)
    far = forward.far_field(spec)
    psi = forward.exit_waves(
        forward.transmission(forward.tensor(random_phase(ideal))), far, slice(0, 3)
    )
    back = far.pseudo_inverse()
    waves = far.forward(psi)
    assert error(far.forward(back(waves)).numpy(), waves.numpy()) < 0.05
    assert error(back(far.forward(back(waves))).numpy(), back(waves).numpy()) < 1e-9
    if spec.is_nominal:
        assert error(back(waves).numpy(), psi.numpy()) < 1e-12


# --- precision and devices ------------------------------------------------------------------------


def everything(
    ideal: IdealOperator, spec: MismatchSpec, dtype: torch.dtype, device: str = "cpu"
) -> list[NDArray[np.float64]]:
    """Intensity, its derivatives in the spec, the pull-back and the jvp in the phase."""
    forward = ForwardOperator(ideal, dtype=dtype, device=device)
    phi = forward.tensor(random_phase(ideal))
    far, psi, psi_hat = batch_of(forward, phi, spec)
    slope = forward.tensor(random_like(tuple(psi_hat.shape)))
    direction = forward.tensor(random_like(forward.object_shape))
    intensity, derivatives = forward.spec_derivatives(phi, spec)
    parts = [
        intensity,
        *derivatives,
        pull_back(forward, psi, psi_hat, slope, far),
        forward.directional(psi, psi_hat, direction, far, EVERY),
    ]
    assert all(part.dtype == dtype for part in parts)
    return [part.double().cpu().numpy() for part in parts]


def test_single_precision_is_enough(ideal: IdealOperator, spec: MismatchSpec) -> None:
    single, full = (everything(ideal, spec, dtype) for dtype in (torch.float32, torch.float64))
    for a, b in zip(single, full, strict=True):
        assert error(a, b) < DTYPES[torch.float32]


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_gpu_finds_what_the_cpu_finds(ideal: IdealOperator, dtype: torch.dtype) -> None:
    for spec in SPECS.values():
        here, there = (everything(ideal, spec, dtype, device) for device in ("cpu", "cuda"))
        for a, b in zip(there, here, strict=True):
            assert error(a, b) < DTYPES[dtype]
