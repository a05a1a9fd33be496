"""Linear inverse problems, matrix-free: a real signal x from y = H x + noise under a penalty.

    x = argmin 1/2 |H x - y|^2 + weight R(x)

with R = 1/2 |x|^2 (ridge), 1/2 |D x|^2 (smooth), or sum |D x| (total variation), D the differences
between neighbours along every axis. Quadratic penalties without a bound are solved by conjugate
gradients (Hestenes & Stiefel, J. Res. NBS 49, 409 (1952)), the others by FISTA (Beck & Teboulle,
SIAM J. Imaging Sci. 2, 183 (2009)) with restarts (O'Donoghue & Candes, Found. Comput. Math. 15, 715
(2015)); the proximal map of total variation by the same authors' dual method (IEEE Trans. Image
Process. 18, 2419 (2009)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from torch import Tensor

from physics.primitives.base import LinearPrimitive

POWER_STEPS = 30
"""Steps of the power method for |H|^2."""

NORM_MARGIN = 1.05
"""The power method's result is a lower bound; steps are as short as this much more asks for."""

PROX_STEPS = 12
"""Dual steps of total variation's proximal map in each step of FISTA; each begins where the one
before ended, so that few do."""

SETTLED = 1e-5
"""Relative change of the signal at which FISTA is done; residual of conjugate gradients."""

StopAsked = Callable[[], bool]


def never() -> bool:
    """A solver that is not asked to stop."""
    return False


class PenaltyName(StrEnum):
    """What is believed of the signal beside the data."""

    RIDGE = "ridge"
    SMOOTH = "smooth"
    TOTAL_VARIATION = "total-variation"


@dataclass(frozen=True)
class LinearProblem:
    """The data's part, 1/2 |H x - y|^2 over the entries that are kept.

    Several problems that differ in what is kept are one: x then has a batch axis before its own,
    as `keep` has.

    Attributes:
        operator: H.
        y: the measurement, real or complex, in double precision.
        keep: 1 for entries of y that count and 0 for others, (..., *y.shape); None: all do.
    """

    operator: LinearPrimitive
    y: Tensor
    keep: Tensor | None = None

    @property
    def axes(self) -> int:
        """Number of a signal's own axes."""
        return len(self.operator.shape.domain)

    def residual(self, x: Tensor) -> Tensor:
        """H x - y on what is kept, the shape of y."""
        return self._kept(self.operator.forward(x) - self.y)

    def gradient(self, x: Tensor) -> Tensor:
        """Re H^H (H x - y), the shape of x."""
        return self._back(self.residual(x))

    def right_side(self) -> Tensor:
        """Re H^H y."""
        return self._back(self._kept(self.y))

    def normal(self, x: Tensor) -> Tensor:
        """Re H^H H x."""
        return self._back(self._kept(self.operator.forward(x)))

    def without(self, held_out: Tensor) -> LinearProblem:
        """The same without the entries where `held_out` is 1, (..., *y.shape)."""
        return replace(self, keep=1 - held_out if self.keep is None else self.keep - held_out)

    def squared_norm(self, generator: torch.Generator) -> float:
        """|H|^2, by the power method from a random start."""
        shape = self.operator.shape.domain
        x = torch.randn(shape, generator=generator, dtype=torch.float64).to(self.y.device)
        value = 0.0
        for _ in range(POWER_STEPS):
            x = self.normal(x / torch.linalg.norm(x))
            value = float(torch.linalg.norm(x))
            if value == 0.0:
                break
        return NORM_MARGIN * value

    def _kept(self, values: Tensor) -> Tensor:
        return values if self.keep is None else values * self.keep

    def _back(self, values: Tensor) -> Tensor:
        # Of a complex number .real is the real part, of a real one itself.
        return self.operator.adjoint(values).real


@dataclass(frozen=True)
class Penalty:
    """weight R(x), and that x is not negative, where it is asked for.

    Attributes:
        name: which R.
        weight: its weight, in units of y^2 over those of R.
        nonnegative: x >= 0.
    """

    name: PenaltyName
    weight: float
    nonnegative: bool = False


def differences(x: Tensor, axes: int) -> Tensor:
    """D x: forward differences along each of the last axes, 0 at the far end; (axes, *x.shape)."""
    found = torch.zeros((axes, *x.shape), dtype=x.dtype, device=x.device)
    for number, axis in enumerate(range(x.ndim - axes, x.ndim)):
        inner = x.shape[axis] - 1
        into = found[number].narrow(axis, 0, inner)
        torch.sub(x.narrow(axis, 1, inner), x.narrow(axis, 0, inner), out=into)
    return found


def differences_adjoint(p: Tensor) -> Tensor:
    """D^T p: (axes, *x.shape) to x.shape."""
    total = torch.zeros_like(p[0])
    for number, axis in enumerate(range(total.ndim - len(p), total.ndim)):
        inner = total.shape[axis] - 1
        flux = p[number].narrow(axis, 0, inner)
        total.narrow(axis, 1, inner).add_(flux)
        total.narrow(axis, 0, inner).sub_(flux)
    return total


def lengths(p: Tensor) -> Tensor:
    """|p| of vectors (axes, *x.shape): x.shape. Far faster than a norm along the first axis."""
    squared = p[0].square()
    for component in p[1:]:
        squared.addcmul_(component, component)
    return squared.sqrt_()


