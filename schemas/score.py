"""Records of a judged result: one sample's score, and the card of a whole file."""

from __future__ import annotations

from pydantic import Field

from schemas.base import VARIANT, Record, quantity
from schemas.challenge import Track
from schemas.findings import Finding


class SampleScore(Record):
    """How well one sample was reconstructed."""

    sample: str = Field(description="sample name")
    scene: str = Field(default="", description="scene, where the file tells it")
    score: float | None = quantity(
        "", "score of the track; none: no truth to judge by, or no image", ge=0.0, le=1.0
    )
    psnr_db: float | None = quantity("dB", "peak signal-to-noise ratio, peak 1.0; none: missing")
    ssim: float | None = quantity("", "structural similarity, 7x7 window; none: missing")
    consistency: float | None = quantity("", "1 - ||y - H x_hat|| / ||y||, not clipped")
    consistency_ceiling: float | None = quantity(
        "", "consistency of the truth itself: what noise leaves possible"
    )
    consistency_ideal: float | None = quantity("", "consistency with the nominal operator")
    chi_square: float | None = quantity("", "reduced chi-square of the residual")
    psnr_offset_free_db: float | None = quantity(
        "dB", "PSNR after removing the mean difference; diagnostic, without weight"
    )
    spec_error: dict[str, float] = Field(
        default_factory=dict, description="estimate minus truth, for each parameter, in its unit"
    )
    seconds: float | None = quantity("s", "wall time of the sample", default=None)


class ScoreCard(Record):
    """A judged result file; what `stem4d score --json` and `dry-run --json` print."""

    variant: str = Field(default=VARIANT, description="imaging variant")
    tier: str = Field(description="tier")
    track: Track = Field(description="track, which decides the formula")
    algorithm: str = Field(description="algorithm, as the result's provenance names it")
    score: float | None = quantity(
        "", "mean over the samples; none: one of them has none", ge=0.0, le=1.0
    )
    psnr_db: float | None = quantity("dB", "mean over the samples that are there")
    ssim: float | None = quantity("", "mean over the samples that are there")
    consistency: float | None = quantity("", "mean over the samples that are there")
    spec_error: dict[str, float] = Field(
        description="root mean square over the samples, for each parameter, in its unit"
    )
    samples: tuple[SampleScore, ...] = Field(description="every sample of the truth")
    seconds: float | None = quantity("s", "wall time of the run", default=None)
    backend: str | None = Field(default=None, description="container or process")
    findings: tuple[Finding, ...] = Field(default=(), description="what is wrong")
