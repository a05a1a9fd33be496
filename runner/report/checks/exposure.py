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
            "proteins in ice, 300 kV: details of 13 A; 4 for those of 3 A",
            20.0,
            "critical exposure 0.245 k^-1.665 + 2.81, k [1/A]: Grant and Grigorieff, eLife 4,"
            " e06980 (2015)",
        ),
        "organic": Tolerance(
            "organic crystals, 500 kV: 7 valine to 600 coronene, diffraction gone",
            7.0,
            "Salih and Cosslett, J. Microsc. 105, 269 (1975)",
        ),
        "mof": Tolerance(
            "metal-organic frameworks: 80 ZIF-8, 147 to 1111 MFM-300",
            80.0,
            "ZIF-8: PubMed 39105722 (2024); MFM-300: doi 10.1039/d4ta03302g (2024)",
        ),
        "halide-perovskite": Tolerance(
            "hybrid halide perovskites: MAPbI3 has lost half of its MA",
            28.0,
            "Fig. 2 of doi 10.1038/s41467-021-25832-9 (2021)",
        ),
        "inorganic": Tolerance(
            "metals and other conductors: knock-on damage alone, mostly over 1000 C/cm^2",
            6e5,
            "Egerton, Microsc. Res. Tech. 75, 1550 (2012)",
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
