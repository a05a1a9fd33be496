"""Figures of one run, and of a curve of PSNR against seconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.problems import Scene

FORWARD_TOLERANCE = 1e-4
"""Largest relative error of a package's own forward model that is still the same model."""

DIVERGED_DB = -100.0
"""PSNR of an image that is not finite [dB]; JSON knows no infinity."""


def forward_error(patterns: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """||patterns - expected|| / ||expected||."""
    difference = patterns.astype(np.float64) - expected.reshape(patterns.shape)
    return float(np.linalg.norm(difference) / np.linalg.norm(expected))


def psnr_db(phase: NDArray[np.float32], scene: Scene) -> float:
    """PSNR of a phase (H, W) [rad] where all see well, its offset removed: the data hold none."""
    x = phase.astype(np.float64) / scene.phase_scale_rad
    error = (x - scene.x_true)[scene.region]
    if not np.isfinite(error).all():
        return DIVERGED_DB
    return -10 * math.log10(float(np.var(error)))


def seconds_to_reach(
    seconds: Sequence[float], psnr: Sequence[float], target_db: float
) -> float | None:
    """Time of the first image that is at least that good [s]; None if there is none."""
    for when, quality in zip(seconds, psnr, strict=True):
        if quality >= target_db:
            return when
    return None


def median_curve(runs: Sequence[dict[str, Any]]) -> list[float]:
    """Median of several runs' seconds at each iteration."""
    medians: list[float] = np.median([run["seconds"] for run in runs], axis=0).tolist()
    return medians
