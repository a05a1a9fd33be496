"""Pi: line integrals of an image along the rays of a scanner (Radon transform, fan beam).

Lengths are pixels of the image, the origin its centre, x to the right and y down. At angle 0 the
rays run along y, so that the detector's coordinate is x; a positive angle turns the scanner from x
to y. Integrals are Joseph's (IEEE Trans. Med. Imaging 1, 192 (1982)): along the axis that a ray
follows more closely, one sample a pixel, linearly interpolated across it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from physics.primitives.base import Shape, SparseMap, check

Float64 = NDArray[np.float64]

KEPT_ENTRIES = 1 << 24
"""Most entries of the matrix that are kept between calls (16 bytes each); a larger one is made anew
for every view that is projected."""


class Scanner(Protocol):
    """Where the rays of each view run."""

    @property
    def angles_deg(self) -> Sequence[float]:
        """Of each view [degrees]."""

    @property
    def bins(self) -> int:
        """Number of detector bins."""

    def rays(self, view: int) -> tuple[Float64, Float64]:
        """(points (bins, 2), unit directions (bins, 2)) of a view's rays, as (y, x) [pixels]."""


@dataclass(frozen=True)
class ParallelBeam:
    """Parallel rays (the Radon transform).

    Attributes:
        angles_deg: of each view [degrees].
        bins: number of detector bins.
        bin_width: distance between bins [pixels].
    """

    angles_deg: Sequence[float]
    bins: int
    bin_width: float = 1.0

    def rays(self, view: int) -> tuple[Float64, Float64]:
        """Points and directions (y, x) of a view's rays, each (bins, 2)."""
        along, across = _axes(self.angles_deg[view])
        offsets = _centred(self.bins, self.bin_width)
        return offsets[:, None] * across, np.tile(along, (self.bins, 1))


@dataclass(frozen=True)
class FanBeam:
    """Rays from a point to a flat detector.

    Attributes:
        angles_deg: of each view [degrees].
        bins: number of detector bins.
        source_distance: from the source to the image's centre [pixels].
        detector_distance: from the centre to the detector [pixels].
        bin_width: distance between bins on the detector [pixels].
    """

    angles_deg: Sequence[float]
    bins: int
    source_distance: float
    detector_distance: float
    bin_width: float = 1.0

    def rays(self, view: int) -> tuple[Float64, Float64]:
        """Points and directions (y, x) of a view's rays, each (bins, 2)."""
        along, across = _axes(self.angles_deg[view])
        source = -self.source_distance * along
        offsets = _centred(self.bins, self.bin_width)
        ends = self.detector_distance * along + offsets[:, None] * across
        directions = ends - source
        return np.tile(source, (self.bins, 1)), directions / np.linalg.norm(
            directions, axis=1, keepdims=True
        )


class Projection:
    """Pi: y[v, b], the integral of the image along ray b of view v.

    Args:
        shape: (H, W) of the image [pixels].
        scanner: where the rays run.

    Values are those of the image times pixels of length.
    """

    def __init__(self, shape: tuple[int, int], scanner: Scanner) -> None:
        self._scanner = scanner
        grid = (int(shape[0]), int(shape[1]))
        self._shape = Shape(grid, (len(scanner.angles_deg), scanner.bins))
        entries = len(scanner.angles_deg) * scanner.bins * 2 * max(grid)
        views = range(len(scanner.angles_deg))
        self._kept = [self._view(v) for v in views] if entries <= KEPT_ENTRIES else None

    @property
    def shape(self) -> Shape:
        """(H, W) to (views, bins)."""
        return self._shape

    def forward(self, x: Tensor) -> Tensor:
        """Projections, (..., views, bins)."""
        check(x, self.shape.domain, self)
        flat = x.flatten(-2)
        return torch.stack([view.forward(flat) for view in self._views()], dim=-2)

    def adjoint(self, y: Tensor) -> Tensor:
        """The projections smeared back along their rays, unfiltered, (..., H, W)."""
        check(y, self.shape.range, self)
        height, width = self.shape.domain
        total = y.new_zeros((*y.shape[:-2], height * width))
        for number, view in enumerate(self._views()):
            total = total + view.adjoint(y[..., number, :])
        return total.reshape(*y.shape[:-2], height, width)

    def _views(self) -> Iterator[SparseMap]:
        if self._kept is not None:
            yield from self._kept
        else:
            yield from (self._view(view) for view in range(len(self._scanner.angles_deg)))

    def _view(self, view: int) -> SparseMap:
        """Joseph's weights of one view: (bins, 2 max(H, W)) entries."""
        height, width = self._shape.domain
        points, directions = self._scanner.rays(view)
        steep = np.abs(directions[:, 0]) >= np.abs(directions[:, 1])  # runs along rows
        main = np.where(steep, 0, 1)
        ray = np.arange(len(points))
        start_main, start_other = points[ray, main], points[ray, 1 - main]
        go_main, go_other = directions[ray, main], directions[ray, 1 - main]
        long = np.where(steep, height, width)[:, None]
        other_long = np.where(steep, width, height)[:, None]
        step = np.arange(max(height, width))[None, :]
        travelled = (step - (long - 1) / 2 - start_main[:, None]) / go_main[:, None]
        across = start_other[:, None] + travelled * go_other[:, None] + (other_long - 1) / 2
        low = np.floor(across)
        length = np.abs(1 / go_main)[:, None]
        index, weight = [], []
        for near in (low, low + 1):
            inside = (step < long) & (near >= 0) & (near < other_long)
            at = np.where(steep[:, None], step * width + near, near * width + step)
            index.append(np.where(inside, at, 0))
            weight.append(np.where(inside, length * (1 - np.abs(across - near)), 0.0))
        return SparseMap(np.hstack(index), np.hstack(weight), height * width)


def _axes(angle_deg: float) -> tuple[Float64, Float64]:
    """(direction of the central ray, direction of the detector) as (y, x)."""
    angle = np.deg2rad(angle_deg)
    return np.array([np.cos(angle), -np.sin(angle)]), np.array([np.sin(angle), np.cos(angle)])


def _centred(count: int, width: float) -> Float64:
    """Centres of `count` bins around 0."""
    return np.asarray((np.arange(count) - (count - 1) / 2) * width)
