"""dm: the difference map, for a phase object with a known probe.

Two sets of exit waves: A, those whose far fields have the measured moduli; B, those that one object
makes, P(r - R) t(r) with |t| = 1. From all exit waves at once (Thibault et al., Ultramicroscopy
109, 338 (2009); Elser, J. Opt. Soc. Am. A 20, 40 (2003)),

    psi <- beta (psi + P_A (2 P_B psi - psi) - P_B psi) + (1 - beta) P_B psi.

beta = 1 is the difference map; below 1 it is RAAR (Luke, Inverse Probl. 21, 37 (2005)), which is
drawn to B and can stay near a solution that noise has moved out of A.

P_B: t = sum conj(P) psi / sum |P|^2, of which the phase is kept. P_A: A is not unitary for a
distorted detector, so the measured waves come back by its pseudo-inverse, and what the detector
does not see of psi stays: psi + A^+ (psi^' - A psi). The adjoint in its place would overshoot where
A sees a frequency twice, and the measured moduli would not be met after the projection.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from algorithms.base import Reconstruction, Sample, unsuited
from algorithms.set_projection import SetProjection, StopRule
from physics.curvature import COVERAGE_FLOOR
from physics.noise import ANSCOMBE_SHIFT
from physics.operator import batches
from schemas.spec import MismatchSpec

COMPLEX_BYTES = 8
"""One pixel of an exit wave, complex64 [bytes]."""


class ExitWaves:
    """The state of the difference map: an exit wave for every pattern, (Ny*Nx, n, n) complex.

    Args:
        scan: sample and detector, ready for projections. The first exit waves are its start's.
    """

    def __init__(self, scan: SetProjection) -> None:
        self._scan, self._back = scan, scan.far.pseudo_inverse()
        operator, n = scan.operator, scan.operator.ideal.window
        transmission = operator.transmission(scan.start)
        self.psi = transmission.new_empty((operator.count, n, n))
        for index in batches(operator.count, operator.batch):
            self.psi[index] = operator.exit_waves(transmission, scan.far, index)

    def object_phase(self, phi: Tensor) -> Tensor:
        """P_B: the phase (H, W) [rad] of the object that the exit waves agree on.

        Args:
            phi: what it is where the beam hardly was.
        """
        scan, operator = self._scan, self._scan.operator
        total = torch.zeros_like(operator.transmission(phi))
        for part in batches(operator.count, operator.batch):
            index = part.start + (~scan.apart[part]).nonzero()[:, 0]
            operator.back_to_object(self.psi[index], scan.far, index, into=total)
        seen = scan.illumination > COVERAGE_FLOOR * scan.illumination.max()
        # About its mean no thin phase wraps; the exit waves have the mean, and so it stays.
        mean = torch.angle(total[seen].sum())
        phase: Tensor = torch.angle(total * torch.exp(-1j * mean)) + mean
        return torch.where(seen, phase, phi)

    def step(self, phi: Tensor, beta: float) -> float:
        """One iteration from the phase that P_B made; returns the loss of the patterns kept apart.

        Those exit waves are not changed, and have no part in the object.
        """
        scan, operator = self._scan, self._scan.operator
        transmission, loss = operator.transmission(phi), 0.0
        for block, prepared in scan.stream.blocks():
            for part in batches(len(prepared), operator.batch):
                index = slice(block.start + part.start, block.start + part.stop)
                made = operator.exit_waves(transmission, scan.far, index)
                held = scan.apart[index]
                if held.any():
                    expected = scan.far.intensity(scan.far.forward(made[held]))
                    loss += float(scan.modulus.likelihood.loss(expected, prepared[part][held]))
                psi = self.psi[index]
                fitted = self.with_modulus(2 * made - psi, prepared[part])
                moved = beta * (psi + fitted - made) + (1 - beta) * made
                self.psi[index] = torch.where(held[:, None, None], psi, moved)
        return loss

    def with_modulus(self, psi: Tensor, prepared: Tensor) -> Tensor:
        """P_A of exit waves (B, n, n)."""
        waves = self._scan.far.forward(psi)
        ratio = self._scan.modulus.ratio(self._scan.far.intensity(waves), prepared)
        return psi + self._back((ratio - 1) * waves)


@dataclass(frozen=True)
class DifferenceMap:
    """Difference map and its relaxation.

    Attributes:
        beta: 1 is the difference map, below it RAAR.
        iterations: passes over the scan, at most.
        patience: passes without progress on the patterns kept apart, after which it ends.
        shift: electrons added to model and data under the root; 0 is the plain modulus.
    """

    beta: float = 0.9
    iterations: int = 30
    patience: int = 4
    shift: float = ANSCOMBE_SHIFT

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1].

        Raises:
            ContractError: SAMPLE_UNSUITED, where the exit waves do not fit the memory.
        """
        needed = exit_waves_bytes(sample)
        scan = SetProjection.of(
            sample, spec, shift=self.shift, patterns_bytes=sample.memory_bytes - needed
        )
        waves, rule, phi = ExitWaves(scan), StopRule(self.patience), scan.start
        for number in range(self.iterations):
            phi = waves.object_phase(phi)
            loss = waves.step(phi, self.beta)
            sample.progress((number + 1) / self.iterations)
            if not rule.goes_on(phi, loss) or sample.seconds_left <= 0:
                break
        return scan.result(rule, {"exit_waves_bytes": needed})


def exit_waves_bytes(sample: Sample) -> int:
    """Bytes of all exit waves, which must be in memory at once.

    Raises:
        ContractError: SAMPLE_UNSUITED, they are more than `sample.memory_bytes`.
    """
    ny, nx = sample.scan_shape
    needed = COMPLEX_BYTES * ny * nx * sample.operator.window**2
    if needed > sample.memory_bytes:
        raise unsuited(
            sample,
            needs=f"{needed / 2**20:.0f} MiB for the exit waves of all {ny * nx} positions",
            found=f"{sample.memory_bytes / 2**20:.0f} MiB",
            instead="epie or ptychography, which keep the object alone",
        )
    return needed
