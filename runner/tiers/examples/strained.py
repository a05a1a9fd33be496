"""Nanobeam scans of a crystal whose strain and rotation are known at every position.

The object is the projected crystal's own Fourier series, evaluated where each point came from:
x(r) = cell(r0), r0 = X(r), with the deformation gradient F = dr/dr0. The patterns are those of the
project's exact operator; nothing is drawn as a disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from physics.ideal import IdealOperator, Patterns
from physics.optics import interaction_rad_per_VA
from physics.zone_axis import ZoneAxis, zone_axes
from runner.tiers.simulate import ideal_operator, simulate
from schemas.recipes import Profile
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]

PIXEL_BLUR_PX = 0.75
"""rms width of the Gaussian that stands for a pixel [pixels], as for the tiers' specimens: phase
beyond the Nyquist frequency would fold back and put spots where no reflection is."""

EDGE_A = 3.0
"""Width over which the specimen ends at the rim of a hole [A]."""

NANOBEAM = Profile(
    energy_eV=200e3,
    semiangle_mrad=1.0,
    C10_A=0.0,
    sampling_A=0.4,
    window=160,
    scan_shape=(20, 20),
    scan_step_px=50,
    dose_e=8000.0,
)
"""A nearly parallel probe of 3.1 nm: disks of 0.080 A^-1, 2.6 pixels in radius. The scan step is
2 nm. `object_shape` is not used: the object is as large as the scan needs."""


@dataclass(frozen=True)
class Deformation:
    """Where the points of a deformed crystal came from: r0 = r - B r - 1/2 C r r, exactly.

    r is (y, x) from the middle of the scan. The inverse deformation gradient is
    F^-1 = 1 - B - C r, so strain and rotation vary linearly over the scan, to first order.

    Attributes:
        uniform: B, (2, 2).
        gradient_per_A: C, (2, 2, 2), symmetric in its last two indices [1/A].
    """

    uniform: tuple[tuple[float, float], ...] = ((0.0, 0.0), (0.0, 0.0))
    gradient_per_A: tuple[tuple[tuple[float, float], ...], ...] = (
        ((0.0, 0.0), (0.0, 0.0)),
        ((0.0, 0.0), (0.0, 0.0)),
    )

    @classmethod
    def of(
        cls, *, xx: float = 0.0, yy: float = 0.0, xy: float = 0.0, rotation_deg: float = 0.0
    ) -> Deformation:
        """F = R (1 + e), the same everywhere; the rotation leads from +x to +y."""
        angle = np.deg2rad(rotation_deg)
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, sin], [-sin, cos]])  # on (y, x)
        stretch = np.array([[1 + yy, xy], [xy, 1 + xx]])
        inverse = np.linalg.inv(turn @ stretch)
        return cls(_nested(np.eye(2) - inverse))

    def origins(self, points_A: Float64) -> Float64:
        """r0 of points r (..., 2) [A]."""
        b, c = np.array(self.uniform), np.array(self.gradient_per_A)
        y, x = points_A[..., 0], points_A[..., 1]
        bent = 0.5 * (
            c[:, 0, 0] * (y * y)[..., None]
            + 2 * c[:, 0, 1] * (y * x)[..., None]
            + c[:, 1, 1] * (x * x)[..., None]
        )
        return np.asarray(points_A - points_A @ b.T - bent)

    def gradient(self, points_A: Float64) -> Float64:
        """F (..., 2, 2) at points r (..., 2) [A], in the order (y, x)."""
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

    center_A: tuple[float, float]
    radius_A: float


@dataclass(frozen=True)
class StrainedScan:
    """A nanobeam scan of a deformed crystal.

    Attributes:
        crystal: name in `physics.zone_axis.CRYSTALS`.
        zone: which of its zone axes.
        periods: thickness in periods of the projected cell; gold [001] has 4.078 A a period.
        deformation: from the crystal with its first vector along +x.
        profile: instrument, scan, dose.
        hole: a hole, or None.
    """

    crystal: str = "gold"
    zone: int = 0
    periods: int = 8
    deformation: Deformation = Deformation()
    profile: Profile = field(default=NANOBEAM)
    hole: Hole | None = None

    @property
    def axis(self) -> ZoneAxis:
        """The crystal, projected."""
        return zone_axes(self.crystal)[self.zone]

    @property
    def object_shape(self) -> tuple[int, int]:
        """(H, W) that holds every probe window [pixels]."""
        step, window = self.profile.scan_step_px, self.profile.window
        ny, nx = self.profile.scan_shape
        return (ny - 1) * step + window, (nx - 1) * step + window

    def positions_px(self) -> Float64:
        """(Ny*Nx, 2) scan positions as (row, col) [object pixels]."""
        ny, nx = self.profile.scan_shape
        grid = np.stack(np.meshgrid(np.arange(ny), np.arange(nx), indexing="ij"), axis=-1)
        first = self.profile.window // 2
        return first + self.profile.scan_step_px * grid.reshape(-1, 2).astype(np.float64)

    def deformation_gradients(self) -> Float64:
        """(Ny, Nx, 2, 2) true F at every position."""
        points = self._from_middle(self.positions_px())
        return self.deformation.gradient(points).reshape(*self.profile.scan_shape, 2, 2)

    def phase(self) -> tuple[NDArray[np.float32], float]:
        """x (H, W) in [0, 1] and its phase scale [rad]."""
        height, width = self.object_shape
        rows, cols = np.arange(height, dtype=np.float64), np.arange(width, dtype=np.float64)
        grid = np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1)
        points = self._from_middle(grid)
        potential = self._potential(self.deformation.origins(points))
        potential -= potential.min()
        if self.hole is not None:
            away = np.linalg.norm(points - np.array(self.hole.center_A), axis=-1)
            potential *= 0.5 * (1 + np.tanh((away - self.hole.radius_A) / (EDGE_A / 2)))
        top = float(potential.max())
        scale = interaction_rad_per_VA(self.profile.energy_eV) * self.periods * top
        return np.clip(potential / top, 0.0, 1.0).astype(np.float32), scale

    def _potential(self, origins: Float64) -> Float64:
        """The projected potential of one period [V A], less its mean, at points of the crystal."""
        sampling = self.profile.sampling_A
        found = self.axis.reflections(0.5 / sampling)
        # One of each pair g, -g: the potential is real.
        half = (found.g_invA[:, 0] > 1e-9) | (
            (np.abs(found.g_invA[:, 0]) <= 1e-9) & (found.g_invA[:, 1] > 0)
        )
        blur = -2 * (np.pi * PIXEL_BLUR_PX * sampling) ** 2
        total = np.zeros(origins.shape[:-1])
        for g, v in zip(found.g_invA[half], found.coefficient_VA[half], strict=True):
            angle = 2 * np.pi * (origins[..., 0] * g[0] + origins[..., 1] * g[1])
            weight = 2 * np.exp(blur * (g @ g))
            total += weight * (v.real * np.cos(angle) - v.imag * np.sin(angle))
        return total

    def _from_middle(self, pixels: Float64) -> Float64:
        """Object pixels (..., 2) as (y, x) from the middle of the scan [A]."""
        ny, nx = self.profile.scan_shape
        span = self.profile.scan_step_px * np.array([ny - 1, nx - 1])
        return np.asarray((pixels - self.profile.window // 2 - span / 2) * self.profile.sampling_A)


def strained_sample(
    scan: StrainedScan, spec: MismatchSpec, *, seed: int
) -> tuple[IdealOperator, Patterns, NDArray[np.float32]]:
    """The operator, the counts on a detector with mismatch `spec`, and x (H, W)."""
    profile = scan.profile
    x, phase_scale = scan.phase()
    stated = ideal_operator(profile, phase_scale)
    attrs = stated.attrs.model_copy(update={"periodic": False, "object_shape": scan.object_shape})
    operator = replace(stated, attrs=attrs, positions_px=scan.positions_px().astype(np.float32))
    rng = np.random.default_rng(seed)
    y = simulate(x, operator, spec, scan_shape=profile.scan_shape, rng=rng)
    return operator, y, x


def strained_crystal() -> StrainedScan:
    """The example: a bent gold foil with a hole.

    Bending by kappa: e_xx = -kappa y, rotation = kappa x; e_yy grows along y, e_xy is constant.
    """
    kappa, along_y, shear = 1e-4, 5e-5, 0.004
    return StrainedScan(
        deformation=Deformation(
            uniform=((0.0, shear), (shear, 0.0)),
            gradient_per_A=(((along_y, 0.0), (0.0, kappa)), ((0.0, -kappa), (-kappa, 0.0))),
        ),
        hole=Hole((95.0, -95.0), 45.0),
    )


EXAMPLES: Mapping[str, tuple[str, StrainedScan]] = MappingProxyType(
    {
        "strained-crystal": (
            "bent gold foil (001) with a hole, nanobeam at 200 keV and 1 mrad",
            strained_crystal(),
        ),
    }
)
"""Examples by name: one line for people, and the scan."""


def _nested(matrix: Float64) -> tuple[tuple[float, float], ...]:
    return tuple((float(row[0]), float(row[1])) for row in matrix)
