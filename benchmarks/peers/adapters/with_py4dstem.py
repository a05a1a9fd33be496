"""py4DSTEM: single-slice ptychography, gradient descent, potential object.

Its patches wrap at the object's rim, so it is given the periodic object as it is.
"""

from __future__ import annotations

import time

import numpy as np
import py4DSTEM
from exchange import Problem, Recorder, Settings, serve


def prepare(
    problem: Problem, object_guess: np.ndarray, *, centre: str, kind: str = "potential"
) -> object:
    """A preprocessed reconstruction.

    Args:
        problem: the scan.
        object_guess: (H, W) phase [rad].
        centre: "nominal" takes the axis at n//2; "measured" lets the package centre the patterns
            on their mean centre of mass.
        kind: "potential" keeps the phase, "complex" the transmission, as its object.
    """
    guess = object_guess.astype(np.float32)
    cube = py4DSTEM.DataCube(data=problem.counts.copy())
    cube.calibration.set_R_pixel_size(problem.step_A)
    cube.calibration.set_R_pixel_units("A")
    cube.calibration.set_Q_pixel_size(problem.detector_pixel_invA)
    cube.calibration.set_Q_pixel_units("A^-1")
    axis = np.full(problem.scan_shape, problem.window // 2, dtype=np.float32)
    solver = py4DSTEM.process.phase.SingleslicePtychography(
        datacube=cube,
        energy=problem.energy_eV,
        semiangle_cutoff=problem.semiangle_mrad,
        initial_probe_guess=problem.corner_probe(float(problem.patterns.sum((1, 2)).mean())),
        initial_scan_positions=problem.positions_px.astype(np.float64) * problem.sampling_A,
        initial_object_guess=guess if kind == "potential" else np.exp(1j * guess),
        object_padding_px=(0, 0),
        object_type=kind,
        device="cpu",
        verbose=False,
    )
    return solver.preprocess(
        plot_center_of_mass=False,
        plot_rotation=False,
        plot_probe_overlaps=False,
        force_com_rotation=0,
        force_com_transpose=False,
        force_com_measured=(axis, axis) if centre == "nominal" else None,
        fit_function="constant",
        center_positions_in_fov=False,
    )


def simulate(problem: Problem, phase: np.ndarray) -> np.ndarray:
    """Its exit waves through its own FFT, axis moved to n//2."""
    solver = prepare(problem, phase, centre="nominal")
    positions = solver._positions_px
    rows, cols = solver._extract_vectorized_patch_indices(positions)
    shifted = solver._return_shifted_probes(solver._probe, positions - np.round(positions))
    _, _, overlap = solver._overlap_projection(solver._object, rows, cols, shifted)
    waves = np.fft.fft2(overlap)
    return np.fft.fftshift(solver._return_farfield_amplitudes(waves) ** 2, axes=(-2, -1))


def reconstruct(problem: Problem, settings: Settings, recorder: Recorder) -> None:
    """One call of `reconstruct` for each iteration; the state is kept between calls."""
    began = time.perf_counter()
    np.random.seed(0)
    start = np.zeros(problem.object_shape)
    solver = prepare(problem, start, centre=settings.get("centre", "nominal"))
    recorder.setup_seconds = time.perf_counter() - began
    recorder.start()
    for iteration in range(settings["iterations"]):
        solver.reconstruct(
            num_iter=1,
            reset=iteration == 0,
            reconstruction_method="gradient-descent",
            seed_random=iteration,
            fix_probe=True,
            progress_bar=False,
            **settings["options"],
        )
        recorder.pause()
        recorder.add(np.asarray(solver._object))


if __name__ == "__main__":
    serve("py4DSTEM", simulate, reconstruct)
