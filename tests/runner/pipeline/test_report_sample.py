"""What is computed for the page of one sample."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from physics.ideal import ArrayPatterns
from runner.pipeline.report_sample import scan_patterns, trace_stages

GOOD = {"seconds": [0.1, 0.2, 0.3], "objective": [3.0, 2.0, 1.0]}


def test_what_does_not_fit_is_thinned_over_the_whole_scan() -> None:
    counts = np.random.default_rng(0).poisson(3.0, (12, 10, 16, 16)).astype(np.float32)
    packed = len(zlib.compress(counts.astype(np.uint8).tobytes(), 6))
    whole = scan_patterns(ArrayPatterns(counts), 2 * packed)
    assert whole.stride == 1
    np.testing.assert_array_equal(whole.counts, counts)
    part = scan_patterns(ArrayPatterns(counts), packed // 3)
    assert part.stride == 2
    np.testing.assert_array_equal(part.counts, counts[::2, ::2])
    tiny = scan_patterns(ArrayPatterns(counts), 1)
    assert tiny.counts.shape[:2] == (1, 1)


def test_a_reconstructor_begins_when_the_calibrator_is_done() -> None:
    told = {
        "calibration": {"seconds": 5.0, "trace": {**GOOD, "stage": ["a", "a", "b"]}},
        "reconstruction": {"seconds": 1.0, "trace": GOOD},
    }
    stages = trace_stages(told)
    assert [stage.name for stage in stages] == [
        "calibration, a",
        "calibration, b",
        "reconstruction, objective",
    ]
    np.testing.assert_allclose(stages[2].seconds, [5.1, 5.2, 5.3])
    np.testing.assert_allclose(stages[1].objective, [1.0])


def test_an_algorithm_s_own_trace_is_taken() -> None:
    (stage,) = trace_stages({"trace": GOOD, "calibration": {"trace": GOOD}})
    np.testing.assert_allclose(stage.seconds, GOOD["seconds"])


@pytest.mark.parametrize(
    "trace",
    [
        None,
        [],
        "fast",
        {},
        {"seconds": [], "objective": []},
        {"seconds": [1.0], "objective": [1.0, 2.0]},
        {"seconds": ["1"], "objective": [1.0]},
        {"seconds": [True], "objective": [1.0]},
        {"seconds": 1.0, "objective": 2.0},
    ],
)
def test_what_is_no_trace_is_not_drawn(trace: object) -> None:
    assert trace_stages({"trace": trace, "calibration": trace}) == ()
