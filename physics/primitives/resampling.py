"""R and W: what moves an image on its grid, by linear interpolation with an exact adjoint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from physics.primitives.base import Constant, Shape, SparseMap, check


class Rotation:
    """R: an image turned about its centre by each of some angles, bilinear, zero outside.

    Positive angles turn the content counter-clockwise as an image is shown (rows downward).

    Args:
        shape: (H, W) [pixels].
        angles_deg: the angles [degrees].
    """

    def __init__(self, shape: tuple[int, int], angles_deg: Sequence[float]) -> None:
        height, width = int(shape[0]), int(shape[1])
        self._shape = Shape((height, width), (len(angles_deg), height, width))
        angle = np.deg2rad(np.asarray(angles_deg, dtype=np.float64))[:, None, None]
        row = np.arange(height)[:, None] - (height - 1) / 2
        col = np.arange(width)[None, :] - (width - 1) / 2
        # Where the value of an output pixel comes from: the inverse turn.
        from_row = np.cos(angle) * row + np.sin(angle) * col + (height - 1) / 2
        from_col = -np.sin(angle) * row + np.cos(angle) * col + (width - 1) / 2
        low_row, low_col = np.floor(from_row), np.floor(from_col)
        index, weight = [], []
        for d_row in (0, 1):
            for d_col in (0, 1):
                r, c = low_row + d_row, low_col + d_col
                w = (1 - np.abs(from_row - r)) * (1 - np.abs(from_col - c))
                inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
                index.append(np.where(inside, r * width + c, 0))
                weight.append(np.where(inside, w, 0.0))
        self._map = SparseMap(
            np.stack(index, axis=-1).reshape(-1, 4),
            np.stack(weight, axis=-1).reshape(-1, 4),
            height * width,
        )

    @property
    def shape(self) -> Shape:
        """(H, W) to (A, H, W), one image for each angle."""
        return self._shape

    def forward(self, x: Tensor) -> Tensor:
        """The turned images, (..., A, H, W)."""
        check(x, self.shape.domain, self)
        return self._map.forward(x.flatten(-2)).reshape(*x.shape[:-2], *self.shape.range)

    def adjoint(self, y: Tensor) -> Tensor:
        """Each value given back to the pixels it came from, (..., H, W)."""
        check(y, self.shape.range, self)
        return self._map.adjoint(y.flatten(-3)).reshape(*y.shape[:-3], *self.shape.domain)


class Dispersion:
    """W(alpha, a): the bands of a cube behind an aperture, each shifted along the columns.

    y_l[i, j] = (a x_l)[i, j - alpha l], counted from the leftmost band, linearly interpolated where
    alpha l is no whole number. A Sigma over the bands then gives the detector's image (coded
    aperture snapshot: Wagadarikar et al., Appl. Opt. 47, B44 (2008)).

    Args:
        domain: (L, H, W), L bands.
        shift: alpha, the shift from a band to the next [pixels]; negative shifts to the left.
        aperture: a, the transmission: one number, (H, W), or (L, H, W) [-].

    Raises:
        ValueError: an aperture that does not fit.
    """

    def __init__(
        self, domain: tuple[int, int, int], shift: float, aperture: ArrayLike = 1.0
    ) -> None:
        bands, height, width = (int(side) for side in domain)
        self._aperture = Constant(aperture)
        own = tuple(self._aperture.values.shape)
        if own != (bands, height, width)[3 - len(own) :]:
            raise ValueError(f"an aperture {own} does not fit (L, H, W) = {tuple(domain)}")
        moved = float(shift) * np.arange(bands)
        moved = moved - moved.min()
        wide = width + int(np.ceil(moved.max()))
        self._shape = Shape((bands, height, width), (bands, height, wide))
        source = np.arange(wide)[None, :] - moved[:, None]
        low = np.floor(source)
        index, weight = [], []
        for step in (0, 1):
            col = low + step
            inside = (col >= 0) & (col < width)
            index.append(np.where(inside, col + width * np.arange(bands)[:, None], 0))
            weight.append(np.where(inside, 1 - np.abs(source - col), 0.0))
        # One row of every band at a time, (L, W) to (L, W'): all rows are shifted alike.
        self._map = SparseMap(
            np.stack(index, axis=-1).reshape(-1, 2),
            np.stack(weight, axis=-1).reshape(-1, 2),
            bands * width,
        )

    @property
    def shape(self) -> Shape:
        """(L, H, W) to (L, H, W + the largest shift, rounded up)."""
        return self._shape

    def forward(self, x: Tensor) -> Tensor:
        """The shifted bands, (..., L, H, W')."""
        check(x, self.shape.domain, self)
        rows = (self._aperture.like(x) * x).transpose(-3, -2).flatten(-2)
        bands, _, wide = self.shape.range
        moved = self._map.forward(rows)
        return moved.reshape(*moved.shape[:-1], bands, wide).transpose(-3, -2)

    def adjoint(self, y: Tensor) -> Tensor:
        """Shifted back, through the conjugate aperture, (..., L, H, W)."""
        check(y, self.shape.range, self)
        bands, _, width = self.shape.domain
        rows = self._map.adjoint(y.transpose(-3, -2).flatten(-2))
        moved = rows.reshape(*rows.shape[:-1], bands, width).transpose(-3, -2)
        return self._aperture.like(y).conj() * moved
