"""Coherence, detector and scan: each effect is as strong as it says, and alone when asked alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from runner.tiers.realism import LEVELS, Effects, Streams
from runner.tiers.realism.coherence import CONFIGURATIONS, focus_points, source_points
from runner.tiers.realism.detector import draw_clusters, fano_factor
from runner.tiers.realism.measure import descan
from schemas.recipes import Realism


def test_levels_are_ordered() -> None:
    """Each level is at least as bad as the one before it in every effect, and none is nothing."""
    assert tuple(LEVELS) == tuple(Realism)
    assert LEVELS[Realism.NONE] == Effects()
    columns = np.array([dataclasses.astuple(level) for level in LEVELS.values()], dtype=float)
    assert (np.diff(columns, axis=0) >= 0).all()
    assert (columns[-1] > columns[0]).all()
    # The thickness that is asked for: 2 to 20 nm.
    assert columns[:, 0].tolist() == [0.0, 20.0, 50.0, 100.0, 200.0]


def test_an_electron_makes_at_least_one_count() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Effects(counts_per_electron=0.5)


# --- coherence ------------------------------------------------------------------------------------


def test_points_have_the_moments_of_a_gaussian() -> None:
    source, focus = source_points(7), focus_points()
    assert source.shape == (CONFIGURATIONS, 7, 2)
    np.testing.assert_allclose(source.mean(axis=0), 0.0, atol=1e-12)
    covariance = np.einsum("kpi,kpj->pij", source, source) / CONFIGURATIONS
    np.testing.assert_allclose(covariance, np.broadcast_to(np.eye(2), (7, 2, 2)), atol=1e-12)
    assert focus.mean() == pytest.approx(0.0, abs=1e-12)
    assert focus.std() == pytest.approx(1.0)
    joint = np.abs(np.einsum("kpi,k->pi", source, focus)) / CONFIGURATIONS
    assert joint.max() < 0.5


@pytest.mark.parametrize(("k", "off"), [(0.5, 0.01), (1.0, 0.03), (2.0, 0.1)])
def test_over_the_scan_the_source_blurs_as_a_gaussian(k: float, off: float) -> None:
    """A fringe of wave number k keeps exp(-k^2/2) of its contrast, as far as 8 points can do it."""
    points = source_points(1024).reshape(-1, 2)
    for axis in range(2):
        contrast = np.exp(1j * k * points[:, axis]).mean()
        assert abs(contrast - np.exp(-(k**2) / 2)) < off


# --- detector -------------------------------------------------------------------------------------


def clusters(electrons: np.ndarray, gain: float, spread: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return draw_clusters(electrons, counts_per_electron=gain, point_spread_px=spread, rng=rng)


def test_a_sharp_detector_of_single_counts_is_poisson() -> None:
    electrons = np.full((400, 16, 16), 3.0)
    counts = clusters(electrons, 1.0, 0.0)
    assert counts.dtype == np.float32
    assert counts.mean() == pytest.approx(3.0, abs=0.03)
    assert counts.var() == pytest.approx(3.0, rel=0.03)


@pytest.mark.parametrize("gain", [1.5, 4.0])
def test_gain_and_scatter_of_a_large_area(gain: float) -> None:
    """Of whole patterns, nothing lost at the edge: g counts an electron, a Fano factor above g."""
    electrons = np.zeros((2000, 17, 17))
    electrons[:, 8, 8] = 50.0
    totals = clusters(electrons, gain, 0.8).sum(axis=(1, 2))
    assert totals.mean() == pytest.approx(50 * gain, rel=0.02)
    assert totals.var() / totals.mean() == pytest.approx(fano_factor(gain), rel=0.12)


def test_counts_lie_around_their_electron() -> None:
    """Variance of the distance: that of the spread, of the entry in the pixel, and of rounding."""
    electrons = np.zeros((200, 33, 33))
    electrons[:, 16, 16] = 50.0
    image = clusters(electrons, 2.0, 1.2).sum(axis=0)
    axis = np.arange(33) - 16.0
    for profile in (image.sum(axis=0), image.sum(axis=1)):
        assert profile @ axis / profile.sum() == pytest.approx(0.0, abs=0.05)
        variance = profile @ axis**2 / profile.sum()
        assert variance == pytest.approx(1.2**2 + 1 / 12 + 1 / 12, rel=0.03)


def test_counts_of_one_electron_are_neighbours() -> None:
    counts = clusters(np.full((500, 16, 16), 2.0), 4.0, 0.7)
    inner = counts[:, 3:-3, 3:-3] - counts[:, 3:-3, 3:-3].mean()
    correlation = (inner[..., 1:] * inner[..., :-1]).mean() / inner.var()
    assert correlation > 0.15
    far = (inner[..., 6:] * inner[..., :-6]).mean() / inner.var()
    assert abs(far) < 0.02


def test_what_falls_off_the_detector_is_lost() -> None:
    electrons = np.zeros((500, 8, 8))
    electrons[:, 0, :] = 5.0
    kept = clusters(electrons, 1.0, 0.6).sum() / electrons.sum()
    assert 0.6 < kept < 0.9


# --- scan -----------------------------------------------------------------------------------------


def test_descan_is_nothing_on_average_and_as_wide_as_it_says() -> None:
    for seed in range(5):
        shift = descan((6, 9), 0.4, np.random.default_rng(seed)).reshape(6, 9, 2)
        np.testing.assert_allclose(shift.mean(axis=(0, 1)), 0.0, atol=1e-12)
        for axis in range(2):
            slope = shift[-1, 0, axis] - shift[0, 0, axis], shift[0, -1, axis] - shift[0, 0, axis]
            assert np.hypot(*slope) == pytest.approx(0.4)
        np.testing.assert_allclose(np.diff(shift, n=2, axis=0), 0.0, atol=1e-12)
    assert not descan((4, 4), 0.0, np.random.default_rng(0)).any()
    assert np.isfinite(descan((1, 4), 0.1, np.random.default_rng(0))).all()


def test_streams_do_not_share_their_numbers() -> None:
    first, again = (Streams.of(np.random.SeedSequence(4)) for _ in range(2))
    names = [field.name for field in dataclasses.fields(Streams)]
    drawn = {name: getattr(first, name).integers(1 << 60) for name in names}
    assert len(set(drawn.values())) == len(names)
    assert drawn == {name: getattr(again, name).integers(1 << 60) for name in names}
