"""The content of a unit cell as a Fourier series, on a grid of its own or tiled over the field.

    phi(r) = sum_g F_g exp(2 pi i g.r),   g = h b1 + k b2,   F_-g = conj(F_g)

F_g [rad] are the structure factors of the phase, over the cell's area. Tiling is the same sum on
the field's pixels: nothing is interpolated, and a field of whole cells is exactly periodic.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from algorithms.lattice.lattice import Float64, Int64, Lattice

Complex128 = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class UnitCell:
    """What repeats on a lattice.

    Attributes:
        lattice: where the cells are; the origin is the field's pixel (0, 0).
        indices: (J, 2) nodes (h, k), both of each Friedel pair.
        coefficients: (J,) complex F_g [rad].
    """

    lattice: Lattice
    indices: Int64
    coefficients: Complex128

    @classmethod
    def from_grid(cls, lattice: Lattice, indices: Int64, density: Float64) -> UnitCell:
        """From a phase (h, w) [rad] on a grid of fractional coordinates, rows along a1."""
        spectrum = np.fft.fft2(density) / density.size
        rows, cols = indices.T
        return cls(lattice, indices, spectrum[rows % density.shape[0], cols % density.shape[1]])

    def grid(self, shape: tuple[int, int]) -> Float64:
        """The phase (h, w) [rad] in fractional coordinates; as `from_grid`, the other way.

        Raises:
            ValueError: the grid is too coarse for the indices.
        """
        if (2 * np.abs(self.indices).max(axis=0, initial=0) >= shape).any():
            raise ValueError(
                f"a grid of {shape} cannot hold nodes up to {self.indices.max(axis=0)}"
            )
        return np.fft.ifft2(on_grid(self.indices, self.coefficients, shape)).real * np.prod(shape)

    def image(self, shape: tuple[int, int], sampling_A: float) -> Float64:
        """The cell tiled over a field of H x W pixels, (H, W) [rad]; pixel (0, 0) is the origin."""
        waves_y, waves_x = plane_waves(self.lattice.frequencies(self.indices), shape, sampling_A)
        tiled: Float64 = ((waves_y.T * self.coefficients) @ waves_x).real
        return tiled

    def moved(self, fractions: Float64) -> UnitCell:
        """The content moved by (u1, u2) of the cell vectors."""
        turns = np.exp(-2j * np.pi * (self.indices @ np.asarray(fractions)))
        return replace(self, coefficients=self.coefficients * turns)

    def twin(self) -> UnitCell:
        """The content turned by 180 degrees about the origin: as many electrons in every disk."""
        return replace(self, coefficients=self.coefficients.conj())

    def extended(self, reach_invA: float) -> UnitCell:
        """The same content with all nodes up to `reach_invA` [A^-1]; those it lacked are 0."""
        known = {
            (int(h), int(k)): F for (h, k), F in zip(self.indices, self.coefficients, strict=True)
        }
        more = [
            node
            for node in self.lattice.nodes(reach_invA)
            if (int(node[0]), int(node[1])) not in known
        ]
        if not more:
            return self
        return replace(
            self,
            indices=np.concatenate([self.indices, np.stack(more)]),
            coefficients=np.concatenate([self.coefficients, np.zeros(len(more))]),
        )

    def smeared(self, B_A2: float, scale: float = 1.0) -> UnitCell:
        """With each atom smeared by a displacement parameter more, exp(-B g^2 / 4), and scaled.

        Args:
            B_A2: B = 8 pi^2 <u^2> [A^2]; negative sharpens.
            scale: factor of the phase.
        """
        squares = (self.lattice.frequencies(self.indices) ** 2).sum(axis=1)
        return replace(self, coefficients=scale * self.coefficients * np.exp(-B_A2 / 4 * squares))


def plane_waves(
    frequencies: Float64, shape: tuple[int, int], sampling_A: float
) -> tuple[Complex128, Complex128]:
    """(J, H) and (J, W): exp(2 pi i g_y y) and exp(2 pi i g_x x) on a field's rows and columns."""
    rows, cols = (sampling_A * np.arange(side) for side in shape)
    return (
        np.exp(2j * np.pi * np.outer(frequencies[:, 0], rows)),
        np.exp(2j * np.pi * np.outer(frequencies[:, 1], cols)),
    )


def on_grid(
    indices: Int64, values: NDArray[np.generic], shape: tuple[int, int]
) -> NDArray[np.complex128]:
    """Values (J,) of the nodes put on an unshifted FFT grid (h, w), 0 elsewhere."""
    grid = np.zeros(shape, dtype=np.complex128)
    grid[indices[:, 0] % shape[0], indices[:, 1] % shape[1]] = values
    return grid


def grid_shape(indices: Int64, finer: float = 2.0) -> tuple[int, int]:
    """An even (h, w) that holds the nodes `indices` `finer` times over."""
    most = np.abs(indices).max(axis=0, initial=1)
    rows, cols = (2 * int(np.ceil(finer * (m + 1) / 2)) * 2 for m in most)
    return rows // 2 * 2, cols // 2 * 2
