"""What is trained on: crystals by material, none of which is in any tier.

Lattice constants are those of standard tables (Lide (ed.), CRC Handbook of Chemistry and Physics;
layers: Haastrup et al., 2D Mater. 5 (2018) 042002), good to about a per cent. More is not needed:
every crystal that fills a periodic box is strained by up to three per cent anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Structure(StrEnum):
    """How a material's atoms are arranged."""

    TRIGONAL_PRISMATIC = "1H layer"
    OCTAHEDRAL = "1T layer"
    HONEYCOMB = "honeycomb layer"
    QUINTUPLE = "quintuple layer"
    PEROVSKITE = "perovskite [001]"
    ROCK_SALT = "rock salt [001]"
    ZINC_BLENDE_110 = "zinc blende [110]"
    ZINC_BLENDE_001 = "zinc blende [001]"
    FCC_001 = "fcc [001]"
    FCC_110 = "fcc [110]"
    FCC_111 = "fcc [111]"
    BCC_001 = "bcc [001]"
    BCC_110 = "bcc [110]"
    HCP = "hcp [0001]"


@dataclass(frozen=True)
class Material:
    """One crystal.

    Attributes:
        name: its formula.
        structure: how its atoms are arranged.
        elements: symbols, in the order of the structure's builder.
        a: lattice constant [A].
        height: of a layer's outer atoms over its plane, or the period along the beam where the
            structure does not say it [A].
    """

    name: str
    structure: Structure
    elements: tuple[str, ...]
    a: float
    height: float = 0.0


Row = tuple[str, tuple[str, ...], float] | tuple[str, tuple[str, ...], float, float]
"""Name, elements, lattice constant, and height where the structure asks for it."""


def _of(structure: Structure, *rows: Row) -> tuple[Material, ...]:
    return tuple(Material(row[0], structure, *row[1:]) for row in rows)


def _metals(structures: tuple[Structure, ...], *rows: tuple[str, float]) -> tuple[Material, ...]:
    return tuple(
        Material(name, structure, (name,), a) for name, a in rows for structure in structures
    )


MATERIALS: tuple[Material, ...] = (
    *_of(
        Structure.TRIGONAL_PRISMATIC,
        ("WS2", ("W", "S"), 3.153, 1.57),
        ("MoSe2", ("Mo", "Se"), 3.288, 1.67),
        ("NbSe2", ("Nb", "Se"), 3.445, 1.68),
        ("TaS2", ("Ta", "S"), 3.315, 1.56),
        ("VS2", ("V", "S"), 3.18, 1.49),
        ("GaS", ("Ga", "S"), 3.587, 2.3),
    ),
    *_of(
        Structure.OCTAHEDRAL,
        ("TiS2", ("Ti", "S"), 3.407, 1.42),
        ("HfSe2", ("Hf", "Se"), 3.748, 1.57),
        ("SnS2", ("Sn", "S"), 3.648, 1.48),
        ("PtSe2", ("Pt", "Se"), 3.727, 1.27),
        ("MgCl2", ("Mg", "Cl"), 3.64, 1.33),
    ),
    *_of(
        Structure.HONEYCOMB,
        ("silicene", ("Si", "Si"), 3.86, 3.2),
        ("germanene", ("Ge", "Ge"), 4.06, 3.3),
        ("SiC layer", ("Si", "C"), 3.09, 3.3),
        ("BeO layer", ("Be", "O"), 2.68, 3.0),
        ("BC3", ("C", "C"), 2.585, 3.4),
        ("ZnO layer", ("Zn", "O"), 3.28, 3.2),
        ("AlP layer", ("Al", "P"), 3.94, 3.5),
        ("graphane-like C", ("C", "C"), 2.54, 3.6),
    ),
    *_of(
        Structure.QUINTUPLE,
        ("Bi2Te3", ("Bi", "Te"), 4.386),
        ("In2Se3", ("In", "Se"), 4.026),
    ),
    *_of(
        Structure.PEROVSKITE,
        ("BaTiO3", ("Ba", "Ti", "O"), 4.00),
        ("CaTiO3", ("Ca", "Ti", "O"), 3.82),
        ("LaAlO3", ("La", "Al", "O"), 3.79),
        ("KNbO3", ("K", "Nb", "O"), 4.01),
        ("BaZrO3", ("Ba", "Zr", "O"), 4.19),
        ("LaMnO3", ("La", "Mn", "O"), 3.88),
        ("CsPbBr3", ("Cs", "Pb", "Br"), 5.87),
    ),
    *_of(
        Structure.ROCK_SALT,
        ("NaCl", ("Na", "Cl"), 5.640),
        ("LiF", ("Li", "F"), 4.026),
        ("CaO", ("Ca", "O"), 4.811),
        ("TiN", ("Ti", "N"), 4.240),
        ("PbS", ("Pb", "S"), 5.936),
        ("KBr", ("K", "Br"), 6.600),
        ("FeO", ("Fe", "O"), 4.326),
    ),
    *(
        Material(name, structure, elements, a)
        for name, elements, a in (
            ("Ge", ("Ge", "Ge"), 5.658),
            ("GaAs", ("Ga", "As"), 5.653),
            ("AlSb", ("Al", "Sb"), 6.136),
            ("CdTe", ("Cd", "Te"), 6.482),
            ("diamond", ("C", "C"), 3.567),
            ("SiC", ("Si", "C"), 4.360),
            ("BP", ("B", "P"), 4.538),
            ("ZnS", ("Zn", "S"), 5.409),
        )
        for structure in (Structure.ZINC_BLENDE_110, Structure.ZINC_BLENDE_001)
    ),
    *_metals(
        (Structure.FCC_001, Structure.FCC_110, Structure.FCC_111),
        ("Ag", 4.086),
        ("Cu", 3.615),
        ("Ni", 3.524),
        ("Ir", 3.839),
        ("Pb", 4.951),
    ),
    *_metals((Structure.BCC_001, Structure.BCC_110), ("Fe", 2.867), ("Nb", 3.300), ("Ta", 3.303)),
    *_metals((Structure.BCC_001, Structure.BCC_110), ("Li", 3.51)),
    *_metals((Structure.HCP,), ("Be", 2.286), ("Mg", 3.209)),
    *_metals((Structure.HCP,), ("Ti", 2.951), ("Zn", 2.665), ("Re", 2.761), ("Y", 3.648)),
)
"""Trained on."""


