"""What a sample states about its measurement: the ideal operator H and the patterns y.

Plain numpy containers, shared by the file readers and by the algorithms; no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.operator import OperatorAttrs


class Patterns(Protocol):
    """Diffraction patterns y that may be larger than memory."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(Ny, Nx, Ky, Kx)."""

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Patterns `start` to `stop - 1` of the scan, flattened row by row; (B, Ky, Kx) counts."""


@dataclass(frozen=True)
class ArrayPatterns:
    """Patterns held in memory, (Ny, Nx, Ky, Kx) float32 counts."""

    values: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(Ny, Nx, Ky, Kx)."""
        ny, nx, ky, kx = self.values.shape
        return ny, nx, ky, kx

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Patterns `start` to `stop - 1`, (B, Ky, Kx)."""
        return self.values.reshape(-1, *self.values.shape[2:])[start:stop]


@dataclass(frozen=True)
class IdealOperator:
    """The ideal 4D-STEM operator of a sample (contract, section 1), nominal detector.

    Attributes:
        attrs: instrument and sampling, with units.
        probe: (n, n) complex64, centred at (n//2, n//2), sum of |probe|^2 is 1.
        positions_px: (Ny*Nx, 2) float32 scan positions as (row, col) [object pixels].
    """

    attrs: OperatorAttrs
    probe: NDArray[np.complex64]
    positions_px: NDArray[np.float32]

    @property
    def window(self) -> int:
        """Side n of the probe window and of the detector [pixels]."""
        return int(self.probe.shape[0])

    @property
    def detector_pixel_invA(self) -> float:
        """Spatial frequency of one nominal detector pixel [A^-1]."""
        return 1.0 / (self.window * self.attrs.sampling_A)

    @property
    def disk_radius_px(self) -> float:
        """Radius of the bright-field disk on the nominal detector [pixels]."""
        return self.attrs.semiangle_mrad * 1e-3 / self.attrs.wavelength_A / self.detector_pixel_invA


@dataclass(frozen=True)
class ArrayOperator:
    """H given as a plain array: an (m, m) matrix, or an image-shaped map.

    Other variants of the benchmark state H so; only algorithms that say so can use it.
    """

    values: NDArray[np.float32]
