"""pty-chi: least-squares maximum likelihood and its other reconstructors, complex object.

Its object does not wrap: the periodic one is laid out on a larger grid, and cropped again.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np
import torch
from exchange import Problem, Recorder, Settings, cropped, padded, phase_of, serve
from torchvision_without_cuda import import_torchvision

import_torchvision()
from ptychi import api  # noqa: E402
from ptychi.api.task import PtychographyTask  # noqa: E402

MARGIN_PX = 8
"""Object pixels beyond the outermost window; the package asks for at least 2 in all."""

ANGSTROM_M = 1e-10
"""One angstrom [m]."""


def prepare(problem: Problem, phase: np.ndarray, settings: Settings) -> PtychographyTask:
    """The package's task, given probe, scan and object.

    Settings:
        engine: name of the options class, as LSQML, RPIE, BH, AutodiffPtychography.
        reconstructor, object: what to set in the options of that name.
    """
    before = problem.window // 2 + MARGIN_PX
    size = problem.object_shape[0] + 2 * before
    options: Any = getattr(api, settings.get("engine", "LSQML") + "Options")()
    options.data_options.wavelength_m = problem.wavelength_A * ANGSTROM_M
    # A patch's centre lies between its two middle pixels: half a pixel before ours, which is n//2.
    options.object_options.determine_position_origin_coords_by = (
        api.ObjectPosOriginCoordsMethods.SPECIFIED
    )
    options.object_options.position_origin_coords = (before - 0.5, before - 0.5)
    options.object_options.pixel_size_m = problem.sampling_A * ANGSTROM_M
    options.object_options.remove_object_probe_ambiguity.enabled = False
    options.probe_options.optimizable = False
    options.probe_position_options.optimizable = False
    options.reconstructor_options.default_device = api.Devices.CPU
    options.reconstructor_options.random_seed = 0
    options.reconstructor_options.displayed_loss_function = None
    for name in ("reconstructor", "object"):
        part = getattr(options, f"{name}_options")
        for field, value in settings.get(name, {}).items():
            setattr(part, field, value)
    rows, cols = problem.positions_px.T
    # Its far field is an FFT without norm: a pattern's electrons are n^2 times the probe's power.
    amplitude = np.sqrt(problem.patterns.sum((1, 2)).mean()) / problem.window
    return PtychographyTask(
        options,
        diffraction_data=problem.patterns,
        object_data=np.exp(1j * padded(phase, before, size)).astype(np.complex64)[None],
        probe_data=(amplitude * problem.probe).astype(np.complex64)[None, None],
        probe_position_x_px=cols,
        probe_position_y_px=rows,
    )


def simulate(problem: Problem, phase: np.ndarray) -> np.ndarray:
    """Its forward model at every position."""
    task = prepare(problem, phase, {})
    with torch.no_grad():
        intensity = task.reconstructor.forward_model(torch.arange(len(problem.patterns)))
    return np.fft.fftshift(intensity.numpy(), axes=(-2, -1))


def reconstruct(problem: Problem, settings: Settings, recorder: Recorder) -> None:
    """One call of `run` for each epoch; the task keeps its state between calls."""
    began = time.perf_counter()
    task = prepare(problem, np.zeros(problem.object_shape), settings)
    recorder.setup_seconds = time.perf_counter() - began
    before = problem.window // 2 + MARGIN_PX
    recorder.start()
    for _ in range(settings["iterations"]):
        task.run(n_epochs=1)
        recorder.pause()
        obj = task.get_data_to_cpu("object", as_numpy=True)[0]
        recorder.add(phase_of(cropped(obj, before, problem.object_shape)))


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    serve("ptychi", simulate, reconstruct)
