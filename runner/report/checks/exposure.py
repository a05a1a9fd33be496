"""The dose over the area, against what kinds of material have borne.

Orders of magnitude: they depend on energy, temperature, thickness and on what is called damage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from runner.report.checks.record import Check, Level, judged


@dataclass(frozen=True)
class Tolerance:
    """What a kind of material bears.

    Attributes:
        title: the kind.
        dose_e_A2: electrons per square angstrom.
        source: where that comes from.
    """

    title: str
    dose_e_A2: float
    source: str


TOLERANCES: Mapping[str, Tolerance] = MappingProxyType(
    {
        "protein": Tolerance(
            "proteins in ice, 300 kV", 20.0, "Grant and Grigorieff, eLife 4, e06980 (2015)"
        ),
        "organic": Tolerance(
            "organic crystals: 5 aliphatic to 100 aromatic", 5.0, "Egerton, Micron 119, 72 (2019)"
        ),
        "mof": Tolerance(
            "metal-organic frameworks: 10 to 20", 10.0, "Zhang et al., Science 359, 675 (2018)"
        ),
        "halide-perovskite": Tolerance(
            "hybrid halide perovskites, order of magnitude",
            100.0,
            "Rothmann et al., Science 370, eabb5940 (2020)",
        ),
        "dichalcogenide": Tolerance(
            "MoS2 and its like at 80 kV: one chalcogen in a hundred knocked out at 1 barn",
            1e6,
            "cross-section: Komsa et al., Phys. Rev. Lett. 109, 035503 (2012)",
        ),
        "graphene": Tolerance(
            "graphene at 80 kV, below its knock-on threshold",
            1e8,
            "Meyer et al., Phys. Rev. Lett. 108, 196102 (2012)",
        ),
        "inorganic": Tolerance(
            "oxides, semiconductors, metals: a dose that PrScO3 has borne",
            1e6,
            "Chen et al., Science 372, 826 (2021)",
        ),
    }
)
"""Kinds of material, and the dose that they bear [e/A^2]."""


def dose(e_per_A2: float, material: str | None) -> Check:
    """The measured dose over the area against the table.

    Without a material nothing is judged: the file does not say what the specimen is made of.
    """
    figures = {"dose_e_A2": e_per_A2}
    bearing = [key for key, kind in TOLERANCES.items() if kind.dose_e_A2 >= e_per_A2]
    damaged = [key for key in TOLERANCES if key not in bearing]
    found = f"{e_per_A2:.3g} e/A^2"
    if material is None:
        return Check(
            name="dose",
            level=Level.NOT_JUDGED,
            found=f"{found}: more than {', '.join(damaged) or 'none'} bear;"
            f" {', '.join(bearing) or 'none'} bear it",
            expected="less than the material bears",
            hint="--material names its kind",
            figures=figures,
        )
    kind = TOLERANCES[material]
    factor = e_per_A2 / kind.dose_e_A2
    return judged(
        "dose",
        good=factor <= 1,
        found=f"{found}, {factor:.2g} times what {material} bears",
        expected=f"{kind.dose_e_A2:g} e/A^2 or less ({kind.title}; {kind.source})",
        hint="less current or time per position, or a defocused probe with larger steps:"
        f" {factor:.2g} times the area per electron. What is measured last is no longer what was"
        " there",
        figures={**figures, "factor": factor},
    )
