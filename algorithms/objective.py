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
from physics.information import FisherInformation
from physics.noise import Likelihood, LikelihoodName
from physics.operator import ForwardOperator, batches
from schemas.spec import MismatchSpec


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
        self.operator = ForwardOperator(sample.operator, dtype=dtype, device=sample.device)
        mask = None if usable is None or usable.all() else self.operator.tensor(usable)
        self.likelihood = Likelihood(likelihood, attrs.gain, attrs.read_noise, mask)
        self._patterns = PatternStream(sample.y, self._prepare, budget_bytes=sample.memory_bytes)

    def gradient(self, phi: Tensor, spec: MismatchSpec) -> tuple[float, Tensor]:
        """(loss, dL/dphi (H, W))."""
        far = self.operator.far_field(spec)
        total, slope = 0.0, torch.zeros_like(phi)
        transmission = self.operator.transmission(phi)
        for index, prepared in self._measured():
            psi = self.operator.exit_waves(transmission, far, index)
            psi_hat = far.forward(psi)
            expected = far.intensity(psi_hat)
            total += float(self.likelihood.loss(expected, prepared))
            by_intensity = self.likelihood.slope(expected, prepared)
            self.operator.pull_back(psi, psi_hat, by_intensity, far, index, into=slope)
        return total, slope

    def information(self, phi: Tensor, spec: MismatchSpec) -> FisherInformation:
        """The Fisher information of (phase, spec) at a point, as this likelihood weighs it."""
        return FisherInformation(self.operator, spec, phi, self.likelihood.fisher_weight)

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

    def _measured(self) -> Iterator[tuple[slice, Tensor]]:
        """For each batch: index, prepared counts."""
        for block, prepared in self._patterns.blocks():
            for part in batches(len(prepared)):
                index = slice(block.start + part.start, block.start + part.stop)
                yield index, prepared[part]

    def _prepare(self, counts: NDArray[np.float32]) -> Tensor:
        return self.likelihood.prepare(self.operator.tensor(counts))
