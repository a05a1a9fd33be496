"""Samples of every form that the contract allows, made in milliseconds; and a large one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Sample
from physics.ideal import IdealOperator
from physics.optics import probe, wavelength_A
from runner.tiers.simulate import simulate
from runner.tiers.specimens.made_up import round_atoms
from schemas.challenge import Tier
from schemas.operator import MODEL_NAME, OperatorAttrs
from schemas.recipes import SPEC_RANGES
from schemas.spec import MismatchSpec

SPEC = MismatchSpec(camera_length=1.3, center_offset=0.4, elliptical_distortion=0.004)
RANGES = SPEC_RANGES[Tier.PUBLIC]

ENERGY_EV, SEMIANGLE_MRAD, C10_A, SAMPLING_A = 80e3, 21.4, -20.0, 0.4
"""The contract's beam at twice its pixel, so that a small window holds the probe."""

MEDIUM_FORM = (32, 48)
"""(Detector pixels, scan positions) along each axis of the sample under a deadline: seconds of work
for an iterative method."""

LARGE_FORM = (64, 128)
"""The same of the large scan: 256 MiB of patterns."""

TILE = 16
"""Patterns of these two repeat after so many positions along each axis."""

PIXELS_AN_ATOM, ATOM_PX = 50, math.sqrt(2)
"""Of the made-up specimen: its density, and the width of an atom [object pixels]."""

BUDGET_BYTES = 32 << 20
"""`memory_bytes` of every trial sample: an eighth of the large one's patterns."""


@dataclass(frozen=True)
class Form:
    """Grid of a trial sample [pixels]."""

    window: int = 16
    object_shape: tuple[int, int] = (32, 32)
    scan_shape: tuple[int, int] = (8, 8)
    step: int = 4
    periodic: bool = True
    shift: float = 0.0


FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "usual": Form(),
        "odd detector": Form(window=17),
        "oblong object and scan": Form(object_shape=(20, 36), scan_shape=(5, 9)),
        "odd object": Form(object_shape=(33, 35), scan_shape=(8, 8)),
        "padded, not periodic": Form(object_shape=(41, 37), scan_shape=(7, 6), periodic=False),
        "fractional positions": Form(shift=0.37),
    }
)
"""The forms, by name; the first is tried twice."""

MEDIUM = "more than there is time for"
LARGE = "large scan"
REPEATING = MappingProxyType({MEDIUM: MEDIUM_FORM, LARGE: LARGE_FORM})


@dataclass(frozen=True)
class TiledPatterns:
    """A large scan without the memory for it: a small one, over and over.

    Attributes:
        tile: (T, T, Ky, Kx).
        side: scan positions along each axis.
    """

    tile: NDArray[np.float32]
    side: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(Ny, Nx, Ky, Kx)."""
        return self.side, self.side, int(self.tile.shape[2]), int(self.tile.shape[3])

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Patterns `start` to `stop - 1`, (B, Ky, Kx)."""
        rows, cols = np.divmod(np.arange(start, stop), self.side)
        period = len(self.tile)
        return np.asarray(self.tile[rows % period, cols % period])


def make_sample(name: str) -> Sample:
    """A trial sample by name: one of `FORMS`, `MEDIUM` or `LARGE`."""
    if name in REPEATING:
        return _repeating(name, *REPEATING[name])
    return _small(name, FORMS[name])


def large_bytes() -> int:
    """Bytes of the large sample's patterns."""
    window, side = LARGE_FORM
    return 4 * (window * side) ** 2


def _small(name: str, form: Form) -> Sample:
    operator = _operator(form)
    y = simulate(
        _object(form.object_shape),
        operator,
        SPEC,
        scan_shape=form.scan_shape,
        rng=np.random.default_rng(1),
    )
    return Sample(name, y, operator, RANGES, memory_bytes=BUDGET_BYTES)


def _repeating(name: str, window: int, side: int) -> Sample:
    """A crystal, so that its patterns repeat: the tile is simulated, the rest is the same again."""
    step = 4
    tile = Form(window, (TILE * step,) * 2, (TILE,) * 2, step)
    y = simulate(
        _object(tile.object_shape),
        _operator(tile),
        SPEC,
        scan_shape=tile.scan_shape,
        rng=np.random.default_rng(2),
    ).values
    whole = _operator(Form(window, (side * step,) * 2, (side,) * 2, step))
    return Sample(name, TiledPatterns(y, side), whole, RANGES, memory_bytes=BUDGET_BYTES)


def _operator(form: Form) -> IdealOperator:
    attrs = OperatorAttrs(
        energy_eV=ENERGY_EV,
        wavelength_A=wavelength_A(ENERGY_EV),
        semiangle_mrad=SEMIANGLE_MRAD,
        C10_A=C10_A,
        Cs_A=0.0,
        sampling_A=SAMPLING_A,
        phase_scale_rad=1.0,
        dose_e=4000.0,
        gain=1.0,
        read_noise=0.0,
        periodic=form.periodic,
        object_shape=form.object_shape,
        model=MODEL_NAME,
    )
    first = 0 if form.periodic else form.window // 2
    rows, cols = np.mgrid[: form.scan_shape[0], : form.scan_shape[1]]
    positions = first + form.step * np.stack([rows.ravel(), cols.ravel()], axis=1) + form.shift
    wave = probe(
        energy_eV=ENERGY_EV,
        semiangle_mrad=SEMIANGLE_MRAD,
        C10_A=C10_A,
        Cs_A=0.0,
        sampling_A=SAMPLING_A,
        window=form.window,
    )
    return IdealOperator(attrs, wave, positions.astype(np.float32))


def _object(shape: tuple[int, int]) -> NDArray[np.float32]:
    count = shape[0] * shape[1] // PIXELS_AN_ATOM
    return round_atoms(shape, count=count, width_px=ATOM_PX, rng=np.random.default_rng(0))
