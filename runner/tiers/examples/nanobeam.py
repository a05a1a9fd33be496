"""Nanobeam scans: a nearly parallel probe, whose diffraction disks stand apart.

The patterns are those of the project's exact operator for the specimen's phase; nothing is drawn
as a disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from physics.optics import interaction_rad_per_VA
from physics.zone_axis import ZoneAxis
from runner.files.challenge import ChallengeSample
from runner.tiers.simulate import ideal_operator, simulate
from schemas.challenge import SampleMetadata, Tier
from schemas.recipes import SPEC_RANGES, Profile
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]

PIXEL_BLUR_PX = 0.75
"""rms width of the Gaussian that stands for a pixel [pixels], as for the tiers' specimens: phase
beyond the Nyquist frequency would fold back and put spots where no reflection is."""

CELL_POINTS = 48
"""Points along each side of a cell among which its lowest potential is looked for."""

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


@dataclass(frozen=True, eq=False)
class TrueMap:
    """A quantity that is known at every position.

    Attributes:
        values: (N,), or (Ny, Nx).
        unit: "" for a pure number.
        description: what it is.
    """

    values: NDArray[np.generic]
    unit: str
    description: str


class Specimen(Protocol):
    """Something thin, and what is known of it. Points are (y, x) from the scan's middle [A]."""

    def potential(self, points_A: Float64, sampling_A: float) -> Float64:
        """Projected potential (...) at points (..., 2) [V A], as pixels of `sampling_A` show it."""

    def truth(self, points_A: Float64) -> tuple[Mapping[str, TrueMap], NDArray[np.bool_]]:
        """What is to be found at points (N, 2), by name; and where there is a crystal, (N,)."""


@dataclass(frozen=True, eq=False)
class NanobeamScan:
    """A scan of a specimen.

    Attributes:
        specimen: what is scanned.
        profile: instrument, scan, dose; without read noise.
    """

    specimen: Specimen
    profile: Profile = field(default=NANOBEAM)

    @property
    def object_shape(self) -> tuple[int, int]:
        """(H, W) that holds every probe window [pixels]."""
        step, window = self.profile.scan_step_px, self.profile.window
        ny, nx = self.profile.scan_shape
        return (ny - 1) * step + window, (nx - 1) * step + window

    def positions_px(self) -> Float64:
        """(Ny*Nx, 2) scan positions as (row, col) [object pixels]."""
        grid = _grid(*self.profile.scan_shape).reshape(-1, 2)
        return self.profile.window // 2 + self.profile.scan_step_px * grid

    def points_A(self) -> Float64:
        """(Ny*Nx, 2) scan positions as (y, x) from the middle of the scan [A]."""
        return self._from_middle(self.positions_px())

    def phase(self) -> tuple[NDArray[np.float32], float]:
        """x (H, W) in [0, 1] and its phase scale [rad]."""
        points = self._from_middle(_grid(*self.object_shape))
        potential = self.specimen.potential(points, self.profile.sampling_A)
        potential -= potential.min()
        top = float(potential.max())
        x = np.clip(potential / top, 0.0, 1.0).astype(np.float32)
        return x, interaction_rad_per_VA(self.profile.energy_eV) * top

    def measured(
        self, spec: MismatchSpec, *, seed: int, scene: str = "nanobeam"
    ) -> ChallengeSample:
        """The sample on a detector with mismatch `spec`, with its noise drawn from `seed`."""
        x, phase_scale = self.phase()
        stated = ideal_operator(self.profile, phase_scale)
        operator = replace(
            stated,
            attrs=stated.attrs.model_copy(
                update={"periodic": False, "object_shape": self.object_shape}
            ),
            positions_px=self.positions_px().astype(np.float32),
        )
        shape, rng = self.profile.scan_shape, np.random.default_rng(seed)
        y = simulate(x, operator, spec, scan_shape=shape, rng=rng)
        return ChallengeSample(
            name="sample_00",
            y=y,
            operator=operator,
            ranges=SPEC_RANGES[Tier.PUBLIC],
            metadata=SampleMetadata(scene=scene, shape=y.shape, noise_model="poisson"),
            x_true=x,
            true_spec=spec,
        )

    def _from_middle(self, pixels: Float64) -> Float64:
        """Object pixels (..., 2) as (y, x) from the middle of the scan [A]."""
        span = self.profile.scan_step_px * (np.array(self.profile.scan_shape) - 1)
        return np.asarray((pixels - self.profile.window // 2 - span / 2) * self.profile.sampling_A)


def crystal_potential(axis: ZoneAxis, origins_A: Float64, sampling_A: float) -> Float64:
    """Projected potential of one period [V A] at points (..., 2) of the crystal; its lowest is 0.

    The crystal's Fourier series up to the Nyquist frequency of pixels of `sampling_A`.
    """
    across = _grid(CELL_POINTS, CELL_POINTS) / CELL_POINTS @ axis.cell_A
    lowest = _series(axis, across, sampling_A).min()
    return np.asarray(np.maximum(_series(axis, origins_A, sampling_A) - lowest, 0.0))


def _series(axis: ZoneAxis, points_A: Float64, sampling_A: float) -> Float64:
    """The crystal's Fourier series at points (..., 2), less its mean [V A]."""
    found = axis.reflections(0.5 / sampling_A)
    g_y, g_x = found.g_invA.T
    half = (g_y > 1e-9) | ((np.abs(g_y) <= 1e-9) & (g_x > 0))  # one of each pair g, -g
    blur = -2 * (np.pi * PIXEL_BLUR_PX * sampling_A) ** 2
    total = np.zeros(points_A.shape[:-1])
    for g, v in zip(found.g_invA[half], found.coefficient_VA[half], strict=True):
        angle = 2 * np.pi * (points_A[..., 0] * g[0] + points_A[..., 1] * g[1])
        weight = 2 * np.exp(blur * (g @ g))
        total += weight * (v.real * np.cos(angle) - v.imag * np.sin(angle))
    return total


def rotation(degrees: float) -> Float64:
    """(2, 2) on (y, x): from +x to +y."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[cos, sin], [-sin, cos]])


def _grid(rows: int, cols: int) -> Float64:
    """(rows, cols, 2) row and column numbers."""
    return np.stack(np.meshgrid(np.arange(rows), np.arange(cols), indexing="ij"), axis=-1).astype(
        np.float64
    )
