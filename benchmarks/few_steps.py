"""The default algorithm with few passes over the scan, each kind of pass in it: to measure with."""

from __future__ import annotations

from algorithms.base import Composed
from algorithms.calibrators.gradient import Gradient
from algorithms.reconstructors.ptychography import Ptychography


class FewSteps(Composed):
    """Joint calibration with one step of the spec, its error bars, and two steps of the image."""

    def __init__(self) -> None:
        super().__init__(
            Ptychography(iterations=2, prior_iterations=0),
            Gradient(start_iterations=2, phase_iterations=2, rounds=1, prior_rounds=0),
        )
