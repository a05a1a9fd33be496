"""The two scores of the benchmark, as pure functions of the metrics (contract, section 5)."""

from __future__ import annotations

from schemas.challenge import Track

STANDARD_PSNR_FLOOR_DB = 15.0
"""PSNR [dB] that earns nothing on the standard track; from the page's own formula."""

STANDARD_PSNR_SPAN_DB = 30.0
"""PSNR [dB] above the floor that earns everything on the standard track; likewise."""

STANDARD_WEIGHTS = (0.5, 0.5)
"""Weights of PSNR and SSIM on the standard track."""

BLIND_PSNR_FLOOR_DB = 10.0
"""PSNR [dB] that earns nothing on the blind track.

The page does not print this normalisation; its 27 rows decide it. With the standard track's floor
and span, one of them (19.67 dB, SSIM 0.583, score 0.518) would need a consistency of 1.11.
"""

BLIND_PSNR_SPAN_DB = 40.0
"""PSNR [dB] above the floor that earns everything on the blind track; inferred likewise."""

BLIND_WEIGHTS = (0.4, 0.4, 0.2)
"""Weights of PSNR, SSIM and consistency on the blind track."""


def clip_unit(value: float) -> float:
    """`value` moved into [0, 1]; NaN, which no finite image gives, becomes 0."""
    return min(max(0.0, value), 1.0)


def standard_score(psnr_db: float, ssim: float) -> float:
    """0.5 * clip((PSNR - 15)/30, 0, 1) + 0.5 * SSIM, not below 0."""
    psnr_weight, ssim_weight = STANDARD_WEIGHTS
    psnr_part = clip_unit((psnr_db - STANDARD_PSNR_FLOOR_DB) / STANDARD_PSNR_SPAN_DB)
    return clip_unit(psnr_weight * psnr_part + ssim_weight * ssim)


def blind_score(psnr_db: float, ssim: float, consistency: float) -> float:
    """0.4 * clip((PSNR - 10)/40, 0, 1) + 0.4 * SSIM + 0.2 * max(0, consistency), not below 0."""
    psnr_weight, ssim_weight, consistency_weight = BLIND_WEIGHTS
    psnr_part = clip_unit((psnr_db - BLIND_PSNR_FLOOR_DB) / BLIND_PSNR_SPAN_DB)
    return clip_unit(
        psnr_weight * psnr_part + ssim_weight * ssim + consistency_weight * clip_unit(consistency)
    )


def track_score(track: Track, *, psnr_db: float, ssim: float, consistency: float) -> float:
    """The score of a track; consistency has no weight on the standard one."""
    if track is Track.STANDARD:
        return standard_score(psnr_db, ssim)
    return blind_score(psnr_db, ssim, consistency)
