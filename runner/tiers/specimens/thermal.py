"""Thermal motion at room temperature: rms displacement of each element along one direction.

B = 8 pi^2 <u^2>. A displacement belongs to a compound, not to an element; one value an element is
kept, that of the compound or crystal in which the families use it, good to some 20 %. That is
enough: the pixel's own width (`potential.PIXEL_BLUR_PX`) is twice as large and adds in quadrature,
so that 20 % in u changes the width of an atom in the image by about 4 %.

Sources:
    P   Peng, Ren, Dudarev and Whelan, Acta Cryst. A52 (1996) 456, table 1: elemental crystals.
    A   Abramov, Tsirelson, Zavodnik, Ivanov and Brown, Acta Cryst. B51 (1995) 942: SrTiO3.
    T   typical of room-temperature refinements: in-plane motion in graphite and h-BN, MX2 layers,
        MgO, CeO2, GaN and Bi2Se3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

_B_A2 = {
    "B": 0.33,  # T
    "C": 0.28,  # T: graphite, in plane; diamond has 0.14
    "N": 0.33,  # T
    "O": 0.73,  # A
    "Mg": 0.32,  # T
    "Al": 0.78,  # P
    "Si": 0.48,  # P
    "S": 0.40,  # T
    "Ti": 0.44,  # A
    "Ga": 0.30,  # T
    "Se": 0.45,  # T
    "Sr": 0.62,  # A
    "Mo": 0.21,  # P
    "Ce": 0.25,  # T
    "W": 0.16,  # P
    "Pt": 0.37,  # P
    "Au": 0.62,  # P
    "Bi": 0.90,  # T
}

RMS_DISPLACEMENT_A: Mapping[str, float] = MappingProxyType(
    {symbol: math.sqrt(b / (8 * math.pi**2)) for symbol, b in _B_A2.items()}
)
"""rms displacement along one direction at room temperature [A]."""

TYPICAL_RMS_DISPLACEMENT_A = 0.08
"""For elements of a user's file that the table lacks [A]: the middle of the table."""


def rms_displacement_A(symbol: str) -> float:
    """The rms displacement of an element [A]; the typical one where the table lacks it."""
    return RMS_DISPLACEMENT_A.get(symbol, TYPICAL_RMS_DISPLACEMENT_A)
