"""Is the scan fine enough, and the probe's window wide enough?"""

from __future__ import annotations

import math

import numpy as np

from physics.ideal import IdealOperator
from runner.report.checks.record import Check, judged

LEAST_OVERLAP = 0.5
"""Linear overlap below which ptychography loses its redundancy: 0.6 is best (Bunk et al.,
Ultramicroscopy 108, 481 (2008))."""

CROWDED_RIM = 0.1
"""Outer share of the window's half side within which the probe must have faded."""

MOST_AT_RIM = 0.02
"""Most of the beam that may be there. A sharp aperture's Airy rings leave 0.3 % in the contract's
window."""


def area_overlap(step_A: float, diameter_A: float) -> float:
    """Share of a round spot's area that a neighbour one step away covers as well.

    (2/pi) (arccos u - u sqrt(1 - u^2)), u = step / diameter: the lens of two equal circles. 0 for
    spots that do not touch.
    """
    u = min(step_A / diameter_A, 1.0)
    return 2 / math.pi * (math.acos(u) - u * math.sqrt(1 - u**2))


def nyquist_step_A(wavelength_A: float, semiangle_mrad: float) -> float:
    """Largest scan step [A] at which a directly scanned image is not aliased: wavelength / 4 alpha.

    Such an image (bright field, centre of mass) holds frequencies up to 2 alpha / wavelength
    (Rodenburg, McCallum and Nellist, Ultramicroscopy 48, 304 (1993)).
    """
    return wavelength_A / (4e-3 * semiangle_mrad)


def measurements_per_unknown(
    operator: IdealOperator, step_A: tuple[float, float], diameter_A: float
) -> float:
    """Detector pixels within the disk over object unknowns at twice the semi-angle's resolution.

    One position adds step_y * step_x of new area (or a probe's, where steps are larger than it),
    which holds area * pi (2 alpha / wavelength)^2 real unknowns: the count behind Edo et al.,
    Phys. Rev. A 87, 053850 (2013), taken over the disk, where the electrons are.
    """
    attrs = operator.attrs
    cutoff = 2e-3 * attrs.semiangle_mrad / attrs.wavelength_A
    new_area = min(step_A[0], diameter_A) * min(step_A[1], diameter_A)
    return math.pi * operator.disk_radius_px**2 / (new_area * math.pi * cutoff**2)


def scan_step(operator: IdealOperator, step_A: tuple[float, float], diameter_A: float) -> Check:
    """The scan step against the probe's diameter (90 % of the beam)."""
    attrs, step = operator.attrs, max(step_A)
    overlap = 1 - step / diameter_A
    nyquist = nyquist_step_A(attrs.wavelength_A, attrs.semiangle_mrad)
    redundancy = measurements_per_unknown(operator, step_A, diameter_A)
    found = (
        f"step {step:.2f} A, probe {diameter_A:.2f} A: linear overlap {100 * overlap:.0f} %, area"
        f" {100 * area_overlap(step, diameter_A):.0f} %, {redundancy:.1f} disk pixels per unknown"
    )
    if step > nyquist:
        found += (
            f"; a direct image (centre of mass, bright field) is sampled {step / nyquist:.1f} times"
            f" too coarsely for {attrs.wavelength_A / (2e-3 * attrs.semiangle_mrad):.2f} A,"
            " ptychography is not"
        )
    wanted = (1 - LEAST_OVERLAP) * diameter_A
    return judged(
        "scan step",
        good=overlap >= LEAST_OVERLAP,
        found=found,
        expected=f"an overlap of {100 * LEAST_OVERLAP:.0f} % or more; gaps below 0 %",
        hint=f"scan in steps of {wanted:.2f} A or less, or defocus until the probe is"
        f" {step / (1 - LEAST_OVERLAP):.1f} A wide. Strain and orientation maps of a nanobeam scan"
        " need no overlap",
        figures={
            "overlap": overlap,
            "area_overlap": area_overlap(step, diameter_A),
            "nyquist_step_A": nyquist,
            "measurements_per_unknown": redundancy,
        },
    )


def probe_window(operator: IdealOperator) -> Check:
    """Whether the probe fits its window: the detector's pixel against the probe's size.

    The window is 1 / (detector pixel) wide: a pattern that is sampled more coarsely folds what the
    probe has beyond.
    """
    n = operator.window
    axis = np.arange(n) - n // 2
    radius = np.hypot(axis[:, None], axis[None, :])
    intensity = np.abs(operator.probe.astype(np.complex128)) ** 2
    rim = radius > (1 - CROWDED_RIM) * (n // 2)
    share = float(intensity[rim].sum() / intensity.sum())
    side = n * operator.attrs.sampling_A
    return judged(
        "probe window",
        good=share <= MOST_AT_RIM,
        found=f"{100 * share:.2f} % of the beam lies in the outer rim of the {side:.1f} A window",
        expected=f"{100 * MOST_AT_RIM:.0f} % or less",
        hint="the detector's pixels are too coarse for this defocus: less defocus, a longer camera"
        " length, or less binning",
        figures={"rim_share": share, "window_A": side},
    )
