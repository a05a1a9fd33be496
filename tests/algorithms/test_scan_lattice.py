"""The scan's raster: found from the positions, with its aliases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algorithms.base import Sample
from algorithms.scan_lattice import JITTER, ScanLattice, spread
from physics.ideal import ArrayPatterns
from schemas import ContractError
from tests.helpers.operators import make_ideal
from tests.helpers.samples import PUBLIC_RANGES


def scan(
    positions: np.ndarray, shape: tuple[int, int], object_shape: tuple[int, int] = (64, 64)
) -> Sample:
    """A sample without counts at these positions."""
    ideal = make_ideal(object_shape=object_shape)
    operator = replace(ideal, positions_px=positions.astype(np.float32))
    y = ArrayPatterns(np.zeros((*shape, 16, 16), dtype=np.float32))
    return Sample("sample_00", y, operator, PUBLIC_RANGES)


def raster(slow: np.ndarray, fast: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    i, j = (axis.ravel()[:, None] for axis in np.indices(shape))
    return np.array([20.0, 20.0]) + i * slow + j * fast


@given(
    steps=st.tuples(st.floats(0.5, 6.0), st.floats(0.5, 6.0)),
    angle=st.floats(0.0, 2 * np.pi),
)
@settings(max_examples=20)
def test_a_turned_raster_is_found(steps: tuple[float, float], angle: float) -> None:
    slow = steps[0] * np.array([np.cos(angle), np.sin(angle)])
    fast = steps[1] * np.array([-np.sin(angle), np.cos(angle)])
    lattice = ScanLattice.of(scan(raster(slow, fast, (5, 7)), (5, 7)))
    np.testing.assert_allclose(lattice.slow, slow, atol=1e-4)
    np.testing.assert_allclose(lattice.fast, fast, atol=1e-4)
    assert lattice.cell_px == pytest.approx(steps[0] * steps[1], rel=1e-3)


@given(
    steps=st.lists(st.floats(1.0, 5.0), min_size=2, max_size=2),
    angle=st.floats(0.0, 2 * np.pi),
    skew=st.floats(-0.4, 0.4),
)
@settings(max_examples=20)
def test_aliases_cannot_be_told_from_frequency_0(
    steps: list[float], angle: float, skew: float
) -> None:
    """At every position alike; all of them, and none but them, by trying integers."""
    slow = steps[0] * np.array([np.cos(angle), np.sin(angle)])
    fast = steps[1] * np.array([-np.sin(angle), np.cos(angle)]) + skew * slow
    lattice = ScanLattice(slow, fast)
    reach = 0.8
    found = lattice.aliases(reach)
    positions = raster(slow, fast, (4, 5))
    for g in found:
        turns = np.exp(2j * np.pi * (positions - positions[0]) @ np.array(g))
        np.testing.assert_allclose(turns, 1.0, atol=1e-9)
    basis = np.linalg.inv(np.stack([slow, fast]))
    tried = np.stack(np.meshgrid(np.arange(-9, 10), np.arange(-9, 10)), axis=-1).reshape(-1, 2)
    lengths = np.linalg.norm(tried @ basis.T, axis=1)
    assert len(found) == ((lengths > 0) & (lengths <= reach)).sum()


def test_small_errors_of_the_positions_are_borne_large_ones_refused() -> None:
    exact = raster(np.array([4.0, 0.0]), np.array([0.0, 4.0]), (8, 8))
    rng = np.random.default_rng(0)
    jitter = rng.uniform(-1, 1, exact.shape)
    lattice = ScanLattice.of(scan(exact + 0.1 * jitter, (8, 8)))
    assert lattice.cell_px == pytest.approx(16.0, rel=0.02)
    with pytest.raises(ContractError) as refused:
        ScanLattice.of(scan(exact + 4 * JITTER * 2 * jitter, (8, 8)))
    (finding,) = refused.value.findings
    assert finding.code == "SAMPLE_UNSUITED"
    assert "raster" in finding.expected


@pytest.mark.parametrize("shape", [(1, 8), (8, 1)])
def test_a_line_is_no_raster(shape: tuple[int, int]) -> None:
    exact = raster(np.array([4.0, 0.0]), np.array([0.0, 4.0]), shape)
    with pytest.raises(ContractError, match="SAMPLE_UNSUITED"):
        ScanLattice.of(scan(exact, shape))


def test_positions_on_one_line_are_no_raster() -> None:
    exact = raster(np.array([4.0, 2.0]), np.array([2.0, 1.0]), (4, 4))
    with pytest.raises(ContractError, match="SAMPLE_UNSUITED"):
        ScanLattice.of(scan(exact, (4, 4)))


@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(st.integers(3, 12), st.integers(3, 12)),
    whole=st.booleans(),
)
@settings(max_examples=20)
def test_spreading_keeps_sum_and_place(seed: int, shape: tuple[int, int], whole: bool) -> None:
    """Against a plain loop; positions may lie anywhere, for the image wraps."""
    rng = np.random.default_rng(seed)
    positions = rng.uniform(-20, 20, (9, 2))
    if whole:
        positions = positions.round()
    values = rng.normal(size=9)
    expected = np.zeros(shape)
    for value, (row, col) in zip(values, positions, strict=True):
        for r in (np.floor(row), np.floor(row) + 1):
            for c in (np.floor(col), np.floor(col) + 1):
                weight = max(0.0, 1 - abs(r - row)) * max(0.0, 1 - abs(c - col))
                expected[int(r) % shape[0], int(c) % shape[1]] += weight * value
    found = spread(values, positions, shape)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found.sum() == pytest.approx(values.sum(), abs=1e-12)
