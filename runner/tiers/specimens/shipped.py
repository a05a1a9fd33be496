"""The public tier's specimens that ship with the package: no extra is needed to read them.

`python -m runner.tiers.specimens.precompute` makes the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from types import MappingProxyType

import h5py
import numpy as np
from numpy.typing import NDArray

from runner.tiers.specimens.catalog import FAMILIES
from runner.tiers.specimens.model import Specimen
from runner.tiers.specimens.potential import specimen
from schemas.challenge import Tier
from schemas.findings import refuse

SHIPPED_SHAPE = (128, 128)
"""Shape of the shipped images, that of the default profile [pixels]."""
SHIPPED_SAMPLING_A = 0.2
"""Their pixel [A]."""
VARIANTS = 6
"""Specimens of each family."""
_FILE_NAME = "public_specimens.h5"


@dataclass(frozen=True, eq=False)
class Variant:
    """One shipped image: levels of x (uint16), and the projected potential they span [V A]."""

    name: str
    levels: NDArray[np.uint16]
    range_VA: float
    description: str
    strain_percent: float


@cache
def public_specimens() -> Mapping[str, tuple[Variant, ...]]:
    """All that ship, by family; read once."""
    found: dict[str, tuple[Variant, ...]] = {}
    resource = files("runner.tiers").joinpath("data").joinpath(_FILE_NAME)
    with as_file(resource) as path, h5py.File(path, "r") as file:
        for family in FAMILIES[Tier.PUBLIC]:
            group = file[family]
            records = json.loads(group.attrs["variants"])
            levels = group["x"][()]
            found[family] = tuple(
                Variant(levels=image, **record)
                for image, record in zip(levels, records, strict=True)
            )
    return MappingProxyType(found)


def public_specimen(family: str, rng: np.random.Generator, *, energy_eV: float = 80e3) -> Specimen:
    """A random variant of a public family, randomly shifted, flipped and turned.

    Raises:
        ContractError: the family is not one of the public tier's.
    """
    if family not in FAMILIES[Tier.PUBLIC]:
        raise refuse(
            "USAGE",
            f"specimen family {family!r}",
            expected=f"one of {', '.join(FAMILIES[Tier.PUBLIC])}",
            found=family,
            hint="only these ship with the package; others are built with draw_specimen",
        )
    variants = public_specimens()[family]
    variant = variants[int(rng.integers(len(variants)))]
    return specimen(
        variant.levels,
        variant.range_VA,
        name=variant.name,
        family=family,
        sampling_A=SHIPPED_SAMPLING_A,
        energy_eV=energy_eV,
        description=variant.description,
        strain_percent=variant.strain_percent,
    ).moved(rng)
