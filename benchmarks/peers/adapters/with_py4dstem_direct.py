"""py4DSTEM: its direct methods, which make one image without iterating over an object.

`settings["method"]` says which. The image comes back as it lies over the scan: its pixel (0, 0) is
the first scan position, and h x w pixels cover the scan's periodic field.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import py4DSTEM
from exchange import Problem, Recorder, Settings, serve

Direct = Callable[[Problem, Settings], np.ndarray]


def datacube(problem: Problem) -> py4DSTEM.DataCube:
    """The counts, with the calibrations that every method of the package asks for."""
    cube = py4DSTEM.DataCube(data=problem.counts.copy())
    cube.calibration.set_R_pixel_size(problem.step_A)
    cube.calibration.set_R_pixel_units("A")
    cube.calibration.set_Q_pixel_size(problem.detector_pixel_invA)
    cube.calibration.set_Q_pixel_units("A^-1")
    return cube


def dpc(problem: Problem, settings: Settings) -> np.ndarray:
    """Differential phase contrast: the centre of mass, integrated by least squares, (Ny, Nx)."""
    solver = py4DSTEM.process.phase.DPC(
        datacube=datacube(problem), energy=problem.energy_eV, verbose=False
    )
    solver.preprocess(
        padding_factor=settings["padding_factor"],
        force_com_rotation=0,
        force_com_transpose=False,
        fit_function="constant",
        plot_center_of_mass=False,
        plot_rotation=False,
    )
    solver.reconstruct(max_iter=settings["max_iter"], progress_bar=False)
    return np.asarray(solver.object_phase)


METHODS: Mapping[str, Direct] = {"dpc": dpc}
"""{name in the settings: call}."""


def simulate(problem: Problem, phase: np.ndarray) -> np.ndarray:
    """These methods have no forward model of their own."""
    raise NotImplementedError("direct methods simulate nothing")


def reconstruct(problem: Problem, settings: Settings, recorder: Recorder) -> None:
    """One image, timed whole."""
    recorder.start()
    began = time.perf_counter()
    image = METHODS[settings["method"]](problem, settings)
    recorder.pause()
    recorder.add(image)
    recorder.setup_seconds = time.perf_counter() - began


if __name__ == "__main__":
    serve("py4DSTEM", simulate, reconstruct)
