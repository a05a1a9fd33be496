"""Watching a container: its clock, what it writes, what it uses; and its end."""

from __future__ import annotations

import time
from dataclasses import dataclass

from runner.files.result import PROGRESS_NAME
from runner.harness import outside
from runner.harness.engine import Engine, EngineFacts
from runner.harness.log import Log
from runner.harness.options import ContainerOptions
from runner.harness.room import Room
from runner.harness.staging import Usage, read_start, used
from runner.harness.stop import StopAsked
from schemas.findings import refuse
from schemas.limits import MIB

PROGRESS_BYTES = 1 << 20
"""How much of the progress file is looked at: thousands of lines."""

COUNTED = "counted from outside, look by look"
"""What is done about a limit that no kernel holds, where it can be."""


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


class Watch:
    """Looks at a running container, and remembers which limit it passed first."""

    def __init__(
        self,
        engine: Engine,
        container: str,
        options: ContainerOptions,
        facts: EngineFacts,
        room: Room,
        timing: Timing,
        stop: StopAsked,
    ) -> None:
        self._engine, self._container = engine, container
        self._room, self._limits, self._stop = room, options.limits, stop
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
        told = {name: COUNTED if name in counted else "not held" for name in self._not_held}
        return told if self._room.held else {**told, "output": COUNTED}

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
        if self._stop.asked:
            self.limit = "STOPPED"
        elif now - self._begun > self._limits.wall_s:
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
        self._room.check()
        self.output = used(self._room, most_files=self._limits.output_files)
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
        lines = read_start(self._room.path, PROGRESS_NAME, PROGRESS_BYTES).count(b"\n")
        if lines != self._lines:
            self._lines, self._last_line = lines, now
        return "SAMPLE_TIMEOUT" if lines and now - self._last_line > self._sample_s else None

    def _used_too_much(self) -> str | None:
        seen = outside.look(self._pid) if self._from_outside and self._pid else None
        if seen is None:
            return None
        self._seen = True
        if seen.processes > self._limits.pids:  # first: they take memory as well
            return "TOO_MANY_PROCESSES"
        return "OUT_OF_MEMORY" if seen.memory_bytes > self._limits.memory_mib * MIB else None


def end(watch: Watch, timing: Timing) -> None:
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
