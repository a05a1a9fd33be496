"""Rings of scattering angle on any detector, and what they record."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algorithms.base import Sample
from algorithms.virtual_detectors import AngleUnit, Annulus, noise_of, record
from physics.geometry import DetectorGeometry
from physics.ideal import ArrayPatterns
from physics.operator import vacuum_pattern
from schemas import MismatchSpec
from tests.helpers.operators import make_ideal
from tests.helpers.samples import PUBLIC_RANGES
from tests.helpers.strategies import published_specs

IDEAL = make_ideal(window=32, object_shape=(32, 32), C10_A=-40.0)


@given(
    spec=published_specs,
    inner=st.floats(0.0, 1.0),
    width=st.floats(0.05, 0.8),
)
@settings(max_examples=30)
def test_a_ring_has_its_area(spec: MismatchSpec, inner: float, width: float) -> None:
    """Whatever the detector does to it: pi (r2^2 - r1^2) nominal pixels, times the map's area."""
    ring = Annulus(inner, inner + width)
    coverage = ring.coverage(IDEAL, spec)
    radius = IDEAL.disk_radius_px
    area = np.pi * radius**2 * ((inner + width) ** 2 - inner**2)
    expected = area / DetectorGeometry(32, spec).area_element
    assert coverage.sum() == pytest.approx(expected, abs=1.5)
    assert coverage.min() >= 0.0
    assert coverage.max() <= 1.0


@given(
    spec=published_specs, rims=st.lists(st.floats(0.1, 1.5), min_size=2, max_size=4, unique=True)
)
@settings(max_examples=20)
def test_rings_that_meet_leave_no_gap(spec: MismatchSpec, rims: list[float]) -> None:
    rims = [0.0, *sorted(rims), 9.0]
    rings = [Annulus(a, b).coverage(IDEAL, spec) for a, b in itertools.pairwise(rims)]
    np.testing.assert_allclose(np.sum(rings, axis=0), 1.0)


@given(spec=published_specs)
@settings(max_examples=10)
def test_a_ring_lies_around_the_axis(spec: MismatchSpec) -> None:
    coverage = Annulus(0.3, 0.9).coverage(IDEAL, spec)
    axis = np.arange(32.0)
    for direction in (0, 1):
        profile = coverage.sum(axis=1 - direction)
        centre = profile @ axis / profile.sum()
        assert centre == pytest.approx(DetectorGeometry(32, spec).center, abs=0.02)


def test_units() -> None:
    """21.4 mrad are one disk radius."""
    disk = Annulus(0.5, 1.0).coverage(IDEAL, MismatchSpec())
    mrad = Annulus(10.7, 21.4, AngleUnit.MRAD).coverage(IDEAL, MismatchSpec())
    np.testing.assert_array_equal(disk, mrad)


@pytest.mark.parametrize(("inner", "outer"), [(1.0, 1.0), (2.0, 1.0), (-0.1, 1.0)])
def test_an_empty_ring_is_refused(inner: float, outer: float) -> None:
    with pytest.raises(ValueError, match="inner < outer"):
        Annulus(inner, outer)


@given(spec=published_specs)
@settings(max_examples=10)
def test_a_corrected_ring_catches_the_same_electrons(spec: MismatchSpec) -> None:
    """Of the vacuum pattern seen through any detector."""
    ring = Annulus(0.0, 0.6)
    shares = [
        (ring.coverage(IDEAL, s) * vacuum_pattern(IDEAL, s)).sum() for s in (MismatchSpec(), spec)
    ]
    assert shares[1] == pytest.approx(shares[0], rel=0.02)


def drawn(gain: float, read_noise: float) -> Sample:
    """A vacuum scan of 40 x 40 positions with its noise."""
    rng = np.random.default_rng(0)
    ideal = make_ideal(window=32, object_shape=(40, 40), step=1, gain=gain, read_noise=read_noise)
    expected = ideal.attrs.dose_e * vacuum_pattern(ideal, MismatchSpec())
    y = gain * rng.poisson(expected, (40, 40, 32, 32)) + rng.normal(
        0.0, read_noise, (40, 40, 32, 32)
    )
    return Sample("sample_00", ArrayPatterns(y.astype(np.float32)), ideal, PUBLIC_RANGES)


@pytest.mark.parametrize(("gain", "read_noise"), [(1.0, 0.0), (7.0, 5.0)])
def test_shares_are_of_the_beam_and_their_noise_is_known(gain: float, read_noise: float) -> None:
    sample = drawn(gain, read_noise)
    weights = Annulus(0.0, 0.5).coverage(sample.operator, MismatchSpec())
    shares = record(sample, weights)
    expected = (weights * vacuum_pattern(sample.operator, MismatchSpec())).sum()
    assert shares.mean() == pytest.approx(expected, rel=2e-3)
    mean = sample.counts().mean(axis=0, dtype=np.float64)
    # 1600 draws: their variance is known to 3.5 %.
    assert shares.var() == pytest.approx(noise_of(sample, weights, mean), rel=0.11)


def test_blocks_are_the_whole() -> None:
    """Block by block as in one piece, and never more than a block is read."""
    sample = drawn(1.0, 0.0)
    weights = np.random.default_rng(1).uniform(size=(32, 32))
    together = sample.counts().reshape(1600, -1).astype(np.float64) @ weights.ravel()
    told, read = [], []

    class Watched:
        shape = sample.y.shape

        def read(self, start: int, stop: int) -> np.ndarray:
            read.append(stop - start)
            return sample.y.read(start, stop)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("algorithms.virtual_detectors.BLOCK_BYTES", 70 * 4 * 32 * 32)
        found = record(replace(sample, y=Watched(), progress=told.append), weights)
    np.testing.assert_allclose(found * sample.operator.attrs.dose_e, together, rtol=1e-5)
    assert max(read) == 70
    assert told == sorted(told)
    assert told[-1] == 1.0
