"""A trace says when each value of the objective was known, and of which objective."""

from __future__ import annotations

import numpy as np
import pytest

from algorithms.base import Composed, Sample
from algorithms.calibrators.gradient import Gradient
from algorithms.phase_fit import LIKELIHOOD, WITH_PRIOR
from algorithms.reconstructors.ptychography import Ptychography
from algorithms.trace import Trace
from schemas.spec import MismatchSpec
from tests.helpers.operators import make_ideal
from tests.helpers.samples import atoms, measured

SPEC = MismatchSpec(camera_length=1.0, center_offset=0.5, elliptical_distortion=0.002)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return measured(make_ideal(object_shape=(32, 32)), atoms((32, 32), count=12), SPEC)


def test_seconds_grow_from_the_start() -> None:
    trace = Trace()
    for value in (3.0, 2.0, 1.0):
        trace.add(value, "fit")
    told = trace.record()
    assert told["objective"] == [3.0, 2.0, 1.0]
    assert told["stage"] == ["fit"] * 3
    assert 0 <= told["seconds"][0] <= told["seconds"][-1] < 5


def test_both_parts_of_the_reference_method_tell_theirs(sample: Sample) -> None:
    algorithm = Composed(Ptychography(), Gradient())
    told = algorithm.solve(sample).diagnostics
    for part, seconds in ((told[name], told[name]["seconds"]) for name in told):
        trace = part["trace"]
        assert len(trace["seconds"]) == len(trace["objective"]) == len(trace["stage"]) > 4
        assert (np.diff(trace["seconds"]) >= 0).all()
        assert trace["seconds"][-1] <= seconds
        assert set(trace["stage"]) == {LIKELIHOOD, WITH_PRIOR}
    image = told["reconstruction"]
    assert image["trace"]["objective"] == image["losses"]


def test_trials_on_a_part_of_the_patterns_are_another_objective(sample: Sample) -> None:
    method = Ptychography(prior="total-variation", strengths=(0.1, 0.3))
    told = method.reconstruct(sample, SPEC).diagnostics
    assert told["trace"]["objective"] == told["losses"]
