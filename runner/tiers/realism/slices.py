"""The specimen cut into slices: the phase that each gives to the wave."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from physics.optics import interaction_rad_per_VA
from runner.tiers.realism.thick import ThickSpecimen
from runner.tiers.specimens.crystal import Atoms
from runner.tiers.specimens.potential import projected_potential
from runner.tiers.specimens.thermal import rms_displacement_A

SLICE_A = 2.0
"""Largest thickness of a slice [A]: about one plane of atoms, as multislice needs it (Kirkland,
Advanced Computing in Electron Microscopy (2010), section 6.4)."""


@dataclass(frozen=True, eq=False)
class Slices:
    """A specimen ready to be cut.

    Attributes:
        thick: the specimen.
        count: number of slices.
        spacing_A: distance of neighbouring slices [A]; 0 for one.
    """

    thick: ThickSpecimen
    count: int
    spacing_A: float

    @classmethod
    def of(cls, thick: ThickSpecimen, *, single: bool) -> Slices:
        """Slices of at most `SLICE_A`, or all in one."""
        thickness = thick.thickness_A
        if single or thickness < SLICE_A:
            return cls(thick, 1, 0.0)
        # One atomic plane at either end: n planes span n - 1 spacings.
        count = math.ceil(thickness / SLICE_A) + 1
        return cls(thick, count, thickness / (count - 1))

    def phases(self, rng: np.random.Generator | None) -> NDArray[np.float64]:
        """Phase of each slice, (S, H, W) [rad], the first that the beam meets first.

        The beam comes from above, where families have their terraces and particles.

        Args:
            rng: draws a frozen-phonon configuration, each atom displaced by itself (Einstein's
                model; Loane, Xu and Silcox, Acta Cryst. A47 (1991) 267). None: the average
                potential, each atom smeared by its motion.
        """
        thick = self.thick
        atoms = thick.atoms if rng is None else displaced(thick.atoms, rng)
        smearing = rms_displacement_A if rng is None else lambda _: 0.0
        shape = thick.specimen.x.shape
        number = self._slice_of(thick.atoms)
        height, width = shape
        out = np.zeros((self.count, height, width))
        for index in np.unique(number):
            inside = atoms.where(number == index)
            out[index] = projected_potential(
                inside, thick.box, (height, width), smearing_A=smearing
            )
        return interaction_rad_per_VA(thick.specimen.energy_eV) * thick.movement.apply(out)

    def _slice_of(self, atoms: Atoms) -> NDArray[np.int64]:
        """Which slice each atom belongs to, by its mean height."""
        depth = atoms.positions[:, 2].max() - atoms.positions[:, 2]
        if self.count == 1:
            return np.zeros(len(atoms), dtype=np.int64)
        number: NDArray[np.int64] = np.rint(depth / self.spacing_A).astype(np.int64)
        return number


def displaced(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """Atoms displaced at random in the image plane; along the beam it changes no projection."""
    rms = np.array([rms_displacement_A(str(symbol)) for symbol in atoms.symbols])
    positions = atoms.positions.copy()
    positions[:, :2] += rms[:, None] * rng.normal(size=(len(atoms), 2))
    return replace(atoms, positions=positions)
