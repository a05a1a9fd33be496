"""The likelihood of a sample's counts as a function of phase and spec: values and derivatives.

Everything is a sum over scan positions, taken batch by batch. Patterns that fit the sample's memory
budget are kept in the form the likelihood compares with; larger scans are streamed in each pass.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from algorithms.base import Sample
from algorithms.stream import PatternStream
from physics.noise import Likelihood, LikelihoodName
from physics.operator import FarField, ForwardOperator, batches
from schemas.spec import MismatchSpec


class Objective:
    """Negative log-likelihood of one sample.

    Args:
        sample: the measurement.
        likelihood: poisson or anscombe.
        dtype: torch.float32 or torch.float64.
    """

    def __init__(
        self,
        sample: Sample,
        likelihood: LikelihoodName = LikelihoodName.POISSON,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        attrs = sample.operator.attrs
        self.operator = ForwardOperator(sample.operator, dtype=dtype, device=sample.device)
        self.likelihood = Likelihood(likelihood, attrs.gain, attrs.read_noise)
        self._patterns = PatternStream(sample.y, self._prepare, budget_bytes=sample.memory_bytes)

    def gradient(self, phi: Tensor, spec: MismatchSpec) -> tuple[float, Tensor]:
        """(loss, dL/dphi (H, W))."""
        far = self.operator.far_field(spec)
        total, slope = 0.0, torch.zeros_like(phi)
        transmission = self.operator.transmission(phi)
        for index, prepared in self._measured():
            psi, psi_hat, expected = self._waves(transmission, far, index)
            total += float(self.likelihood.loss(expected, prepared))
            by_intensity = self.likelihood.slope(expected, prepared)
            slope += self.operator.pull_back(psi, psi_hat, by_intensity, far, index)
        return total, slope

    def fisher_product(self, phi: Tensor, spec: MismatchSpec, direction: Tensor) -> Tensor:
        """Fisher information of the phase times `direction`, (H, W): J^T W J v."""
        far = self.operator.far_field(spec)
        product = torch.zeros_like(phi)
        for index, psi, psi_hat, expected in self._passes(phi, far):
            change = self.operator.directional(psi, psi_hat, direction, far, index)
            weighted = change * self.likelihood.fisher_weight(expected)
            product += self.operator.pull_back(psi, psi_hat, weighted, far, index)
        return product

    def spec_information(self, phi: Tensor, spec: MismatchSpec) -> tuple[Tensor, Tensor]:
        """dL/dp (3,) and the Fisher information (3, 3) of the spec at fixed phase, float64."""
        slope = torch.zeros(3, dtype=torch.float64)
        fisher = torch.zeros(3, 3, dtype=torch.float64)
        for index, prepared in self._measured():
            expected, derivatives = self.operator.spec_derivatives(phi, spec, index)
            by_intensity = self.likelihood.slope(expected, prepared)
            weighted = derivatives * self.likelihood.fisher_weight(expected)
            flat = derivatives.reshape(3, -1)
            slope += (flat @ by_intensity.reshape(-1)).double().cpu()
            fisher += (flat @ weighted.reshape(3, -1).T).double().cpu()
        return slope, fisher

    def coupling(self, phi: Tensor, spec: MismatchSpec) -> Tensor:
        """Fisher information between the spec's parameters and the phase, (3, H, W)."""
        far = self.operator.far_field(spec)
        coupling = torch.zeros(3, *phi.shape, dtype=phi.dtype, device=phi.device)
        for index, psi, psi_hat, expected in self._passes(phi, far):
            _, derivatives = self.operator.spec_derivatives(phi, spec, index)
            for part, weighted in enumerate(derivatives * self.likelihood.fisher_weight(expected)):
                coupling[part] += self.operator.pull_back(psi, psi_hat, weighted, far, index)
        return coupling

    def _passes(self, phi: Tensor, far: FarField) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
        """For each batch: index, exit waves, far field, expected electrons; no counts are read."""
        transmission = self.operator.transmission(phi)
        for index in batches(self.operator.count):
            yield index, *self._waves(transmission, far, index)

    def _measured(self) -> Iterator[tuple[slice, Tensor]]:
        """For each batch: index, prepared counts."""
        for block, prepared in self._patterns.blocks():
            for part in batches(len(prepared)):
                index = slice(block.start + part.start, block.start + part.stop)
                yield index, prepared[part]

    def _waves(
        self, transmission: Tensor, far: FarField, index: slice
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Exit waves, far field, expected electrons of a batch."""
        psi = self.operator.exit_waves(transmission, far, index)
        psi_hat = far.forward(psi)
        return psi, psi_hat, far.weight * (psi_hat.real.square() + psi_hat.imag.square())

    def _prepare(self, counts: NDArray[np.float32]) -> Tensor:
        return self.likelihood.prepare(self.operator.tensor(counts))
