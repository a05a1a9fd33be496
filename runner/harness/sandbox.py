"""The sandbox: one image on one challenge file, under limits, in a container that is gone after.

The engine is polled against a deadline of our own: no request to it lasts as long as a run. A
container is not started unless the engine reports the options that were asked for; what it wrote is
copied out only when it has been removed.
"""

from __future__ import annotations

import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from pydantic import JsonValue

from runner.files.result import PROGRESS_NAME, RESULT_NAME
from runner.harness import outside
from runner.harness.engine import Engine, EngineFacts
from runner.harness.log import Log, LogSink
from runner.harness.options import (
    RUN_LABEL,
    ContainerOptions,
    Job,
    not_applied,
    options_of,
)
from runner.harness.owner import is_dead, this_process
from runner.harness.staging import (
    Usage,
    copy_out,
    read_start,
    remove_abandoned,
    staged,
    usage,
)
from schemas.findings import ContractError, ExitCode, Finding, finding, refuse
from schemas.limits import MIB, ResourceLimits

LOG_TAIL_CHARS = 8000
"""How much of the log's end a report carries."""

LOG_LINES_SHOWN = 5
"""How many of its last lines a finding shows: one finding of the container's own."""

PROGRESS_BYTES = 1 << 20
"""How much of the progress file is looked at: thousands of lines."""

REMOVE_ATTEMPTS = 3

OUTPUT_FILES = (RESULT_NAME, PROGRESS_NAME)
"""What is taken from /output; anything else stays behind."""

CODE_OF_EXIT: dict[int, str] = {
    ExitCode.ALGORITHM: "ALGORITHM_FAILED",
    ExitCode.USAGE: "USAGE",
    ExitCode.RESULT: "RESULT_MALFORMED",
    ExitCode.INPUT: "INPUT_MALFORMED",
    ExitCode.INFRASTRUCTURE: "INTERNAL",
}
"""What the contract's exit codes say, for those who trust the container."""

ExitReading = Callable[[int], str]
"""From a container's exit code, not 0, to the code of a finding."""


def as_it_says(exit_code: int) -> str:
    """The container is believed: its exit code becomes our own. For one's own submissions."""
    return CODE_OF_EXIT.get(exit_code, "ALGORITHM_FAILED")


def as_a_failure(_exit_code: int) -> str:
    """The container is not believed: it could blame the input, or us, and never be charged."""
    return "ALGORITHM_FAILED"


@dataclass(frozen=True)
class Timing:
    """How a run is watched.

    Attributes:
        poll_s: time between two looks at the container [s].
        grace_s: between SIGTERM and SIGKILL [s]: time to finish the write of a sample.
        dead_s: longest wait for the engine to say that a killed container is dead [s].
        sample_slack_s: how much later than at its limit a sample is stopped from outside [s]: the
            container's own runner looks at the same limit, and ends with more to say.
    """

    poll_s: float = 0.2
    grace_s: float = 10.0
    dead_s: float = 30.0
    sample_slack_s: float = 5.0


