"""Crystals seen along a zone axis: the projected lattice, and its kinematic reflections.

Along a lattice vector w the crystal projects onto a lattice in the image plane, Z^3 / (w Z). The
projected potential's Fourier coefficients are

    V_g = (h^2 / 2 pi m e) / A * sum_j f_j(g) exp(-B_j g^2 / 4) exp(-2 pi i g.r_j)   [V A]

for one period along the beam, A the projected cell's area; the kinematic intensity is |V_g|^2.
In-plane vectors are (y, x): rows run along y, columns along x.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from physics.scattering import POTENTIAL_VA2, debye_waller, scattering_factor
from schemas.findings import refuse

Float64 = NDArray[np.float64]

REACH = 3
"""Integer combinations up to this are tried for the projected lattice; zone axes of low indices,
which alone have dense patterns, need no more."""

EXTINCT = 1e-6
"""A reflection below this share of the strongest is extinct: rounding alone."""


@dataclass(frozen=True)
class Crystal:
    """A crystal, by its primitive cell.

    Attributes:
        axes_A: rows are the conventional axes in which directions are given [A].
        vectors: rows are the primitive lattice vectors, in units of the conventional axes.
        atoms: (symbol, position in units of the conventional axes) of one primitive cell.
    """

    axes_A: tuple[tuple[float, float, float], ...]
    vectors: tuple[tuple[float, float, float], ...]
    atoms: tuple[tuple[str, tuple[float, float, float]], ...]


@dataclass(frozen=True, eq=False)
class Reflections:
    """Reflections of a projected crystal, without the direct beam.

    Attributes:
        g_invA: (M, 2) as (g_y, g_x) [A^-1].
        coefficient_VA: (M,) complex Fourier coefficients of one period along the beam [V A].
    """

    g_invA: Float64
    coefficient_VA: NDArray[np.complex128]

    @property
    def intensity(self) -> Float64:
        """(M,) kinematic intensities, the strongest 1."""
        power = np.abs(self.coefficient_VA) ** 2
        return np.asarray(power / power.max())


@dataclass(frozen=True, eq=False)
class ZoneAxis:
    """A crystal projected along a direction; the first lattice vector lies along +x.

    Attributes:
        name: for people.
        cell_A: (2, 2) rows are the projected lattice's reduced vectors as (y, x) [A].
        symbols: element of each atom of the projected cell.
        positions_A: (N, 2) their places as (y, x) [A].
    """

    name: str
    cell_A: Float64
    symbols: tuple[str, ...]
    positions_A: Float64

    @classmethod
    def of(cls, crystal: Crystal, direction: tuple[int, int, int], name: str) -> ZoneAxis:
        """The projection of `crystal` along `direction`, in its conventional axes.

        Raises:
            ValueError: the direction is no lattice vector, or its indices are too high.
        """
        axes = np.array(crystal.axes_A)
        vectors = np.array(crystal.vectors) @ axes
        beam = np.array(direction) @ axes
        steps = np.linalg.solve(vectors.T, beam)
        along = np.rint(steps).astype(int)
        if np.abs(steps - along).max() > 1e-6:
            raise ValueError(f"{direction} is no lattice vector of {name}")
        along //= np.gcd.reduce(along)
        plane = _plane(beam)
        one, two = _shortest_pair(along, vectors @ plane.T)
        # Turned so that the first vector lies along +x, and rows are (y, x).
        angle = np.arctan2(one[1], one[0])
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[-sin, cos], [cos, sin]])
        places = np.array([place for _, place in crystal.atoms]) @ axes @ plane.T
        symbols = tuple(symbol for symbol, _ in crystal.atoms)
        return cls(name, np.stack([one, two]) @ turn.T, symbols, places @ turn.T)

    @property
    def reciprocal_invA(self) -> Float64:
        """(2, 2) rows are the reciprocal vectors as (g_y, g_x) [A^-1]."""
        return np.asarray(np.linalg.inv(self.cell_A).T)

    def reflections(self, g_max_invA: float) -> Reflections:
        """Every reflection that is not extinct, up to |g| of `g_max_invA` [A^-1]."""
        basis = self.reciprocal_invA
        reach = int(np.ceil(g_max_invA * np.linalg.norm(self.cell_A, axis=1).max()))
        span = np.arange(-reach, reach + 1)
        orders = np.stack(np.meshgrid(span, span, indexing="ij"), axis=-1).reshape(-1, 2)
        g = orders @ basis
        length = np.hypot(*g.T)
        g, length = (part[(length > 0) & (length <= g_max_invA)] for part in (g, length))
        total = np.zeros(len(g), dtype=np.complex128)
        for symbol, place in zip(self.symbols, self.positions_A, strict=True):
            factor = scattering_factor(symbol, length) * debye_waller(symbol, length)
            total += factor * np.exp(-2j * np.pi * g @ place)
        total *= POTENTIAL_VA2 / abs(np.linalg.det(self.cell_A))
        there = np.abs(total) > EXTINCT * np.abs(total).max(initial=0.0)
        return Reflections(g[there], total[there])


def _plane(beam: Float64) -> Float64:
    """(2, 3): two unit vectors that with the beam's direction are a right-handed frame."""
    z = beam / np.linalg.norm(beam)
    helper = np.eye(3)[int(np.argmin(np.abs(z)))]
    x = helper - (helper @ z) * z
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x)])


