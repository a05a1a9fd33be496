"""Recipes of the tiers: every number that a tier is made from."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from schemas.base import Record, quantity
from schemas.challenge import Tier, Track
from schemas.spec import SpecRange, SpecRanges


class Realism(StrEnum):
    """How much of a microscope the simulated data hold that H does not know, least first.

    `runner.tiers.realism.levels` says what each level is.
    """

    NONE = "none"
    SLIGHT = "slight"
    MODERATE = "moderate"
    STRONG = "strong"
    SEVERE = "severe"


class Profile(Record):
    """Instrument and sampling of a simulated tier."""

    energy_eV: float = quantity("eV", "beam energy", default=80e3, gt=1e3, lt=1e7)
    semiangle_mrad: float = quantity("mrad", "convergence semi-angle", default=21.4, gt=0.0)
    C10_A: float = quantity("A", "defocus aberration C10", default=-100.0)
    Cs_A: float = quantity("A", "spherical aberration", default=0.0)
    sampling_A: float = quantity("A", "object pixel", default=0.2, gt=0.0)
    object_shape: tuple[int, int] = Field(default=(128, 128), description="shape of x [pixels]")
    window: int = quantity("pixels", "probe window and detector, n x n", default=64, ge=8)
    scan_shape: tuple[int, int] = Field(default=(32, 32), description="scan positions (Ny, Nx)")
    scan_step_px: int = quantity("pixels", "scan step in object pixels", default=4, ge=1)
    dose_e: float = quantity("electrons", "electrons per pattern", default=8000.0, gt=0.0)
    gain: float = quantity("counts/electron", "detector gain", default=1.0, gt=0.0)
    read_noise: float = quantity("counts", "read noise", default=0.0, ge=0.0)


class TierRecipe(Record):
    """How a tier is built; with its seed, the same recipe gives the same bytes."""

    tier: Tier = Field(description="tier")
    track: Track = Field(default=Track.BLIND, description="blind or standard")
    seed: int = Field(default=0, ge=0, description="seed of scenes, spec and noise")
    scenes: int = Field(default=4, ge=1, le=999, description="number of scenes")
    families: tuple[str, ...] = Field(description="specimen families, used in turn")
    spec_ranges: SpecRanges = Field(description="published ranges of the mismatch parameters")
    profile: Profile = Field(default=Profile(), description="instrument and sampling")
    realism: Realism = Field(
        default=Realism.NONE, description="what the data hold that H does not know"
    )


def _ranges(
    length: tuple[float, float], offset: tuple[float, float], ellipse: tuple[float, float]
) -> SpecRanges:
    return SpecRanges(
        (
            SpecRange(name="camera_length", min=length[0], max=length[1], unit="%"),
            SpecRange(name="center_offset", min=offset[0], max=offset[1], unit="pixels"),
            SpecRange(name="elliptical_distortion", min=ellipse[0], max=ellipse[1], unit=""),
        )
    )


SPEC_RANGES: dict[Tier, SpecRanges] = {
    Tier.PUBLIC: _ranges((-2.0, 4.0), (-1.0, 2.0), (-0.005, 0.010)),
    Tier.DEV: _ranges((-2.4, 3.6), (-1.2, 1.8), (-0.006, 0.009)),
    Tier.HIDDEN: _ranges((-1.4, 4.6), (-0.7, 2.3), (-0.0035, 0.0115)),
}
"""Ranges as the competition's page publishes them for each tier."""

DOSE_E: dict[Tier, float] = {Tier.PUBLIC: 8000.0, Tier.DEV: 4000.0, Tier.HIDDEN: 2000.0}
"""Electrons per pattern of each tier (contract, section 6)."""
