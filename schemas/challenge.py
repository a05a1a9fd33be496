"""Records of a challenge file: root attributes and a sample's metadata."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from schemas.base import Record


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


class ChallengeAttrs(Record):
    """Root attributes of a challenge file."""

    variant: Literal["electron_diffraction"] = Field(description="imaging variant")
    tier: Literal["public", "dev", "hidden", "blind"] = Field(
        description='tier; "blind" in the view that a container gets'
    )
    version: Literal["1.0"] = Field(description="version of the data set")
    contract_version: str = Field(
        pattern=r"^1\.[0-9]+$", description="version of the contract; 1.x is read"
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
