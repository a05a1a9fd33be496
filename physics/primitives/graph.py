"""Primitives joined into a forward model, as the arrows of its notation say."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from physics.primitives.base import LinearPrimitive, Primitive, Shape, check
from schemas.notation import Edge, SpecDAG, Stage, Symbol


@runtime_checkable
class Sensor(Primitive, Protocol):
    """A last stage that measures: it adds noise to its mean."""

    def sample(self, x: Tensor, rng: np.random.Generator) -> NDArray[np.float32]:
        """Measured counts, (..., *range)."""


class Lifted:
    """A primitive for every entry of leading axes: scan positions, bands, frames.

    Args:
        each: maps one entry.
        leading: the axes.
    """

    def __init__(self, each: Primitive, leading: tuple[int, ...]) -> None:
        self.each = each
        own = each.shape
        self._shape = Shape((*leading, *own.domain), (*leading, *own.range))

    @property
    def shape(self) -> Shape:
        """That of one entry, behind the leading axes."""
        return self._shape

    def forward(self, x: Tensor) -> Tensor:
        """Every entry mapped: to a primitive, leading axes are a batch."""
        check(x, self.shape.domain, self)
        return self.each.forward(x)


class LinearLifted(Lifted):
    """The same of a linear primitive."""

    def __init__(self, each: LinearPrimitive, leading: tuple[int, ...]) -> None:
        super().__init__(each, leading)
        self._linear = each

    def adjoint(self, y: Tensor) -> Tensor:
        """Every entry mapped back."""
        check(y, self.shape.range, self)
        return self._linear.adjoint(y)


def lift(each: Primitive, domain: tuple[int, ...]) -> Primitive:
    """A primitive on a domain that may have more leading axes than its own.

    Raises:
        ValueError: the domain's last axes are not the primitive's.
    """
    own = each.shape.domain
    leading = domain[: len(domain) - len(own)]
    if (*leading, *own) != domain:
        raise ValueError(f"it maps {own}, and here comes {domain}")
    if not leading:
        return each
    if isinstance(each, LinearPrimitive):
        return LinearLifted(each, leading)
    return Lifted(each, leading)


class ForwardModel:
    """Stages joined by arrows; a primitive itself. What meets in a Sigma is added.

    Args:
        model: the arrows. Its one end is what is measured; the object enters every stage that no
            arrow leads to.
        stages: a primitive for each label of the model.

    Raises:
        ValueError: shapes that do not fit together, or not exactly one end.
    """

    def __init__(self, model: SpecDAG, stages: Mapping[str, Primitive]) -> None:
        if len(model.ends) != 1:
            raise ValueError(f"one end is needed, found {', '.join(model.ends)}: join them in one")
        self.model, self.stages = model, dict(stages)
        self._order = model.order()
        (self._end,) = model.ends
        starts = [label for label in self._order if not model.inputs(label)]
        domain = stages[starts[0]].shape.domain
        for label in starts:
            self._fit(label, domain, "the object")
        for edge in model.edges:
            self._fit(edge.target, stages[edge.source].shape.range, edge.source)
        self._shape = Shape(domain, stages[self._end].shape.range)

    def _fit(self, label: str, given: tuple[int, ...], source: str) -> None:
        taken = self.stages[label].shape.domain
        if taken != given:
            raise ValueError(f"{label} takes {taken}, but {source} has the shape {given}")

    @property
    def shape(self) -> Shape:
        """From the object to the measurement."""
        return self._shape

    def forward(self, x: Tensor) -> Tensor:
        """The mean measurement of an object, (..., *domain) to (..., *range)."""
        return self.stages[self._end].forward(self._before_the_end(x))

    def sample(self, x: Tensor, rng: np.random.Generator) -> NDArray[np.float32]:
        """A measurement with the noise of the last stage, a detector.

        Raises:
            ValueError: the last stage is no detector.
        """
        last = self.stages[self._end]
        if not isinstance(last, Sensor):
            raise ValueError(f"{self._end} is no detector: only a D draws noise")
        return last.sample(self._before_the_end(x), rng)

    def _before_the_end(self, x: Tensor) -> Tensor:
        """What enters the last stage."""
        out: dict[str, Tensor] = {}
        for label in self._order:
            into = [out[source] for source in self.model.inputs(label)]
            entering = sum(into[1:], start=into[0]) if into else x
            if label == self._end:
                return entering
            out[label] = self.stages[label].forward(entering)
        raise AssertionError("a model without its end")


class LinearModel(ForwardModel):
    """A forward model all of whose stages are linear: it has an adjoint.

    Args:
        model: the arrows.
        stages: a linear primitive for each label.
    """

    def __init__(self, model: SpecDAG, stages: Mapping[str, LinearPrimitive]) -> None:
        super().__init__(model, stages)
        self._linear = dict(stages)

    def adjoint(self, y: Tensor) -> Tensor:
        """The arrows walked back, (..., *range) to (..., *domain)."""
        back = {self._end: y}
        total: Tensor | None = None
        for label in reversed(self._order):
            leaving = self._linear[label].adjoint(back.pop(label))
            sources = self.model.inputs(label)
            for source in sources:
                back[source] = back[source] + leaving if source in back else leaving
            if not sources:
                total = leaving if total is None else total + leaving
        assert total is not None
        return total


def join(model: SpecDAG, stages: Mapping[str, Primitive]) -> ForwardModel:
    """A forward model of stages by label; a `LinearModel` where all of them are linear.

    Raises:
        ValueError: as `ForwardModel`.
    """
    linear = {k: stage for k, stage in stages.items() if isinstance(stage, LinearPrimitive)}
    return LinearModel(model, linear) if len(linear) == len(stages) else ForwardModel(model, stages)


def compose(*stages: Primitive) -> ForwardModel:
    """Stages one after the other, the first meets the object; linear where all of them are.

    Raises:
        ValueError: shapes that do not fit together.
    """
    labels = [f"s{number}" for number in range(1, len(stages) + 1)]
    chain = SpecDAG(
        # The symbol is of no consequence: the stages are given.
        stages=tuple(Stage(label=label, symbol=Symbol.SUMMATION) for label in labels),
        edges=tuple(
            Edge(source=source, target=target) for source, target in itertools.pairwise(labels)
        ),
    )
    return join(chain, dict(zip(labels, stages, strict=True)))
