"""Records of a challenge file: root attributes and a sample's metadata."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from schemas.base import CONTRACT_VERSION, VARIANT, Record


class Tier(StrEnum):
    """The three tiers of the competition."""

    PUBLIC = "public"
    DEV = "dev"
    HIDDEN = "hidden"


class Track(StrEnum):
    """blind: the spec is unknown within its ranges; standard: it is nominal, or given."""

    BLIND = "blind"
    STANDARD = "standard"


BLIND_TIER = "blind"
"""What stands in place of the tier's name in the view that a container gets."""

SAMPLE_NAME_PATTERN = r"^sample_[0-9]{2,4}$"
"""Names of sample groups."""


VARIANT_PATTERN = r"^[a-z][a-z0-9_]*$"
"""Names of the benchmark's variants."""

DATA_VERSION = "1.0"
"""Version of this variant's data set that is read."""


class ChallengeAttrs(Record):
    """Root attributes of a challenge file."""

    variant: str = Field(
        pattern=VARIANT_PATTERN,
        max_length=64,
        description='imaging variant; "electron_diffraction", or another whose H is a plain array',
    )
    tier: Literal["public", "dev", "hidden", "blind"] = Field(
        description='tier; "blind" in the view that a container gets'
    )
    version: str = Field(
        max_length=32, description='version of the data set; "1.0" for electron_diffraction'
    )
    contract_version: str = Field(
        pattern=r"^1\.[0-9]+$", description="version of the contract; 1.x is read"
    )

    @model_validator(mode="after")
    def _version_is_read(self) -> Self:
        if self.variant == VARIANT and self.version != DATA_VERSION:
            raise ValueError(f"version {self.version!r} of {VARIANT}, where {DATA_VERSION} is read")
        return self


class OtherVariantAttrs(ChallengeAttrs):
    """The same of another variant's file, which this contract does not bind."""

    version: str = Field(default="", max_length=32, description="version of the data set")
    contract_version: str = Field(
        default=CONTRACT_VERSION,
        pattern=r"^1\.[0-9]+$",
        description="version of the contract that the file is read by",
    )


class SampleMetadata(Record):
    """The `metadata` attribute of a sample: nothing that tells x."""

    scene: str = Field(max_length=200, description="name of the scene; neutral in a blind view")
    shape: tuple[int, int, int, int] = Field(description="shape (Ny, Nx, Ky, Kx) of y")
    noise_model: Literal["poisson", "poisson-gaussian", "none", "measured"] = Field(
        description="how y was made from the expected counts; measured: a real detector"
    )
    track: Track = Field(default=Track.BLIND, strict=False, description="blind or standard")
    description: str = Field(
        default="", max_length=2000, description="what the specimen is (empty in a blind view)"
    )
    notation: str = Field(
        default="", max_length=4000, description="forward model in the benchmark's notation"
    )


class ArrayMetadata(Record):
    """The `metadata` attribute of a sample whose H is a plain array; none of it must be there."""

    scene: str = Field(default="", max_length=200, description="name of the scene")
    signal_shape: tuple[PositiveInt, ...] | None = Field(
        default=None, description="shape of x, where H and y do not tell it"
    )
    noise_model: str = Field(default="", max_length=200, description="how y was made from H x")
    track: Track = Field(default=Track.BLIND, strict=False, description="blind or standard")
    description: str = Field(
        default="", max_length=2000, description="what the scene is (empty in a blind view)"
    )
    notation: str = Field(
        default="", max_length=4000, description="forward model in the benchmark's notation"
    )
