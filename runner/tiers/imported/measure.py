"""What the counts themselves tell before any reconstruction: disk, dose, counts per electron."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics.geometry import Ellipse
from runner.tiers.imported.datacube import CubePatterns, Datacube, Range

Float64 = NDArray[np.float64]

RIM_LOW, RIM_HIGH = 0.25, 0.75
"""Levels between which a pixel counts as partly inside the disk, relative to the disk's height:
what the specimen does to the inside, or scatters outside, then moves neither centre nor radius."""

RING_WIDTH_PX = 0.5
"""Width of the rings that the aperture's profile is averaged over [binned pixels]."""

FULL_RADIUS = 0.9
"""Within this share of the disk's radius the aperture is full."""

MAX_LAG_PX = 4
"""Counts further apart than this are taken to stem from different electrons [pixels]."""

DARK_FIELD_RADIUS = 1.25
"""Noise is measured beyond this many disk radii, where the specimen hardly modulates the mean."""

NOISE_ROWS = 32
"""Scan rows that the noise is measured on, spread evenly."""

MIN_DARK_COUNTS = 20_000
"""Least number of dark-field counts that the noise is measured from."""


@dataclass(frozen=True)
class Multiplicity:
    """Counts that one electron makes, as the noise has it.

    Attributes:
        value: variance over mean of the counts in an area much larger than an electron's trace. For
            N counts an electron it is <N^2>/<N>: N itself where N is constant, more where it
            varies.
        standard_error: from the scatter between scan rows.
        pixel: variance over mean of a single pixel; below `value` where an electron fires several.
    """

    value: float
    standard_error: float
    pixel: float


def average_pattern(cube: Datacube, scan: tuple[Range, Range]) -> Float64:
    """Average (raw rows, raw columns) of a part of the scan, read a scan row at a time."""
    (y0, y1), columns = scan
    _, _, height, width = cube.shape
    total = np.zeros((height, width))
    for row in range(y0, y1):
        part = {"scan_y": (row, row + 1), "scan_x": columns}
        block = cube.block({**part, "det_y": (0, height), "det_x": (0, width)})
        total += block.sum(axis=(0, 1), dtype=np.float64)
    return total / ((y1 - y0) * (columns[1] - columns[0]))


def find_disk(pattern: Float64) -> Ellipse:
    """The bright-field disk of an average pattern: moments of what its rim encloses."""
    height = np.median(pattern[pattern > pattern.max() / 2])
    inside = np.clip((pattern / height - RIM_LOW) / (RIM_HIGH - RIM_LOW), 0.0, 1.0)
    weight = inside / inside.sum()
    row, variance_y = _moments(weight.sum(axis=1))
    column, variance_x = _moments(weight.sum(axis=0))
    # The variance of a uniform ellipse along an axis is a quarter of its semi-axis squared.
    return Ellipse(row, column, 2 * np.sqrt(variance_y), 2 * np.sqrt(variance_x))


def mean_radius(disk: Ellipse) -> float:
    """Radius of the circle of the same area."""
    return float(np.sqrt(disk.radius_y * disk.radius_x))


def elliptic_radius(disk: Ellipse, shape: tuple[int, int]) -> Float64:
    """Distance of every pixel from the centre in units of the rim's, 1 on the rim."""
    rows = (np.arange(shape[0]) - disk.center_y) / disk.radius_y
    columns = (np.arange(shape[1]) - disk.center_x) / disk.radius_x
    distance: Float64 = np.hypot(rows[:, None], columns[None, :])
    return distance


