"""Small ideal operators of every form that the contract allows, made in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physics.ideal import IdealOperator
from physics.optics import probe, wavelength_A
from schemas.operator import MODEL_NAME, OperatorAttrs
from schemas.spec import MismatchSpec

INSTRUMENT: Mapping[str, Any] = MappingProxyType(
    {
        "energy_eV": 80e3,
        "semiangle_mrad": 21.4,
        "C10_A": -20.0,
        "Cs_A": 0.0,
        "sampling_A": 0.4,
        "phase_scale_rad": 1.0,
        "dose_e": 2000.0,
        "gain": 1.0,
        "read_noise": 0.0,
    }
)
"""The default profile at twice its pixel, so that a window of 16 holds the probe."""


def scan_shape(
    object_shape: tuple[int, int], *, window: int, step: int, periodic: bool
) -> tuple[int, int]:
    """(Ny, Nx) of the raster that `make_ideal` lays over the object."""
    margin = 0 if periodic else window - 1
    ny, nx = (-(-(side - margin) // step) for side in object_shape)
    return ny, nx


def make_ideal(
    *,
    window: int = 16,
    object_shape: tuple[int, int] = (32, 32),
    step: int = 4,
    periodic: bool = True,
    shift: tuple[float, float] = (0.0, 0.0),
    **instrument: Any,
) -> IdealOperator:
    """A raster of `step` pixels over the object, moved by `shift`; numbers as in `INSTRUMENT`."""
    numbers = {**INSTRUMENT, **instrument}
    optics = {
        name: numbers[name]
        for name in ("energy_eV", "semiangle_mrad", "C10_A", "Cs_A", "sampling_A")
    }
    attrs = OperatorAttrs(
        **numbers,
        wavelength_A=wavelength_A(numbers["energy_eV"]),
        periodic=periodic,
        object_shape=object_shape,
        model=MODEL_NAME,
    )
    first = 0 if periodic else window // 2
    ny, nx = scan_shape(object_shape, window=window, step=step, periodic=periodic)
    rows, cols = np.mgrid[:ny, :nx]
    positions = first + step * np.stack([rows.ravel(), cols.ravel()], axis=1)
    return IdealOperator(
        attrs, probe(**optics, window=window), (positions + shift).astype(np.float32)
    )


def with_gaussian_probe(ideal: IdealOperator, sigma_px: float) -> IdealOperator:
    """The same with a probe that vanishes at the window's edge in both spaces [object pixels]."""
    axis = np.arange(ideal.window) - ideal.window // 2
    wave = np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / (2 * sigma_px**2))
    return replace(ideal, probe=(wave / np.linalg.norm(wave)).astype(np.complex64))


OPERATORS: Mapping[str, IdealOperator] = MappingProxyType(
    {
        "periodic": make_ideal(),
        "odd window": make_ideal(window=15),
        "oblong object": make_ideal(object_shape=(20, 36), step=5),
        "window larger than the object": make_ideal(object_shape=(12, 14), step=5),
        "padded": make_ideal(object_shape=(30, 26), periodic=False),
        "fractional positions": make_ideal(shift=(0.3, -0.45)),
        "padded, fractional": make_ideal(object_shape=(31, 27), periodic=False, shift=(0.25, 0.4)),
        "other optics": make_ideal(
            energy_eV=300e3, semiangle_mrad=9.0, C10_A=150.0, Cs_A=2e6, dose_e=3.0
        ),
    }
)
"""Every form of operator. What holds for one holds for all: add a new form here, and each property
of `tests/physics/test_operator.py` is asked of it."""

SPECS: Mapping[str, MismatchSpec] = MappingProxyType(
    {
        "nominal": MismatchSpec(),
        "camera length": MismatchSpec(camera_length=4.6),
        "centre": MismatchSpec(center_offset=-1.2),
        "ellipse": MismatchSpec(elliptical_distortion=0.0115),
        "all": MismatchSpec(camera_length=-2.4, center_offset=2.3, elliptical_distortion=-0.006),
    }
)
"""The ends of the published ranges."""


def random_phase(ideal: IdealOperator, seed: int = 0) -> NDArray[np.float64]:
    """A rough phase (H, W) [rad] that scatters to every detector pixel."""
    return np.random.default_rng(seed).uniform(0.0, 2.0, ideal.attrs.object_shape)
