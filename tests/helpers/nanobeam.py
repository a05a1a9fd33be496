"""Small nanobeam scans of known crystals, by the exact operator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from algorithms.analysis.base import Maps
from algorithms.base import Sample
from runner.files.challenge import ChallengeSample
from runner.tiers.examples import NANOBEAM, NanobeamScan
from runner.tiers.examples.nanobeam import Specimen
from schemas.spec import MismatchSpec

SPEC = MismatchSpec(camera_length=3.0, center_offset=1.3, elliptical_distortion=0.008)
COMPONENTS = ("e_xx", "e_yy", "e_xy", "theta")


def nanobeam(specimen: Specimen, shape: tuple[int, int] = (6, 6), **changes: Any) -> NanobeamScan:
    """A scan of a specimen, its instrument as the examples' but for the changes."""
    return NanobeamScan(specimen, NANOBEAM.model_copy(update={"scan_shape": shape, **changes}))


def as_sample(source: ChallengeSample) -> Sample:
    """As an analysis gets it."""
    return Sample(source.name, source.y, source.operator, source.ranges, true_spec=source.true_spec)


def measured(scan: NanobeamScan, spec: MismatchSpec = SPEC, seed: int = 0) -> Sample:
    """The sample of a scan on a detector."""
    return as_sample(scan.measured(spec, seed=seed))


def error(maps: Maps, scan: NanobeamScan, name: str) -> NDArray[np.float64]:
    """Map minus truth over the positions that are valid and have a truth (N,)."""
    truth, there = scan.specimen.truth(scan.points_A())
    both = maps.valid.ravel() & there
    return np.asarray(maps.maps[name].values.ravel()[both] - truth[name].values[both])


def rms(values: NDArray[np.float64]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))
