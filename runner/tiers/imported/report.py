"""What an import did and measured, for programs and for people."""

from __future__ import annotations

import math

from pydantic import Field

from schemas.base import Record, quantity
from schemas.operator import OperatorAttrs


class NoiseReport(Record):
    """Counts and electrons."""

    counts_per_pattern: float = quantity("counts", "mean sum of a pattern")
    multiplicity: float | None = quantity("counts/electron", "measured; null where it was not")
    multiplicity_error: float | None = quantity("counts/electron", "its standard error")
    pixel_fano: float | None = quantity("", "variance over mean of a single pixel")
    gain: float = quantity("counts/electron", "what the challenge file states")

    def remarks(self) -> tuple[str, ...]:
        """What the noise means for a reconstruction, a line each."""
        electrons = self.counts_per_pattern / self.gain
        if self.multiplicity is None or self.multiplicity_error is None or self.pixel_fano is None:
            return (f"Noise: gain {self.gain:.3g} as given, {electrons:.0f} e a pattern.",)
        measured = (
            f"Noise: one electron makes {self.multiplicity:.2f} +- {self.multiplicity_error:.2f}"
            f" counts in neighbouring pixels; gain {self.gain:.3g} is used, {electrons:.0f} e a"
            " pattern."
        )
        error_factor = math.sqrt(self.multiplicity / self.gain)
        return (
            measured,
            f"With this gain error bars are {1 / error_factor:.2f} of what they should be, and a"
            f" pixel's chi-square is about {self.pixel_fano / self.gain:.2f}, because neighbouring"
            " counts are not independent.",
        )


class ImportReport(Record):
    """What was imported, and what was measured on the way."""

    challenge: str = Field(description="path of the challenge file")
    y_shape: tuple[int, int, int, int] = Field(description="(Ny, Nx, Ky, Kx)")
    detector_origin: tuple[int, int] = Field(description="first raw row and column that are kept")
    disk_center_px: tuple[float, float] = quantity(
        "pixels", "(row, column) of the disk on the raw detector"
    )
    disk_radius_px: float = quantity("pixels", "radius of the disk, in binned pixels")
    disk_radius_nominal_px: float = quantity("pixels", "semi-angle / binned detector pixel")
    center_offset_px: float = quantity("pixels", "part left for the calibrator, both axes")
    tilt_px: tuple[float, float] = quantity("pixels", "part in the probe's tilt (rows, columns)")
    noise: NoiseReport
    operator: OperatorAttrs

    def remarks(self) -> tuple[str, ...]:
        """What a person should know, a line each."""
        n, (top, left) = self.y_shape[-1], self.detector_origin
        row, column = self.disk_center_px
        return (
            f"Detector: {n} x {n} pixels from raw row {top}, column {left}: the disk's centre, raw"
            f" ({row:.2f}, {column:.2f}), is nearest to pixel {n // 2} of both axes.",
            f"Centre: {self.center_offset_px:+.2f} px on both axes are left to find;"
            f" ({self.tilt_px[0]:+.3f}, {self.tilt_px[1]:+.3f}) px are in the probe's tilt.",
            f"Disk: radius {self.disk_radius_px:.2f} px,"
            f" nominal {self.disk_radius_nominal_px:.2f} px.",
            *self.noise.remarks(),
        )
