"""Real scans: a 4-D datacube and its instrument's numbers become a challenge file."""

from runner.tiers.imported.build import import_scan
from runner.tiers.imported.datacube import AXES, Layout
from runner.tiers.imported.instrument import Instrument
from runner.tiers.imported.options import DEFAULT_RANGES, ApertureModel, ImportOptions
from runner.tiers.imported.report import ImportReport

__all__ = [
    "AXES",
    "DEFAULT_RANGES",
    "ApertureModel",
    "ImportOptions",
    "ImportReport",
    "Instrument",
    "Layout",
    "import_scan",
]
