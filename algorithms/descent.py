"""Accelerated gradient descent with restarts.

Momentum as Nesterov's (k/(k+3)), restarted when it points uphill (O'Donoghue & Candes, Found.
Comput. Math. 15, 715 (2015)): converges fast where the curvature is strong, does not oscillate
where it is weak. The step length comes from the Fisher information (`physics.curvature`); where
that was taken too small the loss rises, the step is taken back and halved.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

SHORTEST_STEP = 1 / 16
"""Relative step length that is not halved any more: there the loss is flat to rounding."""


class AcceleratedDescent:
    """Minimises a smooth function of a phase, one gradient a step.

    Args:
        start: first phase, (H, W).
        precondition: gradient -> step of about the right length.
    """

    def __init__(self, start: Tensor, precondition: Callable[[Tensor], Tensor]) -> None:
        self.phi = start
        self._precondition = precondition
        self._length = 1.0
        self._previous = start
        self._age = 0
        self._last: tuple[float, Tensor, Tensor] | None = None

    def step(self, gradient: Callable[[Tensor], tuple[float, Tensor]]) -> float:
        """One step; returns the loss at the point where the gradient was taken."""
        travelled = self.phi - self._previous
        momentum = self._age / (self._age + 3)
        ahead = self.phi + momentum * travelled
        loss, slope = gradient(ahead)
        rose = self._last is not None and loss > self._last[0]
        if rose and momentum > 0:
            # Stay where the last good step ended, and begin again from there without momentum.
            self._age, self._previous = 0, self.phi
            return loss
        if rose and self._length > SHORTEST_STEP:
            assert self._last is not None
            _, ahead, slope = self._last
            self._length /= 2
        else:
            uphill = momentum > 0 and float((slope * travelled).sum()) > 0
            self._age = 0 if rose or uphill else self._age + 1
            self._last = (loss, ahead, slope)
        self._previous = ahead if self._age == 0 else self.phi
        self.phi = ahead - self._length * self._precondition(slope)
        return loss
