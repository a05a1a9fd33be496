"""The progress of a composed algorithm runs once from 0 to 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from algorithms.base import Calibration, Composed, Reconstruction, Sample
from schemas import MismatchSpec
from tests.runner.small import make_sample


class TellsHalf:
    """Calibrator and reconstructor that tell half, then all of their work."""

    def estimate(self, sample: Sample) -> Calibration:
        sample.progress(0.5)
        sample.progress(1.0)
        return Calibration(MismatchSpec())

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        sample.progress(0.5)
        sample.progress(1.0)
        return Reconstruction(np.zeros(sample.object_shape))


def test_each_part_is_half_of_the_progress() -> None:
    source = make_sample(0, MismatchSpec())
    told: list[float] = []
    sample = Sample(source.name, source.y, source.operator, source.ranges)
    Composed(TellsHalf(), TellsHalf()).solve(replace(sample, progress=told.append))
    assert told == [0.25, 0.5, 0.75, 1.0]
