"""A crystal whose strain and rotation are known at every point.

The potential is the crystal's own Fourier series, evaluated where each point came from:
V(r) = cell(r0), r0 = X(r), with the deformation gradient F = dr/dr0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.analysis.deformation import COMPONENTS, polar
from physics.zone_axis import zone_axes
from runner.tiers.examples.nanobeam import TrueMap, crystal_potential, rotation

Float64 = NDArray[np.float64]
Pair = tuple[float, float]

EDGE_A = 3.0
"""Width over which the specimen ends at the rim of a hole [A]."""

_NONE: tuple[Pair, Pair] = ((0.0, 0.0), (0.0, 0.0))


@dataclass(frozen=True)
class Deformation:
    """Where the points of a deformed crystal came from: r0 = r - B r - 1/2 C r r, exactly.

    The inverse deformation gradient is F^-1 = 1 - B - C r, so strain and rotation vary linearly
    over the scan, to first order. All in the order (y, x).

    Attributes:
        uniform: B, (2, 2).
        gradient_per_A: C, (2, 2, 2), symmetric in its last two indices [1/A].
    """

    uniform: tuple[Pair, Pair] = _NONE
    gradient_per_A: tuple[tuple[Pair, Pair], tuple[Pair, Pair]] = (_NONE, _NONE)

    @classmethod
    def of(
        cls, *, xx: float = 0.0, yy: float = 0.0, xy: float = 0.0, rotation_deg: float = 0.0
    ) -> Deformation:
        """F = R (1 + e), the same everywhere; the rotation leads from +x to +y."""
        forward = rotation(rotation_deg) @ np.array([[1 + yy, xy], [xy, 1 + xx]])
        (a, b), (c, d) = (np.eye(2) - np.linalg.inv(forward)).tolist()
        return cls(((a, b), (c, d)))

    def origins(self, points_A: Float64) -> Float64:
        """r0 of points r (..., 2) [A]."""
        b, c = np.array(self.uniform), np.array(self.gradient_per_A)
        y, x = points_A[..., :1], points_A[..., 1:]
        bent = c[:, 0, 0] * y * y + 2 * c[:, 0, 1] * y * x + c[:, 1, 1] * x * x
        return np.asarray(points_A - points_A @ b.T - bent / 2)

    def gradient(self, points_A: Float64) -> Float64:
        """F (..., 2, 2) at points r (..., 2) [A]."""
        b, c = np.array(self.uniform), np.array(self.gradient_per_A)
        inverse = np.eye(2) - b - np.einsum("ijk,...k->...ij", c, points_A)
        return np.asarray(np.linalg.inv(inverse))


@dataclass(frozen=True)
class Hole:
    """A round hole in the specimen: vacuum.

    Attributes:
        center_A: (y, x) from the middle of the scan [A].
        radius_A: its radius [A].
    """

    center_A: Pair
    radius_A: float

    def distance(self, points_A: Float64) -> Float64:
        """How far points (..., 2) are from its rim, outwards [A]."""
        away = np.linalg.norm(points_A - np.array(self.center_A), axis=-1)
        return np.asarray(away - self.radius_A)


@dataclass(frozen=True)
class DeformedCrystal:
    """A foil of one crystal.

    Attributes:
        crystal: name in `physics.zone_axis.CRYSTALS`.
        zone: which of its zone axes.
        periods: thickness in periods of the projected cell; gold [001] has 4.078 A a period.
        deformation: from the crystal with its first vector along +x.
        hole: a hole, or None.
    """

    crystal: str = "gold"
    zone: int = 0
    periods: int = 8
    deformation: Deformation = Deformation()
    hole: Hole | None = None

    def potential(self, points_A: Float64, sampling_A: float) -> Float64:
        """Projected potential (...) at points (..., 2) [V A]; 0 in the hole."""
        axis = zone_axes(self.crystal)[self.zone]
        one = crystal_potential(axis, self.deformation.origins(points_A), sampling_A)
        whole = self.periods * one
        if self.hole is not None:
            whole *= 0.5 * (1 + np.tanh(self.hole.distance(points_A) / (EDGE_A / 2)))
        return np.asarray(whole)

    def truth(self, points_A: Float64) -> tuple[Mapping[str, TrueMap], NDArray[np.bool_]]:
        """e_xx, e_yy, e_xy and theta at points (N, 2), against the crystal without deformation."""
        strain = polar(self.deformation.gradient(points_A))
        strain[..., 3] = np.rad2deg(strain[..., 3])
        maps = {
            name: TrueMap(strain[..., column], "deg" if name == "theta" else "", f"true {name}")
            for column, name in enumerate(COMPONENTS)
        }
        if self.hole is None:
            return maps, np.ones(len(points_A), dtype=bool)
        return maps, self.hole.distance(points_A) > 0


def bent_foil() -> DeformedCrystal:
    """The example: a bent gold foil with a hole.

    Bending by kappa: e_xx = -kappa y, rotation = kappa x; e_yy grows along y, e_xy is constant.
    """
    kappa, along_y, shear = 1e-4, 5e-5, 0.004  # 1/A, 1/A, -
    return DeformedCrystal(
        deformation=Deformation(
            uniform=((0.0, shear), (shear, 0.0)),
            gradient_per_A=(((along_y, 0.0), (0.0, kappa)), ((0.0, -kappa), (-kappa, 0.0))),
        ),
        hole=Hole((95.0, -95.0), 45.0),
    )
