"""What a specimen is: a phase image with values in [0, 1], and the phase that 1 stands for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound="np.generic[Any]")

QUANTUM = 65535
"""Levels of x above zero. Specimens are rounded to 16 bit, so that those that ship with the package
and those that are built on the spot are of one kind; the rounding is 107 dB below the peak."""


@dataclass(frozen=True)
class Movement:
    """A cyclic shift, quarter turns and a flip of a periodic image: all exact on its grid.

    Attributes:
        shift: pixels along rows and columns.
        turns: quarter turns, counter-clockwise as an image is shown.
        flip: whether columns are reversed afterwards.
    """

    shift: tuple[int, int]
    turns: int
    flip: bool

    @classmethod
    def draw(cls, rng: np.random.Generator, shape: tuple[int, int]) -> Movement:
        """A random one; a grid (H, W) that is not square is turned by 180 degrees only."""
        height, width = shape
        shift = (int(rng.integers(height)), int(rng.integers(width)))
        turns, flip = int(rng.integers(4)), bool(rng.integers(2))
        return cls(shift, turns if height == width else 2 * (turns // 2), flip)

    def apply(self, images: NDArray[Scalar]) -> NDArray[Scalar]:
        """The moved images (..., H, W)."""
        moved = np.roll(images, self.shift, axis=(-2, -1))
        moved = np.rot90(moved, self.turns, axes=(-2, -1))
        return np.ascontiguousarray(moved[..., ::-1] if self.flip else moved)


@dataclass(frozen=True, eq=False)
class Specimen:
    """A thin specimen, t = exp(i * phase_scale_rad * x), periodic on its grid.

    The phase is the interaction parameter times the projected potential, minus its minimum.

    Attributes:
        name: a name for people, unique within its tier's choice of scenes.
        family: the family it was drawn from, "file" for a structure that a user gave.
        x: (H, W) float32, minimum exactly 0, maximum exactly 1, read-only. Rows are y, columns x.
        phase_scale_rad: phase where x is 1 [rad].
        sampling_A: pixel [A].
        energy_eV: beam energy that phase_scale_rad holds for [eV].
        description: what it is made of, for people.
        strain_percent: largest principal strain, in absolute value, that made the crystals
            periodic in the box [%].
    """

    name: str
    family: str
    x: NDArray[np.float32]
    phase_scale_rad: float
    sampling_A: float
    energy_eV: float
    description: str
    strain_percent: float

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or self.x.dtype != np.float32:
            raise ValueError(f"x must be 2-D float32, not {self.x.ndim}-D {self.x.dtype}")
        if float(self.x.min()) != 0.0 or float(self.x.max()) != 1.0:
            raise ValueError(f"x must span [0, 1] exactly, not [{self.x.min()}, {self.x.max()}]")
        if not (np.isfinite(self.phase_scale_rad) and self.phase_scale_rad > 0.0):
            raise ValueError(f"phase_scale_rad must be positive, not {self.phase_scale_rad}")
        self.x.setflags(write=False)

    @property
    def phase_rad(self) -> NDArray[np.float32]:
        """Phase of the transmission function, shape (H, W) [rad]."""
        return np.float32(self.phase_scale_rad) * self.x

    def moved(self, rng: np.random.Generator) -> Specimen:
        """The same specimen after a random cyclic shift, flip and quarter turn.

        All are exact on the periodic grid. A grid that is not square is turned by 180 degrees only.
        """
        height, width = self.x.shape
        return replace(self, x=Movement.draw(rng, (height, width)).apply(self.x))


def quantise(values: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Shift and scale to [0, 1] and round to 16 bit: minimum 0, maximum `QUANTUM`, both reached.

    Raises:
        ValueError: the values are constant, so that there is nothing to see.
    """
    low, high = float(values.min()), float(values.max())
    if not high > low:
        raise ValueError("the specimen is uniform: nothing to reconstruct")
    return np.rint((values - low) / (high - low) * QUANTUM).astype(np.uint16)


def dequantise(levels: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Levels as float32 in [0, 1]; exactly the inverse of `quantise` at both ends."""
    return (levels / np.float32(QUANTUM)).astype(np.float32)
