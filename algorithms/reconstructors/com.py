"""com: the centre-of-mass field, and the charge that it springs from.

The field itself is the result, and goes into the diagnostics, as arrows that can be drawn. The
image is its negative divergence: -div <q> = -(1/2 pi) laplacian(phi * |P|^2), the projected charge
density seen through the probe (Mueller-Caspary et al., Ultramicroscopy 178, 62 (2017)). Where
`idpc` integrates the field, `com` differentiates it, so nothing long-ranged is left, and nothing is
assumed. Its scale in x is no one's to tell: it is chosen so that the image varies as x is expected
to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Reconstruction, Sample
from algorithms.idpc import SMOOTHING, center_of_mass, grid
from algorithms.pixels import PixelStatistics
from algorithms.wiener import Expectation, image_of
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]

MOST_ARROWS = 24
"""Arrows along each side of the field in the diagnostics, which must stay below 64 KiB."""


@dataclass(frozen=True)
class CenterOfMass:
    """The centre-of-mass field and its charge density.

    Attributes:
        smoothing: width of the gridding kernel [scan steps].
        expected: what is expected of x: its contrast becomes the image's.
    """

    smoothing: float = SMOOTHING
    expected: Expectation = Expectation()

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1]: the charge density; the field is in the diagnostics."""
        usable = PixelStatistics.of(sample.y).usable(sample.operator.attrs.gain)
        momentum = center_of_mass(sample, spec, usable)
        deflection = momentum - momentum.mean(axis=0)
        field = grid(deflection, sample, self.smoothing)
        charge, curl = charge_and_curl(field, sample.operator.attrs.sampling_A)
        spread = self.expected.contrast * sample.operator.attrs.phase_scale_rad
        image = charge * (spread / max(float(charge.std()), np.finfo(np.float64).tiny))
        return Reconstruction(
            image_of(image, sample),
            diagnostics={
                **_summary(momentum, sample),
                "curl_over_divergence": float(curl.std() / max(charge.std(), 1e-30)),
                **_arrows(deflection, sample),
            },
        )


def charge_and_curl(field: Float64, sampling_A: float) -> tuple[Float64, Float64]:
    """(-div, curl), each (H, W) [A^-2], of a periodic field (2, H, W) as (row, col) [A^-1]."""
    k_y = np.fft.fftfreq(field.shape[1], sampling_A)[:, None]
    k_x = np.fft.fftfreq(field.shape[2], sampling_A)[None, :]
    along_y, along_x = np.fft.fft2(field)
    turn = 2j * np.pi
    charge = np.fft.ifft2(-turn * (k_y * along_y + k_x * along_x)).real
    curl = np.fft.ifft2(turn * (k_x * along_y - k_y * along_x)).real
    return charge, curl


def _summary(momentum: Float64, sample: Sample) -> Mapping[str, Any]:
    """Deflections in mrad."""
    deflection = _mrad(momentum - momentum.mean(axis=0), sample)
    return {
        "mean_deflection_mrad": _mrad(momentum.mean(axis=0), sample).tolist(),
        "rms_deflection_mrad": float(np.sqrt((deflection**2).sum(axis=1).mean())),
        "largest_deflection_mrad": float(np.hypot(*deflection.T).max()),
    }


def _arrows(deflection: Float64, sample: Sample) -> Mapping[str, Any]:
    """The field in blocks of scan positions, at most `MOST_ARROWS` a side."""
    ny, nx = sample.scan_shape
    block = [-(-side // MOST_ARROWS) for side in (ny, nx)]
    rows, cols = ny // block[0], nx // block[1]
    field = _mrad(deflection, sample).reshape(ny, nx, 2)[: rows * block[0], : cols * block[1]]
    means = field.reshape(rows, block[0], cols, block[1], 2).mean(axis=(1, 3))
    return {
        "field_mrad": {
            "positions_a_block": block,
            "rows": np.round(means[..., 0], 3).tolist(),
            "cols": np.round(means[..., 1], 3).tolist(),
        }
    }


def _mrad(momentum: Float64, sample: Sample) -> Float64:
    """Angles [mrad] of spatial frequencies [A^-1]."""
    return momentum * sample.operator.attrs.wavelength_A * 1e3
