"""Are the readings counts of electrons? Poisson's law, several counts an electron, hot pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.report.checks.record import Check, judged, not_judged
from runner.report.checks.statistics import BIN, ScanStatistics, isolated_bright
from schemas.operator import OperatorAttrs

Float64 = NDArray[np.float64]

DARKEST = 0.5
"""Share of the pixels, the darkest, that the dispersion is measured on."""

DISPERSION_TOLERANCE = 0.2
"""The index of dispersion of electrons is 1; over 24 clean scenes it came out within 0.05."""

SIGMAS = 5.0
"""Standard errors by which it must be off beside that."""

WORST_ERROR = 0.15
"""A dispersion with a larger standard error is not judged."""

MOST_SPREAD = 1.0
"""Mean electrons of a dark pixel above which the specimen's own variation hides the noise."""

CERTAIN_E = 50.0
"""Electrons of a pixel over the scan before it can be called hot."""

LEAST_DISK_PX = 2.0
"""Disks of a smaller radius [pixels] look like hot pixels."""


@dataclass(frozen=True)
class Dispersion:
    """Variance over mean of counts in the limit of few [electrons].

    Attributes:
        value: 1 for single electrons, each counted once, at the stated gain.
        error: its standard error.
    """

    value: float
    error: float


def dispersion(
    mean: Float64, variance: Float64, *, positions: int, read_variance: float = 0.0
) -> Dispersion | None:
    """Index of dispersion from a photon-transfer fit; None where nothing is counted.

    Over the darkest pixels V = F m + c m^2 is fitted with Poisson's own weights N / (m + 2 m^2):
    F is the detector's, c m^2 the specimen's (its relative variance from position to position).
    F = <N^2>/<N> of the N counts that an electron makes (Janesick, Photon Transfer (2007), ch. 5;
    Fano, Phys. Rev. 72, 26 (1947)).

    Args:
        mean: mean of each pixel or area [electrons].
        variance: its variance [electrons^2].
        positions: number N of positions.
        read_variance: of the read noise [electrons^2], taken off.
    """
    lit = mean > 0
    m, v = mean[lit], variance[lit] - read_variance
    if m.size < 8 or positions < 8:
        return None
    dark = m <= np.quantile(m, DARKEST)
    m, v = m[dark], v[dark]
    weight = positions / (m + 2 * m**2 + 2 * read_variance * (read_variance + 2 * m))
    design = np.stack([m, m**2], axis=1)
    covariance = np.linalg.pinv(design.T @ (weight[:, None] * design))
    solution = covariance @ (design.T @ (weight * v))
    return Dispersion(float(solution[0]), float(np.sqrt(covariance[0, 0])))


def poisson(statistics: ScanStatistics, attrs: OperatorAttrs) -> Check:
    """Index of dispersion of single pixels and of areas of 3 x 3 pixels.

    An area adds up what one electron counts in neighbouring pixels, which a single pixel misses;
    what falls into two areas is missed still, so the area's index is a lower bound.
    """
    name, expected = "counts", "an index of dispersion of 1: every electron counted once"
    gain, read = attrs.gain, (attrs.read_noise / attrs.gain) ** 2
    found = [
        dispersion(
            mean / gain,
            variance / gain**2,
            positions=statistics.differences,
            read_variance=read * pixels,
        )
        for mean, variance, pixels in (
            (statistics.pixels.mean, statistics.variance, 1),
            (statistics.area_mean, statistics.area_variance, BIN**2),
        )
    ]
    darkest = float(np.quantile(statistics.pixels.mean / gain, DARKEST))
    pixel, area = found
    if pixel is None or area is None or max(pixel.error, area.error) > WORST_ERROR:
        return not_judged(
            name,
            found="too few electrons in the dark field for a measurement of their noise",
            expected=expected,
        )
    figures = {
        "dispersion_pixel": pixel.value,
        "dispersion_pixel_error": pixel.error,
        "dispersion_area": area.value,
        "dispersion_area_error": area.error,
        "fractional_share": statistics.fractional,
    }
    text = (
        f"index of dispersion {pixel.value:.2f} +- {pixel.error:.2f} of a pixel,"
        f" {area.value:.2f} +- {area.error:.2f} of 3 x 3 pixels, at the stated gain of {gain:g}"
    )
    if darkest > MOST_SPREAD:
        return not_judged(
            name,
            found=f"{text}; with {darkest:.1f} e in a dark pixel the specimen's own variation"
            " cannot be told from noise",
            expected=expected,
            figures=figures,
        )
    off = [one for one in found if one is not None and _off(one)]
    if attrs.read_noise == 0 and statistics.fractional > 0:
        text += f"; {100 * statistics.fractional:.1f} % of the readings are no whole electrons"
    whole = attrs.read_noise > 0 or statistics.fractional == 0 or not off
    return judged(
        name,
        good=not off and whole,
        found=text,
        expected=expected,
        hint=_hint(pixel, area, gain),
        figures=figures,
    )


def hot_pixels(statistics: ScanStatistics, attrs: OperatorAttrs, disk_radius_px: float) -> Check:
    """Pixels that shine alone, and those that are dead, stuck or saturated throughout."""
    name, expected = "pixels", "every pixel like its neighbours"
    if disk_radius_px < LEAST_DISK_PX:
        return not_judged(
            name,
            found=f"disks of {disk_radius_px:.1f} pixels in radius look like hot pixels",
            expected=expected,
        )
    pixels = statistics.pixels
    hot = isolated_bright(pixels.mean) & (pixels.mean * pixels.count > CERTAIN_E * attrs.gain)
    bad = ~pixels.usable(attrs.gain) & ~hot
    places = [f"({row}, {col})" for row, col in np.argwhere(hot | bad)[:6]]
    share = float(pixels.mean[hot].sum() / max(pixels.mean.sum(), np.finfo(float).tiny))
    found = f"{int(hot.sum())} hot, {int(bad.sum())} dead or stuck of {hot.size}"
    if places:
        found += f" at (row, column) {', '.join(places)}{' ...' if (hot | bad).sum() > 6 else ''}"
        found += f"; the hot ones hold {100 * share:.2f} % of all counts"
    return judged(
        name,
        good=not places,
        found=found,
        expected=expected,
        hint="mask them in the likelihood, or fill them from their neighbours"
        " (`algorithms.pixels`: dead and stuck ones are found there; a hot one must be set to its"
        " neighbours' mean before the file is made)",
        figures={"hot": float(hot.sum()), "broken": float(bad.sum()), "hot_share": share},
    )


def _off(found: Dispersion) -> bool:
    distance = abs(found.value - 1.0)
    return distance > DISPERSION_TOLERANCE and distance > SIGMAS * found.error


def _hint(pixel: Dispersion, area: Dispersion, gain: float) -> str:
    if area.value < 1 - DISPERSION_TOLERANCE:
        return (
            "counts scatter less than electrons can: they were scaled, averaged or denoised, or the"
            f" gain is smaller than {gain:g}; import raw counts, and let `stem4d import` measure"
            " the gain"
        )
    if area.value > 1.5 * pixel.value:
        return (
            f"one electron counts in several pixels: with gain {gain * area.value:.3g} in the file"
            " doses are electrons and error bars the right size; count electrons singly if the"
            " detector can, or bin it"
        )
    return (
        f"an electron makes several counts in its pixel: state gain {gain * pixel.value:.3g}, or"
        " count electrons singly"
    )
