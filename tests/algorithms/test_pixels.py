"""Statistics of the detector's pixels: averages, and which pixels are broken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algorithms.pixels import PixelStatistics, fill
from physics.ideal import ArrayPatterns
from physics.operator import vacuum_pattern
from schemas import MismatchSpec
from tests.helpers.operators import make_ideal
from tests.helpers.samples import atoms, measured

IDEAL = make_ideal(window=32, object_shape=(48, 48), C10_A=-40.0)
SPEC = MismatchSpec(camera_length=-1.5, center_offset=0.8, elliptical_distortion=0.006)


@given(seed=st.integers(0, 1000), block=st.sampled_from([1, 7, 1000]))
@settings(max_examples=10)
def test_statistics_are_those_of_all_patterns(seed: int, block: int) -> None:
    counts = np.random.default_rng(seed).poisson(2.0, (3, 4, 5, 6)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("algorithms.pixels.BLOCK_BYTES", block * 4 * 30)
        found = PixelStatistics.of(ArrayPatterns(counts))
    np.testing.assert_allclose(found.mean, counts.mean(axis=(0, 1), dtype=np.float64))
    np.testing.assert_array_equal(found.lowest, counts.min(axis=(0, 1)))
    np.testing.assert_array_equal(found.highest, counts.max(axis=(0, 1)))
    assert found.count == 12


@pytest.mark.parametrize("dose_e", [50.0, 500.0, 20000.0])
@pytest.mark.parametrize("spec", [MismatchSpec(), SPEC], ids=["nominal", "mismatched"])
def test_a_good_detector_has_no_broken_pixel(dose_e: float, spec: MismatchSpec) -> None:
    """At any dose, with a specimen and without one: the disk's rim is no row of dead pixels."""
    ideal = make_ideal(window=32, object_shape=(48, 48), C10_A=-40.0, dose_e=dose_e)
    sample = measured(ideal, atoms((48, 48)), spec, seed=1)
    assert PixelStatistics.of(sample.y).usable(1.0).all()
    empty = np.random.default_rng(0).poisson(dose_e * vacuum_pattern(ideal, spec), (6, 6, 32, 32))
    assert PixelStatistics.of(ArrayPatterns(empty.astype(np.float32))).usable(1.0).all()


@pytest.mark.parametrize("seed", range(5))
def test_dead_and_stuck_pixels_are_found(seed: int) -> None:
    """Where they matter: a tenth of the detector dead, stuck low or saturated."""
    sample = measured(IDEAL, atoms((48, 48)), SPEC, seed=seed)
    rng = np.random.default_rng(seed)
    counts = sample.y.values.copy()
    broken = rng.uniform(size=(32, 32)) < 0.1
    level = rng.choice([0.0, 3.0, counts.max()], size=(32, 32))
    counts[:, :, broken] = level[broken]
    usable = PixelStatistics.of(ArrayPatterns(counts)).usable(1.0)
    assert not (~usable & ~broken).any(), "no good pixel is lost"
    missed = broken & usable
    bright = sample.y.values.mean(axis=(0, 1)) > 1.0
    assert not (missed & bright).any()
    assert not (missed & (level > 0)).any(), "a stuck pixel shines in the dark too"


def test_filling_takes_the_neighbours() -> None:
    counts = np.ones((2, 8, 8), dtype=np.float32) * np.array([[[3.0]], [[5.0]]], dtype=np.float32)
    usable = np.ones((8, 8), dtype=bool)
    for row, col in ((0, 0), (3, 4), (3, 5), (7, 2)):
        usable[row, col] = False
        counts[:, row, col] = 1e6
    filled = fill(counts, usable)
    np.testing.assert_allclose(filled, np.broadcast_to([[[3.0]], [[5.0]]], (2, 8, 8)))
    np.testing.assert_array_equal(fill(counts, np.ones((8, 8), dtype=bool)), counts)
