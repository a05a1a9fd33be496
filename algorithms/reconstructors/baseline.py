"""cpu-baseline: centre of mass, integrated (iDPC). Linear in the data, no iterations.

See `algorithms.idpc`; the background is put to 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from algorithms.base import Reconstruction, Sample
from algorithms.idpc import SMOOTHING, integrated_phase
from algorithms.pixels import PixelStatistics
from schemas.spec import MismatchSpec

BACKGROUND_PERCENTILE = 1.0
"""Percentile of x that is put to 0."""


@dataclass(frozen=True)
class CpuBaseline:
    """Integrated centre of mass.

    Attributes:
        smoothing: width of the gridding kernel [scan steps].
    """

    smoothing: float = SMOOTHING

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1]."""
        attrs = sample.operator.attrs
        usable = PixelStatistics.of(sample.y).usable(attrs.gain)
        phase = integrated_phase(sample, spec, usable, smoothing=self.smoothing)
        x = phase / attrs.phase_scale_rad
        x -= np.percentile(x, BACKGROUND_PERCENTILE)
        return Reconstruction(np.clip(x, 0.0, 1.0).astype(np.float32))
