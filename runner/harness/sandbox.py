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
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from runner.files.result import PROGRESS_NAME, RESULT_NAME
from runner.harness.engine import Engine
from runner.harness.log import Log, LogSink
from runner.harness.options import (
    RUN_LABEL,
    ContainerOptions,
    Job,
    not_applied,
    options_of,
)
from runner.harness.outcome import ContainerRun, ExitReading, as_it_says, findings_of
from runner.harness.owner import is_dead, this_process
from runner.harness.staging import Usage, copy_out, remove_abandoned, staged
from runner.harness.stop import StopAsked
from runner.harness.watch import Timing, Watch, end
from schemas.findings import ContractError, Finding, finding, refuse
from schemas.limits import MIB, ResourceLimits

REMOVE_ATTEMPTS = 3

OUTPUT_FILES = (RESULT_NAME, PROGRESS_NAME)
"""What is taken from /output; anything else stays behind."""

RESOURCES = ("memory_bytes", "memory_and_swap_bytes", "cpus", "pids")
"""Options that an engine may be unable to hold (no swap accounting, no control groups), and that
one's own submission may do without: it is warned of."""


def run_container(
    engine: Engine,
    job: Job,
    *,
    on_log: LogSink | None = None,
    read_exit: ExitReading = as_it_says,
    may_miss: Collection[str] = (),
    timing: Timing = Timing(),
    stop: StopAsked | None = None,
) -> ContainerRun:
    """Run one job; its result and progress files end up in `job.output`.

    Args:
        engine: where it runs.
        job: what to run. `job.output` is made when it is missing, and is not itself mounted: the
            container writes to a folder of its own, from which the host copies.
        on_log: gets what the container writes to stderr, while it runs.
        read_exit: what the container's exit code is taken for.
        may_miss: names of options without which it runs all the same, with a warning.
        timing: how the run is watched.
        stop: a person's wish to end the run early and keep what is finished.

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
    with _ended_by_sigterm(), staged(job.challenge, root, job.limits) as staging:
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
            asked = stop or StopAsked()
            watch = Watch(engine, container, options, facts, staging.room, timing, asked)
            applied = engine.applied(container)
            missing = not_applied(options, applied)
            if set(missing) <= set(may_miss):
                _warn_of(missing)
                run = _watched(engine, container, options, watch, on_log, timing)
            else:
                run = _not_started(options)
            run = replace(run, applied=applied, not_applied=missing)
        outputs, refused = _collect(staging.output, job.output, job.limits)
    findings = (*findings_of(run, job.limits, read_exit), *refused)
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
    watch: Watch,
    on_log: LogSink | None,
    timing: Timing,
) -> ContainerRun:
    """Run the container to its end, which is its own or that of a limit."""
    with Log(engine.log(container), options.log_bytes) as log:
        begun = time.monotonic()
        engine.start(container)
        watch.started(begun)
        while not watch.ended() and not watch.limit_passed(log):
            _forward(log, on_log)
            time.sleep(timing.poll_s)
        seconds = time.monotonic() - begun
        end(watch, timing)
    _forward(log, on_log)
    watch.look_once_more(log)
    state = engine.state(container)
    return replace(
        _not_started(options),
        started=True,
        exit_code=state.exit_code,
        seconds=seconds,
        oom=state.oom or watch.limit == "OUT_OF_MEMORY",
        limit=watch.limit,
        log=log.text(),
        log_bytes=log.total_bytes,
        output=watch.output,
        not_enforced=watch.not_enforced,
    )


def _not_started(options: ContainerOptions) -> ContainerRun:
    return ContainerRun(
        image_id=options.image,
        started=False,
        exit_code=0,
        seconds=0.0,
        oom=False,
        limit=None,
        log="",
        log_bytes=0,
        output=Usage(0, 0, hidden=False),
        applied={},
        not_applied=(),
        not_enforced={},
    )


def _warn_of(missing: Collection[str]) -> None:
    if missing:
        warnings.warn(
            f"the engine does not hold {', '.join(missing)} as the limits say: this run may use"
            " more than a server allows",
            stacklevel=3,
        )


def _forward(log: Log, on_log: LogSink | None) -> None:
    fresh = log.fresh()
    if fresh and on_log is not None:
        on_log(fresh)


def _collect(
    source: Path, target: Path, limits: ResourceLimits
) -> tuple[tuple[Path, ...], tuple[Finding, ...]]:
    """Copy the expected files out; a link, a pipe or an oversized file is refused, not followed."""
    copied, refused = [], []
    for name in OUTPUT_FILES:
        (target / name).unlink(missing_ok=True)
        try:
            fault = copy_out(source / name, target / name, limits.output_mib * MIB)
        except FileNotFoundError:
            continue
        if fault is None:
            copied.append(target / name)
        else:
            refused.append(
                finding(
                    fault.code,
                    f"/output/{name}",
                    expected=f"a plain file, readable by all, of at most {limits.output_mib} MiB",
                    found=fault.found,
                    hint="write the file itself to /output; stem4d's own writer does",
                )
            )
    return tuple(copied), tuple(refused)
