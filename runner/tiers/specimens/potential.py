"""From atoms to a phase image: the projected potential, thermally smeared, on a periodic grid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from physics.optics import interaction_rad_per_VA
from runner.tiers.specimens.crystal import Array, Atoms, Box, Crystal
from runner.tiers.specimens.extra import organizer_module
from runner.tiers.specimens.model import Specimen, dequantise, quantise
from runner.tiers.specimens.thermal import rms_displacement_A
from schemas.findings import refuse

PIXEL_BLUR_PX = 0.75
"""rms width of the Gaussian that stands for a pixel [pixels]. It brings a heavy atom's spectrum at
the Nyquist frequency below 1 % of its value at zero, so that sampling neither aliases nor rings,
and it cannot make the phase negative, as a sharp band limit would."""

MAX_PHASE_RAD = 2.5
"""Largest phase of a specimen [rad]. Below pi no phase wraps, and the specimen stays one that a
thin phase object describes; thickness is chosen to keep to it."""


def known_elements() -> frozenset[str]:
    """Symbols of the elements whose scattering factors are tabulated."""
    lobato = organizer_module("abtem.parametrizations").LobatoParametrization()
    return frozenset(lobato.parameters)


def projected_potential(
    atoms: Atoms,
    box: Box,
    shape: tuple[int, int],
    *,
    smearing_A: Callable[[str], float] = rms_displacement_A,
) -> Array:
    """The potential projected along z, periodic in the box, shape (H, W) [V A].

    The sum over atoms is made in Fourier space, exactly at the atoms' positions: Lobato and Van
    Dyck's electron scattering factors (Acta Cryst. A70 (2014) 636, as abTEM tabulates them, the
    infinite projection), times the Debye-Waller factor exp(-2 pi^2 <u^2> k^2), times the pixel's
    Gaussian. Pixel (row, col) is at y = row * height / H, x = col * width / W.

    Args:
        atoms: their mean positions.
        box: the periodic cell.
        shape: (H, W).
        smearing_A: rms thermal displacement of each element [A].
    """
    lobato = organizer_module("abtem.parametrizations").LobatoParametrization()
    ky = np.fft.fftfreq(shape[0], box.height_A / shape[0])
    kx = np.fft.fftfreq(shape[1], box.width_A / shape[1])
    k2 = ky[:, None] ** 2 + kx[None, :] ** 2
    pixel = (box.height_A / shape[0], box.width_A / shape[1])
    blur2 = (PIXEL_BLUR_PX * pixel[0] * ky[:, None]) ** 2 + (PIXEL_BLUR_PX * pixel[1] * kx) ** 2
    spectrum = np.zeros(shape, dtype=np.complex128)
    for symbol in np.unique(atoms.symbols):
        positions = atoms.positions[atoms.indices_of(symbol)]
        along_y = np.exp(-2j * np.pi * np.outer(ky, positions[:, 1]))
        along_x = np.exp(-2j * np.pi * np.outer(positions[:, 0], kx))
        factor = np.asarray(
            lobato.projected_scattering_factor(str(symbol))(k2.astype(np.float32)), dtype=float
        )
        debye_waller = np.exp(-2 * np.pi**2 * smearing_A(str(symbol)) ** 2 * k2)
        spectrum += factor * debye_waller * (along_y @ along_x)
    spectrum *= np.exp(-2 * np.pi**2 * blur2)
    pixel_area = pixel[0] * pixel[1]
    out: Array = np.fft.ifft2(spectrum).real / pixel_area
    return out


def image(crystal: Crystal, box: Box, shape: tuple[int, int]) -> tuple[NDArray[np.uint16], float]:
    """Levels of x, shape (H, W), and the range of projected potential that they span [V A].

    The range is rounded far below its physical meaning, so that machines whose sums differ in the
    last bit agree.
    """
    potential = projected_potential(crystal.atoms, box, shape)
    return quantise(potential), round(float(np.ptp(potential)), 6)


def specimen(
    levels: NDArray[np.uint16],
    range_VA: float,
    *,
    name: str,
    family: str,
    sampling_A: float,
    energy_eV: float,
    description: str,
    strain_percent: float,
) -> Specimen:
    """The specimen that an image stands for at a beam energy.

    Raises:
        ContractError: its phase exceeds `MAX_PHASE_RAD`.
    """
    phase = interaction_rad_per_VA(energy_eV) * range_VA
    if phase > MAX_PHASE_RAD:
        raise refuse(
            "USAGE",
            f"specimen {name}",
            expected=f"a thin phase object, at most {MAX_PHASE_RAD:g} rad",
            found=f"{phase:.2f} rad at {energy_eV / 1e3:g} keV",
            hint="take a thinner specimen, or a higher beam energy",
        )
    return Specimen(
        name=name,
        family=family,
        x=dequantise(levels),
        phase_scale_rad=phase,
        sampling_A=sampling_A,
        energy_eV=energy_eV,
        description=description,
        strain_percent=strain_percent,
    )
