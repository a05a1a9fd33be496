"""Records of the organiser's ledger: submissions, attempts, stages, verdicts."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, JsonValue

from schemas.base import Record, quantity
from schemas.challenge import Tier
from schemas.findings import Finding
from schemas.score import ScoreCard


class SubmissionState(StrEnum):
    """Where a submission stands. The last three are final: nothing leaves them."""

    QUEUED = "queued"
    RUNNING = "running"
    SCORED = "scored"
    REJECTED = "rejected"
    ABANDONED = "abandoned"

    @property
    def is_final(self) -> bool:
        """Whether the submission has its verdict."""
        return self in (self.SCORED, self.REJECTED, self.ABANDONED)


class AttemptState(StrEnum):
    """How one try at a submission went."""

    RUNNING = "running"
    DONE = "done"
    RETURNED = "returned"
    LOST = "lost"


class StageName(StrEnum):
    """The stages of an evaluation, in order (contract, section 7)."""

    PREFLIGHT = "preflight"
    STRIP = "strip"
    RUN = "run"
    SANITISE = "sanitise"
    SCORE = "score"


class Entry(Record):
    """What is submitted: which image, in whose name, for which challenge."""

    participant: str = Field(min_length=1, max_length=128, description="who submits")
    method: str = Field(min_length=1, max_length=128, description="name for the leaderboard")
    image: str = Field(min_length=1, max_length=512, description="image as the engine names it")
    tier: Tier = Field(strict=False, description="tier")
    challenge_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the challenge file")
    seed: int = Field(default=0, ge=0, description="random seed of the run")


class Stage(Record):
    """A finished stage, and what it left behind."""

    name: StageName = Field(strict=False)
    attempt: int = Field(ge=1, description="the try in which it was finished")
    seconds: float = quantity("s", "wall time of the stage", ge=0.0)
    record: dict[str, JsonValue] = Field(description="the stage's own output, as it stated it")


class Attempt(Record):
    """One try at a submission."""

    number: int = Field(ge=1)
    state: AttemptState = Field(strict=False)
    worker: str = Field(max_length=512, description="the process that works on it")
    nonce: str = Field(max_length=128, description="token that the result must carry")
    started: float = quantity("s", "start, Unix time")
    ended: float | None = quantity("s", "end, Unix time; none while it runs", default=None)


class Verdict(Record):
    """The one final word on a submission."""

    state: SubmissionState = Field(strict=False)
    card: ScoreCard | None = Field(default=None, description="none: not scored")
    canonical_sha256: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$", description="identity of the result"
    )
    charged: bool = Field(description="whether it counts against the quota")


class Submission(Record):
    """A submission, and all that the ledger knows of it."""

    id: str = Field(pattern=r"^[0-9a-f]{12}$", description="id in the ledger")
    entry: Entry
    state: SubmissionState = Field(strict=False)
    image_digest: str | None = Field(default=None, description="what `image` resolved to, once")
    created: float = quantity("s", "Unix time")
    updated: float = quantity("s", "Unix time of the last change")
    attempts: tuple[Attempt, ...] = ()
    stages: tuple[Stage, ...] = ()
    findings: tuple[Finding, ...] = ()
    verdict: Verdict | None = None


class Event(Record):
    """One line of the ledger's history; lines are only ever added."""

    at: float = quantity("s", "Unix time")
    submission: str
    attempt: int | None = None
    name: str
    detail: str = ""
