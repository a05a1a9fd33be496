"""Example files that the tiers do not have: nanobeam scans of crystals whose strain is known."""

from runner.tiers.examples.strained import (
    EXAMPLES,
    Deformation,
    Hole,
    StrainedScan,
    strained_crystal,
    strained_sample,
)

__all__ = [
    "EXAMPLES",
    "Deformation",
    "Hole",
    "StrainedScan",
    "strained_crystal",
    "strained_sample",
]
