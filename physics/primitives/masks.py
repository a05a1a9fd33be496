"""M, S and Lambda: products with a mask, with patterns, with a filter's transmission."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from physics.primitives.base import Constant, Shape, check


class Modulation:
    """M: y = mask x, pixel by pixel (coded aperture, spatial light modulator).

    Args:
        mask: transmission [-], real or complex; axes that a domain has before it share it.
        domain: shape of x; None: the mask's own.

    Raises:
        ValueError: a mask that does not fit the domain.
    """

    def __init__(self, mask: ArrayLike, domain: tuple[int, ...] | None = None) -> None:
        self._mask = Constant(mask)
        own = tuple(self._mask.values.shape)
        self._domain = own if domain is None else tuple(domain)
        if self._domain[len(self._domain) - len(own) :] != own:
            raise ValueError(f"a mask {own} does not fit the last axes of {self._domain}")

    @property
    def shape(self) -> Shape:
        """(..., H, W), unchanged."""
        return Shape(self._domain, self._domain)

    def forward(self, x: Tensor) -> Tensor:
        """mask x."""
        check(x, self.shape.domain, self)
        return self._mask.like(x) * x

    def adjoint(self, y: Tensor) -> Tensor:
        """conj(mask) y."""
        check(y, self.shape.range, self)
        return self._mask.like(y).conj() * y


class StructuredIllumination:
    """S: y_k = pattern_k x, one image for each pattern.

    Args:
        patterns: (K, H, W) illumination [-].

    Raises:
        ValueError: not three axes.
    """

    def __init__(self, patterns: ArrayLike) -> None:
        self._patterns = Constant(patterns)
        if self._patterns.values.ndim != 3:
            raise ValueError(f"patterns (K, H, W), not {tuple(self._patterns.values.shape)}")

    @classmethod
    def hadamard(cls, shape: tuple[int, int]) -> StructuredIllumination:
        """All H W patterns of +1 and -1 of Sylvester's matrix: an orthogonal set.

        Raises:
            ValueError: a number of pixels that is no power of two.
        """
        size = shape[0] * shape[1]
        if size & (size - 1):
            raise ValueError(f"a power of two of pixels is needed, not {size}")
        matrix = np.ones((1, 1))
        while len(matrix) < size:
            matrix = np.block([[matrix, matrix], [matrix, -matrix]])
        return cls(matrix.reshape(size, *shape))

    @classmethod
    def blocks(cls, shape: tuple[int, int], side: int) -> StructuredIllumination:
        """One block of `side` x `side` pixels at a time, row by row.

        Raises:
            ValueError: blocks that do not tile the image.
        """
        height, width = shape
        if height % side or width % side:
            raise ValueError(f"blocks of {side} pixels do not tile {shape}")
        rows, cols = np.arange(height) // side, np.arange(width) // side
        number = rows[:, None] * (width // side) + cols[None, :]
        return cls(number[None] == np.arange(number.max() + 1)[:, None, None])

    @classmethod
    def random(
        cls, shape: tuple[int, int], count: int, rng: np.random.Generator
    ) -> StructuredIllumination:
        """`count` patterns, each pixel 0 or 1 with even odds."""
        return cls(rng.integers(0, 2, (count, *shape)))

    @property
    def shape(self) -> Shape:
        """(H, W) to (K, H, W)."""
        patterns = tuple(self._patterns.values.shape)
        return Shape(patterns[1:], patterns)

    def forward(self, x: Tensor) -> Tensor:
        """The image under each pattern, (..., K, H, W)."""
        check(x, self.shape.domain, self)
        return self._patterns.like(x) * x[..., None, :, :]

    def adjoint(self, y: Tensor) -> Tensor:
        """sum_k conj(pattern_k) y_k, (..., H, W)."""
        check(y, self.shape.range, self)
        return (self._patterns.like(y).conj() * y).sum(dim=-3)


class WavelengthSelection:
    """Lambda: y_l = transmission_l x_l, the bands of a cube through a filter.

    Args:
        domain: (L, H, W), L bands.
        transmission: (L,) of the filter [-].

    Raises:
        ValueError: another number of transmissions than of bands.
    """

    def __init__(self, domain: tuple[int, int, int], transmission: ArrayLike) -> None:
        self._transmission = Constant(transmission)
        self._domain = (int(domain[0]), int(domain[1]), int(domain[2]))
        if tuple(self._transmission.values.shape) != self._domain[:1]:
            found = tuple(self._transmission.values.shape)
            raise ValueError(f"one transmission for each of {domain[0]} bands, not {found}")

    @classmethod
    def band_pass(
        cls, domain: tuple[int, int, int], wavelengths: ArrayLike, *, center: float, width: float
    ) -> WavelengthSelection:
        """A monochromator: 1 within `width` around `center`, 0 outside.

        Args:
            domain: (L, H, W).
            wavelengths: (L,) of the bands [length].
            center: middle of what passes [length].
            width: full width of what passes [length].
        """
        passed = np.abs(np.asarray(wavelengths, dtype=np.float64) - center) <= width / 2
        return cls(domain, passed)

    @property
    def shape(self) -> Shape:
        """(L, H, W), unchanged."""
        return Shape(self._domain, self._domain)

    def forward(self, x: Tensor) -> Tensor:
        """What passes, (..., L, H, W)."""
        check(x, self.shape.domain, self)
        return self._transmission.like(x)[:, None, None] * x

    def adjoint(self, y: Tensor) -> Tensor:
        """The same with the conjugate transmission."""
        check(y, self.shape.range, self)
        return self._transmission.like(y).conj()[:, None, None] * y


class Summation:
    """Sigma: the sum over axes of the domain (bands, frames, angles, pixels).

    Args:
        domain: shape of x.
        axes: which axes of it; none leaves x as it is, which is what joins branches.

    Raises:
        ValueError: an axis that the domain does not have, or the same one twice.
    """

    def __init__(self, domain: tuple[int, ...], axes: tuple[int, ...] = ()) -> None:
        self._domain = tuple(domain)
        if len(set(axes)) < len(axes) or not all(0 <= axis < len(domain) for axis in axes):
            raise ValueError(f"axes within 0 to {len(domain) - 1}, each once, not {axes}")
        # Counted from the end, because a batch may come before.
        self._axes = tuple(axis - len(domain) for axis in sorted(axes))

    @property
    def shape(self) -> Shape:
        """The domain, and what is left of it."""
        summed = {axis + len(self._domain) for axis in self._axes}
        kept = tuple(side for axis, side in enumerate(self._domain) if axis not in summed)
        return Shape(self._domain, kept)

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        check(x, self.shape.domain, self)
        return torch.sum(x, dim=self._axes) if self._axes else x

    def adjoint(self, y: Tensor) -> Tensor:
        """The same value for all that were summed."""
        check(y, self.shape.range, self)
        batch = y.shape[: y.ndim - len(self.shape.range)]
        ones = list(self._domain)
        for axis in self._axes:
            ones[axis] = 1
        return y.reshape(*batch, *ones).expand(*batch, *self._domain)