def _known(*names: str) -> tuple[Material, ...]:
    """Of `MATERIALS`, in the order of the names, each in all its structures."""
    by_name: dict[str, list[Material]] = {}
    for one in MATERIALS:
        by_name.setdefault(one.name, []).append(one)
    return tuple(one for name in names for one in by_name[name])


LIGHT: tuple[Material, ...] = (
    *_known("BeO layer", "BC3", "SiC layer"),
    *_of(
        Structure.HONEYCOMB,
        ("CN layer", ("C", "N"), 2.42, 3.3),
        ("CO layer", ("C", "O"), 2.50, 3.2),
        ("BO layer", ("B", "O"), 2.62, 3.1),
        ("BeC layer", ("Be", "C"), 2.78, 3.2),
        ("borophene", ("B", "B"), 2.90, 3.2),
    ),
    *_known("LiF"),
    *_of(Structure.ROCK_SALT, ("NaF", ("Na", "F"), 4.620), ("LiCl", ("Li", "Cl"), 5.130)),
    *_known("diamond", "SiC", "BP"),
    *(
        Material("BeS", structure, ("Be", "S"), 4.870)
        for structure in (Structure.ZINC_BLENDE_110, Structure.ZINC_BLENDE_001)
    ),
    *_metals(
        (Structure.FCC_001, Structure.FCC_110, Structure.FCC_111), ("Mg", 4.52), ("Ca", 5.588)
    ),
    *_known("Li"),
    *_metals((Structure.BCC_001, Structure.BCC_110), ("Na", 4.291)),
    *_known("Be", "Mg"),
    *_metals((Structure.HCP,), ("Sc", 3.309)),
)
"""Light and dense ones, some of which nature does not have: their atoms are wide beside the space
between, so that the background is nowhere. Trained on more often, for they are the hardest."""

VALIDATION_MATERIALS: tuple[Material, ...] = (
    Material("MoTe2", Structure.TRIGONAL_PRISMATIC, ("Mo", "Te"), 3.519, 1.81),
    Material("ZrS2", Structure.OCTAHEDRAL, ("Zr", "S"), 3.662, 1.45),
    Material("C3N", Structure.HONEYCOMB, ("C", "C"), 2.43, 3.3),
    Material("GeC layer", Structure.HONEYCOMB, ("Ge", "C"), 3.23, 3.3),
    Material("Sb2Te3", Structure.QUINTUPLE, ("Sb", "Te"), 4.264),
    Material("KTaO3", Structure.PEROVSKITE, ("K", "Ta", "O"), 3.989),
    Material("NiO", Structure.ROCK_SALT, ("Ni", "O"), 4.177),
    Material("InP", Structure.ZINC_BLENDE_110, ("In", "P"), 5.869),
    Material("ZnSe", Structure.ZINC_BLENDE_001, ("Zn", "Se"), 5.668),
    Material("Pd", Structure.FCC_001, ("Pd",), 3.891),
    Material("Pd", Structure.FCC_111, ("Pd",), 3.891),
    Material("W", Structure.BCC_110, ("W",), 3.165),
    Material("Co", Structure.HCP, ("Co",), 2.507),
)
"""Never trained on; what a training is watched with."""

TIER_MATERIALS = frozenset(
    (
        *("MoS2", "graphene", "SrTiO3", "Au"),
        *("WSe2", "Si", "MgO", "Bi2Se3"),
        *("BN", "Al", "Pt", "CeO2", "GaN"),
    )
)
"""Materials of the public, dev and hidden tiers: in neither list."""
