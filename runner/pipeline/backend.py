"""Where a submission runs: in a container, or in this process. Both look the same from outside."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from algorithms.registry import DEFAULT_ALGORITHM
from runner.container.run import RunOptions, run_challenge
from runner.files.result import RESULT_NAME
from runner.harness.docker_engine import connect
from runner.harness.log import LogSink
from runner.harness.options import Job
from runner.harness.sandbox import run_container
from schemas.findings import ContractError, Finding
from schemas.limits import ResourceLimits

DEFAULT_IMAGE = "stem4d:latest"
"""What `make image` builds."""

BackendName = Literal["container", "process"]


@dataclass(frozen=True)
class Execution:
    """What came out of one run.

    Attributes:
        result: the result file, whole or partial; None when there is none.
        seconds: wall time from start to end [s].
        findings: what went wrong; empty after a good run.
    """

    result: Path | None
    seconds: float
    findings: tuple[Finding, ...] = ()


class Backend(Protocol):
    """Runs a submission on a challenge file."""

    @property
    def name(self) -> BackendName:
        """container or process, as a score card names it."""

    def run(self, challenge: Path, output: Path, *, algorithm: str | None, seed: int) -> Execution:
        """Run `algorithm` (None: the submission's own choice) and leave its files in `output`.

        Raises:
            ContractError: the run could not be made at all.
        """


@dataclass(frozen=True)
class ContainerBackend:
    """The sandbox of the contract, section 4.

    Attributes:
        image: name of a local image.
        limits: what a run may use.
        on_log: gets what the container writes to stderr, while it runs.
    """

    image: str
    limits: ResourceLimits
    on_log: LogSink
    name: BackendName = "container"

    def run(self, challenge: Path, output: Path, *, algorithm: str | None, seed: int) -> Execution:
        """Run the image on a challenge file."""
        job = Job(self.image, challenge, output, self.limits, algorithm, seed)
        with connect() as engine:
            run = run_container(engine, job, on_log=self.on_log)
        result = output / RESULT_NAME
        return Execution(result if result in run.outputs else None, run.seconds, run.findings)


@dataclass(frozen=True)
class ProcessBackend:
    """This process: the same function as in the container, without a sandbox around it.

    Attributes:
        limits: only its wall times hold here.
    """

    limits: ResourceLimits
    name: BackendName = "process"

    def run(self, challenge: Path, output: Path, *, algorithm: str | None, seed: int) -> Execution:
        """Run the algorithm; what it finished before an error is kept, as in a container."""
        options = RunOptions(algorithm or DEFAULT_ALGORITHM, seed, self.limits)
        begin = time.monotonic()
        findings: tuple[Finding, ...] = ()
        try:
            run_challenge(challenge, output, options)
        except ContractError as error:
            findings = error.findings
        result = output / RESULT_NAME
        seconds = time.monotonic() - begin
        return Execution(result if result.is_file() else None, seconds, findings)


def image_or_reason(image: str) -> str | None:
    """Why `image` cannot be run here, in one line; None when it can."""
    try:
        with connect() as engine:
            engine.image(image)
    except ContractError as error:
        first = error.findings[0]
        return f"{first.code}: {first.found}"
    return None
