"""The big files are what they say, and the summary finds a cost that is not constant."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.scaling import summary
from benchmarks.scaling_worker import Measurement
from benchmarks.tiled_scan import tiled_sample
from physics.operator import ForwardOperator
from runner.files.challenge import ChallengeSample


@pytest.fixture(scope="module")
def sample() -> ChallengeSample:
    return tiled_sample(2, window=32)


def test_a_repeated_cell_s_patterns_are_those_of_the_repeated_object(
    sample: ChallengeSample,
) -> None:
    """Computed for one cell, right for all: beside the operator of the whole object."""
    operator = ForwardOperator(sample.operator)
    phi = operator.tensor(sample.operator.attrs.phase_scale_rad * sample.x_true)
    places = [0, 31, 32, 63, 31 * 64 + 31, 32 * 64, 40 * 64 + 50, 64 * 64 - 1]
    direct = operator.expected(phi, sample.true_spec, torch.tensor(places)).numpy()
    cell = len(sample.y.expected)
    for place, pattern in zip(places, direct, strict=True):
        repeated = sample.y.expected[place // 64 % cell, place % 64 % cell]
        assert np.allclose(repeated, pattern, atol=1e-4 * pattern.max())


def test_a_pattern_s_noise_does_not_depend_on_the_block_it_is_read_in(
    sample: ChallengeSample,
) -> None:
    whole = sample.y.read(0, 40)
    assert np.array_equal(np.concatenate([sample.y.read(0, 7), sample.y.read(7, 40)]), whole)
    assert not np.array_equal(whole[0], whole[32]), "the same expectation, another draw"
    assert np.allclose(whole.sum(axis=(1, 2)), 8000, atol=6 * np.sqrt(8000))


def test_the_summary_tells_how_much_the_cost_differs() -> None:
    runs = [
        Measurement(size, {"gradient": cost * (1 + 0.5 * (repeat == 2))}, 100.0, 100.0 + size / 64)
        for size, cost in ((1024, 1e-3), (4096, 1.2e-3))
        for repeat in range(3)
    ]
    found = summary(runs)
    assert found["seconds_per_pattern"]["gradient"] == {1024: 1e-3, 4096: 1.2e-3}
    assert found["spread"]["gradient"] == pytest.approx(0.2)
    assert found["kib_per_pattern"] == pytest.approx(16.0)
