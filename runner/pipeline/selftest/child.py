"""The process of a self-test: runs an algorithm on trial samples and tells what it saw.

    python -m runner.pipeline.selftest.child TASK ANSWER

It is a process of its own, so that its memory can be measured and its end forced.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from algorithms.base import Algorithm, Sample
from algorithms.registry import load_algorithm
from physics.ideal import ArrayPatterns
from runner.container import environment
from runner.container.run import checked, guarded
from runner.pipeline.selftest.report import Answer, Solved, Task
from runner.pipeline.selftest.samples import make_sample
from schemas.base import json_text
from schemas.findings import ContractError, Finding

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CACHES = ("__pycache__", "/dev/", "/proc/")
"""Places that Python and torch write to by themselves."""


def main(task_path: Path, answer_path: Path) -> None:
    """Carry out a task; the answer is written after each step."""
    task = Task.model_validate_json(task_path.read_bytes())
    writes = _Writes()

    def tell(answer: Answer) -> None:
        with writes.own():
            fresh = answer_path.with_suffix(".new")
            fresh.write_text(answer.model_dump_json())
            fresh.replace(answer_path)

    environment.prepare(0)
    torch.set_num_threads(task.threads)
    try:
        algorithm = load_algorithm(task.algorithm)
        if (setup := getattr(algorithm, "setup", None)) is not None:
            guarded(setup, "setup()")
    except ContractError as error:
        tell(Answer(findings=error.findings))
        return
    answer = Answer(ready=True, base_mib=environment.peak_memory_mib())
    tell(answer)
    for number, name in enumerate(task.samples):
        solved = _solve(algorithm, task, name, writes)
        # What the first samples bring along (kernels, plans, modules) is not the last one's.
        last = number == len(task.samples) - 1
        base = answer.base_mib if last else environment.peak_memory_mib()
        answer = answer.model_copy(
            update={
                "solved": (*answer.solved, solved),
                "base_mib": base,
                "peak_mib": environment.peak_memory_mib(),
            }
        )
        tell(answer)


def _solve(algorithm: Algorithm, task: Task, name: str, writes: _Writes) -> Solved:
    sample = make_sample(name)
    before, threads = _digests(sample), torch.get_num_threads()
    findings: tuple[Finding, ...] = ()
    digest = ""
    writes.forget()
    begin = time.monotonic()
    if task.deadline_s is not None:
        sample = replace(sample, deadline=begin + task.deadline_s)
    try:
        result = checked(guarded(lambda: algorithm.solve(sample), name), sample)
        digest = hashlib.sha256(
            result.x_hat.tobytes() + json_text(dict(result.corrected_spec)).encode()
        ).hexdigest()
    except ContractError as error:
        findings = error.findings
    seconds = time.monotonic() - begin
    after = _digests(sample)
    return Solved(
        sample=name,
        seconds=seconds,
        digest=digest,
        changed=tuple(key for key, value in before.items() if after[key] != value),
        written=writes.seen(),
        threads=(threads, torch.get_num_threads()),
        findings=findings,
    )


def _digests(sample: Sample) -> dict[str, str]:
    """sha256 of every array that the algorithm is handed."""
    arrays: dict[str, Any] = {
        "operator.probe": sample.operator.probe,
        "operator.positions_px": sample.operator.positions_px,
    }
    if isinstance(sample.y, ArrayPatterns):
        arrays["y"] = sample.y.values
    return {name: hashlib.sha256(values.tobytes()).hexdigest() for name, values in arrays.items()}


class _Writes:
    """Files that are opened for writing in this process, by Python's own audit events."""

    def __init__(self) -> None:
        self._paths: dict[str, None] = {}
        self._silent = False
        self._allowed = (*CACHES, tempfile.gettempdir() + "/")
        sys.addaudithook(self._hear)

    def forget(self) -> None:
        """Begin anew."""
        self._paths.clear()

    def seen(self) -> tuple[str, ...]:
        """Paths since then, in order."""
        return tuple(self._paths)[:8]

    def own(self) -> _Own:
        """Within this, what is written is the self-test's own."""
        return _Own(self._silence)

    def _silence(self, silent: bool) -> None:
        self._silent = silent

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or self._silent:
            return
        path, _, flags = arguments
        if not isinstance(path, str | bytes) or not isinstance(flags, int) or not flags & WRITING:
            return
        text = os.path.realpath(os.fsdecode(path))
        if not any(place in text for place in self._allowed):
            self._paths[text] = None


class _Own:
    def __init__(self, silence: Callable[[bool], None]) -> None:
        self._silence = silence

    def __enter__(self) -> None:
        self._silence(True)

    def __exit__(self, *_: object) -> None:
        self._silence(False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