def aperture_amplitude(average: Float64, disk: Ellipse, radius_px: float) -> Float64:
    """The aperture's amplitude (n, n) on the nominal detector, from the average pattern.

    The pattern's mean along the ellipses around its disk, brought to a round disk of the nominal
    radius: where the disk is and which shape it has stays to be found as the detector's mismatch.
    Inside, where the specimen modulates the average, the aperture is full.

    Args:
        average: position-averaged pattern (n, n) [counts].
        disk: its disk.
        radius_px: semi-angle [binned pixels].
    """
    n = len(average)
    distance = elliptic_radius(disk, (n, n))
    ring = (distance * mean_radius(disk) / RING_WIDTH_PX).astype(int).ravel()
    members = np.bincount(ring)
    used = members > 0
    level = np.bincount(ring, average.ravel())[used] / members[used]
    radius = np.bincount(ring, distance.ravel())[used] / members[used]
    plateau = level[(radius > FULL_RADIUS - 0.2) & (radius < FULL_RADIUS)].mean()
    intensity = np.where(radius < FULL_RADIUS, 1.0, np.clip(level / plateau, 0.0, 1.0))
    axis = (np.arange(n) - n // 2) / radius_px
    amplitude: Float64 = np.sqrt(
        np.interp(np.hypot(axis[:, None], axis[None, :]), radius, intensity)
    )
    return amplitude


def measure_multiplicity(
    patterns: CubePatterns, average: Float64, disk: Ellipse, read_noise: float
) -> Multiplicity | None:
    """Counts per electron from the noise's autocovariance; None where it cannot be measured.

    The noise of position j is d_j = (y_j - (y_{j-1} + y_{j+1}) / 2) / sqrt(3/2) along the fast
    axis, which a linear change of the mean does not enter, and which has the variance of y_j where
    the three means are equal. Summed over all lags up to `MAX_LAG_PX`,

        sum_l <d(k) d(k + l)> / <y(k)>

    is the variance over mean of a large area. It is taken in the dark field, where counts are few
    and the specimen changes them little: what it does change adds to the estimate in proportion to
    counts, so the value is an upper bound. Read noise is taken off.

    Args:
        patterns: what is imported.
        average: its position-averaged pattern (n, n) [counts].
        disk: the disk of that pattern.
        read_noise: standard deviation [counts].
    """
    ny, nx, n, _ = patterns.shape
    dark = elliptic_radius(disk, (n, n)) > DARK_FIELD_RADIUS
    rows = np.unique(np.linspace(0, ny - 1, min(ny, NOISE_ROWS)).round().astype(int))
    if nx < 3 or len(rows) < 2 or average[dark].sum() * nx * len(rows) < MIN_DARK_COUNTS:
        return None
    root = np.where(dark, np.sqrt(np.maximum(average, 0.0)), 0.0)
    norm = _lagged(root[None], root[None]) * (nx - 2)
    sums = np.empty((len(rows), *norm.shape))
    for number, row in enumerate(rows):
        y = patterns.rows(row, row + 1)[0].astype(np.float64)
        noise = np.where(dark, (y[1:-1] - (y[:-2] + y[2:]) / 2) / np.sqrt(1.5), 0.0)
        sums[number] = _lagged(noise, noise)
    sums[:, MAX_LAG_PX, MAX_LAG_PX] -= read_noise**2 * dark.sum() * (nx - 2)
    ratio = sums / norm
    by_row = ratio.sum(axis=(1, 2))
    zero = ratio[:, MAX_LAG_PX, MAX_LAG_PX]
    return Multiplicity(
        float(by_row.mean()),
        float(by_row.std(ddof=1) / np.sqrt(len(rows))),
        float(zero.mean()),
    )


def _lagged(a: Float64, b: Float64) -> Float64:
    """Sum over patterns and pixels of a(k) b(k + lag), (L, L) for lags up to MAX_LAG_PX."""
    side = 2 * MAX_LAG_PX + 1
    padded = np.pad(b, ((0, 0), (MAX_LAG_PX,) * 2, (MAX_LAG_PX,) * 2))
    _, height, width = a.shape
    return np.array(
        [
            [
                np.einsum("pij,pij->", a, padded[:, y : y + height, x : x + width])
                for x in range(side)
            ]
            for y in range(side)
        ]
    )


def _moments(weight: Float64) -> tuple[float, float]:
    """(mean, variance) of the index, of weights that sum to 1."""
    index = np.arange(len(weight))
    mean = float(weight @ index)
    return mean, float(weight @ (index - mean) ** 2)
