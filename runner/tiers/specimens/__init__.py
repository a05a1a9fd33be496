"""Specimens: phase images of real crystal structures, for the simulated tiers.

    Specimen              what a specimen is
    FAMILIES              names of the families of each tier
    draw_specimen         a specimen of a family
    public_specimen       one of those that ship with the package
    public_specimens      all of those
    from_structure_file   a specimen from a user's file

Reading what ships needs no extra; building needs `organizer` (abtem, ase). What ships is made by
`python -m runner.tiers.specimens.precompute`.
"""

from runner.tiers.specimens.catalog import FAMILIES
from runner.tiers.specimens.draw import draw_specimen, from_structure_file
from runner.tiers.specimens.model import Specimen
from runner.tiers.specimens.shipped import public_specimen, public_specimens

__all__ = [
    "FAMILIES",
    "Specimen",
    "draw_specimen",
    "from_structure_file",
    "public_specimen",
    "public_specimens",
]
