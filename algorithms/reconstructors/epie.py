"""epie: the ptychographic iterative engine, for a phase object with a known probe.

Pattern after pattern, in random order, the exit wave is given the measured modulus and the object
is moved towards what that asks for (Maiden & Rodenburg, Ultramicroscopy 109, 1256 (2009)):

    t <- t + alpha conj(P) (psi' - psi) / max |P|^2,    psi' - psi = dq/dd A^H (psi^' - psi^).

For a phase object only the phase of t may change, to first order by Im(conj(t) dt): that is a step
down the gradient of the amplitude loss sum (sqrt(I + c) - sqrt(y + c))^2 of the batch. The adjoint
makes it one for a distorted detector too, whose A is not unitary.

It begins at the integrated centre of mass and stops when patterns that are kept apart begin to
dislike it: there is no prior, and what follows is noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from algorithms.base import Reconstruction, Sample
from algorithms.set_projection import SetProjection, StopRule
from physics.noise import ANSCOMBE_SHIFT
from physics.operator import batches
from schemas.spec import MismatchSpec


@dataclass(frozen=True)
class Epie:
    """Sequential projections, batch by batch.

    Attributes:
        step: alpha of the first pass.
        decay: passes after which alpha has halved: alpha / (1 + pass / decay). Ever shorter steps
            average the noise of single patterns.
        batch: patterns that are projected at once; 1 is the engine of the paper.
        passes: over the scan, at most.
        patience: passes without progress on the patterns kept apart, after which it ends.
        shift: electrons added to model and data under the root; 0 is the plain modulus.
    """

    step: float = 1.0
    decay: float = 4.0
    batch: int = 16
    passes: int = 15
    patience: int = 3
    shift: float = ANSCOMBE_SHIFT

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1]; the spec is kept as it was given."""
        scan = SetProjection.of(sample, spec, shift=self.shift, patterns_bytes=sample.memory_bytes)
        generator = torch.Generator().manual_seed(sample.seed)
        rule, phi = StopRule(self.patience), scan.start
        for number in range(self.passes):
            alpha = self.step / (1 + number / self.decay)
            phi, loss = self._one_pass(phi, alpha, scan, generator)
            sample.progress((number + 1) / self.passes)
            if not rule.goes_on(phi, loss) or sample.seconds_left <= 0:
                break
        return scan.result(rule, {})

    def _one_pass(
        self, phi: Tensor, alpha: float, scan: SetProjection, generator: torch.Generator
    ) -> tuple[Tensor, float]:
        """(phi (H, W) after every pattern once, the loss of those that are kept apart)."""
        phi, loss = phi.clone(), 0.0
        for block, prepared in scan.stream.blocks():
            # A scan that does not fit the memory is mixed within each block that is read.
            order = torch.randperm(len(prepared), generator=generator).to(phi.device)
            for part in batches(len(prepared), self.batch):
                index, data = block.start + order[part], prepared[order[part]]
                slope, batch_loss = batch_slope(phi, index, data, scan)
                loss += batch_loss
                phi -= alpha * slope
        return scan.gauge.project(phi), loss


def batch_slope(
    phi: Tensor, index: Tensor, prepared: Tensor, scan: SetProjection
) -> tuple[Tensor, float]:
    """What alpha = 1 takes off phi (H, W) for a batch; and the loss of those kept apart in it.

    Im(conj(t) dt) = -sum Im(conj(psi) (psi' - psi)) / max |P|^2 is the amplitude loss's gradient by
    phi, over twice the dose and the batch's largest illumination.
    """
    operator, far = scan.operator, scan.far
    psi = operator.exit_waves(operator.transmission(phi), far, index)
    waves = far.forward(psi)
    expected = far.intensity(waves)
    held = scan.apart[index]
    loss = float(scan.modulus.likelihood.loss(expected[held], prepared[held]))
    slope, seen = torch.zeros_like(phi), ~held
    if bool(seen.any()):
        by_intensity = 1 - scan.modulus.ratio(expected[seen], prepared[seen])
        operator.pull_back(psi[seen], waves[seen], by_intensity, far, index[seen], into=slope)
        slope /= 2 * operator.ideal.attrs.dose_e * operator.illumination(index[seen]).max()
    return slope, loss
