"""Scales, crops and marks of a sample's images: the same on the page and in the figures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from physics.geometry import DetectorGeometry, Ellipse
from runner.report.drawing import round_length
from runner.report.figure import DISK_MARGIN, RESIDUAL_PERCENTILE
from runner.report.inspection import probe_diameter_A
from runner.report.page.records import SampleView
from runner.scoring.fourier import resolution_A
from schemas.spec import MismatchSpec

BAR_SHARE = 0.4
"""Longest scale bar, as a share of the image's width."""

NOISE_SIGMA = 4.0
"""Standard deviations above the brightest mean that a single pattern's scale reaches."""


@dataclass(frozen=True)
class Look:
    """How one sample is drawn.

    Attributes:
        bar_A: length of the object's scale bar [A].
        bar_share: the same, as a share of the image's width.
        limit: half width of the difference's scale; None without truth or answer.
        brightest: end of the single patterns' scale [electrons].
        first: first row and column of the drawn part of the averaged pattern [pixels].
        side: its side [pixels].
        nominal: the bright-field disk where the operator has it.
        fitted: where the submission found it; None without an answer.
        probe_radius: of the circle that holds 90 % of the beam [object pixels].
        resolution_A: where the ring correlation falls below its threshold [A]; None where it does
            not, or is not known.
    """

    bar_A: float
    bar_share: float
    limit: float | None
    brightest: float
    first: int
    side: int
    nominal: Ellipse
    fitted: Ellipse | None
    probe_radius: float
    resolution_A: float | None


def look_of(sample: SampleView) -> Look:
    """The look of a sample."""
    operator, answer = sample.operator, sample.answer
    sampling, n = operator.attrs.sampling_A, operator.window
    width = operator.attrs.object_shape[1] * sampling
    bar = round_length(BAR_SHARE * width)
    limit = None
    if sample.x_true is not None and answer is not None:
        error = np.abs(answer.x_hat - sample.x_true)
        limit = float(np.percentile(error, RESIDUAL_PERCENTILE)) or 1.0
    peak = float(sample.pacbed.max())
    half = min(math.ceil(DISK_MARGIN * operator.disk_radius_px), n // 2)
    curve = None if answer is None else answer.correlation
    return Look(
        bar_A=bar,
        bar_share=bar / width,
        limit=limit,
        brightest=peak + NOISE_SIGMA * math.sqrt(max(peak, 1.0)),
        first=n // 2 - half,
        side=min(2 * half + 1, n),
        nominal=_disk(sample, MismatchSpec()),
        fitted=None if answer is None else _disk(sample, answer.spec),
        probe_radius=probe_diameter_A(operator) / 2 / sampling,
        resolution_A=None if curve is None else resolution_A(curve),
    )


def _disk(sample: SampleView, spec: MismatchSpec) -> Ellipse:
    return DetectorGeometry(sample.operator.window, spec).disk(sample.operator.disk_radius_px)
