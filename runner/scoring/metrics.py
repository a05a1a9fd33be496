"""Image and data metrics (contract, section 5). The truth's peak is 1.0; nothing is aligned.

Images are (H, W), finite: what is not finite is refused where files are read, before it gets here.
Everything is accumulated in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from physics.ideal import ArrayOperator, IdealOperator, Patterns
from physics.operator import ForwardOperator, batches
from physics.primitives.array import ArrayMap
from schemas.spec import MismatchSpec

Image = NDArray[np.floating[Any]]

PEAK = 1.0
"""Largest value of the truth, which is scaled to [0, 1]."""

PSNR_CAP_DB = 100.0
"""PSNR of identical images [dB], which would be infinite and has no JSON form.

Both scores are saturated from 50 dB on, so the cap never decides one.
"""

SSIM_WINDOW = 7
"""Side of SSIM's uniform window [pixels]; scikit-image's default."""

SSIM_VALUE_LIMIT = 1e4
"""Largest pixel value that SSIM sees, 10^4 times the truth's peak.

Beyond it the similarity is nil already, while the variances, taken as E[x^2] - E[x]^2, would drown
in rounding and the ratio could take any value. Below it nothing is changed.
"""


def psnr_db(image: Image, truth: Image) -> float:
    """Peak signal-to-noise ratio 10 log10(1 / MSE) [dB], at most `PSNR_CAP_DB`."""
    difference = image.astype(np.float64) - truth.astype(np.float64)
    floor = PEAK**2 * 10 ** (-PSNR_CAP_DB / 10)
    return -10 * math.log10(max(float(np.mean(difference**2)), floor) / PEAK**2)


def psnr_offset_free_db(image: Image, truth: Image) -> float:
    """PSNR after the mean difference is taken off [dB]: a constant phase cannot be measured."""
    offset = np.mean(image.astype(np.float64) - truth.astype(np.float64))
    return psnr_db(image.astype(np.float64) - offset, truth)


def ssim(image: Image, truth: Image) -> float:
    """Mean structural similarity (Wang et al. 2004), 7x7 uniform window, data range 1.0.

    Raises:
        ValueError: an image smaller than the window, or of another shape than the truth.
    """
    value = structural_similarity(  # type: ignore[no-untyped-call]
        np.clip(image.astype(np.float64), -SSIM_VALUE_LIMIT, SSIM_VALUE_LIMIT),
        truth.astype(np.float64),
        win_size=SSIM_WINDOW,
        data_range=PEAK,
    )
    return float(value)


def signal_ssim(signal: Image, truth: Image) -> float | None:
    """SSIM of a signal of any shape: of a stack, the mean over its images.

    None where the last two axes are no image of at least the window's side.
    """
    if signal.ndim < 2 or min(signal.shape[-2:]) < SSIM_WINDOW:
        return None
    image = signal.shape[-2:]
    pairs = zip(signal.reshape(-1, *image), truth.reshape(-1, *image), strict=True)
    return float(np.mean([ssim(one, other) for one, other in pairs]))


@dataclass(frozen=True)
class Residual:
    """How far modelled patterns are from measured ones, summed over all detector pixels.

    Attributes:
        squared: sum of (y - gain * I)^2, or of (y - H x)^2 [counts^2].
        measured: sum of y^2 [counts^2].
        variance: sum of the variances that the model expects, gain^2 * I + read_noise^2 [counts^2];
            NaN where the file does not state the noise.
    """

    squared: float
    measured: float
    variance: float

    @property
    def consistency(self) -> float:
        """1 - ||y - gain * I|| / ||y||: at most 1, below 0 for a model worse than nothing.

        Raises:
            ZeroDivisionError: y is zero everywhere.
        """
        return 1.0 - math.sqrt(self.squared / self.measured)

    @property
    def ceiling(self) -> float:
        """The consistency that noise alone would leave, as this model expects it."""
        return 1.0 - math.sqrt(self.variance / self.measured)

    @property
    def chi_square(self) -> float:
        """Squared residual over its expected value: 1 when nothing but noise is left.

        A ratio of sums, not a mean of ratios: in the dark field, where less than an electron is
        expected, single counts would otherwise decide the figure.
        """
        return self.squared / self.variance

    @property
    def unexplained(self) -> float:
        """Share of ||y|| that is neither model nor noise."""
        return math.sqrt(max(self.squared - self.variance, 0.0) / self.measured)


def residual(y: Patterns, operator: IdealOperator, x: Image, spec: MismatchSpec) -> Residual:
    """Compare measured patterns with those that `x` gives on a detector with `spec`.

    Streams over the scan, so that memory does not grow with it.

    Args:
        y: measured patterns (Ny, Nx, Ky, Kx) [counts].
        operator: the ideal operator of the sample.
        x: object (H, W); its phase is `phase_scale_rad * x`.
        spec: detector mismatch of the model.
    """
    model = ForwardOperator(operator, dtype=torch.float64)
    attrs = operator.attrs
    phi = model.tensor(attrs.phase_scale_rad * x.astype(np.float64))
    squared = measured = variance = 0.0
    with torch.inference_mode():
        for index in batches(model.count, model.batch):
            electrons = model.expected(phi, spec, index)
            counts = model.tensor(y.read(index.start, index.stop))
            squared += float((counts - attrs.gain * electrons).square().sum())
            measured += float(counts.square().sum())
            variance += attrs.gain**2 * float(electrons.sum())
            variance += attrs.read_noise**2 * electrons.numel()
    return Residual(squared, measured, variance)


def array_residual(y: Image, operator: ArrayOperator, x: Image) -> Residual:
    """Compare a measurement with H x, H a plain array.

    Args:
        y: measurement, of any shape.
        operator: H.
        x: the signal.
    """
    modelled = ArrayMap(operator).forward(torch.as_tensor(x.astype(np.float64))).numpy()
    measured = y.astype(np.float64)
    squared = float(np.sum((measured - modelled) ** 2))
    return Residual(squared, float(np.sum(measured**2)), math.nan)
