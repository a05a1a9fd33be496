"""Lattices and deformations: against brute force, scipy, and draws of the noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import polar as scipy_polar

from algorithms.analysis.deformation import (
    composed,
    deformation_gradient,
    matched,
    median_reference,
    polar,
    strain_errors,
)
from algorithms.analysis.disks import Disks
from algorithms.analysis.lattice import find_lattice, fit_lattices, reduced

SMALL = st.floats(-0.05, 0.05)
STRAINS = st.tuples(SMALL, SMALL, SMALL, st.floats(-1.0, 1.0))
ORDERS = np.array([[h, k] for h in range(-2, 3) for k in range(-2, 3)])
ORDERS = ORDERS[np.argsort((ORDERS**2).sum(axis=1), kind="stable")]
BASIS = np.array([[2.0, 29.0], [31.0, 6.0]])  # columns (y, x) [pixels]


def disks_at(places: np.ndarray, electrons: np.ndarray) -> Disks:
    return Disks(places, np.full_like(places, 0.1), electrons, np.full(len(places), 50.0))


@given(shears=st.lists(st.integers(-4, 4), min_size=3, max_size=3), flip=st.sampled_from([1, -1]))
def test_reduction_keeps_the_lattice_and_finds_its_shortest_vectors(shears, flip) -> None:
    change = np.diag([1.0, flip])
    for number, shear in enumerate(shears):
        change = change @ (np.array([[1, shear], [0, 1]]) if number % 2 else [[1, 0], [shear, 1]])
    found = reduced(BASIS @ change)
    whole = np.linalg.solve(BASIS, found)
    np.testing.assert_allclose(whole, np.rint(whole), atol=1e-9)
    brute = np.sort(np.linalg.norm(ORDERS[1:] @ BASIS.T, axis=1))
    assert np.linalg.norm(found, axis=0).min() == pytest.approx(brute[0])
    assert np.linalg.norm(found, axis=0).max() <= brute[2] + 1e-9  # brute[1] is minus the first
    np.testing.assert_allclose(found, reduced(BASIS))


@given(seed=st.integers(0, 200), angle=st.floats(0, 180), squash=st.floats(0.5, 1.0))
@settings(max_examples=40, deadline=None)
def test_the_lattice_is_found_among_strays(seed: int, angle: float, squash: float) -> None:
    rng = np.random.default_rng(seed)
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    basis = np.array([[cos, sin], [-sin, cos]]) @ np.array([[0.0, 30 * squash], [30.0, 8.0]])
    center = np.array([80.4, 79.7])
    places = center + ORDERS @ basis.T + rng.normal(0, 0.1, (len(ORDERS), 2))
    strays = rng.uniform(10, 150, (2, 2))
    electrons = np.concatenate([[1e6], 1e5 / (ORDERS[1:] ** 2).sum(axis=1), [3e3, 3e3]])
    found = find_lattice(disks_at(np.concatenate([places, strays]), electrons))
    assert found is not None
    change = np.linalg.solve(found.basis, basis)
    np.testing.assert_allclose(change, np.rint(change), atol=0.02)
    assert abs(round(np.linalg.det(change))) == 1
    np.testing.assert_allclose(found.center, center, atol=0.3)


def test_what_is_on_no_lattice_has_none() -> None:
    rng = np.random.default_rng(1)
    places = np.concatenate([[[80.0, 80.0]], rng.uniform(10, 150, (14, 2))])
    assert find_lattice(disks_at(places, np.full(15, 1e4))) is None
    assert find_lattice(disks_at(places[:4], np.full(4, 1e4))) is None
    assert find_lattice(disks_at(places[:0], np.zeros(0))) is None


def test_the_fit_is_weighted_least_squares_and_its_covariance_true() -> None:
    rng = np.random.default_rng(0)
    count = 4000
    sigma = np.broadcast_to(rng.uniform(0.05, 0.5, (len(ORDERS), 2)), (count, len(ORDERS), 2))
    true = np.array([80.0, 81.0]) + ORDERS @ BASIS.T
    places = true + sigma * rng.normal(size=sigma.shape)
    used = np.ones(sigma.shape[:2], dtype=bool)
    used[:, 7] = used[0, 3] = False
    places[0, 3] = 1e6
    fit = fit_lattices(ORDERS, places, sigma, used)
    design = np.column_stack([np.ones(len(ORDERS)), ORDERS])[used[0]]
    for axis in (0, 1):
        weight = 1 / sigma[0, used[0], axis]
        brute = np.linalg.lstsq(
            design * weight[:, None], places[0, used[0], axis] * weight, rcond=None
        )[0]
        np.testing.assert_allclose([fit.center[0, axis], *fit.basis[0, axis]], brute, rtol=1e-9)
        drawn = np.concatenate([fit.center[1:, axis, None], fit.basis[1:, axis]], axis=1)
        spread = np.sqrt(np.diag(np.cov(drawn.T)))
        np.testing.assert_allclose(spread, np.sqrt(np.diag(fit.covariance[1, axis])), rtol=0.05)
    assert fit.chi_square.mean() == pytest.approx(1.0, abs=0.02)
    assert fit.determined.all()


def test_disks_on_a_line_determine_nothing() -> None:
    line = np.array([[0, 0], [1, 0], [-1, 0], [2, 0]])
    places = np.zeros((1, 4, 2)) + line @ BASIS.T
    fit = fit_lattices(line, places, np.ones_like(places), np.ones((1, 4), dtype=bool))
    assert not fit.determined[0]
    assert np.isfinite(fit.basis).all()


@given(strain=STRAINS)
def test_polar_decomposition_is_scipy_s(strain: tuple[float, ...]) -> None:
    gradient = composed(np.array(strain))
    turn, stretch = scipy_polar(gradient)
    xx, yy, xy, theta = polar(gradient)
    np.testing.assert_allclose(stretch, [[1 + yy, xy], [xy, 1 + xx]], atol=1e-12)
    # On (y, x): +x = (0, 1) is led towards +y = (1, 0) by a positive angle.
    np.testing.assert_allclose(turn @ [0, 1], [np.sin(theta), np.cos(theta)], atol=1e-12)
    np.testing.assert_allclose(polar(gradient), strain, atol=1e-12)


@given(strain=STRAINS)
def test_lattices_tell_how_their_crystal_was_deformed(strain: tuple[float, ...]) -> None:
    """The crystal's vectors a move to F a; reciprocal vectors are those with a.g whole."""
    crystal = np.array([[0.1, 3.9], [4.1, -0.3]])
    gradient = composed(np.array(strain))
    before, after = (np.linalg.inv(vectors).T for vectors in (crystal, gradient @ crystal))
    np.testing.assert_allclose(deformation_gradient(after, before), gradient, atol=1e-12)


