"""P and C: what is a product in Fourier space, propagation and convolution."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from physics.primitives.base import Constant, Shape, check, complex_dtype


class _FourierFilter:
    """A periodic filter of images (H, W): F^-1 { transfer F{x} }."""

    def __init__(self, transfer: NDArray[np.complex128], *, real: bool) -> None:
        self._grid = (int(transfer.shape[0]), int(transfer.shape[1]))
        self._transfer = Constant(transfer)
        self._real = real

    def _filter(self, x: Tensor, transfer: Tensor) -> Tensor:
        spectrum = transfer * torch.fft.fft2(x.to(complex_dtype(x)))
        filtered: Tensor = torch.fft.ifft2(spectrum)
        return filtered.real if self._real and not x.is_complex() else filtered

    def _forward(self, x: Tensor) -> Tensor:
        return self._filter(x, self._transfer.like(x))

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._filter(y, self._transfer.like(y).conj())


class Propagation(_FourierFilter):
    """P: propagation of a wave (H, W) through free space, on a periodic grid.

    Both kernels leave out the phase exp(2 pi i z / lambda) that is common to all points. All three
    lengths of a kernel are in one unit, whichever it is.

    Args:
        transfer: (H, W) complex, in the order of `numpy.fft`.
    """

    def __init__(self, transfer: NDArray[np.complex128]) -> None:
        super().__init__(transfer, real=False)

    @classmethod
    def fresnel(
        cls, shape: tuple[int, int], *, distance: float, wavelength: float, pixel: float
    ) -> Propagation:
        """Paraxial: exp(-i pi lambda z |f|^2) (Goodman, Introduction to Fourier Optics, 4.2).

        Args:
            shape: (H, W) [pixels].
            distance: z [length]; negative goes back.
            wavelength: lambda [length].
            pixel: side of a pixel [length].
        """
        return cls(np.exp(-1j * np.pi * wavelength * distance * _squared(shape, pixel)))

    @classmethod
    def rayleigh_sommerfeld(
        cls, shape: tuple[int, int], *, distance: float, wavelength: float, pixel: float
    ) -> Propagation:
        """Exact, the angular spectrum: exp(2 pi i z (sqrt(1/lambda^2 - |f|^2) - 1/lambda)).

        It is the Fourier transform of the first Rayleigh-Sommerfeld kernel (Goodman, 3.10). What
        is finer than the wavelength decays, as exp(-2 pi |z| sqrt(|f|^2 - 1/lambda^2)).

        Args:
            shape: (H, W) [pixels].
            distance: z [length]; negative goes back, and evanescent waves still decay.
            wavelength: lambda [length].
            pixel: side of a pixel [length].
        """
        squared = _squared(shape, pixel)
        axial2 = 1 / wavelength**2 - squared
        # The difference of two nearly equal roots, without losing its digits.
        lag = -squared / (np.sqrt(np.maximum(axial2, 0.0)) + 1 / wavelength)
        decay = np.exp(-2 * np.pi * abs(distance) * np.sqrt(np.maximum(-axial2, 0.0)))
        return cls(np.exp(2j * np.pi * distance * lag) * decay)

    @property
    def shape(self) -> Shape:
        """(H, W) to (H, W)."""
        return Shape(self._grid, self._grid)

    def forward(self, x: Tensor) -> Tensor:
        """The wave at the distance, (..., H, W) complex."""
        check(x, self.shape.domain, self)
        return self._forward(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """The wave sent back, (..., H, W) complex."""
        check(y, self.shape.range, self)
        return self._adjoint(y)


class Boundary(StrEnum):
    """What lies beyond an image that is convolved."""

    PERIODIC = "periodic"
    ZERO = "zero"


class Convolution(_FourierFilter):
    """C: y[i] = sum_a psf[a] x[i + c - a], c = h//2 (and w//2) the point-spread function's centre.

    Args:
        shape: (H, W) of the image [pixels].
        psf: (h, w) point-spread function, no larger than the image; real, or complex.
        boundary: the image goes on periodically, or is zero outside.

    Raises:
        ValueError: a point-spread function that is larger than the image.
    """

    def __init__(
        self, shape: tuple[int, int], psf: ArrayLike, *, boundary: str = Boundary.PERIODIC
    ) -> None:
        kernel = np.asarray(psf)
        if kernel.ndim != 2 or kernel.shape[0] > shape[0] or kernel.shape[1] > shape[1]:
            raise ValueError(f"a psf (h, w) within {shape} is needed, not {kernel.shape}")
        self._image = (int(shape[0]), int(shape[1]))
        self._padding = (0, 0)
        if Boundary(boundary) is Boundary.ZERO:
            # Room for all that leaves the image, so that none of it comes in again.
            self._padding = (kernel.shape[0] - 1, kernel.shape[1] - 1)
        grid = (self._image[0] + self._padding[0], self._image[1] + self._padding[1])
        padded = np.zeros(grid, dtype=kernel.dtype)
        padded[: kernel.shape[0], : kernel.shape[1]] = kernel
        centred = np.roll(padded, (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), axis=(0, 1))
        super().__init__(np.fft.fft2(centred), real=kernel.dtype.kind != "c")

    @property
    def shape(self) -> Shape:
        """(H, W) to (H, W)."""
        return Shape(self._image, self._image)

    def forward(self, x: Tensor) -> Tensor:
        """The blurred image, (..., H, W)."""
        check(x, self.shape.domain, self)
        return self._cut(self._forward(self._pad(x)))

    def adjoint(self, y: Tensor) -> Tensor:
        """The correlation with the point-spread function, (..., H, W)."""
        check(y, self.shape.range, self)
        return self._cut(self._adjoint(self._pad(y)))

    def _pad(self, x: Tensor) -> Tensor:
        rows, cols = self._padding
        return torch.nn.functional.pad(x, (0, cols, 0, rows))

    def _cut(self, x: Tensor) -> Tensor:
        return x[..., : self._image[0], : self._image[1]]


def _squared(shape: tuple[int, int], pixel: float) -> NDArray[np.float64]:
    """|f|^2 on the grid of `numpy.fft` [1/length^2], (H, W)."""
    rows, cols = (np.fft.fftfreq(side, pixel) for side in shape)
    return np.asarray(rows[:, None] ** 2 + cols[None, :] ** 2)
