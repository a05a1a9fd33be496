"""F: samples of the Fourier transform, at any frequencies or on a masked grid."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from physics.geometry import DetectorGeometry
from physics.operator import dft_matrix
from physics.primitives.base import Constant, Shape, check, complex_dtype


class FourierSampling:
    """F at separable frequencies: y = A_y x A_x^T, exact, without interpolation.

    A[d, j] = exp(-2 pi i q(d) (j - n//2) / n) / sqrt(n), `physics.operator.dft_matrix`.

    Args:
        shape: (H, W) of the image [pixels].
        q_y: (Ky,) frequencies of the output's rows [cycles per H pixels].
        q_x: (Kx,) frequencies of its columns [cycles per W pixels].
    """

    def __init__(
        self, shape: tuple[int, int], q_y: NDArray[np.float64], q_x: NDArray[np.float64]
    ) -> None:
        self._shape = Shape((int(shape[0]), int(shape[1])), (len(q_y), len(q_x)))
        self._left = Constant(dft_matrix(q_y, shape[0]))
        self._right = Constant(dft_matrix(q_x, shape[1]).T)

    @classmethod
    def on(cls, detector: DetectorGeometry) -> FourierSampling:
        """The far field of an n x n window on a calibrated detector of as many pixels."""
        return cls((detector.pixels, detector.pixels), *detector.frequencies())

    @property
    def shape(self) -> Shape:
        """(H, W) to (Ky, Kx)."""
        return self._shape

    def forward(self, x: Tensor) -> Tensor:
        """The transform at the frequencies, (..., Ky, Kx) complex."""
        check(x, self.shape.domain, self)
        wave = x.to(complex_dtype(x))
        return self._left.like(x) @ wave @ self._right.like(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """A_y^H y conj(A_x), (..., H, W) complex."""
        check(y, self.shape.range, self)
        wave = y.to(complex_dtype(y))
        return self._left.like(y).mH @ wave @ self._right.like(y).mH


class MaskedFourier:
    """F on the grid of whole frequencies, each weighted by a mask (k-space, as in MRI).

    Zero frequency is at (H//2, W//2) of the output, position zero at (H//2, W//2) of the image; the
    transform is unitary.

    Args:
        mask: (H, W) weight of each frequency, 0 or 1 for a pattern of samples [-].
    """

    def __init__(self, mask: ArrayLike) -> None:
        self._mask = Constant(mask)

    @property
    def shape(self) -> Shape:
        """(H, W) to (H, W)."""
        grid = tuple(self._mask.values.shape)
        return Shape(grid, grid)

    def forward(self, x: Tensor) -> Tensor:
        """The masked transform, (..., H, W) complex."""
        check(x, self.shape.domain, self)
        centred = torch.fft.ifftshift(x.to(complex_dtype(x)), dim=(-2, -1))
        spectrum = torch.fft.fft2(centred, norm="ortho")
        shown: Tensor = torch.fft.fftshift(spectrum, dim=(-2, -1))
        return self._mask.like(x) * shown

    def adjoint(self, y: Tensor) -> Tensor:
        """The image of the masked samples, (..., H, W) complex."""
        check(y, self.shape.range, self)
        kept = self._mask.like(y).conj() * y.to(complex_dtype(y))
        image = torch.fft.ifft2(torch.fft.ifftshift(kept, dim=(-2, -1)), norm="ortho")
        shown: Tensor = torch.fft.fftshift(image, dim=(-2, -1))
        return shown
