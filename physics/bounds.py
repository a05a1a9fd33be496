"""The Cramer-Rao bound of the detector's parameters: what the best unbiased method could reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from physics.curvature import Curvature
from physics.gauge import Gauge
from physics.information import FisherInformation, Float64
from schemas.spec import PARAMETERS

SETTLED = 2e-3
"""Relative change of the joint errors, in one round, below which they are taken as found."""

MAX_ROUNDS = 60
"""Rounds of conjugate gradients at most: what the beam hardly met comes in slowly and adds
nothing."""

RANK_TOLERANCE = 1e-10
"""Relative eigenvalue below which two of the three search directions count as one."""


@dataclass(frozen=True)
class CramerRao:
    """Smallest covariance of the three parameters [%, pixels, 1].

    Attributes:
        known: with the phase known, (3, 3).
        joint: with the phase unknown but for its gauge, (3, 3).
        rounds: rounds of conjugate gradients taken.
        change: relative change of the joint errors in the last round.
    """

    known: Float64
    joint: Float64
    rounds: int
    change: float

    @property
    def known_sigma(self) -> dict[str, float]:
        """One-sigma error of each parameter, the phase known."""
        return _sigma(self.known)

    @property
    def joint_sigma(self) -> dict[str, float]:
        """One-sigma error of each parameter, the phase unknown."""
        return _sigma(self.joint)


def _sigma(covariance: Float64) -> dict[str, float]:
    return dict(zip(PARAMETERS, np.sqrt(np.diag(covariance)).tolist(), strict=True))


def cramer_rao(
    information: FisherInformation,
    curvature: Curvature | None = None,
    *,
    rounds: int = MAX_ROUNDS,
    settled: float = SETTLED,
) -> CramerRao:
    """The Cramer-Rao bound of the spec, phase known and unknown.

    With the phase unknown the spec keeps the Schur complement F_pp - F_px F_xx^-1 F_xp. How the
    phase answers to the three parameters, F_xx^-1 F_xp, is sought for all three at once by block
    conjugate gradients (O'Leary, Linear Algebra Appl. 29, 293 (1980)). Each round can only take
    more from F_pp: fewer rounds give errors that are a little too small, never nonsense.

    Gauge modes, of which the data say nothing, are taken out rather than inverted: a constant phase
    drops out of every product by itself, a ramp belongs to the centre (`physics.gauge`).

    Args:
        information: the Fisher information of the sample.
        curvature: its approximation, which preconditions the search; None: it is estimated.
        rounds: rounds of conjugate gradients at most.
        settled: relative change at which to stop.
    """
    if curvature is None:
        curvature = Curvature.estimate(information, torch.Generator().manual_seed(0))
    gauge = Gauge.of(curvature.window, periodic=information.operator.ideal.attrs.periodic)
    inverse = curvature.preconditioner()
    fisher, coupling = information.of_spec()
    known = _inverse(fisher)
    residual = _each(gauge.adjoint, coupling)
    steps = _each(inverse, residual)
    taken = np.zeros((3, 3))
    joint: Float64 = known
    change, done = np.inf, 0
    while done < rounds and change > settled:
        products = _each(gauge.adjoint, information.product(_each(gauge.project, steps)))
        solve = np.linalg.pinv(_inner(steps, products), rcond=RANK_TOLERANCE, hermitian=True)
        overlap = _inner(steps, residual)
        taken += overlap.T @ solve @ overlap
        residual = residual - _mix(products, solve @ overlap)
        fresh = _each(inverse, residual)
        steps = fresh - _mix(steps, solve @ _inner(products, fresh))
        before, joint = joint, _inverse(fisher - taken)
        change = float(np.abs(np.sqrt(np.diag(joint) / np.diag(before)) - 1).max())
        done += 1
    return CramerRao(known, joint, done, change)


def _inverse(matrix: Float64) -> Float64:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def _each(function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """A function of an image (H, W), of each of (3, H, W)."""
    return torch.stack([function(image) for image in images])


def _inner(a: Tensor, b: Tensor) -> Float64:
    """(3, 3) products of images (3, H, W), in float64."""
    product: Float64 = (a.flatten(1).double() @ b.flatten(1).double().T).cpu().numpy()
    return product


def _mix(rows: Tensor, weights: Float64) -> Tensor:
    """Sum over i of weights[i, k] rows[i]: (K, H, W)."""
    matrix = torch.as_tensor(weights.T.copy()).to(rows.device, rows.dtype)
    return (matrix @ rows.flatten(1)).reshape(-1, *rows.shape[1:])