def _shortest_pair(along: NDArray[np.int_], projected: Float64) -> tuple[Float64, Float64]:
    """The two shortest vectors of the projected lattice that generate it.

    Args:
        along: (3,) the beam's direction in primitive vectors.
        projected: (3, 2) the primitive vectors, projected [A].
    """
    span = range(-REACH, REACH + 1)
    steps = np.array([step for step in itertools.product(span, repeat=3) if any(step)])
    vectors = steps @ projected
    order = np.lexsort((*np.round(vectors.T, 9), np.round(np.hypot(*vectors.T), 9)))
    order = order[np.hypot(*vectors[order].T) > 1e-9]
    for first in order:
        for second in order:
            volume = np.linalg.det(np.stack([steps[first], steps[second], along]))
            if round(float(volume)) == 1:
                return vectors[first], vectors[second]
    raise ValueError(f"no basis of the projected lattice within {REACH} steps")


def _cubic(a: float) -> tuple[tuple[float, float, float], ...]:
    return ((a, 0.0, 0.0), (0.0, a, 0.0), (0.0, 0.0, a))


_PRIMITIVE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_FACE_CENTRED = ((0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0))
_ORIGIN = (0.0, 0.0, 0.0)


def _fcc(symbol: str, a: float) -> Crystal:
    return Crystal(_cubic(a), _FACE_CENTRED, ((symbol, _ORIGIN),))


def _perovskite(a_site: str, b_site: str, a: float) -> Crystal:
    return Crystal(
        _cubic(a),
        _PRIMITIVE,
        (
            (a_site, _ORIGIN),
            (b_site, (0.5, 0.5, 0.5)),
            ("O", (0.5, 0.5, 0.0)),
            ("O", (0.5, 0.0, 0.5)),
            ("O", (0.0, 0.5, 0.5)),
        ),
    )


_DIAMOND_SI = Crystal(_cubic(5.431), _FACE_CENTRED, (("Si", _ORIGIN), ("Si", (0.25, 0.25, 0.25))))
_SRTIO3 = _perovskite("Sr", "Ti", 3.905)

CRYSTALS: Mapping[str, tuple[Crystal, tuple[tuple[int, int, int], ...]]] = MappingProxyType(
    {
        "gold": (_fcc("Au", 4.078), ((0, 0, 1), (0, 1, 1), (1, 1, 1))),
        "aluminium": (_fcc("Al", 4.050), ((0, 0, 1), (0, 1, 1), (1, 1, 1))),
        "copper": (_fcc("Cu", 3.615), ((0, 0, 1), (0, 1, 1), (1, 1, 1))),
        "silicon": (_DIAMOND_SI, ((0, 0, 1), (0, 1, 1), (1, 1, 1))),
        "strontium-titanate": (_SRTIO3, ((0, 0, 1), (0, 1, 1), (1, 1, 1))),
    }
)
"""Crystals by name, with the zone axes along which their patterns are densest. Lattice constants at
room temperature [A]: CRC Handbook of Chemistry and Physics; SrTiO3: Abramov et al. (1995)."""


def zone_axes(name: str) -> tuple[ZoneAxis, ...]:
    """The tabulated zone axes of a crystal by name.

    Raises:
        ContractError: USAGE, no crystal of that name.
    """
    if name not in CRYSTALS:
        raise refuse(
            "USAGE",
            f"crystal {name!r}",
            expected=f"one of {', '.join(CRYSTALS)}",
            found=name,
            hint="or make a physics.zone_axis.Crystal of your own, from Python",
        )
    crystal, directions = CRYSTALS[name]
    return tuple(
        ZoneAxis.of(crystal, direction, f"{name} [{''.join(map(str, direction))}]")
        for direction in directions
    )
