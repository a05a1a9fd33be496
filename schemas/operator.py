"""The ideal operator H of a sample, as its `H_ideal` group states it."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, PositiveInt

from schemas.base import Record, quantity

MODEL_NAME: Final = "phase-object/far-field"
"""The only imaging model of contract version 1.0."""


class OperatorAttrs(Record):
    """Attributes of the group `H_ideal` (the probe and the positions are datasets beside them)."""

    energy_eV: float = quantity("eV", "beam energy", gt=1e3, lt=1e7)
    wavelength_A: float = quantity("A", "relativistic electron wavelength", gt=1e-4, lt=1.0)
    semiangle_mrad: float = quantity("mrad", "convergence semi-angle", gt=0.0, lt=500.0)
    C10_A: float = quantity("A", "defocus aberration C10 (= -defocus)", gt=-1e7, lt=1e7)
    Cs_A: float = quantity("A", "spherical aberration C30", gt=-1e9, lt=1e9)
    sampling_A: float = quantity("A", "object pixel", gt=0.0, lt=1e4)
    phase_scale_rad: float = quantity("rad", "phase of x = 1", gt=0.0, lt=1e3)
    dose_e: float = quantity("electrons", "electrons per diffraction pattern", gt=0.0, lt=1e15)
    gain: float = quantity("counts/electron", "detector gain", gt=0.0, lt=1e9)
    read_noise: float = quantity("counts", "standard deviation of the read noise", ge=0.0, lt=1e9)
    periodic: bool = Field(description="object indices wrap (supercell)")
    object_shape: tuple[PositiveInt, PositiveInt] = Field(description="shape (H, W) of x [pixels]")
    model: Literal["phase-object/far-field"] = Field(description="imaging model")
