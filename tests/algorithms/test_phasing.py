"""Phases from magnitudes: of structures that are known, up to origin and hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from algorithms.phasing.align import align, phase_error_deg
from algorithms.phasing.dual_space import (
    Magnitudes,
    atomic,
    charge_flipping,
    merits_of,
    relaxed_reflect,
)
from algorithms.phasing.solution import Phasing
from algorithms.phasing.statistics import normalised_structure_factors
from algorithms.phasing.tangent import find_triplets, tangent_refinement
from tests.helpers.structures import Structure, random_structure

Phase = Callable[..., Phasing]

STRUCTURES = 8
"""Random structures that each method is tried on."""

SOLVED_DEG = 20.0
"""Mean phase error below which a structure counts as solved; chance gives 90."""


def phase_error(found: Phasing, truth: Structure, known: NDArray[np.bool_]) -> float:
    """Mean phase error [degrees] over the known coefficients, origin and hand settled."""
    seen = np.fft.ifft2(np.where(known, truth.coefficients, 0.0)).real
    moved = np.fft.fft2(align(found.density, seen).density)
    return phase_error_deg(moved, truth.coefficients, known)


# --- phases are found -----------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "width_px"), [(charge_flipping, 0.7), (relaxed_reflect, 0.8)])
def test_dual_space_finds_the_phases_of_random_structures(method: Phase, width_px: float) -> None:
    """Twelve atoms, exact magnitudes, no phase, no F(0): every structure, to a few degrees.

    Charge flipping needs slightly sharper atoms.
    """
    errors = []
    for seed in range(STRUCTURES):
        truth = random_structure(seed, atoms=12, width_px=width_px)
        known = truth.known(0.48)
        found = method(np.abs(truth.coefficients), known, rng=np.random.default_rng(seed))
        assert found.converged
        np.testing.assert_allclose(
            np.abs(found.coefficients[known]), np.abs(truth.coefficients[known]), rtol=1e-9
        )
        errors.append(phase_error(found, truth, known))
    assert max(errors) < 8.0
    assert np.mean(errors) < 6.0


def test_the_tangent_formula_finds_the_phases_of_small_structures() -> None:
    """Six to eight atoms, the 80 strongest E: most structures; the others end as a heavy atom."""
    errors = []
    for seed in range(STRUCTURES):
        truth = random_structure(seed, atoms=6 + seed % 3)
        known = truth.known(0.45)
        factors = normalised_structure_factors(np.abs(truth.coefficients), known, truth.frequency)
        triplets = find_triplets(factors.E, known, strong=80, atoms=6 + seed % 3)
        found = tangent_refinement(triplets, rng=np.random.default_rng(seed))
        strong = np.abs(found.coefficients) > 1e-9
        assert strong.sum() == 160
        map_of_truth = factors.E * np.exp(1j * np.angle(truth.coefficients))
        seen = np.fft.ifft2(np.where(strong, map_of_truth, 0.0)).real
        moved = np.fft.fft2(align(found.density, seen).density)
        errors.append(phase_error_deg(moved, map_of_truth, strong))
    solved = [error for error in errors if error < SOLVED_DEG]
    assert len(solved) >= 5
    assert np.mean(solved) < 10.0


@pytest.mark.parametrize("method", [charge_flipping, relaxed_reflect])
def test_random_magnitudes_have_no_phases(method: Phase) -> None:
    """No structure, no agreement, and a figure of merit that says so."""
    noise = np.random.default_rng(5).standard_normal((32, 32))
    truth = random_structure(0, atoms=12, width_px=0.7)
    known = truth.known(0.48)
    found = method(np.abs(np.fft.fft2(noise)), known, rng=np.random.default_rng(0))
    solved = method(np.abs(truth.coefficients), known, rng=np.random.default_rng(0))
    assert not found.converged
    assert found.figure_of_merit > 3 * solved.figure_of_merit


def test_the_best_start_is_the_best_image() -> None:
    """On a structure that some starts miss, the figure of merit knows which."""
    truth = random_structure(2, atoms=12, width_px=0.7)
    known = truth.known(0.48)
    magnitudes = np.abs(truth.coefficients)
    rng = np.random.default_rng(0)
    found = [charge_flipping(magnitudes, known, rng=rng, starts=1) for _ in range(16)]
    merits = [one.figure_of_merit for one in found]
    errors = [phase_error(one, truth, known) for one in found]
    assert max(errors) > 45 > SOLVED_DEG > min(errors), "neither all solved nor none"
    assert errors[int(np.argmin(merits))] < SOLVED_DEG
    assert not any(one.converged for one in found), "one start has nothing to agree with"


def test_the_seed_decides() -> None:
    truth = random_structure(1, atoms=8)
    known = truth.known(0.45)
    first, again, other = (
        relaxed_reflect(
            np.abs(truth.coefficients),
            known,
            rng=np.random.default_rng(seed),
            starts=2,
            iterations=20,
        )
        for seed in (3, 3, 4)
    )
    assert first.density.tobytes() == again.density.tobytes()
    assert first.density.tobytes() != other.density.tobytes()


# --- the sets -------------------------------------------------------------------------------------


@given(seed=st.integers(0, 1000), height=st.integers(5, 12), width=st.integers(5, 12))
@settings(max_examples=25)
def test_the_projection_on_magnitudes_is_the_nearest(seed: int, height: int, width: int) -> None:
    """It is in the set, it is idempotent, and no random member of the set is nearer."""
    rng = np.random.default_rng(seed)
    member = rng.random((height, width))
    constraint = Magnitudes.of(
        np.abs(np.fft.fft2(member)), np.ones((height, width), dtype=bool), None
    )
    image = rng.standard_normal((height, width))
    projected = constraint.project(image)
    np.testing.assert_allclose(np.abs(np.fft.fft2(projected)), constraint_full(member), atol=1e-9)
    np.testing.assert_allclose(constraint.project(projected), projected, atol=1e-9)
    nearest = np.linalg.norm(projected - image)
    for other in constraint.random(rng, 10):
        assert np.linalg.norm(other - image) >= nearest - 1e-9


def constraint_full(member: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.abs(np.fft.fft2(member))


@given(seed=st.integers(0, 1000), fill=st.floats(0.02, 1.0))
@settings(max_examples=25)
def test_the_projection_on_atoms_keeps_the_brightest(seed: int, fill: float) -> None:
    image = np.random.default_rng(seed).standard_normal((9, 11))
    kept = atomic(image, fill)
    most = max(1, round(fill * 99))
    assert (kept > 0).sum() <= most
    assert ((kept == image) | (kept == 0)).all()
    left_out = image[kept == 0]
    if (kept > 0).sum() == most and left_out.size:
        assert left_out.max() <= kept[kept > 0].min()
    assert merits_of(np.clip(image, 0, None)[None], 1.0)[0] < 1e-12, "nothing left out"


@pytest.mark.parametrize(
    ("magnitudes", "known", "says"),
    [
        (np.ones((4, 4)), np.ones((4, 5), dtype=bool), "one shape"),
        (np.ones((4, 4)), np.zeros((4, 4), dtype=bool), "every image fits"),
        (np.arange(16.0).reshape(4, 4), np.ones((4, 4), dtype=bool), "is real"),
    ],
)
def test_what_cannot_be_phased_is_refused(
    magnitudes: NDArray[np.float64], known: NDArray[np.bool_], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        charge_flipping(magnitudes, known, rng=np.random.default_rng(0))


# --- normalised structure factors -----------------------------------------------------------------


def test_normalised_factors_are_those_of_points() -> None:
    """The atoms' width is found, and E becomes the point atoms' own."""
    truth = random_structure(4, atoms=40, width_px=1.1, apart_px=1.0)
    known = truth.known(0.4)
    factors = normalised_structure_factors(np.abs(truth.coefficients), known, truth.frequency)
    assert factors.displacement == pytest.approx(2 * (np.pi * 1.1) ** 2, rel=0.1)
    assert (factors.E[known] ** 2).mean() == pytest.approx(1.0)
    assert factors.E[~known].max() == 0.0
    points = truth.coefficients / np.exp(-2 * (np.pi * 1.1 * truth.frequency) ** 2)
    relative = factors.E[known] / np.abs(points[known])
    assert relative.std() / relative.mean() < 0.1
    # Random positions without a centre of symmetry: <|E|> = sqrt(pi)/2 (Wilson).
    assert factors.E[known].mean() == pytest.approx(np.sqrt(np.pi) / 2, abs=0.05)


def test_a_form_factor_is_divided_out() -> None:
    truth = random_structure(4, atoms=40, width_px=1.1, apart_px=1.0)
    known = truth.known(0.4)
    form = np.exp(-2 * (np.pi * 1.1 * truth.frequency) ** 2)
    factors = normalised_structure_factors(np.abs(truth.coefficients), known, truth.frequency, form)
    assert abs(factors.displacement) < 2.0
    with pytest.raises(ValueError, match="nothing to normalise"):
        normalised_structure_factors(np.zeros((8, 8)), known[:8, :8], truth.frequency[:8, :8])


# --- triplets -------------------------------------------------------------------------------------


def test_triplets_close_and_are_complete() -> None:
    """By brute force over all pairs; and Cochran's kappa orders how well the phases obey."""
    truth = random_structure(3, atoms=8, side=16, apart_px=2.5, width_px=0.6)
    known = truth.known(0.45)
    E = normalised_structure_factors(np.abs(truth.coefficients), known, truth.frequency).E
    triplets = find_triplets(E, known, strong=30, atoms=8)
    both = np.concatenate([triplets.place, triplets.mate])
    signed = np.stack([(both // 16 + 8) % 16 - 8, (both % 16 + 8) % 16 - 8], axis=1)
    np.testing.assert_array_equal(
        signed[triplets.target], signed[triplets.first] + signed[triplets.second]
    )
    expected = sum(
        (signed[k] + signed[m] == signed[h]).all()
        for h in range(30)
        for k in range(60)
        for m in range(k + 1, 60)
    )
    assert len(triplets.target) == expected
    phases = np.angle(truth.coefficients.reshape(-1)[both])
    sums = phases[triplets.first] + phases[triplets.second] - phases[triplets.target]
    strong = triplets.kappa > np.median(triplets.kappa)
    assert np.cos(sums[strong]).mean() > np.cos(sums[~strong]).mean() > 0.1


def test_too_few_strong_or_weak_are_refused() -> None:
    truth = random_structure(3, atoms=8)
    E, known = np.abs(truth.coefficients), truth.known(0.45)
    with pytest.raises(ValueError, match="no triplet"):
        find_triplets(E, known, strong=1, atoms=8)
    with pytest.raises(ValueError, match="use fewer"):
        find_triplets(E, known, strong=10_000, atoms=8)


# --- origin and hand ------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 50),
    rows=st.floats(0.0, 31.9),
    cols=st.floats(0.0, 31.9),
    twin=st.booleans(),
)
@settings(max_examples=20)
def test_any_shift_and_hand_are_undone(seed: int, rows: float, cols: float, twin: bool) -> None:
    truth = random_structure(seed, atoms=9)
    k = 2 * np.pi * np.fft.fftfreq(32)
    moved = truth.coefficients.conj() if twin else truth.coefficients
    moved = moved * np.exp(-1j * (k[:, None] * rows + k[None, :] * cols))
    found = align(np.fft.ifft2(moved).real + 0.3, truth.density)
    assert found.twin == twin
    assert found.correlation > 1 - 1e-9
    assert found.other_hand < 0.95
    np.testing.assert_allclose(found.density - 0.3, truth.density, atol=1e-6)


def test_a_flat_image_has_no_origin() -> None:
    found = align(np.ones((6, 7)), random_structure(0, atoms=3).density[:6, :7])
    assert (found.correlation, found.shift, found.twin) == (0.0, (0.0, 0.0), False)
