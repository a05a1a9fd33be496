"""Thick specimens: the families' own crystals, with more of the same below.

What makes a specimen worth looking at (terraces, particles, defects) stays on top. Below it the
lowest period is repeated until the thickness is reached; defects that go through that period go
through the crystal, as edge dislocations and grain boundaries do, and the vacancies of SrTiO3 with
them: in 20 nm a single one would not be seen. A film of carbon is repeated with random shifts, so
that no column of it lines up. Sheets (MoS2, WSe2, graphene, h-BN, one layer of Bi2Se3) are what
they are: they get no thicker.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from physics.optics import interaction_rad_per_VA
from runner.tiers.specimens.catalog import FAMILIES, builder
from runner.tiers.specimens.crystal import Atoms, Box, Crystal, stacked
from runner.tiers.specimens.families.metals import AL_A, CEO2_A
from runner.tiers.specimens.families.oxides import MGO_A, SRTIO3_A
from runner.tiers.specimens.families.semiconductors import GAN_C, SI_A
from runner.tiers.specimens.files import crystal_from_file
from runner.tiers.specimens.model import Movement, Specimen, dequantise
from runner.tiers.specimens.potential import image
from runner.tiers.specimens.precompute import public_crystal
from runner.tiers.specimens.shipped import SHIPPED_SAMPLING_A, SHIPPED_SHAPE, VARIANTS
from schemas.challenge import Tier
from schemas.recipes import Profile

PERIODS_A: Mapping[str, float] = MappingProxyType(
    {
        "srtio3_001": SRTIO3_A,
        "silicon_110": SI_A / math.sqrt(2),
        "mgo_terraces": MGO_A,
        "aluminium_grain_boundary": AL_A,
        "platinum_on_ceria": CEO2_A,
        "gan_edge_dislocations": GAN_C,
    }
)
"""Period along the beam of the crystals that can be made thicker [A]."""

FILMS: Mapping[str, str] = MappingProxyType({"gold_on_amorphous_carbon": "C"})
"""Families on an amorphous film, and the film's element."""

FILM_GAP_A = 1.45
"""Distance of two pieces of a carbon film: a bond."""

PLANE_A = 0.5
"""Atoms less than this below the next period belong to it: relaxed planes are not quite flat."""


@dataclass(frozen=True, eq=False)
class ThickSpecimen:
    """A specimen and the atoms that it is made of.

    Attributes:
        specimen: x is the normalised projected phase of the whole thickness; its phase_scale_rad
            may be many times pi.
        atoms: their mean positions, before `movement`.
        box: the periodic cell in the image plane.
        movement: takes images of `atoms` to the grid of `specimen`.
    """

    specimen: Specimen
    atoms: Atoms
    box: Box
    movement: Movement

    @property
    def thickness_A(self) -> float:
        """From the first atom to the last along the beam [A]."""
        return float(np.ptp(self.atoms.positions[:, 2]))


def draw_thick(
    family: str,
    rng: np.random.Generator,
    profile: Profile,
    thickness_A: float,
    film_rng: np.random.Generator,
) -> ThickSpecimen:
    """The specimen that `draw_specimen` draws from the same generator, made thicker.

    Args:
        family: a name of `FAMILIES`.
        rng: decides the specimen.
        profile: grid and beam energy.
        thickness_A: thickness to reach [A]; what is thicker already, and sheets, stay as they are.
        film_rng: decides how the pieces of an amorphous film lie on one another.

    Raises:
        ContractError: unknown family, missing extra, or no crystal of it fits the box.
    """
    shape, sampling_A = profile.object_shape, profile.sampling_A
    box = Box(shape[0] * sampling_A, shape[1] * sampling_A)
    make, name = builder(family), family
    shipped = shape == SHIPPED_SHAPE and math.isclose(sampling_A, SHIPPED_SAMPLING_A)
    if shipped and family in FAMILIES[Tier.PUBLIC]:
        variant = int(rng.integers(VARIANTS))
        crystal, name = public_crystal(family, variant), f"{family}_{variant}"
    else:
        crystal = make(box, rng)
    movement = Movement.draw(rng, shape)
    grown = thicken(crystal, family, thickness_A, box, film_rng)
    return _thick_specimen(grown, name, family, box, movement, profile)


def thick_from_file(path: Path, rng: np.random.Generator, profile: Profile) -> ThickSpecimen:
    """A user's structure, as thick as the file has it."""
    box = Box(*(side * profile.sampling_A for side in profile.object_shape))
    crystal = crystal_from_file(path, box, rng)
    return _thick_specimen(
        crystal, path.stem, "file", box, Movement((0, 0), turns=0, flip=False), profile
    )


def thicken(
    crystal: Crystal, family: str, thickness_A: float, box: Box, rng: np.random.Generator
) -> Crystal:
    """A crystal with its lowest period, or its film, repeated below itself."""
    atoms = crystal.atoms
    heights = atoms.positions[:, 2]
    if family in PERIODS_A:
        period = PERIODS_A[family]
        below = atoms.where(heights < heights.min() + period - PLANE_A)
    elif family in FILMS:
        below = atoms.where(atoms.symbols == FILMS[family])
        period = float(np.ptp(below.positions[:, 2])) + FILM_GAP_A
    else:
        return crystal
    count = max(round((thickness_A - float(np.ptp(heights))) / period), 0)
    if count == 0:
        return crystal
    copies = [below.moved((0.0, 0.0, -period * (number + 1))) for number in range(count)]
    if family in FILMS:
        shifts = rng.uniform(size=(count, 2)) * box.size
        copies = [
            copy.moved((float(x), float(y), 0.0)).wrapped(box)
            for copy, (x, y) in zip(copies, shifts, strict=True)
        ]
    total = stacked([atoms, *copies])
    nanometres = float(np.ptp(total.positions[:, 2])) / 10
    return Crystal(
        total, f"{crystal.description}, made {nanometres:.1f} nm thick", crystal.strain_percent
    )


def _thick_specimen(
    crystal: Crystal, name: str, family: str, box: Box, movement: Movement, profile: Profile
) -> ThickSpecimen:
    levels, range_VA = image(crystal, box, profile.object_shape)
    specimen = Specimen(
        name=name,
        family=family,
        x=movement.apply(dequantise(levels)),
        phase_scale_rad=interaction_rad_per_VA(profile.energy_eV) * range_VA,
        sampling_A=profile.sampling_A,
        energy_eV=profile.energy_eV,
        description=crystal.description,
        strain_percent=crystal.strain_percent,
    )
    return ThickSpecimen(specimen, crystal.atoms, box, movement)
