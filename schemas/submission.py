"""Records of a submission's own files: `submission.toml`, and the report of a score."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.base import CONTRACT_VERSION, VARIANT, Record, quantity
from schemas.challenge import VARIANT_PATTERN

LINE_PATTERN = r"^[^\r\n]+$"
"""One line of text."""

URL_PATTERN = r"^(https?://[^\s]+)?$"
"""An address, or nothing."""

RELATIVE_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"
"""A path below the submission's own folder: no "..", no leading "/", no hidden file."""

IMAGE_PATTERN = r"^[a-z0-9][a-z0-9._/:-]*$"
"""Name of an image, as `docker build --tag` takes it."""


class MethodEntry(Record):
    """The table `[method]`: what the leaderboard shows."""

    name: str = Field(
        min_length=1, max_length=100, pattern=LINE_PATTERN, description="name of the method"
    )
    description: str = Field(
        min_length=1, max_length=2000, description="what it does, in a few sentences"
    )
    paper_url: str = Field(
        default="", max_length=500, pattern=URL_PATTERN, description="address of the paper"
    )
    code_url: str = Field(
        default="", max_length=500, pattern=URL_PATTERN, description="address of the code"
    )


class RunEntry(Record):
    """The table `[run]`: what is run, and in what."""

    algorithm: str = Field(
        min_length=1,
        max_length=256,
        pattern=LINE_PATTERN,
        description="RECONSTRUCTOR[+CALIBRATOR], or FILE.py:CLASS[+CALIBRATOR], from this folder",
    )
    image: str = Field(
        max_length=200, pattern=IMAGE_PATTERN, description="image that the Dockerfile makes"
    )
    variant_key: str = Field(
        default=VARIANT, max_length=64, pattern=VARIANT_PATTERN, description="imaging variant"
    )


class DeclaredLimits(Record):
    """The table `[limits]`: what the method needs; none may be above what the server gives."""

    memory_mib: int = quantity("MiB", "memory, swap included", default=8192, ge=64)
    wall_s: float = quantity("s", "wall time of a run", default=3600.0, gt=0.0)
    sample_wall_s: float = quantity("s", "wall time of one sample", default=900.0, gt=0.0)
    gpu: bool = Field(default=False, description="the method cannot do without a GPU")


class WeightsEntry(Record):
    """One table `[[weights]]`: a file of trained numbers."""

    file: str = Field(
        max_length=300, pattern=RELATIVE_PATTERN, description="path below this folder"
    )
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="sha256 of the file's bytes")
    made_by: str = Field(
        default="", max_length=300, description="script that made it, or the address it is from"
    )


class DeclaredScore(Record):
    """The table `[public]`: what the method reaches on stem4d's own public tier."""

    psnr: float = quantity(
        "dB", "peak signal-to-noise ratio, mean over the scenes", ge=-1e2, le=2e2
    )
    ssim: float = quantity("", "structural similarity, mean over the scenes", ge=-1.0, le=1.0)
    score: float = quantity("", "score of the blind track", ge=0.0, le=1.0)
    tolerance: float = quantity(
        "", "how far score and SSIM may be from that when it is run again", default=0.01, gt=0, le=1
    )
    psnr_tolerance: float = quantity("dB", "the same of the PSNR", default=0.3, gt=0.0, le=10.0)
    scenes: int = Field(default=4, ge=1, le=999, description="number of scenes of the tier")
    seed: int = Field(default=0, ge=0, description="seed of the tier and of the algorithm")


class Submission(Record):
    """The file `submission.toml` of a submission's folder."""

    contract_version: str = Field(
        default=CONTRACT_VERSION, pattern=r"^1\.[0-9]+$", description="version of the contract"
    )
    method: MethodEntry = Field(description="what the leaderboard shows")
    run: RunEntry = Field(description="what is run")
    limits: DeclaredLimits = Field(
        default=DeclaredLimits(), description="what the method needs, at most"
    )
    weights: tuple[WeightsEntry, ...] = Field(default=(), description="files of trained numbers")
    public: DeclaredScore | None = Field(
        default=None, description="score on the public tier; none: not yet declared"
    )


class ScoreReport(Record):
    """What the benchmark takes as the report of a score."""

    variant_key: str = Field(pattern=VARIANT_PATTERN, max_length=64, description="imaging variant")
    tier_name: Literal["public", "dev", "hidden"] = Field(description="tier")
    method_name: str = Field(max_length=100, description="name of the method")
    method_description: str = Field(max_length=2000, description="what it does")
    paper_url: str = Field(max_length=500, pattern=URL_PATTERN, description="address of the paper")
    code_url: str = Field(max_length=500, pattern=URL_PATTERN, description="address of the code")
    reported_psnr: float = quantity("dB", "mean over the samples")
    reported_ssim: float = quantity("", "mean over the samples", ge=-1.0, le=1.0)
