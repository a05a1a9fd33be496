"""What happened to one container, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from runner.harness.staging import Usage
from schemas.findings import ExitCode, Finding, finding
from schemas.limits import MIB, ResourceLimits

LOG_TAIL_CHARS = 8000
"""How much of the log's end a report carries."""

LOG_LINES_SHOWN = 5
"""How many of its last lines a finding shows: one finding of the container's own."""

CODE_OF_EXIT: dict[int, str] = {
    ExitCode.ALGORITHM: "ALGORITHM_FAILED",
    ExitCode.USAGE: "USAGE",
    ExitCode.RESULT: "RESULT_MALFORMED",
    ExitCode.INPUT: "INPUT_MALFORMED",
    ExitCode.INFRASTRUCTURE: "INTERNAL",
}
"""What the contract's exit codes say, for those who trust the container."""

NOT_STARTED = (126, 127)
"""Exit codes of a first process that could not be executed (as a shell has them)."""

START_HINT = (
    "check the ENTRYPOINT's path and mode. A script that is there and yet not found has Windows"
    " line ends: sed -i 's/\\r$//' FILE, and `* text=auto eol=lf` in .gitattributes"
)

ExitReading = Callable[[int], str]
"""From a container's exit code, not 0, to the code of a finding."""


def as_it_says(exit_code: int) -> str:
    """The container is believed: its exit code becomes our own. For one's own submissions."""
    return CODE_OF_EXIT.get(exit_code, "ALGORITHM_FAILED")


def as_a_failure(_exit_code: int) -> str:
    """The container is not believed: it could blame the input, or us, and never be charged."""
    return "ALGORITHM_FAILED"


@dataclass(frozen=True)
class ContainerRun:
    """What happened to one container.

    Attributes:
        image_id: id of the image that ran (a tag may move, an id does not).
        started: it was; False when the engine did not apply what was asked for.
        exit_code: exit code of the container's process; 137 when it was killed.
        seconds: wall time from start to end [s], without the time to create or remove.
        oom: the kernel killed a process for memory (not always the end of the run).
        limit: code of the limit that it passed, None when it kept all of them.
        log: stdout and stderr, their middle left out where they are too long, cleaned.
        log_bytes: how much it wrote.
        output: what lay in /output at the last look.
        applied: the engine's own account of the options, read back before the start.
        not_applied: names of options that it reports otherwise than they were asked for.
        not_enforced: limits that no kernel holds under this runtime, and what is done instead.
        outputs: files that were copied out.
        findings: what went wrong, worst first; empty after a good run, and only then.
    """

    image_id: str
    started: bool
    exit_code: int
    seconds: float
    oom: bool
    limit: str | None
    log: str
    log_bytes: int
    output: Usage
    applied: dict[str, JsonValue]
    not_applied: tuple[str, ...]
    not_enforced: dict[str, str]
    outputs: tuple[Path, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def log_tail(self) -> str:
        """End of the log."""
        return self.log[-LOG_TAIL_CHARS:]


def findings_of(
    run: ContainerRun, limits: ResourceLimits, read_exit: ExitReading
) -> Iterator[Finding]:
    """What went wrong, if anything: a limit first, else what the container says of itself."""
    if not run.started:
        yield finding(
            "PROTECTION_MISSING",
            "container",
            expected="the options that were asked for",
            found="the engine reports others for " + ", ".join(run.not_applied),
            hint="use an engine that applies them; the container was not started",
        )
    elif run.limit is not None:
        yield _limit_finding(run.limit, run, limits)
    elif run.oom and run.exit_code != 0:
        yield _limit_finding("OUT_OF_MEMORY", run, limits)
    elif run.exit_code != 0:
        last = "\n            ".join(run.log_tail.strip().splitlines()[-LOG_LINES_SHOWN:])
        yield finding(
            read_exit(run.exit_code),
            "container",
            expected="exit code 0",
            found=f"exit code {run.exit_code}; the log ends:\n            {last or '(no output)'}",
            hint=START_HINT
            if run.exit_code in NOT_STARTED
            else "mend what the log names; `stem4d run` does the same outside the container",
        )


def _limit_finding(code: str, run: ContainerRun, limits: ResourceLimits) -> Finding:
    where, expected, found, hint = {
        "STOPPED": (
            "container",
            "a run to its end",
            f"Ctrl-C after {run.seconds:.0f} s",
            "the samples that were finished are kept and judged",
        ),
        "RUN_TIMEOUT": (
            "container",
            f"an end within {limits.wall_s:g} s",
            f"still running; stopped after {run.seconds:.0f} s",
            "fewer iterations; samples that were finished in time are kept",
        ),
        "SAMPLE_TIMEOUT": (
            "container",
            f"a sample every {limits.sample_wall_s:g} s",
            "no further line in progress.jsonl for longer than that; the run was stopped",
            "stop in time for `sample.deadline`; samples that were finished are kept",
        ),
        "OUT_OF_MEMORY": (
            "container",
            f"at most {limits.memory_mib} MiB, /tmp included",
            "a process was killed for memory",
            "work in smaller batches, free what is no longer needed, keep less in /tmp",
        ),
        "TOO_MANY_PROCESSES": (
            "container",
            f"at most {limits.pids} processes",
            "more",
            "start fewer processes",
        ),
        "OUTPUT_TOO_LARGE": (
            "/output",
            f"at most {limits.output_mib} MiB",
            "more",
            "write result.h5 and progress.jsonl only, and scratch files to /tmp",
        ),
        "OUTPUT_TOO_MANY_FILES": (
            "/output",
            f"at most {limits.output_files} files and folders",
            "more",
            "write result.h5 and progress.jsonl only, and scratch files to /tmp",
        ),
        "OUTPUT_HIDDEN": (
            "/output",
            "folders that can be looked into",
            "one that cannot",
            "write result.h5 and progress.jsonl only, and scratch files to /tmp",
        ),
        "LOG_FLOOD": (
            "container",
            f"a log of about {limits.log_mib:g} MiB",
            f"{run.log_bytes / MIB:.0f} MiB",
            "write less to stdout and stderr",
        ),
    }[code]
    return finding(code, where, expected=expected, found=found, hint=hint)
