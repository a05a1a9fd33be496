"""This project: `ptychography` with a calibrator, timed from the first line of its work."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from exchange import Problem, Recorder, Settings, cropped, serve
from our_sample import sample_of

from algorithms.base import Calibration, Sample
from algorithms.calibrators.gradient import Gradient
from algorithms.phase_fit import PhaseFit
from algorithms.reconstructors.ptychography import Ptychography
from physics.operator import ForwardOperator
from schemas.spec import MismatchSpec


def simulate(problem: Problem, phase: np.ndarray) -> np.ndarray:
    """The periodic forward operator on the nominal detector."""
    forward = ForwardOperator(sample_of(problem, periodic=True).operator)
    return forward.expected(forward.tensor(phase), MismatchSpec()).numpy()


def reconstruct(problem: Problem, settings: Settings, recorder: Recorder) -> None:
    """As `Ptychography.reconstruct` does it, one step at a time.

    Everything counts: the calibration, the curvature's estimate, and making the image from the
    state, which whoever stops at an iteration does once.
    """
    periodic = settings.get("periodic", True)
    before = 0 if periodic else problem.window // 2
    sample = sample_of(problem, periodic=periodic)
    method = Ptychography()
    recorder.start()
    calibration = _calibration(problem, settings["calibrator"], sample)
    spec = calibration.spec
    fit = PhaseFit(replace(sample, phase=calibration.phase), spec)
    free_steps = method.iterations if calibration.phase is None else method.warm_iterations
    steps = free_steps + method.prior_iterations
    for iteration in range(min(steps, settings.get("iterations", steps))):
        if iteration == free_steps:
            fit.adopt_prior(spec)
        fit.run(spec, 1)
        recorder.pause()
        began = time.perf_counter()
        image = fit.image().numpy()
        recorder.add(cropped(image, before, problem.object_shape), time.perf_counter() - began)


def _calibration(problem: Problem, calibrator: str, sample: Sample) -> Calibration:
    if calibrator == "gradient":
        return Gradient().estimate(sample)
    oracle = calibrator == "oracle"
    return Calibration(MismatchSpec.from_vector(problem.true_spec) if oracle else MismatchSpec())


if __name__ == "__main__":
    serve(None, simulate, reconstruct)
