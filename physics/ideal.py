"""What a sample states about its measurement: the ideal operator H and the patterns y.

Plain numpy containers, shared by the file readers and by the algorithms; no torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
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


class Action(StrEnum):
    """How an array acts on a signal x."""

    MAP = "map"
    """y = H x, entry by entry; leading axes of y share H."""
    FLAT = "flat"
    """y.ravel() = H x.ravel(): H is a matrix (m, k)."""
    FIRST = "first"
    """y = H x along the first axis."""
    LAST = "last"
    """y = x H^T, H along the last axis."""


@dataclass(frozen=True)
class ArrayOperator:
    """H given as a plain array: a matrix, or an image-shaped map.

    Other variants of the benchmark state H so; only algorithms that say so can use it.

    Attributes:
        values: the array.
        action: how it acts.
        signal_shape: shape of x.
        data_shape: shape of y.
    """

    values: NDArray[np.float32]
    action: Action
    signal_shape: tuple[int, ...]
    data_shape: tuple[int, ...]

    @classmethod
    def of(
        cls,
        values: NDArray[np.float32],
        data_shape: tuple[int, ...],
        *,
        signal_shape: tuple[int, ...] | None = None,
        action: Action | None = None,
    ) -> ArrayOperator:
        """The operator of an array, its action read off the shapes where it is not stated.

        Args:
            values: H.
            data_shape: shape of y.
            signal_shape: shape of x, where it is known; else that of y, or (k,) of a matrix with
                another number k of columns.
            action: how H acts, where it is stated.

        Raises:
            ValueError: no action fits the shapes, or several do that differ.
        """
        fits = {one: shape for one in Action if (shape := _signal(one, values.shape, data_shape))}
        found = action or _likeliest(values, data_shape, tuple(fits))
        if found not in fits:
            raise ValueError(
                f"H {values.shape} cannot act on its {found} axis to give {data_shape}"
            )
        shape = fits[found]
        if signal_shape is not None and signal_shape != shape:
            same = found is Action.FLAT and math.prod(signal_shape) == math.prod(shape)
            if not same:
                raise ValueError(f"x {signal_shape}, where H and y want {shape}")
            shape = signal_shape
        return cls(values, found, shape, data_shape)


def _signal(action: Action, h: tuple[int, ...], y: tuple[int, ...]) -> tuple[int, ...] | None:
    """Shape of x for which H acts so and gives y; None where it cannot."""
    if action is Action.MAP:
        return y if len(h) <= len(y) and y[len(y) - len(h) :] == h else None
    if len(h) != 2 or not y:
        return None
    rows, columns = h
    if action is Action.FLAT and math.prod(y) == rows:
        return y if columns == rows else (columns,)
    if action is Action.FIRST and y[0] == rows:
        return (columns, *y[1:])
    if action is Action.LAST and y[-1] == rows:
        return (*y[:-1], columns)
    return None


def _likeliest(values: NDArray[np.float32], y: tuple[int, ...], fits: tuple[Action, ...]) -> Action:
    """The one action that shapes allow. Along an axis only square matrices are taken for granted.

    Raises:
        ValueError: none, or several.
    """
    square = values.ndim == 2 and values.shape[0] == values.shape[1]
    if square and np.array_equal(values, np.eye(len(values))):
        # The identity is the same along any axis, and makes no sense as a map.
        fits = tuple(one for one in fits if one is not Action.MAP)[:1]
    elif not square:
        fits = tuple(one for one in fits if one in (Action.MAP, Action.FLAT))
    if len(y) == 1 and Action.FLAT in fits:
        fits = (Action.FLAT,)  # of a vector all three are the same
    if len(fits) == 1:
        return fits[0]
    choice = " or ".join(fits) if fits else "none of " + ", ".join(Action)
    raise ValueError(f"H {values.shape} and y {y}: {choice}")
