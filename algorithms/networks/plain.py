"""Where every network begins: plain ptychography's own guess of the constant."""

from __future__ import annotations

from torch import Tensor

from algorithms.prior import BACKGROUND_PERCENTILE


def with_background_at_zero(images: Tensor) -> Tensor:
    """Images (B, 2, H, W) with the low percentile of each first one at 0.

    As `algorithms.prior.pin_background` has it.
    """
    flat = images[:, 0].flatten(1)
    place = max(1, round(BACKGROUND_PERCENTILE / 100 * flat.shape[1]))
    background = flat.kthvalue(place, dim=1).values
    return images - background[:, None, None, None]
