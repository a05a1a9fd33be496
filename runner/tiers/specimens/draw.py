"""Drawing a specimen: from those that ship with the package, from a family, or from a file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from runner.tiers.specimens.catalog import FAMILIES, builder
from runner.tiers.specimens.crystal import Box
from runner.tiers.specimens.files import crystal_from_file
from runner.tiers.specimens.model import Specimen
from runner.tiers.specimens.potential import image, specimen
from runner.tiers.specimens.shipped import SHIPPED_SAMPLING_A, SHIPPED_SHAPE, public_specimen
from schemas.challenge import Tier

DEFAULT_ENERGY_EV = 80e3
"""Beam energy of the default profile [eV]."""


def draw_specimen(
    family: str,
    rng: np.random.Generator,
    shape: tuple[int, int] = SHIPPED_SHAPE,
    sampling_A: float = SHIPPED_SAMPLING_A,
    *,
    energy_eV: float = DEFAULT_ENERGY_EV,
) -> Specimen:
    """A specimen of a family, drawn with the generator: the same state gives the same bytes.

    Public families on the default grid come from the specimens that ship with the package, whatever
    is installed. All else is built, which needs the `organizer` extra.

    Args:
        family: a name of `FAMILIES`.
        rng: the only source of randomness.
        shape: (H, W) of x [pixels].
        sampling_A: pixel [A].
        energy_eV: beam energy [eV].

    Raises:
        ContractError: unknown family, missing extra, or no crystal of it fits the box.
    """
    on_shipped_grid = shape == SHIPPED_SHAPE and math.isclose(sampling_A, SHIPPED_SAMPLING_A)
    if on_shipped_grid and family in FAMILIES[Tier.PUBLIC]:
        return public_specimen(family, rng, energy_eV=energy_eV)
    return build_specimen(family, rng, shape, sampling_A, energy_eV=energy_eV)


def build_specimen(
    family: str,
    rng: np.random.Generator,
    shape: tuple[int, int],
    sampling_A: float,
    *,
    energy_eV: float = DEFAULT_ENERGY_EV,
) -> Specimen:
    """A specimen of a family, built from its atoms; arguments and errors as `draw_specimen`."""
    box = Box(shape[0] * sampling_A, shape[1] * sampling_A)
    crystal = builder(family)(box, rng)
    levels, range_VA = image(crystal, box, shape)
    return specimen(
        levels,
        range_VA,
        name=family,
        family=family,
        sampling_A=sampling_A,
        energy_eV=energy_eV,
        description=crystal.description,
        strain_percent=crystal.strain_percent,
    ).moved(rng)


def from_structure_file(
    path: Path,
    rng: np.random.Generator,
    shape: tuple[int, int] = SHIPPED_SHAPE,
    sampling_A: float = SHIPPED_SAMPLING_A,
    *,
    energy_eV: float = DEFAULT_ENERGY_EV,
) -> Specimen:
    """A specimen from any structure file that ASE reads (CIF, XYZ, POSCAR, ...).

    The beam runs along the normal of the cell's first two vectors, through one cell. Where these
    two are periodic, the crystal is repeated to fill the box, slightly strained, in one of the
    orientations that fit; otherwise the structure stands alone in the middle of the box, turned as
    in the file, the beam along z.

    Raises:
        ContractError: missing extra, unreadable file, no fit, too large, or too thick.
    """
    box = Box(shape[0] * sampling_A, shape[1] * sampling_A)
    crystal = crystal_from_file(path, box, rng)
    levels, range_VA = image(crystal, box, shape)
    return specimen(
        levels,
        range_VA,
        name=path.stem,
        family="file",
        sampling_A=sampling_A,
        energy_eV=energy_eV,
        description=crystal.description,
        strain_percent=crystal.strain_percent,
    )