def objective(problem: LinearProblem, penalty: Penalty, x: Tensor) -> float:
    """What is minimised, at x."""
    fit = 0.5 * float(torch.linalg.norm(problem.residual(x))) ** 2
    steps = differences(x, problem.axes)
    if penalty.name is PenaltyName.TOTAL_VARIATION:
        return fit + penalty.weight * float(lengths(steps).sum())
    measured = x if penalty.name is PenaltyName.RIDGE else steps
    return fit + 0.5 * penalty.weight * float(torch.linalg.norm(measured)) ** 2


@dataclass(frozen=True)
class Solution:
    """Where a solver ended.

    Attributes:
        x: the signal.
        steps: how many it took.
    """

    x: Tensor
    steps: int


def solve(
    problem: LinearProblem,
    penalty: Penalty,
    *,
    start: Tensor,
    squared_norm: float,
    steps: int,
    settled: float = SETTLED,
    stop: StopAsked = never,
) -> Solution:
    """The signal that minimises data misfit and penalty.

    Args:
        problem: the data's part.
        penalty: the belief's part.
        start: where to begin.
        squared_norm: an upper bound of |H|^2.
        steps: most steps.
        settled: relative change of the signal (conjugate gradients: residual) at which to end.
        stop: asked before each step; the signal so far is returned then.
    """
    if penalty.name is PenaltyName.TOTAL_VARIATION or penalty.nonnegative:
        return _fista(problem, penalty, start, squared_norm, steps, settled, stop)
    return _conjugate_gradients(problem, penalty, start, steps, settled, stop)


def _curve(penalty: Penalty, x: Tensor, axes: int) -> Tensor:
    """weight times the gradient of a quadratic R."""
    if penalty.name is PenaltyName.RIDGE:
        return penalty.weight * x
    return penalty.weight * differences_adjoint(differences(x, axes))


def _conjugate_gradients(
    problem: LinearProblem,
    penalty: Penalty,
    start: Tensor,
    steps: int,
    settled: float,
    stop: StopAsked,
) -> Solution:
    x, axes = start, problem.axes
    right = problem.right_side()
    residual = right - problem.normal(x) - _curve(penalty, x, axes)
    direction = residual
    power = float(residual.square().sum())
    enough = settled**2 * float(right.square().sum())
    for step in range(steps):
        if power <= enough or stop():
            return Solution(x, step)
        image = problem.normal(direction) + _curve(penalty, direction, axes)
        length = power / float((direction * image).sum())
        x = x + length * direction
        residual = residual - length * image
        before, power = power, float(residual.square().sum())
        direction = residual + power / before * direction
    return Solution(x, steps)


def _fista(
    problem: LinearProblem,
    penalty: Penalty,
    start: Tensor,
    squared_norm: float,
    steps: int,
    settled: float,
    stop: StopAsked,
) -> Solution:
    variation, axes = penalty.name is PenaltyName.TOTAL_VARIATION, problem.axes
    bound = squared_norm
    if not variation:
        # |D|^2 is at most 4 for each axis.
        bound += penalty.weight * (1 if penalty.name is PenaltyName.RIDGE else 4 * axes)
    near = _TotalVariationProx(start, axes, penalty) if variation else None
    x, ahead, age = start, start, 0
    for step in range(steps):
        if stop():
            return Solution(x, step)
        slope = problem.gradient(ahead)
        if not variation:
            slope = slope + _curve(penalty, ahead, axes)
        moved = ahead - slope / bound
        fresh = near(moved, 1 / bound) if near is not None else moved.clamp_min(0.0)
        travelled = fresh - x
        if float(((ahead - fresh) * travelled).sum()) > 0:
            age = 0  # the momentum points uphill: begin again from here without it
        else:
            age += 1
        x, ahead = fresh, fresh + age / (age + 3) * travelled
        if float(torch.linalg.norm(travelled)) <= settled * float(torch.linalg.norm(x)):
            return Solution(x, step + 1)
    return Solution(x, steps)


class _TotalVariationProx:
    """argmin 1/2 |x - b|^2 + length weight sum |D x| (and x >= 0), by its dual p, |p| <= 1.

    The dual of one call is where the next one begins.
    """

    def __init__(self, like: Tensor, axes: int, penalty: Penalty) -> None:
        self._penalty, self._axes = penalty, axes
        self._dual = torch.zeros((axes, *like.shape), dtype=like.dtype, device=like.device)

    def __call__(self, b: Tensor, length: float) -> Tensor:
        scale = length * self._penalty.weight
        if scale == 0.0:
            return self._primal(b, scale, self._dual)
        rate = 1 / (4 * self._axes * scale)
        p, ahead = self._dual, self._dual
        for step in range(PROX_STEPS):
            moved = ahead + rate * differences(self._primal(b, scale, ahead), self._axes)
            fresh = moved / lengths(moved).clamp_min_(1.0)
            ahead = fresh + step / (step + 3) * (fresh - p)
            p = fresh
        self._dual = p
        return self._primal(b, scale, p)

    def _primal(self, b: Tensor, scale: float, p: Tensor) -> Tensor:
        x = b - scale * differences_adjoint(p)
        return x.clamp_min(0.0) if self._penalty.nonnegative else x
