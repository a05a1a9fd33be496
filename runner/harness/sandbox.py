"""The sandbox: one image on one challenge file, under limits, in a container that is gone after.

The engine is polled against a deadline of our own: no request to it lasts as long as a run. What
the container wrote is copied out only when the container is dead.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import JsonValue

from runner.files.result import PROGRESS_NAME, RESULT_NAME
from runner.harness.engine import ENGINE_ERRORS, connect, engine_failed, find_image
from runner.harness.options import MIB, RUN_LABEL, USER, Job, host_options
from schemas.findings import ExitCode, Finding, finding, refuse
from schemas.limits import ResourceLimits

POLL_S = 0.2
"""Time between two looks at the container [s]."""

GRACE_S = 10
"""Between SIGTERM and SIGKILL [s]: time to finish the write of a sample."""

ENGINE_RETRIES = 3
"""How often in a row the engine may fail to answer a look before the run is given up."""

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
"""Finding that repeats a container's exit code, so that our own exit code is the same."""

OUTPUT_FILES = (RESULT_NAME, PROGRESS_NAME)
"""What is taken from /output; anything else stays behind."""

CONTROL_CHARACTERS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Terminal escapes and other control characters: a log must not write to a person's terminal."""

LogSink = Callable[[str], None]


@dataclass(frozen=True)
class ContainerRun:
    """What happened to one container.

    Attributes:
        image_id: id of the image that ran (a tag may move, an id does not).
        exit_code: exit code of the container's process; 137 when it was killed.
        seconds: wall time from start to end [s], without the time to create or remove.
        oom: the kernel killed a process for memory (not always the end of the run).
        timed_out: the run was stopped at its wall limit.
        too_much_output: the run was stopped for what it wrote to /output.
        log_tail: end of stdout and stderr, control characters removed.
        applied: the engine's own account of the options, read back while the container existed.
        not_applied: names of options that the engine reports otherwise than they were asked for.
        outputs: files that were copied out.
        findings: what went wrong, worst first; empty after a good run, and only then.
    """

    image_id: str
    exit_code: int
    seconds: float
    oom: bool
    timed_out: bool
    too_much_output: bool
    log_tail: str
    applied: dict[str, JsonValue]
    not_applied: tuple[str, ...]
    outputs: tuple[Path, ...] = ()
    findings: tuple[Finding, ...] = ()


