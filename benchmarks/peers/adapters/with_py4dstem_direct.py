"""py4DSTEM: its direct methods, and its projections between sets of exit waves.

`settings["method"]` says which. The image comes back as it lies over the scan: its pixel (0, 0) is
the first scan position, and h x w pixels cover the scan's periodic field.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import py4DSTEM
from exchange import Problem, Recorder, Settings, serve
from with_py4dstem import prepare

Direct = Callable[[Problem, Settings], np.ndarray]

NO_BLEND = 1e-3
"""Width over which images fade at the scan's rim [pixels]: not at all, for the scan is periodic."""


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


def parallax(problem: Problem, settings: Settings) -> np.ndarray:
    """Tilt-corrected bright field with the known defocus, on the object's pixels, (H, W).

    `settings["corrected"]`: whether the sign of its transfer sin(chi) is then put right, which is
    the package's own correction; else the aligned bright field.
    """
    solver = py4DSTEM.process.phase.Parallax(
        energy=problem.energy_eV,
        datacube=datacube(problem),
        object_padding_px=(0, 0),
        verbose=False,
    )
    solver.preprocess(
        edge_blend=NO_BLEND,
        threshold_intensity=settings["threshold"],
        plot_average_bf=False,
    )
    finer = round(problem.step_A / problem.sampling_A)
    _, aligned = solver.guess_common_aberrations(
        kde_upsample_factor=finer,
        kde_sigma_px=settings["sigma_px"],
        polar_parameters={"C10": problem.C10_A},
        plot_shifts_and_aligned_bf=False,
        return_shifts_and_aligned_bf=True,
    )
    if not settings["corrected"]:
        return np.asarray(aligned)
    # What its own alignment and fit would have left here, had they measured the known defocus.
    solver._kde_upsample_factor = finer
    solver._recon_BF_subpixel_aligned = aligned
    solver.aberrations_C1 = problem.C10_A
    solver.aberration_correct(use_CTF_fit=False, plot_corrected_phase=False)
    return np.asarray(solver.recon_phase_corrected)


def ssb(problem: Problem, settings: Settings) -> np.ndarray:
    """Single side band, (Ny, Nx).

    `settings["compensated"]`: whether the aberrations' phase is taken off.
    """
    solver = _known_probe(py4DSTEM.process.phase.SSB, problem)
    solver.reconstruct(phase_compensation=settings["compensated"], num_jobs=1, progress_bar=False)
    return np.angle(solver.object)


def wdd(problem: Problem, settings: Settings) -> np.ndarray:
    """Wigner distribution deconvolution, (Ny, Nx)."""
    solver = _known_probe(py4DSTEM.process.phase.WDD, problem)
    solver.reconstruct(settings["epsilon"], num_jobs=1, progress_bar=False)
    return np.angle(solver.object)


def _known_probe(kind: type, problem: Problem) -> object:
    """A direct ptychography with the axis at n//2, and our aperture's rim and aberrations.

    Our rim falls linearly over one detector pixel, theirs by a cosine within `rolloff`.
    """
    pixel_mrad = 1e3 * problem.wavelength_A * problem.detector_pixel_invA
    axis = np.full(problem.scan_shape, problem.window // 2, dtype=np.float32)
    solver = kind(
        energy=problem.energy_eV,
        datacube=datacube(problem),
        semiangle_cutoff=problem.semiangle_mrad + pixel_mrad / 2,
        rolloff=pixel_mrad,
        polar_parameters={"C10": problem.C10_A},
        verbose=False,
    )
    return solver.preprocess(
        crop_around_bf_disk=False,
        force_com_measured=(axis, axis),
        force_com_rotation=0,
        force_com_transpose=False,
        fit_function="constant",
        plot_center_of_mass=False,
        plot_rotation=False,
        plot_overlap_trotters=False,
    )


def projections(problem: Problem, settings: Settings) -> np.ndarray:
    """Projections between the measured moduli and one phase object, (H, W).

    `settings`: the package's "scheme" ("RAAR", "SUPERFLIP", ...), its "parameter", "iterations".
    """
    solver = prepare(problem, np.zeros(problem.object_shape), centre="nominal", kind="complex")
    solver.reconstruct(
        num_iter=settings["iterations"],
        reconstruction_method=settings["scheme"],
        reconstruction_parameter=settings["parameter"],
        normalization_min=NO_FLOOR,
        pure_phase_object=True,
        fix_probe=True,
        tv_denoise=False,
        progress_bar=False,
    )
    transmission = np.asarray(solver._object)
    return np.angle(transmission * transmission.mean().conj())


NO_FLOOR = 1e-6
"""Share of the strongest illumination that its own is held above: nothing, for all is lit."""

METHODS: Mapping[str, Direct] = {
    "dpc": dpc,
    "parallax": parallax,
    "ssb": ssb,
    "wdd": wdd,
    "projections": projections,
}
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
