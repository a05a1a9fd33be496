"""The likelihood of a sample's counts as a function of phase and spec: values and derivatives.

Everything is a sum over scan positions, taken batch by batch. Patterns that fit the sample's memory
budget are kept in the form the likelihood compares with; larger scans are streamed in each pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from algorithms.base import Sample
from algorithms.stream import PatternStream
from physics.information import FisherInformation
from physics.noise import Likelihood, LikelihoodName
from physics.operator import ForwardOperator, batches
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class SpecInformation:
    """What a sample's counts say of the spec, at one phase and spec; per unit of dL [%], dc, eps.

    Attributes:
        slope: dL/dp, (3,).
        fisher: Fisher information of the spec, the phase known, (3, 3).
        pattern_scatter: sum over patterns of the outer products of their slopes, (3, 3): equals
            `fisher` when counts are as independent as the likelihood takes them to be.
        pixel_scatter: the same over detector pixels, each pixel's slope summed over the scan:
            equals `fisher` when the model's average pattern is right.
        squared: sum of squared residuals [electrons^2].
        variance: what `squared` should be.
        spread: variance of `squared`.
    """

    slope: Float64
    fisher: Float64
    pattern_scatter: Float64
    pixel_scatter: Float64
    squared: float
    variance: float
    spread: float

    @property
    def chi_square(self) -> float:
        """Reduced chi-square, weighted by electrons: 1 when noise alone is left."""
        return self.squared / self.variance

    @property
    def chi_square_sigma(self) -> float:
        """Standard deviation of `chi_square` by chance."""
        return math.sqrt(self.spread) / self.variance

    @property
    def inflation(self) -> Float64:
        """By how much the errors of the parameters are larger than `fisher` says, (3,); at least 1.

        From the sandwich F^-1 S F^-1 (White, Econometrica 50, 1 (1982)) with the scatter S of
        patterns, which holds whatever correlates the pixels of a pattern, as when one electron
        counts in several; and with that of pixels, which shows what the model gets wrong in every
        pattern alike, as a detector's point spread. The larger one.
        """
        inverse = np.linalg.inv(self.fisher)
        ratios = [
            np.diag(inverse @ scatter @ inverse) / np.diag(inverse)
            for scatter in (self.fisher, self.pattern_scatter, self.pixel_scatter)
        ]
        inflation: Float64 = np.sqrt(np.max(ratios, axis=0))
        return inflation


class Objective:
    """Negative log-likelihood of one sample.

    Args:
        sample: the measurement.
        likelihood: which one.
        usable: (Ky, Kx), False where a detector pixel is not to be believed; None: all are.
        dtype: torch.float32 or torch.float64.
    """

    def __init__(
        self,
        sample: Sample,
        likelihood: LikelihoodName = LikelihoodName.POISSON,
        *,
        usable: NDArray[np.bool_] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        attrs = sample.operator.attrs
        operator = ForwardOperator(sample.operator, dtype=dtype, device=sample.device)
        mask = None if usable is None or usable.all() else operator.tensor(usable)
        noise = Likelihood(likelihood, attrs.gain, attrs.read_noise, mask)
        self.operator, self.likelihood = operator, noise
        # Nothing here refers back to this object: its patterns leave the memory when it does, not
        # at some later collection of cycles.
        self._patterns = PatternStream(
            sample.y,
            lambda counts: noise.prepare(operator.tensor(counts)),
            budget_bytes=sample.memory_bytes,
        )

    def gradient(
        self, phi: Tensor, spec: MismatchSpec, chosen: Tensor | None = None
    ) -> tuple[float, Tensor]:
        """(loss, dL/dphi (H, W)), over all patterns or the `chosen`, (Ny*Nx,) of bool."""
        far = self.operator.far_field(spec)
        total, slope = 0.0, torch.zeros_like(phi)
        transmission = self.operator.transmission(phi)
        for index, prepared in self._measured(chosen):
            psi = self.operator.exit_waves(transmission, far, index)
            psi_hat = far.forward(psi)
            expected = far.intensity(psi_hat)
            total += float(self.likelihood.loss(expected, prepared))
            by_intensity = self.likelihood.slope(expected, prepared)
            self.operator.pull_back(psi, psi_hat, by_intensity, far, index, into=slope)
        return total, slope

    def loss(self, phi: Tensor, spec: MismatchSpec, chosen: Tensor | None = None) -> float:
        """The loss alone, over all patterns or the `chosen`, (Ny*Nx,) of bool."""
        far = self.operator.far_field(spec)
        transmission = self.operator.transmission(phi)
        total = 0.0
        for index, prepared in self._measured(chosen):
            psi_hat = far.forward(self.operator.exit_waves(transmission, far, index))
            total += float(self.likelihood.loss(far.intensity(psi_hat), prepared))
        return total

    def information(self, phi: Tensor, spec: MismatchSpec) -> FisherInformation:
        """The Fisher information of (phase, spec) at a point, as this likelihood weighs it."""
        return FisherInformation(self.operator, spec, phi, self.likelihood.fisher_weight)

    def spec_information(self, phi: Tensor, spec: MismatchSpec) -> SpecInformation:
        """What the counts say of the spec at a fixed phase."""
        n = self.operator.ideal.window
        slope, fisher, by_pattern = np.zeros(3), np.zeros((3, 3)), np.zeros((3, 3))
        by_pixel = torch.zeros(3, n, n, dtype=torch.float64, device=phi.device)
        dispersion = np.zeros(3)
        field, transmission = self.operator.spec_field(spec), self.operator.transmission(phi)
        for index, prepared in self._measured():
            psi = self.operator.exit_waves(transmission, field.far, index)
            _, expected, derivatives = field.derivatives(psi)
            scores = derivatives * self.likelihood.slope(expected, prepared)
            of_patterns = scores.sum(dim=(2, 3)).double().cpu().numpy()
            weighted = (derivatives * self.likelihood.fisher_weight(expected)).reshape(3, -1)
            slope += of_patterns.sum(axis=1)
            by_pattern += of_patterns @ of_patterns.T
            by_pixel += scores.sum(dim=1)
            fisher += (derivatives.reshape(3, -1) @ weighted.T).double().cpu().numpy()
            dispersion += self.likelihood.dispersion(expected, prepared)
        of_pixels = by_pixel.reshape(3, -1).cpu().numpy()
        return SpecInformation(
            slope, fisher, by_pattern, of_pixels @ of_pixels.T, *dispersion.tolist()
        )

    def _measured(self, chosen: Tensor | None = None) -> Iterator[tuple[slice | Tensor, Tensor]]:
        """For each batch: index, prepared counts; of the chosen patterns, if some are."""
        for block, prepared in self._patterns.blocks():
            for part in batches(len(prepared), self.operator.batch):
                index = slice(block.start + part.start, block.start + part.stop)
                if chosen is None:
                    yield index, prepared[part]
                else:
                    within = chosen[index].nonzero()[:, 0]
                    yield index.start + within, prepared[part][within]
