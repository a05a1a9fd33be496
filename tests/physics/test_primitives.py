"""The eleven primitives: properties that all share, and for each one a reference of its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from physics.primitives.base import LinearPrimitive, Primitive
from tests.helpers.primitives import LINEAR, NONLINEAR

EVERY = {**LINEAR, **NONLINEAR}
DTYPES = (torch.float32, torch.float64, torch.complex64, torch.complex128)
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}
"""Relative error that a precision is allowed."""


@pytest.fixture(params=LINEAR)
def linear(request: pytest.FixtureRequest) -> LinearPrimitive:
    operator = LINEAR[request.param]
    assert isinstance(operator, LinearPrimitive)
    return operator


@pytest.fixture(params=EVERY)
def operator(request: pytest.FixtureRequest) -> Primitive:
    return EVERY[request.param]


@pytest.fixture(params=DTYPES, ids=str)
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param


def real_of(dtype: torch.dtype) -> torch.dtype:
    return dtype.to_real() if dtype.is_complex else dtype


def draw(shape: tuple[int, ...], dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def inner(a: Tensor, b: Tensor) -> complex:
    """sum(conj(a) b), in double precision."""
    product = torch.sum(a.to(torch.complex128).conj() * b.to(torch.complex128))
    return complex(product.item())


def error(found: Tensor, expected: Tensor) -> float:
    return float(torch.linalg.norm(found - expected) / torch.linalg.norm(expected))


# --- what all linear ones share -------------------------------------------------------------------


def test_the_adjoint_is_the_adjoint(linear: LinearPrimitive, dtype: torch.dtype) -> None:
    """<A x, y> = <x, A^H y> for any x and y; of a real x only the real part of A^H y is asked."""
    x = draw(linear.shape.domain, dtype, 1)
    there = linear.forward(x)
    y = draw(linear.shape.range, there.dtype, 2)
    back = linear.adjoint(y)
    scale = float(torch.linalg.norm(there) * torch.linalg.norm(y))
    difference = inner(there, y) - inner(x, back)
    if not x.is_complex():
        difference = complex(difference.real)
    assert abs(difference) < TOLERANCE[real_of(dtype)] * scale
    assert scale > 0


def test_it_is_linear(linear: LinearPrimitive, dtype: torch.dtype) -> None:
    """Over complex numbers where the input is complex."""
    x, other = (draw(linear.shape.domain, dtype, seed) for seed in (3, 4))
    factor = 0.7 - 1.3j if dtype.is_complex else 1.3
    mixed = linear.forward(x + factor * other)
    assert (
        error(mixed, linear.forward(x) + factor * linear.forward(other)) < TOLERANCE[real_of(dtype)]
    )


def test_autograd_finds_the_adjoint(linear: LinearPrimitive, dtype: torch.dtype) -> None:
    """The vector-Jacobian product of the forward map is the adjoint; and the other way round."""
    x = draw(linear.shape.domain, dtype, 5).requires_grad_()
    there = linear.forward(x)
    y = draw(linear.shape.range, there.dtype, 6)
    (found,) = torch.autograd.grad(there, x, y)
    expected = linear.adjoint(y)
    assert error(found, expected if dtype.is_complex else expected.real) < TOLERANCE[real_of(dtype)]
    z = y.clone().requires_grad_()
    back = linear.adjoint(z)
    direction = draw(linear.shape.domain, back.dtype, 7)
    (forth,) = torch.autograd.grad(back, z, direction)
    expected = linear.forward(direction)
    assert error(forth, expected if z.is_complex() else expected.real) < TOLERANCE[real_of(dtype)]


# --- what all share -------------------------------------------------------------------------------


def suited(operator: Primitive, dtype: torch.dtype) -> bool:
    """A phase object is real."""
    real_only = operator in (NONLINEAR["P(e-)"], NONLINEAR["P(e-) -> F -> D"])
    return not (dtype.is_complex and real_only)


def test_shape_and_dtype(operator: Primitive, dtype: torch.dtype) -> None:
    if not suited(operator, dtype):
        with pytest.raises(ValueError, match="real object"):
            operator.forward(draw(operator.shape.domain, dtype))
        return
    there = operator.forward(draw(operator.shape.domain, dtype))
    assert there.shape == operator.shape.range
    assert real_of(there.dtype) == real_of(dtype)
    if isinstance(operator, LinearPrimitive):
        back = operator.adjoint(there)
        assert back.shape == operator.shape.domain
        assert back.dtype in (dtype, there.dtype)


@pytest.mark.gpu
def test_on_a_gpu(operator: Primitive) -> None:
    """Where the input is, and the same to rounding."""
    x = draw(operator.shape.domain)
    there = operator.forward(x.cuda())
    assert there.is_cuda
    assert error(there.cpu(), operator.forward(x)) < 1e-12
    if isinstance(operator, LinearPrimitive):
        back = operator.adjoint(there)
        assert back.is_cuda
        assert error(back.cpu(), operator.adjoint(operator.forward(x))) < 1e-12


def test_single_precision_is_double_precision_rounded(operator: Primitive) -> None:
    x = draw(operator.shape.domain)
    coarse = operator.forward(x.float())
    assert error(coarse.to(torch.complex128), operator.forward(x).to(torch.complex128)) < 2e-5


def test_leading_axes_are_a_batch(operator: Primitive) -> None:
    batch = draw((2, 3, *operator.shape.domain))
    found = operator.forward(batch)
    assert found.shape == (2, 3, *operator.shape.range)
    assert error(found[1, 2], operator.forward(batch[1, 2])) < 1e-13
    if isinstance(operator, LinearPrimitive):
        back = operator.adjoint(found)
        assert back.shape == batch.shape
        assert error(back[0, 1], operator.adjoint(found[0, 1])) < 1e-13


def test_another_shape_is_refused(operator: Primitive) -> None:
    for wrong in (draw((*operator.shape.domain[:-1], operator.shape.domain[-1] + 1)), draw(())):
        with pytest.raises(ValueError, match="takes"):
            operator.forward(wrong)
    with pytest.raises(ValueError, match="floating"):
        operator.forward(torch.zeros(operator.shape.domain, dtype=torch.int64))
    if isinstance(operator, LinearPrimitive):
        with pytest.raises(ValueError, match="takes"):
            operator.adjoint(draw((*operator.shape.range[:-1], operator.shape.range[-1] + 1)))


@pytest.mark.parametrize("name", NONLINEAR)
def test_derivatives_of_those_that_are_not_linear(name: str) -> None:
    """The vector-Jacobian product against a difference quotient."""
    operator = NONLINEAR[name]
    x = draw(operator.shape.domain, seed=8).requires_grad_()
    there = operator.forward(x)
    y = draw(operator.shape.range, there.dtype, 9)
    direction = draw(operator.shape.domain, seed=10)
    (slope,) = torch.autograd.grad(there, x, y)
    step = 1e-6
    ahead, behind = (operator.forward(x.detach() + s * direction) for s in (step, -step))
    quotient = inner((ahead - behind) / (2 * step), y).real
    assert inner(direction, slope).real == pytest.approx(quotient, rel=1e-7)


def test_those_that_are_not_linear_do_not_say_so() -> None:
    assert not any(isinstance(operator, LinearPrimitive) for operator in NONLINEAR.values())
