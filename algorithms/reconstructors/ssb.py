"""ssb: single side band ptychography, with the scan's aliases told apart. Linear, no iterations.

See `algorithms.side_bands` for the equations and `algorithms.linear_phase` for their solution.
"""

from __future__ import annotations

from dataclasses import dataclass

from algorithms.base import Reconstruction, Sample
from algorithms.linear_phase import ROUNDS, DirectPhase, estimate, matched, pinned
from algorithms.scan_transform import Aliases, Raster
from algorithms.side_bands import Unknowns, measured_side_bands, speckle_pixels
from algorithms.wiener import BACKGROUND_PERCENTILE
from schemas.spec import MismatchSpec


@dataclass(frozen=True)
class Ssb:
    """Single side band ptychography.

    Attributes:
        aliases: tell frequencies apart that fold onto one another, and phase from amplitude, by
            least squares over the detector's pixels, weighed by their noise, under a prior from
            the data. False: the textbook's sum over side bands, divided by their amplitude.
        rounds: rounds in which the prior is found.
        least_transfer: sum of side bands, relative to the largest, below which the textbook's sum
            leaves a frequency out; it has no prior.
        background: percentile of x that is put to 0, the linear images' own.
    """

    aliases: bool = True
    rounds: int = ROUNDS
    least_transfer: float = 0.05
    background: float = BACKGROUND_PERCENTILE

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1].

        Raises:
            ContractError: SAMPLE_UNSUITED, no even raster, or one that is too coarse.
        """
        found = self.phase(sample, spec)
        x = pinned(found.phase, found.aliases, sample, self.background)
        return Reconstruction(x, diagnostics=found.diagnostics)

    def phase(self, sample: Sample, spec: MismatchSpec) -> DirectPhase:
        """The phase, its mean 0.

        Raises:
            ContractError: as `reconstruct`.
        """
        raster = Raster.of(sample)
        aliases = Aliases.of(sample, raster, folded=self.aliases)
        unknowns = Unknowns.PHASE_AND_AMPLITUDE if self.aliases else Unknowns.TEXTBOOK
        equations = measured_side_bands(sample, spec, raster, aliases, unknowns)
        diagnostics: dict[str, float] = {"aliases": aliases.most, "pixels": equations.measured}
        if self.aliases:
            speckle = speckle_pixels(sample.operator)
            found = estimate(equations, aliases, speckle=speckle, rounds=self.rounds)
            coefficients, _ = found.mean.chunk(2, dim=-1)
            diagnostics["misfit"] = float(found.misfit.mean())
        else:
            coefficients = matched(equations, self.least_transfer)
        image = aliases.to_object(aliases.unfold(coefficients), sample.object_shape)
        return DirectPhase(image.real, aliases, diagnostics)
