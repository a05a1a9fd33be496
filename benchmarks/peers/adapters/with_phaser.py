"""phaser: conventional (LSQML, ePIE) and gradient engines, complex object.

Its object does not wrap: the periodic one is laid out on a larger grid, and cropped again.
"""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from exchange import Problem, Recorder, Settings, cropped, padded, phase_of, serve
from phaser.engines.common.simulation import cutout_group
from phaser.execute import execute_engine, initialize_reconstruction
from phaser.observer import Observer
from phaser.plan import ReconsPlan
from phaser.state import PartialReconsState, PixelatedObjectState, PixelatedProbeState, ScanState
from phaser.utils.num import Sampling, abs2, fft2, to_numpy
from phaser.utils.object import ObjectSampling

MARGIN_PX = 8
"""Object pixels beyond the outermost window, as the package's own default adds some."""


def prepare(
    problem: Problem, phase: np.ndarray, settings: Settings, observer: Observer
) -> tuple[Any, Any]:
    """The package's state after its own initialisation, and the engine to run on it.

    Settings:
        backend: numpy or jax.
        options: what to set in the engine's plan.
        post_init: the package's own preprocessing, as its centring of the patterns.
    """
    n, step = problem.window, problem.sampling_A
    before = n // 2 + MARGIN_PX
    size = problem.object_shape[0] + 2 * before
    # A cutout's centre lies between its two middle pixels: half a pixel before ours, which is n//2.
    corner = -before * step + 0.5 * step
    sampling = ObjectSampling((size, size), (step, step), (corner, corner))
    scan = (problem.positions_px * step).astype(np.float32).reshape(*problem.scan_shape, 2)
    state = PartialReconsState(
        wavelength=problem.wavelength_A,
        probe=PixelatedProbeState(
            Sampling((n, n), sampling=(step, step)), problem.probe[None].astype(np.complex64)
        ),
        object=PixelatedObjectState(
            sampling,
            np.exp(1j * padded(phase, before, size)).astype(np.complex64)[None],
            np.array([], dtype=np.float32),
        ),
        scan=ScanState(scan, scan.copy()),
    )
    with tempfile.TemporaryDirectory() as folder:
        patterns = Path(folder) / "patterns.npy"
        np.save(patterns, problem.counts)
        pixel_mrad = problem.detector_pixel_invA * problem.wavelength_A * 1e3
        plan = ReconsPlan.from_data(
            {
                "name": "peer",
                "backend": settings.get("backend", "numpy"),
                "raw_data": {
                    "type": "manual",
                    "path": str(patterns),
                    "wavelength": problem.wavelength_A,
                    "diff_step": pixel_mrad,
                    "adu": 1.0,
                },
                "post_init": settings.get("post_init", []),
                "engines": [_engine(settings)],
            }
        )
        recons = initialize_reconstruction(
            plan, seed=0, init_state=state, override_observers=observer
        )
    return recons, plan.engines[0]


def simulate(problem: Problem, phase: np.ndarray) -> np.ndarray:
    """Cutouts of its object times its shifted probes through its FFT."""
    recons, _ = prepare(problem, phase, {"iterations": 1, "options": {}}, Observer())
    state = recons.state
    ky, kx = state.probe.sampling.recip_grid(dtype=np.float32, xp=np)
    group = np.stack(
        np.meshgrid(*(np.arange(n) for n in problem.scan_shape), indexing="ij")
    ).reshape(2, -1)
    probes, cutouts, _ = cutout_group(ky, kx, state, group)
    intensity = to_numpy(abs2(fft2(probes * cutouts[:, 0, None]))).sum(1)
    scale = problem.dose_e / abs2(fft2(state.probe.data)).sum()
    return np.fft.fftshift(intensity * scale, axes=(-2, -1))


class Watch(Observer):
    """Hands every iteration's object to the recorder."""

    def __init__(self, problem: Problem, recorder: Recorder) -> None:
        self.problem = problem
        self.recorder = recorder
        self.began = time.perf_counter()

    def start_engine(self, init_state: Any) -> None:
        """Initialisation is over."""
        self.recorder.setup_seconds = time.perf_counter() - self.began
        self.recorder.start()

    def update_iteration(self, state: Any, i: int, n: int, errors: Any) -> None:
        """An iteration is over."""
        obj = to_numpy(state.object.data)[0]
        self.recorder.pause()
        before = self.problem.window // 2 + MARGIN_PX
        self.recorder.add(phase_of(cropped(obj, before, self.problem.object_shape)))


def reconstruct(problem: Problem, settings: Settings, recorder: Recorder) -> None:
    """One engine of the package, watched."""
    watch = Watch(problem, recorder)
    start = np.zeros(problem.object_shape)
    recons, engine = prepare(problem, start, settings, watch)
    execute_engine(recons, engine)
    if settings.get("backend") == "jax" and len(recorder.seconds) > 1:
        # Every engine compiles its steps anew; that is a setup's time, not an iteration's.
        lasted = np.diff(recorder.seconds, prepend=0.0)
        compiling = float(lasted[0] - np.median(lasted[1:]))
        recorder.seconds = [when - compiling for when in recorder.seconds]
        recorder.setup_seconds += compiling


def _engine(settings: Settings) -> dict[str, Any]:
    """The engine's plan: single slice, known probe and positions, no band limit."""
    plan: dict[str, Any] = {
        "niter": settings["iterations"],
        "bwlim_frac": None,
        "update_probe": False,
        "calc_error": False,
        "noise_model": {"type": "amplitude"},
        "group_constraints": [],
        "iter_constraints": [],
    }
    defaults = {"type": "conventional", "solver": {"type": "lsqml"}}
    return {
        **plan,
        **(defaults if "type" not in settings["options"] else {}),
        **settings["options"],
    }


if __name__ == "__main__":
    logging.disable(logging.INFO)
    serve("phaserEM", simulate, reconstruct)
