"""What a microscope does and H does not know, put into simulated data.

    Effects            which effects, and how strong
    LEVELS             the named levels of `stem4d tiers build --realism`
    draw_thick         a family's specimen, at the thickness that the effects ask for
    measure            its counts, by multislice

Needs the `organizer` extra (abtem, ase), for the public families too: their atoms do not ship.
"""

from runner.tiers.realism.levels import LEVELS, Effects
from runner.tiers.realism.measure import Streams, measure
from runner.tiers.realism.thick import ThickSpecimen, draw_thick, thick_from_file

__all__ = [
    "LEVELS",
    "Effects",
    "Streams",
    "ThickSpecimen",
    "draw_thick",
    "measure",
    "thick_from_file",
]
