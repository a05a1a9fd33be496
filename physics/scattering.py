"""Electron scattering factors of atoms, for kinematic patterns and simple phase objects.

f(g) = sum_i a_i (2 + b_i g^2) / (1 + b_i g^2)^2 in A, g = 1/d in A^-1 (Lobato & Van Dyck, Acta
Cryst. A70, 636 (2014), whose table 5 the numbers are from, rounded to six digits). Projected, an
atom's potential has the Fourier transform (h^2 / 2 pi m e) f(g) in V A^2.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from schemas.findings import refuse

Float64 = NDArray[np.float64]

POTENTIAL_VA2 = 47.87764737
"""h^2 / (2 pi m e) [V A^2]: projected potential of a scattering factor of 1 A."""

_LOBATO: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = MappingProxyType(
    {
        "C": (
            (124.466, -220.353, 195.235, -98.1079, 0.0142023),
            (2.42121, 2.30538, 2.04852, 1.93353, 0.0768977),
        ),
        "N": (
            (58.1327, -147.542, 130.143, -39.6196, 0.0105958),
            (1.70045, 1.55904, 1.41577, 1.27842, 0.0565588),
        ),
        "O": (
            (29.9474, -77.6101, 99.8818, -51.2127, 0.00819619),
            (1.30284, 1.15794, 1.00989, 0.943328, 0.0433198),
        ),
        "Al": (
            (2.8341, -4.28004, 4.42192, -0.0345774, 0.00352386),
            (6.66235, 0.551295, 0.509329, 0.111785, 0.0167602),
        ),
        "Si": (
            (2.87189, -2.06174, 2.17114, -0.0663074, 0.00301071),
            (5.08487, 0.429178, 0.366485, 0.119711, 0.0143995),
        ),
        "S": (
            (2.67971, -0.474253, 0.514836, -0.095836, 0.00248872),
            (3.06889, 0.378217, 0.188722, 0.0923371, 0.0111921),
        ),
        "Ti": (
            (8.57596, -210.332, 206.097, 0.0477774, 0.000505716),
            (6.00781, 2.60286, 2.55352, 0.0711429, 0.00485628),
        ),
        "Cu": (
            (1.75207, -43.0411, 44.0706, 0.0186876, 0.000201727),
            (6.1875, 1.00266, 0.985384, 0.0302985, 0.00255856),
        ),
        "Sr": (
            (4.77093, 1.47598, 0.304451, 0.00359475, 3.00086e-07),
            (13.3669, 1.33738, 0.177532, 0.00779105, 0.000282255),
        ),
        "Mo": (
            (2.83106, 2.34858, 0.245106, 0.00235282, 2.31271e-07),
            (10.4357, 1.60483, 0.131697, 0.00554978, 0.000222747),
        ),
        "Au": (
            (1.67593, 3.00487, 0.59534, 0.0117163, 4.29678e-05),
            (5.52231, 1.38007, 0.162229, 0.00901815, 0.000379278),
        ),
    }
)
"""(a_i [A], b_i [A^2]) of each element."""

_DEBYE_WALLER_A2: Mapping[str, float] = MappingProxyType(
    {
        "C": 0.28,
        "N": 0.33,
        "O": 0.73,
        "Al": 0.78,
        "Si": 0.48,
        "S": 0.40,
        "Ti": 0.44,
        "Cu": 0.55,
        "Sr": 0.62,
        "Mo": 0.21,
        "Au": 0.62,
    }
)
"""B = 8 pi^2 <u^2> at room temperature [A^2]: Peng, Ren, Dudarev & Whelan, Acta Cryst. A52, 456
(1996) for the elements; Abramov et al., Acta Cryst. B51, 942 (1995) for SrTiO3; typical of
refinements for C, N and S."""

ELEMENTS = tuple(_LOBATO)
"""Elements that are tabulated."""


def scattering_factor(symbol: str, g: Float64) -> Float64:
    """f(g) of an atom at rest [A], any shape.

    Args:
        symbol: element.
        g: spatial frequency, 1/d [A^-1].

    Raises:
        ContractError: USAGE, the element is not tabulated.
    """
    _check(symbol)
    g2 = np.square(g)
    total: Float64 = np.zeros_like(g2, dtype=np.float64)
    for a, b in zip(*_LOBATO[symbol], strict=True):
        total = total + a * (2 + b * g2) / (1 + b * g2) ** 2
    return total


def debye_waller(symbol: str, g: Float64) -> Float64:
    """exp(-B g^2 / 4): what thermal motion at room temperature leaves of f(g)."""
    _check(symbol)
    factor: Float64 = np.exp(-_DEBYE_WALLER_A2[symbol] * np.square(g) / 4)
    return factor


def _check(symbol: str) -> None:
    if symbol not in _LOBATO:
        raise refuse(
            "USAGE",
            f"element {symbol!r}",
            expected=f"one of {', '.join(ELEMENTS)}",
            found=symbol,
            hint="its scattering factor is not tabulated here: choose another crystal",
        )
