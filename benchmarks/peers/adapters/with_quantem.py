"""quantem: gradient descent on a pure phase object, analytic gradient or autograd.

Its patches wrap at the object's rim. It makes the object as large as the scan is from first to last
position, so a padding of half a scan step gives back the periodic object, shifted by that much.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from exchange import Problem, Recorder, Settings, serve
from quantem.core.datastructures import Dataset4dstem
from quantem.diffractive_imaging.dataset_models import PtychographyDatasetRaster
from quantem.diffractive_imaging.detector_models import DetectorPixelated
from quantem.diffractive_imaging.object_models import ObjectPixelated
from quantem.diffractive_imaging.probe_models import ProbePixelated
from quantem.diffractive_imaging.ptychography import Ptychography


def padding_px(problem: Problem) -> int:
    """Padding with which the package's object is as large as the true one [pixels]."""
    return round(problem.step_A / problem.sampling_A) // 2


def prepare(problem: Problem, phase: np.ndarray, settings: Settings) -> Ptychography:
    """The package's models of data, object, probe and detector, put together.

    `settings["centre"]`: "no_shift" takes the axis at n//2; "constant" lets the package centre the
    patterns on their mean centre of mass.
    """
    step, pixel = problem.step_A, problem.detector_pixel_invA
    cube = Dataset4dstem.from_array(
        problem.counts,
        sampling=[step, step, pixel, pixel],
        units=["A", "A", "A^-1", "A^-1"],
    )
    data = PtychographyDatasetRaster.from_dataset4dstem(
        cube, verbose=0, learn_descan=False, learn_scan_positions=False
    )
    data.preprocess(
        com_fit_function=settings.get("centre", "no_shift"),
        force_com_rotation=0.0,
        force_com_transpose=False,
        plot_rotation=False,
        plot_com=False,
    )
    pad = padding_px(problem)
    start = np.roll(phase, (pad, pad), axis=(0, 1)).astype(np.float32)[None]
    solver = Ptychography.from_models(
        dset=data,
        obj_model=ObjectPixelated.from_array(start, obj_type=settings.get("object", "pure_phase")),
        probe_model=ProbePixelated.from_array(
            problem.corner_probe(),
            probe_params={
                "energy": problem.energy_eV,
                "semiangle_cutoff": problem.semiangle_mrad,
                "defocus": -problem.C10_A,
            },
        ),
        detector_model=DetectorPixelated(),
        device="cpu",
        verbose=0,
        rng=0,
    )
    solver.preprocess(obj_padding_px=(pad, pad), plot_rotation=False, plot_com=False)
    return solver


def simulate(problem: Problem, phase: np.ndarray) -> np.ndarray:
    """Its dataset, probe, object, forward and detector models, in that order."""
    solver = prepare(problem, phase, {})
    everything = torch.arange(len(problem.patterns))
    with torch.no_grad():
        patches, _, fractions, descan = solver.dset.forward(everything, solver.obj_padding_px)
        probes = solver.probe_model.forward(fractions)
        _, waves = solver.forward_operator(solver.obj_model.forward(patches), probes, descan)
        return solver.detector_model.forward(waves).numpy()


def reconstruct(problem: Problem, settings: Settings, recorder: Recorder) -> None:
    """One call of `reconstruct` for each iteration; the optimiser is kept between calls."""
    began = time.perf_counter()
    torch.manual_seed(0)
    solver = prepare(problem, np.zeros(problem.object_shape), settings)
    pad = padding_px(problem)
    optimizer: dict[str, Any] = {"object": settings["optimizer"]}
    recorder.setup_seconds = time.perf_counter() - began
    recorder.start()
    for iteration in range(settings["iterations"]):
        solver.reconstruct(
            num_iters=1,
            optimizer_params=optimizer if iteration == 0 else None,
            constraints=settings.get("constraints") if iteration == 0 else None,
            **settings["options"],
        )
        recorder.pause()
        phase = solver.obj_model.obj.detach().numpy()[0]
        recorder.add(np.roll(phase, (-pad, -pad), axis=(0, 1)))


if __name__ == "__main__":
    serve("quantem", simulate, reconstruct)
