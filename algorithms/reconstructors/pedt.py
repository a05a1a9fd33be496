"""pedt: the average cell from quasi-kinematical intensities, tiled over the field.

Kolb, Gorelik, Kubel, Otten & Hubert, Ultramicroscopy 107, 507 (2007), for a specimen that is one
crystal along the beam and a beam that is a cone: intensities averaged over the beam's directions,
phases by charge flipping. See `algorithms.crystal`.
"""

from __future__ import annotations

from dataclasses import dataclass

from algorithms.base import Reconstruction, Sample
from algorithms.crystal import solve_crystal, x_of
from algorithms.lattice.structure import Search
from schemas.spec import MismatchSpec

AVERAGE_CELL = (
    "every cell of the image is the average one: vacancies, steps and edges are not in it"
)


@dataclass(frozen=True)
class Pedt:
    """The average cell, tiled.

    Attributes:
        starts: random starts of charge flipping.
        iterations: of each start.
    """

    starts: int = 16
    iterations: int = 300

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1]; without a lattice, the fallback that the diagnostics name."""
        crystal = solve_crystal(sample, spec, Search(self.starts, self.iterations, sample.seed))
        if isinstance(crystal, Reconstruction):
            return crystal
        attrs = sample.operator.attrs
        phase = crystal.cell.image(attrs.object_shape, attrs.sampling_A)
        return Reconstruction(
            x_of(phase, sample), diagnostics=crystal.diagnostics | {"note": AVERAGE_CELL}
        )
