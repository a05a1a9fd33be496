"""Runs an adapter in a process of its own, on the cores that all are given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.packages import Entry

ROOT = Path(__file__).parents[2]

TIMEOUT_S = 600.0
"""Longest run of one adapter [s]."""

TAIL = 400
"""Characters of an adapter's last words that a failure reports."""


class AdapterFailedError(Exception):
    """A package did not run; the text says why."""


@dataclass(frozen=True)
class Cores:
    """How much of the machine a process may use.

    Attributes:
        count: cores, and threads of every library that has threads.
    """

    count: int

    def claim(self) -> None:
        """Keep this process and all that it starts to that many cores, where the system can."""
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: self.count])

    def environment(self) -> dict[str, str]:
        """Environment variables that tell each library's threads."""
        names = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM")
        return {f"{name}_NUM_THREADS": str(self.count) for name in names}


def call_adapter(
    entry: Entry, action: str, problem: Path, python: Path | None, cores: Cores
) -> Mapping[str, NDArray[Any]]:
    """Run an adapter: what it wrote.

    Args:
        entry: which one, with which settings.
        action: check or reconstruct.
        problem: problem file.
        python: the package's interpreter; None is this one, for this project.
        cores: what the process may use.

    Raises:
        AdapterFailedError: it ended with an error, or took too long.
    """
    environment = {**os.environ, **cores.environment(), "MPLBACKEND": "Agg"}
    environment.pop("PYTHONPATH", None)
    if python is None:
        environment["PYTHONPATH"] = str(ROOT)
    with tempfile.TemporaryDirectory() as name:
        settings, output = Path(name) / "settings.json", Path(name) / "output.npz"
        settings.write_text(json.dumps(dict(entry.settings)))
        command = [str(python or sys.executable), str(entry.adapter), action]
        try:
            done = subprocess.run(
                [*command, str(problem), str(settings), str(output)],
                env=environment,
                cwd=name,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise AdapterFailedError(f"took more than {TIMEOUT_S:.0f} s") from error
        if done.returncode:
            raise AdapterFailedError(done.stderr.strip()[-TAIL:] or f"exit {done.returncode}")
        with np.load(output) as file:
            return {name: file[name] for name in file.files}
