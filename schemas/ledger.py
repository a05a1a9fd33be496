"""Records of the organiser's ledger: submissions, their attempts, and what came of them."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from schemas.base import Record, quantity
from schemas.challenge import Tier
from schemas.evaluation import StageRecord, Verdict
from schemas.findings import Finding


class SubmissionState(StrEnum):
    """Where a submission stands. The last three are final: nothing leaves them."""

    QUEUED = "queued"
    RUNNING = "running"
    SCORED = "scored"
    REFUSED = "refused"
    ABANDONED = "abandoned"

    @property
    def is_final(self) -> bool:
        """Whether the submission has its verdict."""
        return self in (self.SCORED, self.REFUSED, self.ABANDONED)


class AttemptState(StrEnum):
    """How one try at a submission went."""

    RUNNING = "running"
    DONE = "done"
    RETURNED = "returned"
    LOST = "lost"


class Entry(Record):
    """What is submitted: which image, in whose name, for which challenge."""

    participant: str = Field(min_length=1, max_length=128, description="who submits")
    method: str = Field(min_length=1, max_length=128, description="name for the leaderboard")
    image: str = Field(min_length=1, max_length=512, description="image as the engine names it")
    tier: Tier = Field(strict=False, description="tier")
    challenge_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the challenge file")
    seed: int = Field(default=0, ge=0, description="random seed of the run")


class Attempt(Record):
    """One try at a submission."""

    number: int = Field(ge=1)
    state: AttemptState = Field(strict=False)
    worker: str = Field(max_length=512, description="the process that works on it")
    started: float = quantity("s", "start, Unix time")
    ended: float | None = quantity("s", "end, Unix time; none while it runs", default=None)
    findings: tuple[Finding, ...] = Field(default=(), description="why it was given back")


class Submission(Record):
    """A submission, and all that the ledger knows of it."""

    id: str = Field(pattern=r"^[0-9a-f]{12}$", description="id in the ledger")
    entry: Entry
    state: SubmissionState = Field(strict=False)
    image_digest: str | None = Field(default=None, description="what `image` resolved to, once")
    folder: str | None = Field(
        default=None, description="its own folder, where `evaluate` judges it; none: in a queue"
    )
    created: float = quantity("s", "Unix time")
    updated: float = quantity("s", "Unix time of the last change")
    charged: bool = Field(default=False, description="whether it counts against the quota")
    attempts: tuple[Attempt, ...] = ()
    stages: tuple[StageRecord, ...] = Field(default=(), description="stages that are finished")
    verdict: Verdict | None = Field(
        default=None, description="the final word; none while it is open, or when it was abandoned"
    )


class Event(Record):
    """One line of the ledger's history; lines are only ever added."""

    at: float = quantity("s", "Unix time")
    submission: str
    attempt: int | None = None
    name: str
    detail: str = ""
