r"""The instrument's numbers, and the ideal operator that follows from them.

The object's rows and columns are parallel to the detector's rows and columns (contract, section 1).
The scan's axes are turned against them by `rotation_deg` theta: step (i, j) of the scan (i slow,
j fast) lies at

    column = step (  j cos(theta) + i sin(theta)),
    row    = step (- j sin(theta) + i cos(theta)),

so theta turns the scan counter-clockwise in a picture whose row 0 is on top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from physics.ideal import IdealOperator
from physics.optics import probe, wavelength_A
from runner.files.hdf5 import explain
from schemas.findings import refuse
from schemas.operator import MODEL_NAME, OperatorAttrs

Float64 = NDArray[np.float64]

MARGIN_PX = 1
"""Object pixels beyond the outermost windows: positions are stored in float32 and may round."""

SIDE_MULTIPLE = 16
"""The object's sides are rounded up to this multiple, so that its Fourier transforms are fast."""


@dataclass(frozen=True)
class Instrument:
    """What the microscope was set to.

    Attributes:
        energy_eV: beam energy [eV].
        semiangle_mrad: convergence semi-angle [mrad].
        C10_A: defocus aberration C10 [A], positive for overfocus.
        scan_step_A: distance between neighbouring positions [A].
        detector_pixel_mrad: angle of a raw detector pixel [mrad].
        rotation_deg: scan against detector [degrees]; the module's docstring has the formula.
        Cs_A: spherical aberration [A].
        read_noise: standard deviation of the detector's read noise [counts].
    """

    energy_eV: float
    semiangle_mrad: float
    C10_A: float
    scan_step_A: float
    detector_pixel_mrad: float
    rotation_deg: float = 0.0
    Cs_A: float = 0.0
    read_noise: float = 0.0

    def sampling_A(self, pixels: int, binning: int = 1) -> float:
        """Object pixel [A] of a detector of `pixels` binned pixels: wavelength / full angle."""
        angle = self.detector_pixel_mrad * 1e-3 * binning
        return wavelength_A(self.energy_eV) / (pixels * angle)

    def disk_radius_px(self, binning: int = 1) -> float:
        """Radius of the bright-field disk [binned pixels]."""
        return self.semiangle_mrad / (self.detector_pixel_mrad * binning)


def scan_positions_A(scan_shape: tuple[int, int], instrument: Instrument) -> Float64:
    """Positions (Ny*Nx, 2) as (row, column) in the detector's frame [A], row by row."""
    slow, fast = np.meshgrid(*(np.arange(size) for size in scan_shape), indexing="ij")
    theta = np.deg2rad(instrument.rotation_deg)
    row = -fast * np.sin(theta) + slow * np.cos(theta)
    column = fast * np.cos(theta) + slow * np.sin(theta)
    positions: Float64 = instrument.scan_step_A * np.stack([row.ravel(), column.ravel()], axis=1)
    return positions


def ideal_operator(
    instrument: Instrument,
    *,
    scan_shape: tuple[int, int],
    window: int,
    binning: int,
    phase_scale_rad: float,
    dose_e: float,
    gain: float,
    amplitude: Float64 | None,
) -> IdealOperator:
    """The operator of a scan over an object that is large enough for every window.

    Args:
        instrument: beam, scan and detector.
        scan_shape: positions (Ny, Nx).
        window: detector side n [binned pixels].
        binning: raw pixels per binned pixel.
        phase_scale_rad: phase of x = 1 [rad].
        dose_e: electrons per pattern.
        gain: counts per electron.
        amplitude: the aperture's measured amplitude (n, n); None is a sharp round one.

    Raises:
        ContractError: USAGE, a number is out of bounds, or probe or disk do not fit the window.
    """
    sampling = instrument.sampling_A(window, binning)
    beam = {
        "energy_eV": instrument.energy_eV,
        "semiangle_mrad": instrument.semiangle_mrad,
        "C10_A": instrument.C10_A,
        "Cs_A": instrument.Cs_A,
        "sampling_A": sampling,
    }
    try:
        wave = probe(**beam, window=window, amplitude=amplitude)
    except ValueError as error:
        raise refuse(
            "USAGE",
            "--semiangle, --detector-pixel",
            expected="a bright-field disk within the detector's window",
            found=str(error),
            hint="check both numbers; --detector-pixel is the raw pixel's angle, before binning",
        ) from error
    _check_probe_size(instrument, sampling * window)
    positions = scan_positions_A(scan_shape, instrument) / sampling
    positions += window // 2 + MARGIN_PX - positions.min(axis=0)
    height, width = (
        -(-int(np.ceil(last) + window - window // 2 + MARGIN_PX) // SIDE_MULTIPLE) * SIDE_MULTIPLE
        for last in positions.max(axis=0)
    )
    try:
        attrs = OperatorAttrs(
            **beam,
            wavelength_A=wavelength_A(instrument.energy_eV),
            phase_scale_rad=phase_scale_rad,
            dose_e=dose_e,
            gain=gain,
            read_noise=instrument.read_noise,
            periodic=False,
            object_shape=(height, width),
            model=MODEL_NAME,
        )
    except ValidationError as error:
        raise refuse(
            "USAGE",
            "--energy, --c10, --cs, --gain, --read-noise, --phase-scale",
            expected="numbers within the bounds of an OperatorAttrs (`stem4d schema` prints it)",
            found=explain(error),
            hint="mind the units: eV, A, mrad, rad, counts",
        ) from error
    return IdealOperator(attrs, wave, positions.astype(np.float32))


def tilted(wave: NDArray[np.complex64], tilt_px: tuple[float, float]) -> NDArray[np.complex64]:
    """The probe with a beam tilt that shifts its pattern by (rows, columns) [pixels]."""
    n = len(wave)
    rows, columns = (np.exp(2j * np.pi * t * (np.arange(n) - n // 2) / n) for t in tilt_px)
    moved: NDArray[np.complex64] = (wave * rows[:, None] * columns[None, :]).astype(np.complex64)
    return moved


def _check_probe_size(instrument: Instrument, window_A: float) -> None:
    """Geometric diameter of the defocused probe against the window that must hold it."""
    diameter = 2 * abs(instrument.C10_A) * instrument.semiangle_mrad * 1e-3
    if diameter > window_A:
        raise refuse(
            "USAGE",
            "--c10, --bin",
            expected=f"a probe smaller than the window of {window_A:.4g} A, which is wavelength /"
            " detector pixel",
            found=f"a diameter of {diameter:.4g} A (2 |C10| semi-angle)",
            hint="bin less, or check --c10, --semiangle and --detector-pixel",
        )
