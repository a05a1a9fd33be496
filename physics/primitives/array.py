"""H as a plain array, as other variants of the benchmark state it."""

from __future__ import annotations

from torch import Tensor

from physics.ideal import Action, ArrayOperator
from physics.primitives.base import Constant, Shape, check


class ArrayMap:
    """A matrix or a map on signals of a fixed shape.

    Args:
        operator: the array, and how it acts.
    """

    def __init__(self, operator: ArrayOperator) -> None:
        self._action = operator.action
        self._values = Constant(operator.values)
        self._shape = Shape(operator.signal_shape, operator.data_shape)

    @property
    def shape(self) -> Shape:
        """From the signal to the data."""
        return self._shape

    def forward(self, x: Tensor) -> Tensor:
        """H x, (..., *data)."""
        check(x, self.shape.domain, self)
        return self._apply(x, self._values.like(x), self.shape)

    def adjoint(self, y: Tensor) -> Tensor:
        """H^T y, (..., *signal)."""
        check(y, self.shape.range, self)
        values = self._values.like(y)
        back = Shape(self.shape.range, self.shape.domain)
        return self._apply(y, values if self._action is Action.MAP else values.mT, back)

    def _apply(self, x: Tensor, values: Tensor, shape: Shape) -> Tensor:
        batch = x.shape[: x.ndim - len(shape.domain)]
        if self._action is Action.MAP:
            return values * x
        matrix = values.to(x.dtype)
        if self._action is Action.FLAT:
            flat = x.reshape(*batch, -1)
            return (flat @ matrix.mT).reshape(*batch, *shape.range)
        if self._action is Action.LAST:
            return x @ matrix.mT
        columns = x.reshape(*batch, shape.domain[0], -1)
        return (matrix @ columns).reshape(*batch, *shape.range)