def test_errors_are_those_of_drawn_lattices() -> None:
    rng = np.random.default_rng(0)
    reference = np.array([[0.0, 0.3], [0.31, 0.02]])
    gradient = composed(np.array([0.02, -0.03, 0.01, 0.4]))
    basis = np.linalg.inv(gradient).T @ reference
    covariance = 1e-6 * np.array([[[2.0, 0.3], [0.3, 1.0]], [[1.0, -0.4], [-0.4, 3.0]]])
    noise = np.stack([rng.multivariate_normal([0, 0], c, 40000) for c in covariance], axis=1)
    drawn = polar(deformation_gradient(basis + noise, reference))
    np.testing.assert_allclose(
        strain_errors(basis, covariance, reference), drawn.std(axis=0), rtol=0.03
    )


def test_the_median_of_a_bent_crystal_is_not_too_short() -> None:
    reference = np.array([[0.0, 0.3], [0.3, 0.0]])
    turns = np.deg2rad(np.linspace(-8, 8, 41))
    bent = composed(np.stack([*np.zeros((3, 41)), turns], axis=-1))
    lattices = np.swapaxes(np.linalg.inv(bent), -1, -2) @ reference
    np.testing.assert_allclose(median_reference(lattices, lattices[5]), reference, atol=1e-12)


@given(strain=st.tuples(SMALL, SMALL, SMALL, st.floats(-0.2, 0.2)))
@settings(max_examples=20, deadline=None)
def test_a_given_lattice_is_matched_whatever_its_vectors_are_called(strain) -> None:
    given_basis = np.array([[0.02, 0.3], [0.25, 0.01]])
    found = np.linalg.inv(composed(np.array(strain))).T @ given_basis
    renamed = given_basis @ np.array([[1, 1], [0, -1]])
    np.testing.assert_allclose(matched(renamed, found), given_basis, atol=1e-12)
