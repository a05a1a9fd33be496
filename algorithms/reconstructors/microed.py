"""microed: the cell of `pedt`, refined against every pattern; scaled from place to place.

Shi, Nannenga, Iadanza & Gonen, eLife 2, e01345 (2013), for one crystal in a scanned cone: the whole
data set determines one cell, frames differ by a scale.

1. The cell as `pedt` finds it.
2. Its scale, displacement parameter and origin, by Gauss-Newton.
3. Its Fourier coefficients, and the scale as a smooth map, by accelerated descent.

The forward model is the exact phase-object operator and its Poisson likelihood, not |F_g|^2: disks
overlap, and what interferes where they do tells phases, which intensities of whole disks do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from algorithms.base import Reconstruction, Sample
from algorithms.cell_fit import CellFit, refine_rigid
from algorithms.crystal import Crystal, solve_crystal, x_of
from algorithms.lattice.structure import Search, r_factor
from algorithms.objective import Objective
from algorithms.pixels import PixelStatistics
from schemas.spec import MismatchSpec

DOUBTFUL_CHI_SQUARE = 1.05
"""Reduced chi-square above which the crystal is said not to be all there is. At 8000 electrons a
pattern, crystals with terraces and a few vacancies leave 1.00 to 1.03, a flake that ends within the
field 1.2, dislocations 1.3 to 2."""

DEFECTS = (
    "the refined crystal leaves more than noise (reduced chi-square {chi_square:.3f}): vacancies,"
    " edges or a second crystal are in the specimen, and not in the image"
)

BETWEEN_LOOKS = 5
"""Steps between two looks at the loss, and reports of progress."""

SETTLED = 1.0
"""Decrease of the loss between two looks at which the refinement is done: less than one more
parameter of noise would give."""


@dataclass(frozen=True)
class Microed:
    """The refined cell, tiled and scaled.

    Attributes:
        starts: random starts of charge flipping.
        iterations: of each start.
        refinements: steps of the refinement at most, one gradient of the whole scan each.
        scale_reach: highest frequency of the scale's map, in shortest reciprocal vectors. Below 0.5
            what is scale and what is cell cannot be mistaken; 0: one scale for all.
    """

    starts: int = 16
    iterations: int = 300
    refinements: int = 25
    scale_reach: float = 0.5

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1]; without a lattice, the fallback that the diagnostics name."""
        crystal = solve_crystal(sample, spec, Search(self.starts, self.iterations, sample.seed))
        if isinstance(crystal, Reconstruction):
            return crystal
        sample.progress(0.1)
        usable = PixelStatistics.of(sample.y).usable(sample.operator.attrs.gain)
        objective = Objective(sample, usable=usable)
        cell, rigid = refine_rigid(objective, sample, crystal.cell, spec)
        sample.progress(0.3)
        fit = CellFit(
            objective,
            sample,
            cell,
            spec,
            scale_reach_invA=self.scale_reach * cell.lattice.shortest,
        )
        losses = self._refine(fit, sample)
        diagnostics = crystal.diagnostics | {
            "rigid": {
                "scale": rigid.scale,
                "B_A2": rigid.B_A2,
                "origin_A": rigid.origin_A,
                "sigmas": rigid.sigmas,
            },
            "losses": losses,
        }
        if sample.seconds_left > 0:
            diagnostics |= _merit(objective, fit, crystal, spec)
        return Reconstruction(x_of(fit.phase.cpu().numpy(), sample), diagnostics=diagnostics)

    def _refine(self, fit: CellFit, sample: Sample) -> list[float]:
        """Steps until the loss falls no more, or the time is over; the losses."""
        losses: list[float] = []
        while len(losses) < self.refinements:
            more = fit.run(min(BETWEEN_LOOKS, self.refinements - len(losses)))
            settled = bool(losses and more) and losses[-1] - more[-1] < SETTLED
            losses += more
            sample.progress(0.3 + 0.6 * len(losses) / self.refinements)
            if not more or (settled and losses[-1] <= min(losses)):
                break
        return losses


def _merit(
    objective: Objective, fit: CellFit, crystal: Crystal, spec: MismatchSpec
) -> dict[str, Any]:
    """R1 on the averaged pattern's reflections, goodness of fit on all patterns."""
    found = objective.spec_information(fit.phase, spec)
    merit: dict[str, Any] = {
        "R1": r_factor(fit.cell, crystal.reflections),
        "reduced_chi_square": found.chi_square,
        "goodness_of_fit": found.chi_square**0.5,
    }
    if found.chi_square > DOUBTFUL_CHI_SQUARE:
        merit["warning"] = DEFECTS.format(chi_square=found.chi_square)
    return merit
