"""What a self-test found, and what its processes say to one another."""

from __future__ import annotations

from pydantic import Field

from schemas.base import Record, quantity
from schemas.findings import Finding


class Trial(Record):
    """One rule, and whether it was kept."""

    rule: str = Field(description="what was tried")
    passed: bool
    told: str = Field(description="figures, or why it does not apply")
    finding: Finding | None = Field(default=None, description="what is wrong, and the mend")


class SelfTest(Record):
    """Every trial of an algorithm."""

    algorithm: str
    seconds: float = quantity("s", "wall time of all trials")
    trials: tuple[Trial, ...]

    @property
    def passed(self) -> bool:
        """Whether every rule was kept."""
        return all(trial.passed for trial in self.trials)


class Solved(Record):
    """One sample through an algorithm, as the process that ran it saw it."""

    sample: str
    seconds: float = quantity("s", "wall time")
    digest: str = Field(default="", description="sha256 of x_hat and spec; empty: no result")
    changed: tuple[str, ...] = Field(default=(), description="inputs that it changed")
    written: tuple[str, ...] = Field(default=(), description="files that it opened for writing")
    threads: tuple[int, int] = Field(description="torch's threads before and after")
    findings: tuple[Finding, ...] = Field(default=(), description="what is wrong with the outcome")


class Task(Record):
    """What a process is to do."""

    algorithm: str
    samples: tuple[str, ...] = Field(description="names of trial samples")
    threads: int = Field(ge=1)
    deadline_s: float | None = quantity("s", "time for each sample; none: no limit", default=None)


class Answer(Record):
    """What a process did. It is written after every sample: a killed one leaves the others."""

    ready: bool = Field(default=False, description="the algorithm was loaded and set up")
    base_mib: float = quantity("MiB", "peak resident memory before the last sample", default=0.0)
    peak_mib: float = quantity("MiB", "peak resident memory so far", default=0.0)
    solved: tuple[Solved, ...] = ()
    findings: tuple[Finding, ...] = Field(default=(), description="why it was not loaded")
