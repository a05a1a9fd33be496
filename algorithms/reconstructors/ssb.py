"""ssb: single side band ptychography, with the scan's aliases told apart. Linear, no iterations.

See `algorithms.side_bands` for the equations and `algorithms.linear_phase` for their solution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from algorithms.base import Reconstruction, Sample
from algorithms.linear_phase import ROUNDS, estimate, matched
from algorithms.prior import pin_background
from algorithms.scan_transform import Aliases, Raster
from algorithms.side_bands import measured_side_bands
from schemas.spec import MismatchSpec


@dataclass(frozen=True)
class Ssb:
    """Single side band ptychography.

    Attributes:
        aliases: tell frequencies apart that fold onto one another, by least squares over the
            detector's pixels, weighed by their noise, under a prior from the data. False: the
            textbook's sum over side bands, divided by their amplitude.
        rounds: rounds in which the prior is found.
        least_transfer: sum of side bands, relative to the largest, below which the textbook's sum
            leaves a frequency out; it has no prior.
    """

    aliases: bool = True
    rounds: int = ROUNDS
    least_transfer: float = 0.05

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1].

        Raises:
            ContractError: SAMPLE_UNSUITED, no even raster, or one that is too coarse.
        """
        raster = Raster.of(sample)
        aliases = Aliases.of(sample, raster, folded=self.aliases)
        equations = measured_side_bands(sample, spec, raster, aliases, flat=not self.aliases)
        diagnostics: dict[str, float] = {"aliases": aliases.most, "pixels": equations.measured}
        if self.aliases:
            found = estimate(equations, aliases, reference=1.0, rounds=self.rounds)
            mean = found.mean
            diagnostics["misfit"] = float(found.misfit.mean())
        else:
            mean = matched(equations, self.least_transfer)
        phase = aliases.to_object(aliases.unfold(mean), sample.object_shape).real
        seen = torch.as_tensor(aliases.seen(sample.object_shape)).to(phase)
        x = seen * pin_background(phase / sample.operator.attrs.phase_scale_rad, seen)
        return Reconstruction(x.float().cpu().numpy(), diagnostics=diagnostics)
