"""What is imported, and what is stated about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from runner.tiers.imported.datacube import Layout, Range
from runner.tiers.imported.instrument import Instrument
from schemas.spec import SpecRange, SpecRanges

DEFAULT_RANGES = SpecRanges(
    (
        SpecRange(name="camera_length", min=-8.0, max=8.0, unit="%"),
        SpecRange(name="center_offset", min=-2.0, max=2.0, unit="pixels"),
        SpecRange(name="elliptical_distortion", min=-0.04, max=0.04, unit=""),
    )
)
"""Wide enough for an instrument that was calibrated some time ago."""


class ApertureModel(StrEnum):
    """What the probe's aperture is taken to be."""

    MEASURED = "measured"
    """The average pattern's radial profile: soft rim and tail included."""
    ROUND = "round"
    """A sharp disk of the semi-angle."""


@dataclass(frozen=True)
class ImportOptions:
    """How a datacube becomes a challenge file.

    Attributes:
        instrument: the microscope's numbers.
        layout: dataset, axis order, flips; None takes the only datacube of the file as it is.
        scan_shape: (Ny, Nx) of a file that holds a mere stack of patterns; None: the file tells.
        scan_crop: scan rows and columns [start, stop); None takes all.
        detector_crop: raw detector rows and columns; None takes all. A square around the disk is
            taken out of it.
        detector_size: side of that square [binned pixels]; None takes the largest that fits.
        bin: raw detector pixels summed along each axis.
        center_px: (row, column) of the optical axis on the raw detector; None finds the disk.
        gain: counts per electron; None measures it.
        aperture: what the probe's aperture is taken to be.
        phase_scale_rad: phase of x = 1 [rad].
        ranges: where the mismatch may lie.
        scene: name of the scene.
    """

    instrument: Instrument
    layout: Layout | None = None
    scan_shape: tuple[int, int] | None = None
    scan_crop: tuple[Range, Range] | None = None
    detector_crop: tuple[Range, Range] | None = None
    detector_size: int | None = None
    bin: int = 1
    center_px: tuple[float, float] | None = None
    gain: float | None = None
    aperture: ApertureModel = ApertureModel.MEASURED
    phase_scale_rad: float = math.pi
    ranges: SpecRanges = DEFAULT_RANGES
    scene: str = "imported scan"
