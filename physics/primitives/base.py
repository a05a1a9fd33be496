"""What every primitive of a forward model is: a map of tensors with a shape, linear or not.

Rules for all of them:

- *shape*: `shape.domain` and `shape.range` are the trailing axes of what goes in and comes out. Any
  axes before them are a batch, each entry of which is mapped by itself.
- *dtype*: the precision of the input is the precision of the output, float32 or float64. A real
  map of a real input is real, all else is complex.
- *device*: the input's. Constants are kept in float64 and brought there once.
- *adjoint*: of the complex inner product sum(conj(a) b). For real inputs of a complex map take its
  real part.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


class Shape(NamedTuple):
    """Trailing axes of what goes into a primitive, and of what comes out."""

    domain: tuple[int, ...]
    range: tuple[int, ...]


@runtime_checkable
class Primitive(Protocol):
    """A stage of a forward model."""

    @property
    def shape(self) -> Shape:
        """What goes in, and what comes out."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., *domain) to (..., *range)."""


@runtime_checkable
class LinearPrimitive(Primitive, Protocol):
    """A linear stage: it has an adjoint, <A x, y> = <x, A^H y>."""

    def adjoint(self, y: Tensor) -> Tensor:
        """(..., *range) to (..., *domain)."""


def check(x: Tensor, expected: tuple[int, ...], what: object) -> None:
    """Refuse a tensor whose trailing axes are not `expected`, or that holds no floating numbers.

    Raises:
        ValueError: says what came.
    """
    name = type(what).__name__
    if tuple(x.shape[x.ndim - len(expected) :]) != expected or x.ndim < len(expected):
        raise ValueError(f"{name} takes (..., {', '.join(map(str, expected))}), not {(*x.shape,)}")
    if not (x.is_floating_point() or x.is_complex()):
        raise ValueError(f"{name} takes floating or complex numbers, not {x.dtype}")


def complex_dtype(x: Tensor) -> torch.dtype:
    """The complex dtype of a tensor's precision."""
    return torch.complex128 if x.dtype in (torch.float64, torch.complex128) else torch.complex64


class Constant:
    """An operator's own numbers, kept in float64 or complex128.

    Args:
        values: array of any shape; whole numbers and booleans become float64.
    """

    def __init__(self, values: ArrayLike) -> None:
        array = np.asarray(values)
        kind = np.complex128 if array.dtype.kind == "c" else np.float64
        self.values: Tensor = torch.as_tensor(np.array(array, dtype=kind))
        self._casts: dict[tuple[Any, ...], Tensor] = {}

    def like(self, x: Tensor) -> Tensor:
        """The numbers in the precision and on the device of `x`."""
        key = (complex_dtype(x), x.device)
        if key not in self._casts:
            dtype = key[0] if self.values.is_complex() else key[0].to_real()
            self._casts[key] = self.values.to(x.device, dtype)
        return self._casts[key]


class SparseMap:
    """A sparse real matrix with a fixed number of entries a row: out_k = sum_m w_km in_(i_km).

    Args:
        index: (K, M) which entries of the flattened input a row takes.
        weight: (K, M) with what weight.
        size: number of entries of the input.
    """

    def __init__(self, index: ArrayLike, weight: ArrayLike, size: int) -> None:
        self._index = torch.as_tensor(np.array(index, dtype=np.int64))
        self._weight = Constant(weight)
        self._size = size

    def forward(self, x: Tensor) -> Tensor:
        """(..., size) to (..., K)."""
        gathered = x[..., self._index.to(x.device)]
        return (gathered * self._weight.like(x)).sum(dim=-1)

    def adjoint(self, y: Tensor) -> Tensor:
        """(..., K) to (..., size)."""
        spread = (y[..., None] * self._weight.like(y)).flatten(-2)
        empty = y.new_zeros((*y.shape[:-1], self._size))
        return empty.index_add(-1, self._index.to(y.device).flatten(), spread)