def run_container(job: Job, *, on_log: LogSink | None = None) -> ContainerRun:
    """Run one job; its result and progress files end up in `job.output`.

    Args:
        job: what to run. `job.output` is made when it is missing, and is not itself mounted: the
            container writes to a folder of its own, from which the host copies.
        on_log: gets what the container writes to stderr, while it runs.

    Raises:
        ContractError: the run could not be made (no engine, no image, no file). What goes wrong
            inside the container is no exception, but `ContainerRun.findings`.
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
    with _ended_by_sigterm(), connect() as client, _staging(job) as staged:
        image_id = find_image(client, job.image).id
        with _container(client, replace(staged, image=image_id)) as (container, requested):
            run = _watch(container, staged, image_id, requested, on_log)
        outputs, refused = _collect(staged.output, job.output, job.limits)
    findings = (*_judge(run, job.limits), *refused)
    return replace(run, outputs=outputs, findings=findings)


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
def _staging(job: Job) -> Iterator[Job]:
    """The job with a fresh output folder, and with an input that the container's user can read.

    The open folder (0777, the container's user is not ours) lies in a private one.
    """
    private = Path(tempfile.mkdtemp(prefix=".run-", dir=job.output))
    try:
        output = private / "output"
        output.mkdir()
        output.chmod(0o777)
        challenge = job.challenge
        if not challenge.stat().st_mode & stat.S_IROTH:
            challenge = private / "challenge.h5"
            shutil.copyfile(job.challenge, challenge)
            challenge.chmod(0o644)
        yield replace(job, challenge=challenge, output=output)
    finally:
        shutil.rmtree(private, ignore_errors=True)
        if private.exists():
            warnings.warn(
                f"{private} holds files that only the container's user may delete", stacklevel=2
            )


@contextmanager
def _container(client: Any, job: Job) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A container that is removed whatever happens, with the options that were asked for."""
    requested = client.api.create_host_config(**host_options(job))
    try:
        created = client.api.create_container(
            job.image,
            user=USER,
            environment=job.environment(),
            labels={RUN_LABEL: uuid.uuid4().hex},
            host_config=requested,
        )
        container = client.containers.get(created["Id"])
    except ENGINE_ERRORS as error:
        raise engine_failed(f"creating a container of {job.image}", error) from error
    try:
        yield container, requested
    finally:
        try:
            container.remove(force=True)
        except ENGINE_ERRORS as error:
            warnings.warn(f"container {container.short_id} is left behind: {error}", stacklevel=2)


def _watch(
    container: Any, job: Job, image_id: str, requested: dict[str, Any], on_log: LogSink | None
) -> ContainerRun:
    """Start the container, look at it until it ends or must be ended, and say how it went."""
    log = _Log(container, on_log)
    output_bytes = job.limits.output_mib * MIB
    timed_out = too_much_output = False
    try:
        container.start()
        start = time.monotonic()
        while _state(container)["Status"] not in ("exited", "dead"):
            timed_out = time.monotonic() - start > job.limits.wall_s
            too_much_output = _bytes_in(job.output) > output_bytes
            if timed_out or too_much_output:
                container.stop(timeout=GRACE_S)
                break
            log.forward()
            time.sleep(POLL_S)
        seconds = time.monotonic() - start
        state = _state(container)
        log.forward()
        tail = clean_log(container.logs())[-LOG_TAIL_CHARS:]
    except ENGINE_ERRORS as error:
        raise engine_failed(f"running {job.image}", error) from error
    applied = {name: container.attrs["HostConfig"].get(name) for name in requested}
    return ContainerRun(
        image_id=image_id,
        exit_code=int(state["ExitCode"]),
        seconds=seconds,
        oom=bool(state["OOMKilled"]),
        timed_out=timed_out,
        too_much_output=too_much_output,
        log_tail=tail,
        applied=applied,
        not_applied=tuple(
            name for name in requested if _stated(applied[name]) != _stated(requested[name])
        ),
    )


def _stated(value: Any) -> Any:
    """A value without its empty and false members, which an engine may leave out of its answer."""
    if isinstance(value, dict):
        return {name: _stated(item) for name, item in value.items() if item}
    if isinstance(value, list):
        return [_stated(item) for item in value]
    return value


def _state(container: Any) -> dict[str, Any]:
    """The engine's word on the container; an engine that is busy is asked again."""
    for attempt in range(ENGINE_RETRIES):
        try:
            container.reload()
            break
        except ENGINE_ERRORS:
            if attempt == ENGINE_RETRIES - 1:
                raise
    state: dict[str, Any] = container.attrs["State"]
    return state


class _Log:
    """Hands on what is new on the container's stderr; the engine's own cap bounds each look."""

    def __init__(self, container: Any, sink: LogSink | None) -> None:
        self._container = container
        self._sink = sink
        self._seen = 0

    def forward(self) -> None:
        if self._sink is None:
            return
        raw = self._container.logs(stdout=False, stderr=True)
        # Shorter than before: the engine has begun the log anew at its size limit.
        fresh = raw[self._seen :] if len(raw) >= self._seen else raw
        self._seen = len(raw)
        if fresh:
            self._sink(clean_log(fresh))


def clean_log(raw: bytes) -> str:
    """Text of a log, without control characters other than tab and newline."""
    return CONTROL_CHARACTERS.sub("", raw.decode("utf-8", "replace"))


def _bytes_in(folder: Path) -> int:
    """Bytes of all files below a folder, links not followed."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(root) / name).lstat().st_size
            except FileNotFoundError:  # removed since it was listed
                continue
    return total


def _collect(
    source: Path, target: Path, limits: ResourceLimits
) -> tuple[tuple[Path, ...], tuple[Finding, ...]]:
    """Copy the expected files out; a link, a pipe or an oversized file is refused, not followed."""
    copied, refused = [], []
    for name in OUTPUT_FILES:
        try:
            handle = os.open(source / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            continue
        except OSError as error:
            refused.append(_not_taken(name, error.strerror or str(error)))
            continue
        try:
            info = os.fstat(handle)
            if not stat.S_ISREG(info.st_mode) or info.st_nlink != 1:
                refused.append(_not_taken(name, "a link, a pipe or another special file"))
            elif info.st_size > limits.output_mib * MIB:
                refused.append(_not_taken(name, f"{info.st_size} bytes"))
            else:
                temporary = target / f".{name}.tmp"
                with open(handle, "rb", closefd=False) as stream, temporary.open("wb") as copy:
                    shutil.copyfileobj(stream, copy)
                copied.append(temporary.replace(target / name))
        finally:
            os.close(handle)
    return tuple(copied), tuple(refused)


def _not_taken(name: str, found: str) -> Finding:
    return finding(
        "RESULT_MALFORMED",
        f"/output/{name}",
        expected="a regular file, readable by all, within the output limit",
        found=found,
        hint="write the file itself to /output; stem4d's own writer does",
    )


def _judge(run: ContainerRun, limits: ResourceLimits) -> Iterator[Finding]:
    """What went wrong, if anything: a limit first, else what the container says of itself."""
    if run.timed_out:
        yield finding(
            "RUN_TIMEOUT",
            "container",
            expected=f"an end within {limits.wall_s:g} s",
            found=f"still running; stopped after {run.seconds:.0f} s",
            hint="fewer iterations; samples that were finished in time are kept",
        )
    elif run.too_much_output:
        yield finding(
            "OUTPUT_TOO_LARGE",
            "/output",
            expected=f"at most {limits.output_mib} MiB",
            found="more; the run was stopped",
            hint="write result.h5 and progress.jsonl only, and scratch files to /tmp",
        )
    elif run.oom and run.exit_code != 0:
        yield finding(
            "OUT_OF_MEMORY",
            "container",
            expected=f"at most {limits.memory_mib} MiB, /tmp included",
            found="killed by the kernel for memory",
            hint="work in smaller batches, free what is no longer needed, keep less in /tmp",
        )
    elif run.exit_code != 0:
        last = "\n            ".join(run.log_tail.strip().splitlines()[-LOG_LINES_SHOWN:])
        yield finding(
            CODE_OF_EXIT.get(run.exit_code, "ALGORITHM_FAILED"),
            "container",
            expected="exit code 0",
            found=f"exit code {run.exit_code}; the log ends:\n            {last or '(no output)'}",
            hint="mend what the log names; `stem4d run` does the same outside the container",
        )
