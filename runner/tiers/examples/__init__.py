"""Example files that the tiers do not have: nanobeam scans of crystals that are known."""

from runner.tiers.examples.build import EXAMPLES, ExampleFiles, build_example
from runner.tiers.examples.deformed import Deformation, DeformedCrystal, Hole
from runner.tiers.examples.grains import Grain, Polycrystal
from runner.tiers.examples.nanobeam import NANOBEAM, NanobeamScan

__all__ = [
    "EXAMPLES",
    "NANOBEAM",
    "Deformation",
    "DeformedCrystal",
    "ExampleFiles",
    "Grain",
    "Hole",
    "NanobeamScan",
    "Polycrystal",
    "build_example",
]
