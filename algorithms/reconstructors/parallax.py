"""parallax: tilt-corrected bright field, its contrast transfer undone.

Every pixel of the bright-field disk gives an image, shifted by the gradient of the aberration
phase; they are shifted back and summed on the object's own pixels (`algorithms.tilted_images`). The
sum's transfer, 2 sin chi(k) times the overlap of the disk with itself for defocus alone, is known
pixel by pixel, and undone by Wiener's filter (`algorithms.wiener`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from algorithms.base import Reconstruction, Sample, unsuited
from algorithms.pixels import PixelStatistics
from algorithms.scan_lattice import ScanLattice
from algorithms.tilted_images import TiltedImages
from algorithms.virtual_detectors import noise_of
from algorithms.weak_phase import transfer
from algorithms.wiener import (
    LEAST_RESPONSE,
    Expectation,
    LinearImage,
    PhaseEstimate,
    band_of,
    estimate_phase,
    image_of,
    second_order,
)
from schemas.spec import MismatchSpec


@dataclass(frozen=True)
class Parallax:
    """Tilt-corrected bright field.

    Attributes:
        expected: what is expected of x, for Wiener's filter.
    """

    expected: Expectation = Expectation()

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1].

        Raises:
            ContractError: SAMPLE_UNSUITED: the probe is in focus, no pixel of the disk works, or
                the scan is no raster.
        """
        estimate, diagnostics = self.phase(sample, spec)
        return Reconstruction(image_of(estimate.phase, sample), diagnostics=diagnostics)

    def phase(self, sample: Sample, spec: MismatchSpec) -> tuple[PhaseEstimate, dict[str, Any]]:
        """The phase (H, W) [rad]; one pass for the averages of the pixels, one for the image."""
        attrs, lattice = sample.operator.attrs, ScanLattice.of(sample)
        statistics = PixelStatistics.of(sample.y)
        tilted = TiltedImages.of(sample.operator, spec, statistics.usable(attrs.gain))
        if not len(tilted.rows):
            raise unsuited(
                sample,
                needs="detector pixels within the bright-field disk that work",
                found="none: each counts the same in every pattern, or nothing amid its neighbours",
                instead="ptychography, where pixels beyond the disk work",
            )
        image = tilted.aligned(sample, statistics.mean)
        weights = np.zeros_like(statistics.mean)
        weights[tilted.rows, tilted.cols] = 1.0
        share = float(statistics.mean[tilted.rows, tilted.cols].sum())
        share /= attrs.gain * attrs.dose_e
        frequencies = [(0.0, 0.0), *lattice.aliases(2 * band_of(sample))]
        kernels = dict(zip(frequencies, tilted.kernels(frequencies), strict=True))
        linear = LinearImage(
            np.fft.fft2(image) * lattice.cell_px,
            lambda g: transfer(kernels[g], sample.object_shape, g),
            noise_of(sample, weights, statistics.mean) * lattice.cell_px
            + second_order(sample, self.expected, share),
        )
        estimate = estimate_phase(sample, [linear], lattice, self.expected)
        largest = float(np.linalg.norm(tilted.shifts, axis=1).max()) * attrs.sampling_A
        if not estimate.shows_phase:
            raise unsuited(
                sample,
                needs="an aberrated probe: a weak phase is seen by sin chi, which is 0 in focus;"
                f" a frequency that comes through by {LEAST_RESPONSE:.0%}",
                found=f"{estimate.response.max():.1%}, images shifted by {largest:.2g} A at most",
                instead="idpc and ptychography see a phase in focus as well",
            )
        return estimate, {
            "expected_share": estimate.share,
            "disk_pixels": len(tilted.rows),
            "largest_shift_A": largest,
        }
