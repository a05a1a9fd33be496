"""PtyRAD: automatic differentiation with Adam, object of amplitude and phase, one slice.

Its object does not wrap: the periodic one is laid out on a larger grid, and cropped again.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np
import torch
from exchange import Problem, Recorder, Settings, cropped, padded, serve
from ptyrad_without_figures import leave_figures_out
from torchvision_without_cuda import import_torchvision

import_torchvision()
leave_figures_out()
from ptyrad.core import PtychoModel  # noqa: E402
from ptyrad.params import PtyRADParams  # noqa: E402
from ptyrad.solver import PtyRADSolver  # noqa: E402
from ptyrad.solver.reconstruction import (  # noqa: E402
    compute_loss,
    create_optimizer,
    make_batches,
    recon_step,
)

MARGIN_PX = 8
"""Object pixels beyond the outermost window."""


def prepare(
    problem: Problem, phase: np.ndarray, settings: Settings
) -> tuple[PtyRADSolver, PtychoModel]:
    """The package's initialised solver and its model, given probe, positions and object.

    Settings:
        update: learning rates of what is updated, {"objp": {"start_iter": 1, "lr": ...}, ...}.
        constraints, losses: what to set in the parameters of that name.
        batch: patterns in a batch.
    """
    n = problem.window
    before = n // 2 + MARGIN_PX
    size = problem.object_shape[0] + 2 * before
    fixed = {"start_iter": None, "lr": 0}
    ny, nx = problem.scan_shape
    params: dict[str, Any] = {
        "init_params": {
            "random_seed": 0,
            "probe_kv": problem.energy_eV / 1e3,
            "probe_conv_angle": problem.semiangle_mrad,
            "probe_aberrations": {"C10": problem.C10_A},
            "meas_Npix": n,
            "pos_N_scan_slow": ny,
            "pos_N_scan_fast": nx,
            "pos_N_scans": ny * nx,
            "pos_scan_step_size": problem.step_A,
            "pos_scan_rand_std": None,
            "meas_calibration": {"mode": "dx", "value": problem.sampling_A},
            "probe_pmode_max": 1,
            "obj_Nlayer": 1,
            "obj_slice_thickness": 1.0,
            "meas_source": "custom",
            "meas_params": problem.patterns.copy(),
            "probe_source": "custom",
            "probe_params": problem.probe[None].astype(np.complex64),
            "pos_source": "custom",
            # The corner of each window, in pixels of the object.
            "pos_params": (problem.positions_px + before - n // 2).astype(np.float64),
            "obj_source": "custom",
            "obj_params": np.exp(1j * padded(phase, before, size)).astype(np.complex64)[None, None],
        },
        "model_params": {
            "update_params": {
                **dict.fromkeys(
                    ("obj_tilts", "slice_thickness", "probe", "probe_pos_shifts"), fixed
                ),
                **settings.get("update", {"obja": fixed, "objp": {"start_iter": 1, "lr": 5e-3}}),
            },
        },
        "constraint_params": settings.get("constraints", {}),
        "loss_params": settings.get("losses", {}),
    }
    checked = PtyRADParams(**params).model_dump()
    solver = PtyRADSolver(checked, device="cpu", seed=0)
    return solver, PtychoModel(solver.init.init_variables, checked["model_params"], device="cpu")


def simulate(problem: Problem, phase: np.ndarray) -> np.ndarray:
    """Its model's forward pass; it scales the measurements, which is undone here."""
    solver, model = prepare(problem, phase, {})
    with torch.no_grad():
        patterns = model(torch.arange(len(problem.patterns))).numpy()
    scale = problem.patterns.sum() / np.asarray(solver.init.init_variables["measurements"]).sum()
    return patterns * scale


def reconstruct(problem: Problem, settings: Settings, recorder: Recorder) -> None:
    """The package's own step for each iteration, without its files and figures."""
    began = time.perf_counter()
    solver, model = prepare(problem, np.zeros(problem.object_shape), settings)
    optimizer = create_optimizer(model.optimizer_params, model.optimizable_params)
    scan = np.arange(len(problem.patterns))
    groups = make_batches(scan, problem.positions_px, settings.get("batch", 32), "random", seed=0)
    batches = [torch.from_numpy(group) for group in groups]
    recorder.setup_seconds = time.perf_counter() - began
    before = problem.window // 2 + MARGIN_PX
    recorder.start()
    for iteration in range(1, settings["iterations"] + 1):
        recon_step(
            *(batches, 1, model, optimizer, None, solver.loss_fn, solver.constraint_fn, iteration),
            compute_loss_fn=compute_loss,
        )
        recorder.pause()
        phase = model.opt_objp.detach().numpy()[0, 0]
        recorder.add(cropped(phase, before, problem.object_shape))


if __name__ == "__main__":
    logging.disable(logging.INFO)
    serve("ptyrad", simulate, reconstruct)
