"""Is the detector large enough, in the right place, and are its readings whole?"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from physics.ideal import IdealOperator
from runner.report.checks.record import Check, judged, not_judged
from runner.report.checks.statistics import ScanStatistics
from runner.tiers.imported.measure import find_disk, mean_radius
from schemas.operator import OperatorAttrs
from schemas.spec import MismatchSpec, SpecRange, SpecRanges

Float64 = NDArray[np.float64]

LEAST_PILE = 12
"""Readings at the highest value below which no pile is seen."""

PILE = 0.5
"""Readings at the highest value, over those near it: the tail of a distribution has far fewer."""

MOST_BEYOND = 0.05
"""Most of the electrons that may be scattered beyond the detector."""

LEAST_FIELD = 1.5
"""Half the detector's side over the disk's radius; dark field begins at 1."""

EDGE_PX = 2
"""Width of the detector's frame whose mean is called that of the edge [pixels]."""

CENTER_TOLERANCE = 0.05
"""Of the disk's radius: how far its centre may seem off for what the specimen does to it; measured
on 20 clean scenes, whose worst is half of that."""

LEAST_TOLERANCE_PX = 0.5

LEAST_DISK_PX = 3.0
"""Disks of a smaller radius [pixels] have no rim to speak of."""

FULL_SCALES = {2**bits - 1: bits for bits in (4, 6, 8, 10, 12, 13, 14, 15, 16, 20, 24)}
"""Largest count of a counter of so many bits."""


def saturation(statistics: ScanStatistics, attrs: OperatorAttrs) -> Check:
    """Whether readings pile up at the highest value, or at 0 where read noise should go below it.

    The highest of many counts is seldom reached twice: the tail of a Poisson distribution falls by
    the factor I/k from one count to the next, k > I. A ceiling collects all that would lie beyond.
    """
    top, at, near = statistics.top, statistics.at_top, statistics.near_top
    pile = at >= LEAST_PILE and at > PILE * near
    floor_share = statistics.zeros / statistics.readings
    lowest = float(statistics.pixels.lowest.min())
    floored = attrs.read_noise > 0 and lowest == 0.0 and floor_share > 1e-3
    electrons = top / attrs.gain
    darkest = float(np.median(statistics.pixels.mean)) / attrs.gain
    span = f", {electrons / darkest:.3g} times the median pixel's mean" if darkest > 0 else ""
    found = (
        f"highest reading {top:g} ({electrons:.3g} e{span}), reached {at} times, {near} readings"
        " just below"
    )
    if (bits := FULL_SCALES.get(int(top))) is not None and pile:
        found += f"; {top:g} is the full scale of {bits} bits"
    if floored:
        found += f"; {100 * floor_share:.1f} % are exactly 0 under read noise: cut off below"
    hint = (
        "less current or a shorter dwell time, a counting detector of more bits, or the central"
        " beam spread over more pixels; clipped pixels must not enter the likelihood as they are"
        if pile
        else "keep the negative readings: cut off they make the weak diffraction too bright"
    )
    return judged(
        "dynamic range",
        good=not pile and not floored,
        found=found,
        expected="a highest reading that is hardly ever reached, and no floor",
        hint=hint,
        figures={"top": top, "at_top": float(at), "near_top": float(near), "zeros": floor_share},
    )


def field_of_view(mean: Float64, operator: IdealOperator) -> Check:
    """Whether the detector holds what is scattered.

    Beyond the detector the intensity falls as q^-4, as that of screened nuclei does (Rutherford),
    so that pi q_max^2 I(q_max) electrons are missing, I the mean per pixel at the edge. What falls
    more slowly leaves more.
    """
    n = operator.window
    half = n // 2
    frame = np.ones((n, n), dtype=bool)
    frame[EDGE_PX:-EDGE_PX, EDGE_PX:-EDGE_PX] = False
    edge, total = float(np.maximum(mean[frame], 0).mean()), float(mean.sum())
    beyond = math.pi * half**2 * edge
    lost = beyond / (total + beyond)
    field = half / operator.disk_radius_px
    pixel = 1e3 * operator.detector_pixel_invA * operator.attrs.wavelength_A
    return judged(
        "field of view",
        good=lost <= MOST_BEYOND and field >= LEAST_FIELD,
        found=f"{half * pixel:.0f} mrad, {field:.1f} disk radii; about {100 * lost:.1f} % of the"
        " electrons are scattered beyond",
        expected=f"{LEAST_FIELD:g} disk radii or more, {100 * MOST_BEYOND:.0f} % beyond or less",
        hint="a shorter camera length, or more of the detector read out: without the dark field the"
        " resolution ends at the disk, and heavy atoms are lost",
        figures={"lost": lost, "disk_radii": field, "edge_counts": edge},
    )


def disk(mean: Float64, operator: IdealOperator, ranges: SpecRanges) -> Check:
    """Whether the bright-field disk is whole, and where and as large as H and the ranges allow.

    Its centre and radii are the moments of what its rim encloses in the average pattern.
    """
    name, n = "bright-field disk", operator.window
    expected = "a whole disk whose centre and radius the published ranges allow"
    if operator.disk_radius_px < LEAST_DISK_PX:
        return not_judged(
            name,
            found=f"a disk of {operator.disk_radius_px:.2f} pixels in radius has no rim",
            expected=expected,
        )
    seen = find_disk(np.maximum(mean, 0))
    radius = mean_radius(seen)
    offsets = (seen.center_y - n // 2, seen.center_x - n // 2)
    low, high = _range(ranges, "center_offset")
    slack = max(LEAST_TOLERANCE_PX, CENTER_TOLERANCE * operator.disk_radius_px)
    faults = []
    reaches = [seen.center_y - seen.radius_y, seen.center_x - seen.radius_x]
    reaches += [n - 1 - seen.center_y - seen.radius_y, n - 1 - seen.center_x - seen.radius_x]
    if min(reaches) < 0:
        faults.append("it is cut by the detector's edge")
    if min(offsets) < low - slack or max(offsets) > high + slack:
        faults.append(f"its centre is outside the range {low:g} to {high:g} px")
    elif abs(offsets[0] - offsets[1]) > 2 * slack:
        faults.append("its two offsets differ, where H has one for both axes")
    smallest, largest = (1 + end / 100 for end in _range(ranges, "camera_length"))
    ratio, room = radius / operator.disk_radius_px, slack / operator.disk_radius_px
    if not smallest - room <= ratio <= largest + room:
        faults.append(f"its radius is {ratio:.2f} times the nominal one")
    return judged(
        name,
        good=not faults,
        found=f"centre ({offsets[0]:+.2f}, {offsets[1]:+.2f}) px (rows, columns) from pixel"
        f" {n // 2}, radius {radius:.2f} px, nominal {operator.disk_radius_px:.2f} px"
        + "".join(f"; {fault}" for fault in faults),
        expected=expected,
        hint="centre the pattern by whole pixels (`stem4d import` does), and check semi-angle,"
        " camera length and binning",
        figures={"offset_y": offsets[0], "offset_x": offsets[1], "radius_px": radius},
    )


def _range(ranges: SpecRanges, name: str) -> tuple[float, float]:
    """A parameter's range; nominal where it is none."""
    if name not in ranges.names:
        nominal = MismatchSpec().values()[name]
        return nominal, nominal
    entry: SpecRange = ranges[name]
    return entry.min, entry.max
