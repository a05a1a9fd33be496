"""What every analysis begins with: the average pattern, broken pixels, the probe's template."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.analysis.template import ProbeTemplate
from algorithms.base import Sample
from algorithms.pixels import PixelStatistics, fill
from schemas.findings import refuse
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]

BLOCK_BYTES = 8 << 20
"""Patterns read at a time [bytes]; their correlations and boxes take about ten times as much."""


@dataclass(frozen=True, eq=False)
class FirstLook:
    """One pass over the scan.

    Attributes:
        average: (n, n) mean pattern [electrons], broken pixels as their neighbours.
        count: how many patterns.
        usable: (n, n), False for broken pixels.
        template: the probe's pattern on this detector.
        variance_e: variance of the read noise [electrons^2].
    """

    average: Float64
    count: int
    usable: NDArray[np.bool_]
    template: ProbeTemplate
    variance_e: float

    @classmethod
    def of(cls, sample: Sample, spec: MismatchSpec) -> FirstLook:
        """The first look at a sample through a detector."""
        statistics, attrs = PixelStatistics.of(sample.y), sample.operator.attrs
        usable = statistics.usable(attrs.gain)
        return cls(
            fill(statistics.mean[None] / attrs.gain, usable)[0],
            statistics.count,
            usable,
            ProbeTemplate.of(sample.operator, spec),
            (attrs.read_noise / attrs.gain) ** 2,
        )


def electron_blocks(sample: Sample, usable: NDArray[np.bool_]) -> Iterator[Float64]:
    """The patterns (B, n, n) [electrons] in order, broken pixels as their neighbours are.

    Raises:
        ContractError: SAMPLE_TIMEOUT.
    """
    ny, nx, ky, kx = sample.y.shape
    size = max(1, BLOCK_BYTES // (8 * ky * kx))
    for start in range(0, ny * nx, size):
        stop = min(start + size, ny * nx)
        if sample.seconds_left <= 0:
            raise refuse(
                "SAMPLE_TIMEOUT",
                sample.name,
                expected="an analysis within the sample's time limit",
                found=f"{start} of {ny * nx} patterns done when the time was over",
                hint="give it more time",
            )
        yield fill(sample.y.read(start, stop), usable) / sample.operator.attrs.gain
        sample.progress(stop / (ny * nx))
