"""Which families there are, in which tier, and what builds each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from runner.tiers.specimens.crystal import Box, Crystal
from runner.tiers.specimens.families import (
    dichalcogenides,
    honeycomb,
    metals,
    oxides,
    semiconductors,
)
from schemas.challenge import Tier
from schemas.findings import refuse

Builder = Callable[[Box, np.random.Generator], Crystal]

_BUILDERS: Mapping[Tier, Mapping[str, Builder]] = MappingProxyType(
    {
        Tier.PUBLIC: {
            "mos2_vacancies": dichalcogenides.mos2_vacancies,
            "twisted_bilayer_graphene": honeycomb.twisted_bilayer_graphene,
            "srtio3_001": oxides.srtio3_001,
            "gold_on_amorphous_carbon": metals.gold_on_amorphous_carbon,
        },
        Tier.DEV: {
            "wse2_line_defects": dichalcogenides.wse2_line_defects,
            "silicon_110": semiconductors.silicon_110,
            "mgo_terraces": oxides.mgo_terraces,
            "bismuth_selenide_defects": semiconductors.bismuth_selenide_defects,
        },
        Tier.HIDDEN: {
            "boron_nitride_pits": honeycomb.boron_nitride_pits,
            "aluminium_grain_boundary": metals.aluminium_grain_boundary,
            "platinum_on_ceria": metals.platinum_on_ceria,
            "gan_edge_dislocations": semiconductors.gan_edge_dislocations,
        },
    }
)

FAMILIES: Mapping[Tier, tuple[str, ...]] = MappingProxyType(
    {tier: tuple(builders) for tier, builders in _BUILDERS.items()}
)
"""Names of each tier's families; no family is in two tiers."""


def builder(family: str) -> Builder:
    """What builds a family.

    Raises:
        ContractError: no family of that name.
    """
    for builders in _BUILDERS.values():
        if family in builders:
            return builders[family]
    known = ", ".join(name for names in FAMILIES.values() for name in names)
    raise refuse(
        "USAGE",
        f"specimen family {family!r}",
        expected=f"one of {known}",
        found=family,
        hint="name a family of this list, or give a structure file",
    )
