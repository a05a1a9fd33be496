"""Electron optics: wavelength, interaction, aperture and probe.

Aberration phase (contract, section 1): chi(k) = pi lambda C10 k^2 + pi/2 Cs lambda^3 k^4, probe
P = F^-1{A exp(-i chi)}. C10 is minus the defocus, as in Kirkland, Advanced Computing in Electron
Microscopy (2010), with overfocus positive C10.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

PLANCK_C_EV_A = 12398.41984332
"""h c [eV A] (CODATA 2018)."""

REST_ENERGY_EV = 510998.95
"""Electron rest energy m c^2 [eV] (CODATA 2018)."""


def wavelength_A(energy_eV: float) -> float:
    """Relativistic electron wavelength [A] at a beam energy [eV]."""
    return PLANCK_C_EV_A / math.sqrt(energy_eV * (2 * REST_ENERGY_EV + energy_eV))


def interaction_rad_per_VA(energy_eV: float) -> float:
    """Phase [rad] per projected potential [V A]: sigma = 2 pi m e lambda / h^2 (Kirkland, 5.6)."""
    return (
        2
        * math.pi
        / (wavelength_A(energy_eV) * energy_eV)
        * (REST_ENERGY_EV + energy_eV)
        / (2 * REST_ENERGY_EV + energy_eV)
    )


def aperture(radius_px: float, window: int) -> NDArray[np.float64]:
    """Round aperture on the n x n nominal detector, centred at n//2.

    The rim falls linearly over one pixel, as the coverage of a pixel by a disk does.

    Args:
        radius_px: semi-angle in detector pixels.
        window: side n [pixels].
    """
    axis = np.arange(window) - window // 2
    radius = np.hypot(axis[:, None], axis[None, :])
    return np.clip(radius_px - radius + 0.5, 0.0, 1.0)


def probe(
    *,
    energy_eV: float,
    semiangle_mrad: float,
    C10_A: float,
    Cs_A: float,
    sampling_A: float,
    window: int,
    amplitude: NDArray[np.float64] | None = None,
) -> NDArray[np.complex64]:
    """The probe's wave on the n x n window, centred at (n//2, n//2), sum of |P|^2 is 1.

    Args:
        energy_eV: beam energy [eV].
        semiangle_mrad: convergence semi-angle [mrad].
        C10_A: defocus aberration C10 [A].
        Cs_A: spherical aberration [A].
        sampling_A: pixel of the window [A].
        window: side n [pixels].
        amplitude: the aperture's amplitude A on the nominal detector (n, n), centred at n//2;
            None is the sharp round one of the semi-angle.

    Raises:
        ValueError: the aperture does not fit the window's frequencies.
    """
    wavelength = wavelength_A(energy_eV)
    pixel = 1.0 / (window * sampling_A)
    radius_px = semiangle_mrad * 1e-3 / wavelength / pixel
    if radius_px > window / 2 - 1:
        raise ValueError(
            f"the aperture of {semiangle_mrad} mrad has a radius of {radius_px:.1f} pixels, more"
            f" than the half window of {window // 2}: use a finer sampling than {sampling_A} A"
        )
    axis = (np.arange(window) - window // 2) * pixel
    k2 = axis[:, None] ** 2 + axis[None, :] ** 2
    chi = np.pi * wavelength * C10_A * k2 + np.pi / 2 * Cs_A * wavelength**3 * k2**2
    if amplitude is None:
        amplitude = aperture(radius_px, window)
    spectrum = amplitude * np.exp(-1j * chi)
    wave = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(spectrum)))
    return (wave / np.linalg.norm(wave)).astype(np.complex64)
