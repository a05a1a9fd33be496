"""H as a plain array: which way it acts is read off the shapes, or asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from physics.ideal import Action, ArrayOperator
from physics.primitives.array import ArrayMap

RNG = np.random.default_rng(0)


def draw(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


ACTS = {
    # H, y, signal_shape, acts as, x
    "matrix on a vector": ((5, 5), (5,), None, Action.FLAT, (5,)),
    "matrix on a flat image": ((20, 20), (4, 5), None, Action.FLAT, (4, 5)),
    "oblong matrix": ((20, 12), (4, 5), None, Action.FLAT, (12,)),
    "oblong matrix of an image": ((20, 12), (4, 5), (3, 4), Action.FLAT, (3, 4)),
    "square matrix of another image": ((20, 20), (4, 5), (2, 10), Action.FLAT, (2, 10)),
    "map": ((4, 5), (4, 5), None, Action.MAP, (4, 5)),
    "map of each frame": ((4, 5), (7, 4, 5), None, Action.MAP, (7, 4, 5)),
    "cube": ((3, 4, 5), (3, 4, 5), None, Action.MAP, (3, 4, 5)),
    "matrix along the last axis": ((5, 5), (4, 5), None, Action.LAST, (4, 5)),
    "matrix along the first axis": ((4, 4), (4, 5), None, Action.FIRST, (4, 5)),
}


def reference(action: Action, h: np.ndarray, x: np.ndarray, y_shape: tuple[int, ...]) -> np.ndarray:
    return {
        Action.MAP: lambda: h * x,
        Action.FLAT: lambda: (h @ x.ravel()).reshape(y_shape),
        Action.FIRST: lambda: np.einsum("ij,j...->i...", h, x),
        Action.LAST: lambda: np.einsum("ij,...j->...i", h, x),
    }[action]()


@pytest.mark.parametrize("name", ACTS)
def test_how_an_array_acts(name: str) -> None:
    h_shape, y_shape, stated, action, x_shape = ACTS[name]
    h = draw(*h_shape)
    operator = ArrayOperator.of(h, y_shape, signal_shape=stated)
    assert (operator.action, operator.signal_shape) == (action, x_shape)
    matrix = ArrayMap(operator)
    assert matrix.shape == (x_shape, y_shape)
    x, y = (torch.as_tensor(draw(2, *shape)) for shape in (x_shape, y_shape))
    there = matrix.forward(x)
    np.testing.assert_allclose(there[1], reference(action, h, x[1].numpy(), y_shape), atol=1e-5)
    back = matrix.adjoint(y)
    assert back.shape == x.shape
    assert float((there * y).sum()) == pytest.approx(float((x * back).sum()), rel=1e-4)
    waves = torch.complex(x, x.flip(0))
    torch.testing.assert_close(matrix.forward(waves).imag, matrix.forward(x.flip(0)))


@pytest.mark.parametrize(
    ("action", "h", "y", "x"),
    [
        (Action.FIRST, (4, 6), (4, 5), (6, 5)),
        (Action.LAST, (5, 6), (4, 5), (4, 6)),
        (Action.FIRST, (4, 4), (4, 4), (4, 4)),
        (Action.MAP, (4, 4), (4, 4), (4, 4)),
        (Action.LAST, (3, 2), (5, 4, 3), (5, 4, 2)),
    ],
)
def test_what_is_stated_is_done(action: Action, h, y, x) -> None:
    values = draw(*h)
    operator = ArrayOperator.of(values, y, action=action)
    assert operator.signal_shape == x
    signal = draw(*x)
    found = ArrayMap(operator).forward(torch.as_tensor(signal))
    np.testing.assert_allclose(found, reference(action, values, signal, y), atol=1e-5)


@pytest.mark.parametrize("y", [(5,), (5, 5), (4, 5), (5, 3), (2, 5, 5)])
def test_the_identity_is_the_identity(y: tuple[int, ...]) -> None:
    """Along whichever axis; never a map that leaves the diagonal alone."""
    operator = ArrayOperator.of(np.eye(5, dtype=np.float32), y)
    x = torch.as_tensor(draw(*y))
    assert operator.signal_shape == y
    torch.testing.assert_close(ArrayMap(operator).forward(x), x)


@pytest.mark.parametrize(
    ("h", "y", "signal", "action", "words"),
    [
        ((4, 4), (4, 4), None, None, "map or first or last"),
        ((3, 3), (4, 5), None, None, "none of"),
        ((4, 6), (4, 5), None, None, "none of"),
        ((4, 5, 6), (4, 5), None, None, "none of"),
        ((3, 3), (4, 5), None, Action.FIRST, "cannot act"),
        ((20, 12), (4, 5), (3, 5), None, "want"),
        ((4, 5), (4, 5), (20,), None, "want"),
    ],
)
def test_what_fits_in_no_way_or_in_several(h, y, signal, action, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ArrayOperator.of(draw(*h), y, signal_shape=signal, action=action)
