"""Records of an evaluation: what each stage found, the verdict, and what of it may be told."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, JsonValue

from schemas.base import Record, quantity
from schemas.challenge import Track
from schemas.findings import Finding
from schemas.score import ScoreCard


class Stage(StrEnum):
    """The stages of an evaluation, in their order; the middle two once for each run."""

    PREFLIGHT = "preflight"
    STRIP = "strip"
    RUN = "run"
    SANITISE = "sanitise"
    REPEAT = "repeat"
    SCORE = "score"


def stage_key(stage: Stage, run: int) -> str:
    """Name of a stage within its evaluation: "strip", "run-1"."""
    return f"{stage}-{run}" if run else str(stage)


class Outcome(StrEnum):
    """How a stage ended."""

    DONE = "done"
    REFUSED = "refused"
    FAULT = "fault"


class State(StrEnum):
    """What came of an evaluation; `fault` is nobody's attempt, and may be tried again."""

    SCORED = "scored"
    REFUSED = "refused"
    FAULT = "fault"


class PreflightFacts(Record):
    """What was known before the run."""

    engine: str = Field(description="container engine and version")
    runtime: str = Field(description="container runtime")
    not_held: tuple[str, ...] = Field(description="limits that no kernel holds under that runtime")
    image_id: str = Field(description="content address of the image; all runs use it")
    image_digest: str | None = Field(description="name@sha256 as a registry knows it, if one does")
    image_mib: float = quantity("MiB", "size of the image, unpacked", ge=0.0)


class StripFacts(Record):
    """The blind view that the container gets."""

    view_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="sha256 of the blind view")
    samples: tuple[str, ...] = Field(description="names of the samples")


class RunFacts(Record):
    """What happened in the container."""

    image_id: str = Field(description="image that ran")
    nonce: str = Field(description="token that the result must carry")
    exit_code: int = Field(description="exit code of the container's first process")
    run_seconds: float = quantity("s", "wall time from start to end of the container", ge=0.0)
    oom: bool = Field(description="a process was killed for memory")
    log_bytes: int = quantity("bytes", "stdout and stderr together", ge=0)
    output_bytes: int = quantity("bytes", "what lay in /output", ge=0)
    output_files: int = quantity("files", "files and folders in /output", ge=0)
    applied: dict[str, JsonValue] = Field(description="options, as the engine reports them")
    not_enforced: dict[str, str] = Field(
        description="limits that no kernel held, and what was done instead"
    )


class SanitiseFacts(Record):
    """The canonical result."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="the submission's identity")
    samples: tuple[str, ...] = Field(description="samples that the canonical file holds")
    child_peak_mib: float = quantity("MiB", "peak memory of the process that read it", ge=0.0)


class SampleDifference(Record):
    """By how much two runs differ in one sample."""

    sample: str = Field(description="sample name")
    pixels: int = quantity("pixels", "pixels of x_hat that differ", ge=0)
    x_hat: float = quantity("", "largest difference of x_hat", ge=0.0)
    spec: dict[str, float] = Field(description="difference of each parameter, in its unit")


class RepeatFacts(Record):
    """Two runs with one seed, compared."""

    identical: bool = Field(description="the same bytes of x_hat and the same corrected_spec")
    differences: tuple[SampleDifference, ...] = Field(description="samples that differ, in order")


class ScoreFacts(Record):
    """The score."""

    card: ScoreCard = Field(description="the score card, for the organiser's eyes")


Facts = PreflightFacts | StripFacts | RunFacts | SanitiseFacts | RepeatFacts | ScoreFacts


class StageRecord(Record):
    """One stage that came to an end."""

    stage: Stage = Field(strict=False, description="which stage")
    run: int = Field(default=0, ge=0, description="which run, from 1; 0: the stage is not of a run")
    outcome: Outcome = Field(strict=False, description="how it ended")
    begun_utc: str = Field(max_length=40, description="its start, ISO 8601")
    seconds: float = quantity("s", "wall time", ge=0.0)
    facts: Facts | None = Field(description="what it found; none when it did not come to an end")
    findings: tuple[Finding, ...] = Field(default=(), description="what is wrong")

    @property
    def key(self) -> str:
        """Name of the stage within its evaluation."""
        return stage_key(self.stage, self.run)


class Verdict(Record):
    """What came of an evaluation, for the organiser."""

    state: State = Field(strict=False, description="scored, refused, or a fault of ours")
    tier: str = Field(description="tier")
    image: str = Field(description="image, as the organiser named it")
    score: float | None = quantity("", "score of the tier; none: not scored", ge=0.0, le=1.0)
    counts_against_quota: bool = Field(description="whether the attempt counts")
    identity: str | None = Field(description="sha256 of the canonical result")
    findings: tuple[Finding, ...] = Field(description="everything that is wrong, worst first")
    stages: tuple[StageRecord, ...] = Field(description="every stage that came to an end")

    @property
    def card(self) -> ScoreCard | None:
        """The score card, when the result was scored."""
        cards = [r.facts.card for r in self.stages if isinstance(r.facts, ScoreFacts)]
        return cards[-1] if cards else None


class CodeLine(Record):
    """A code and what it means, in our own words."""

    code: str = Field(description="stable code")
    meaning: str = Field(description="what it means")
    counts_against_quota: bool = Field(description="whether it makes the attempt count")


class ParticipantReport(Record):
    """What a participant is told. On the hidden tier everything below `codes` stays empty."""

    state: State = Field(strict=False, description="scored, refused, or a fault of ours")
    tier: str = Field(description="tier")
    score: float | None = quantity("", "score, rounded on the hidden tier", ge=0.0, le=1.0)
    counts_against_quota: bool = Field(description="whether the attempt counts")
    codes: tuple[CodeLine, ...] = Field(description="codes of everything that is wrong")
    track: Track | None = Field(default=None, strict=False, description="blind or standard")
    identity: str | None = Field(default=None, description="sha256 of the canonical result")
    findings: tuple[Finding, ...] = Field(default=(), description="everything that is wrong")
    card: ScoreCard | None = Field(default=None, description="the score card")
    differences: tuple[SampleDifference, ...] = Field(
        default=(), description="where two runs with one seed differ"
    )
    run_seconds: float | None = quantity("s", "wall time of the first run", default=None)
    log: str = Field(default="", description="the log of the first run, cut and cleaned")
