r"""Fisher information of phase and detector: what a sample's electrons can tell, and no more.

For independent counts of expectation I and variance I + s^2 (s^2: read noise, shifted-Poisson
approximation, see `physics.noise`) the information between two unknowns is

    F_ij = sum_{R, d} (dI/d_i) (dI/d_j) / (I + s^2)

and no unbiased estimate has a covariance below its inverse (`physics.bounds`). F_xx has as many
rows as the object has pixels and is never formed: products with it are a forward and an adjoint
pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from physics.operator import FarField, ForwardOperator, batches
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]

DARK_E = 1e-6
"""Variance of a pixel that expects nothing [electrons^2]: it keeps 0/0 out, and weighs nothing."""


class FisherInformation:
    """Fisher information of (phase, spec) at a point; expected counts alone, no data.

    Args:
        operator: the forward operator.
        spec: the detector.
        phi: the phase (H, W) [rad].
        weight: 1/variance [1/electrons^2] of pixels that expect I electrons, (B, Ky, Kx) ->
            (B, Ky, Kx), as `Likelihood.fisher_weight`; it may be 0 where a pixel is dead. None: the
            operator's own noise.
    """

    def __init__(
        self,
        operator: ForwardOperator,
        spec: MismatchSpec,
        phi: Tensor,
        weight: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.operator = operator
        self.spec = spec
        self.phi = phi
        attrs = operator.ideal.attrs
        variance_e = (attrs.read_noise / attrs.gain) ** 2 + DARK_E
        self._weight = weight or (lambda expected: 1 / (expected + variance_e))

    def product(self, direction: Tensor) -> Tensor:
        """F_xx times one direction (H, W), or times several at once (K, H, W) [rad^-2]."""
        stack = direction if direction.dim() == 3 else direction[None]
        result = torch.zeros_like(stack)
        far = self.operator.far_field(self.spec)
        for index, psi in self._passes(far):
            psi_hat = far.forward(psi)
            weight = self._weight(far.intensity(psi_hat))
            for step, total in zip(stack, result, strict=True):
                change = self.operator.directional(psi, psi_hat, step, far, index)
                self.operator.pull_back(psi, psi_hat, change * weight, far, index, into=total)
        return result if direction.dim() == 3 else result[0]

    def of_spec(self) -> tuple[Float64, Tensor]:
        """What is known of the spec, in one pass.

        Returns:
            F_pp (3, 3) per unit of dL [%], dc [pixels], eps: the phase known; and F_px (3, H, W),
            what the three share with the phase.
        """
        fisher = np.zeros((3, 3))
        coupling = torch.zeros(3, *self.phi.shape, dtype=self.phi.dtype, device=self.phi.device)
        field = self.operator.spec_field(self.spec)
        far = field.far
        for index, psi in self._passes(far):
            psi_hat, expected, derivatives = field.derivatives(psi)
            weighted = derivatives * self._weight(expected)
            known = derivatives.flatten(1) @ weighted.flatten(1).T
            fisher += known.double().cpu().numpy()
            for total, change in zip(coupling, weighted, strict=True):
                self.operator.pull_back(psi, psi_hat, change, far, index, into=total)
        return fisher, coupling

    def _passes(self, far: FarField) -> Iterator[tuple[slice, Tensor]]:
        """For each batch: index, exit waves."""
        transmission = self.operator.transmission(self.phi)
        for index in batches(self.operator.count, self.operator.batch):
            yield index, self.operator.exit_waves(transmission, far, index)
