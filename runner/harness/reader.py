"""The host's end of the process that reads strangers' files: start it, ask it, end it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import runner
from runner.harness import wire
from schemas.findings import ContractError, refuse

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from runner.harness.expendable import main
main()
"""
"""`python -I` sees neither the working folder nor the user's own packages: the one folder that it
needs is named."""

ROOT = Path(runner.__file__).resolve().parents[1]

ENVIRONMENT = {
    "HDF5_PLUGIN_PRELOAD": "::",  # no filter plug-in is ever loaded
    "HDF5_USE_FILE_LOCKING": "FALSE",
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
"""The whole environment of the reader: nothing of ours, no secret in particular."""

ANSWER_MARGIN_S = 30.0
"""How much longer than its own wall limit the reader may take to say how it went [s]: the time that
a busy machine needs to start Python."""


@dataclass(frozen=True)
class Reading:
    """What came of one file.

    Attributes:
        outcome: how the child ended.
        answer: its bytes, unproved.
    """

    outcome: wire.Outcome
    answer: bytes


class Reader:
    """A warmed process that forks a child for each file. Use it in a `with` block.

    Args:
        program: what it runs.
    """

    def __init__(self, program: str = PROGRAM) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it.

        Raises:
            ContractError: INTERNAL, it does not start.
        """
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def read(self, task: wire.Task, result: int, images: int) -> Reading:
        """Have one open file read.

        Args:
            task: what is expected.
            result: descriptor of the result file.
            images: descriptor of an empty file; holds all images one after the other afterwards.

        Raises:
            ContractError: INTERNAL, the reader itself does not work, or was ended from outside; the
                next file gets a new one.
        """
        if self._process is None:
            self._start()
        self._channel.settimeout(task.limits.wall_s + ANSWER_MARGIN_S)
        try:
            wire.send(self._channel, task.model_dump_json().encode(), (result, images))
            outcome, _ = wire.receive(self._channel)
            answer, _ = wire.receive(self._channel)
        except (EOFError, OSError) as error:
            self._errors.seek(0)
            said = self._errors.read(4000).decode("utf-8", "replace").strip()
            self._end()
            raise _broken(
                f"{type(error).__name__}: {error}; it said: {said or 'nothing'}"
            ) from error
        except BaseException:  # interrupted: the answer that is still to come is no other file's
            self._end()
            raise
        return Reading(wire.Outcome.model_validate_json(outcome), answer)

    def _start(self) -> None:
        try:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _end
        except OSError as error:
            raise _broken(f"no temporary file for what it says: {error}") from error
        self._channel, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-c", self._program, str(ROOT), str(theirs.fileno())]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env=ENVIRONMENT,
                cwd="/",
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except OSError as error:
            self._channel.close()
            self._errors.close()
            raise _broken(f"it does not start: {error}") from error
        finally:
            theirs.close()

    def _end(self) -> None:
        if self._process is None:
            return
        self._channel.close()
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(self._process.pid, signal.SIGKILL)  # it, and a child that may be left
        self._process.wait()
        self._process = None
        self._errors.close()


def _broken(found: str) -> ContractError:
    return refuse(
        "INTERNAL",
        "reader of result files",
        expected="an answer",
        found=found,
        hint="check that this Python can import stem4d, and that the machine has memory",
    )
