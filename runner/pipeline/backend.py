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
from runner.harness.preflight import preflight
from runner.harness.sandbox import RESOURCES, run_container
from runner.harness.stop import StopAsked
from schemas.findings import Blame, ContractError, Finding
from schemas.limits import MIB, ResourceLimits
from schemas.result import RunInfo

DEFAULT_IMAGE = "stem4d:latest"
"""What `make image` builds."""

BackendName = Literal["container", "process"]


@dataclass(frozen=True)
class Used:
    """What a run used of its limits; None: nobody measured it.

    Attributes:
        wall_s: wall time of the run [s].
        sample_wall_s: that of its longest sample [s].
        memory_mib: peak resident memory, as the run itself saw it [MiB].
        output_mib: what it wrote to /output [MiB].
        log_mib: what it wrote to stdout and stderr [MiB].
    """

    wall_s: float
    sample_wall_s: float | None
    memory_mib: float | None
    output_mib: float
    log_mib: float | None


@dataclass(frozen=True)
class Execution:
    """What came out of one run.

    Attributes:
        result: the result file, whole or partial; None when there is none.
        seconds: wall time from start to end [s].
        findings: what went wrong; empty after a good run.
        log_bytes: what it wrote to stdout and stderr; None where nobody counted.
    """

    result: Path | None
    seconds: float
    findings: tuple[Finding, ...] = ()
    log_bytes: int | None = None

    def used(self, info: RunInfo | None) -> Used:
        """What the run used, with what its result says of itself."""
        samples = [sample.seconds for sample in info.samples.values()] if info else []
        return Used(
            wall_s=self.seconds,
            sample_wall_s=max(samples, default=None),
            memory_mib=info.peak_memory_mib if info else None,
            output_mib=self.result.stat().st_size / MIB if self.result else 0.0,
            log_mib=None if self.log_bytes is None else self.log_bytes / MIB,
        )


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
        """Run the image on a challenge file; Ctrl-C ends the container, and keeps what it has."""
        job = Job(self.image, challenge, output, self.limits, algorithm, seed)
        with connect() as engine, StopAsked() as stop:
            run = run_container(engine, job, on_log=self.on_log, may_miss=RESOURCES, stop=stop)
        result = output / RESULT_NAME
        found = result if result in run.outputs else None
        return Execution(found, run.seconds, run.findings, run.log_bytes)


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


def require_fit(image: str, limits: ResourceLimits) -> None:
    """Refuse an image that a server would refuse unrun; what the engine lacks is warned of later.

    Raises:
        ContractError: everything that is wrong with the image; no engine, or no such image.
    """
    with connect() as engine:
        seen = preflight(engine, image, limits)
    if theirs := tuple(item for item in seen.findings if item.blame is Blame.SUBMISSION):
        raise ContractError(theirs)


def image_or_reason(image: str) -> str | None:
    """Why `image` cannot be run here, in one line; None when it can."""
    try:
        with connect() as engine:
            engine.image(image)
    except ContractError as error:
        first = error.findings[0]
        return f"{first.code}: {first.found}"
    return None