@dataclass(frozen=True)
class ContainerRun:
    """What happened to one container.

    Attributes:
        image_id: id of the image that ran (a tag may move, an id does not).
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


def run_container(
    engine: Engine,
    job: Job,
    *,
    on_log: LogSink | None = None,
    read_exit: ExitReading = as_it_says,
    timing: Timing = Timing(),
) -> ContainerRun:
    """Run one job; its result and progress files end up in `job.output`.

    Args:
        engine: where it runs.
        job: what to run. `job.output` is made when it is missing, and is not itself mounted: the
            container writes to a folder of its own, from which the host copies.
        on_log: gets what the container writes to stderr, while it runs.
        read_exit: what the container's exit code is taken for.
        timing: how the run is watched.

    Raises:
        ContractError: the run could not be made (no engine, no image, no file, an image that does
            not start). What goes wrong inside the container is no exception, but
            `ContainerRun.findings`.
    """
    if not job.challenge.is_file():
        raise refuse(
            "INPUT_NOT_FOUND",
            str(job.challenge),
            expected="a challenge file",
            found="nothing, or no regular file",
            hint="check the path; `stem4d tiers build public` makes the public challenge file",
        )
    job.output.mkdir(parents=True, exist_ok=True)
    root = job.staging or job.output
    remove_leftovers(engine, root)
    with _ended_by_sigterm(), staged(job.challenge, root) as staging:
        facts = engine.facts()
        options = options_of(
            replace(
                job,
                image=engine.image(job.image).id,
                challenge=staging.challenge,
                output=staging.output,
            ),
            runtime=facts.default_runtime,
            owner=this_process().text(),
        )
        with _container(engine, options) as container:
            run = _watched(engine, container, options, facts, on_log, timing)
        outputs, refused = _collect(staging.output, job.output, job.limits)
    findings = (*_judge(run, job.limits, read_exit), *refused)
    return replace(run, outputs=outputs, findings=findings)


def remove_leftovers(engine: Engine, *roots: Path) -> int:
    """Remove containers and folders of processes that have died; returns how many there were.

    What belongs to a living process, or to one that cannot be seen from here, is not touched.
    """
    dead = [name for name, owner in engine.labelled(RUN_LABEL).items() if is_dead(owner)]
    for container in dead:
        engine.remove(container)
    return len(dead) + sum(remove_abandoned(root) for root in roots if root.is_dir())


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM as an exception, so that the container is removed before this process ends."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers; it does the tidying then
        return

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _container(engine: Engine, options: ContainerOptions) -> Iterator[str]:
    """A container that is removed whatever happens.

    Raises:
        ContractError: also when it cannot be removed: nothing is read while it may still write.
    """
    container = engine.create(options)
    try:
        yield container
    except BaseException:
        try:
            _remove(engine, container)
        except ContractError as error:
            # The error that is under way says more; the next run removes what is left.
            warnings.warn(f"container {container[:12]} is left behind: {error}", stacklevel=2)
        raise
    _remove(engine, container)


def _remove(engine: Engine, container: str) -> None:
    """Remove a container; an engine that is busy is asked again."""
    for attempt in range(1, REMOVE_ATTEMPTS + 1):
        try:
            engine.remove(container)
        except ContractError:
            if attempt == REMOVE_ATTEMPTS:
                raise
        else:
            return


def _watched(
    engine: Engine,
    container: str,
    options: ContainerOptions,
    facts: EngineFacts,
    on_log: LogSink | None,
    timing: Timing,
) -> ContainerRun:
    """Read the options back, and only if they hold, run the container to its end."""
    applied = engine.applied(container)
    missing = not_applied(options, applied)
    watch = _Watch(engine, container, options, facts, timing)
    run = ContainerRun(
        image_id=options.image,
        exit_code=0,
        seconds=0.0,
        oom=False,
        limit=None,
        log="",
        log_bytes=0,
        output=Usage(0, 0, hidden=False),
        applied=applied,
        not_applied=missing,
        not_enforced={},
    )
    if missing:
        return run
    with Log(engine.log(container), options.log_bytes) as log:
        begun = time.monotonic()
        engine.start(container)
        watch.started(begun)
        while not watch.ended() and not watch.limit_passed(log):
            _forward(log, on_log)
            time.sleep(timing.poll_s)
        seconds = time.monotonic() - begun
        _end(watch, timing)
    _forward(log, on_log)
    watch.look_once_more(log)
    state = engine.state(container)
    return replace(
        run,
        exit_code=state.exit_code,
        seconds=seconds,
        oom=state.oom or watch.limit == "OUT_OF_MEMORY",
        limit=watch.limit,
        log=log.text(),
        log_bytes=log.total_bytes,
        output=watch.output,
        not_enforced=watch.not_enforced,
    )


def _forward(log: Log, on_log: LogSink | None) -> None:
    fresh = log.fresh()
    if fresh and on_log is not None:
        on_log(fresh)


def _end(watch: _Watch, timing: Timing) -> None:
    """SIGTERM, some time, SIGKILL: the first process takes all others of its namespace with it.

    Raises:
        ContractError: ENGINE_FAILED, when the container does not die.
    """
    if watch.ended():
        return
    watch.kill("SIGTERM")
    grace = time.monotonic() + timing.grace_s
    while time.monotonic() < grace and not watch.output_passed():
        if watch.ended():
            return
        time.sleep(min(timing.poll_s, timing.grace_s))
    watch.kill("SIGKILL")
    patience = time.monotonic() + timing.dead_s
    while not watch.ended():
        if time.monotonic() > patience:
            raise refuse(
                "ENGINE_FAILED",
                "ending a container",
                expected=f"a dead container {timing.dead_s:g} s after SIGKILL",
                found="the engine says that it runs",
                hint="see the engine's log; a process that waits for a device cannot be killed",
            )
        time.sleep(timing.poll_s)


class _Watch:
    """Looks at a running container, and remembers which limit it passed first."""

    def __init__(
        self,
        engine: Engine,
        container: str,
        options: ContainerOptions,
        facts: EngineFacts,
        timing: Timing,
    ) -> None:
        self._engine, self._container = engine, container
        self._folder, self._limits = options.output, options.limits
        self._sample_s = options.limits.sample_wall_s + timing.sample_slack_s
        self._not_held = facts.not_held(options.runtime)
        self._from_outside = bool(self._not_held) and facts.local
        self._seen = False
        self._pid = 0
        self._lines = 0
        self._begun = self._last_line = 0.0
        self.output = Usage(0, 0, hidden=False)
        self.limit: str | None = None

    @property
    def not_enforced(self) -> dict[str, str]:
        """What was done about each limit that no kernel holds."""
        counted = {"memory", "pids"} if self._seen else set()
        return {
            name: "counted from outside, look by look" if name in counted else "not held"
            for name in self._not_held
        }

    def started(self, when: float) -> None:
        """The container has been started."""
        self._begun = self._last_line = when

    def ended(self) -> bool:
        """Whether the container is dead."""
        state = self._engine.state(self._container)
        self._pid = state.pid
        return state.ended

    def kill(self, name: str) -> None:
        """Send a signal."""
        self._engine.kill(self._container, name)

    def limit_passed(self, log: Log) -> bool:
        """Whether the run must be stopped."""
        now = time.monotonic()
        if now - self._begun > self._limits.wall_s:
            self.limit = "RUN_TIMEOUT"
        else:
            self.limit = (
                self._written_too_much(log) or self._sample_passed(now) or self._used_too_much()
            )
        return self.limit is not None

    def look_once_more(self, log: Log) -> None:
        """A run that ends between two looks is judged like any other."""
        self.limit = self.limit or self._written_too_much(log)

    def output_passed(self) -> bool:
        """Whether more lies in /output than may."""
        return self._output_code() is not None

    def _written_too_much(self, log: Log) -> str | None:
        return "LOG_FLOOD" if log.flooded else self._output_code()

    def _output_code(self) -> str | None:
        self.output = usage(self._folder, most_files=self._limits.output_files)
        if self.output.files > self._limits.output_files:
            return "OUTPUT_TOO_MANY_FILES"
        if self.output.bytes > self._limits.output_mib * MIB:
            return "OUTPUT_TOO_LARGE"
        return "OUTPUT_HIDDEN" if self.output.hidden else None

    def _sample_passed(self, now: float) -> str | None:
        """Whether one sample takes longer than it may.

        Between two lines of the progress file lies one sample, or less than one where several are
        worked on at a time. Before the first line there is also the set-up, which has no limit of
        its own, so the watch begins with the first line. Who writes false lines is still held by
        the limit of the run; who writes none, by that alone.
        """
        lines = read_start(self._folder, PROGRESS_NAME, PROGRESS_BYTES).count(b"\n")
        if lines != self._lines:
            self._lines, self._last_line = lines, now
        return "SAMPLE_TIMEOUT" if lines and now - self._last_line > self._sample_s else None

    def _used_too_much(self) -> str | None:
        seen = outside.look(self._pid) if self._from_outside and self._pid else None
        if seen is None:
            return None
        self._seen = True
        if seen.memory_bytes > self._limits.memory_mib * MIB:
            return "OUT_OF_MEMORY"
        return "TOO_MANY_PROCESSES" if seen.processes > self._limits.pids else None


def _collect(
    source: Path, target: Path, limits: ResourceLimits
) -> tuple[tuple[Path, ...], tuple[Finding, ...]]:
    """Copy the expected files out; a link, a pipe or an oversized file is refused, not followed."""
    copied, refused = [], []
    for name in OUTPUT_FILES:
        (target / name).unlink(missing_ok=True)
        try:
            instead = copy_out(source / name, target / name, limits.output_mib * MIB)
        except FileNotFoundError:
            continue
        if instead is None:
            copied.append(target / name)
        else:
            refused.append(
                finding(
                    "RESULT_NOT_REGULAR",
                    f"/output/{name}",
                    expected="a regular file, readable by all, within the output limit",
                    found=instead,
                    hint="write the file itself to /output; stem4d's own writer does",
                )
            )
    return tuple(copied), tuple(refused)


def _judge(run: ContainerRun, limits: ResourceLimits, read_exit: ExitReading) -> Iterator[Finding]:
    """What went wrong, if anything: a limit first, else what the container says of itself."""
    if run.not_applied:
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
            hint="mend what the log names; `stem4d run` does the same outside the container",
        )


def _limit_finding(code: str, run: ContainerRun, limits: ResourceLimits) -> Finding:
    where, expected, found, hint = {
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
