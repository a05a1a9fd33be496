"""Three processes, and what their answers mean.

1. the usual sample, then every other form: shapes, types, ranges, inputs, files, threads;
2. the usual sample again: two runs must give the same bytes;
3. more than there is time for; then a scan eight times larger than its memory budget, which need
   not end: memory is at its highest soon.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from runner.container import environment
from runner.pipeline.selftest.report import Answer, SelfTest, Solved, Task, Trial
from runner.pipeline.selftest.samples import (
    BUDGET_BYTES,
    FORMS,
    LARGE,
    MEDIUM,
    large_bytes,
)
from schemas.findings import Finding, finding

DEADLINE_S = 3.0
"""Time that the sample with more work than that is given [s]."""

SLACK_S = 5.0
"""How much later it may end [s]: as in a container, where it is then stopped from outside."""

KILL_S = DEADLINE_S + SLACK_S + 2.0
"""Longest that a sample with a deadline may take [s]."""

FORM_S = 60.0
"""Longest that one of the small samples may take [s]."""

START_S = 120.0
"""Longest that loading an algorithm and its `setup()` may take [s]."""

POLL_S = 0.1

MIB = 1 << 20

LARGEST_SHARE = 0.6
"""Of the large scan's patterns: how much memory may grow by, beside `memory_bytes`. Blocks, the
object and its copies take two thirds of that; patterns kept whole take more."""

USUAL = next(iter(FORMS))

Tell = Callable[[str], None]


def selftest(algorithm: str, progress: Tell = lambda _: None) -> SelfTest:
    """Try an algorithm on small samples of every form, twice, and on a large one.

    Args:
        algorithm: name, entry point or `file.py:Class`.
        progress: told one line for each process.
    """
    begin = time.monotonic()
    threads = environment.threads()
    with tempfile.TemporaryDirectory(prefix="stem4d-selftest-") as folder:
        progress(f"{len(FORMS)} small samples of every form")
        first = _process(Task(algorithm=algorithm, samples=tuple(FORMS), threads=threads), folder)
        trials: list[Trial] = list(_loaded(first))
        if first.answer.ready:
            progress("the first once more, in another process")
            again = _process(Task(algorithm=algorithm, samples=(USUAL,), threads=threads), folder)
            progress(f"a deadline of {DEADLINE_S:g} s, and a scan of {large_bytes() / MIB:.0f} MiB")
            task = Task(
                algorithm=algorithm,
                samples=(MEDIUM, LARGE),
                threads=threads,
                deadline_s=DEADLINE_S,
            )
            large = _process(task, folder)
            trials += [
                *_forms(first),
                _deterministic(first, again),
                _inputs(first),
                _files(first),
                _threads(first),
                _deadline(large),
                _memory(large),
            ]
    seconds = time.monotonic() - begin
    return SelfTest(algorithm=algorithm, seconds=seconds, trials=tuple(trials))


class _Ended:
    """A process that has ended.

    Attributes:
        answer: what it said last.
        killed: it was stopped for its time.
        peak_mib: its highest resident memory, as seen from outside too.
        tail: the end of its stderr.
    """

    def __init__(self, answer: Answer, killed: bool, peak_mib: float, tail: str) -> None:
        self.answer, self.killed, self.tail = answer, killed, tail
        self.peak_mib = max(peak_mib, answer.peak_mib)

    def of(self, sample: str) -> Solved | None:
        """What it said of a sample."""
        return next((one for one in self.answer.solved if one.sample == sample), None)


def _process(task: Task, folder: str) -> _Ended:
    """Run a task in a process of its own; kill it when its time is over."""
    source, target, log = (Path(folder) / name for name in ("task.json", "answer.json", "log"))
    source.write_text(task.model_dump_json())
    target.unlink(missing_ok=True)
    peak, killed = 0.0, False
    with log.open("wb") as stderr:
        child = subprocess.Popen(
            [sys.executable, "-m", "runner.pipeline.selftest.child", str(source), str(target)],
            stdout=stderr,
            stderr=stderr,
            env={**os.environ, "STEM4D_THREADS": str(task.threads)},
        )
        last_word, said, limit = time.monotonic(), None, START_S
        while child.poll() is None:
            peak = max(peak, environment.high_water_mib(child.pid) or 0.0)
            word = target.stat().st_mtime_ns if target.exists() else None
            if word != said:
                said, last_word = word, time.monotonic()
                limit = FORM_S if task.deadline_s is None else KILL_S
            if time.monotonic() - last_word > limit:
                child.kill()
                killed = True
            time.sleep(POLL_S)
    answer = Answer()
    if target.exists():
        answer = Answer.model_validate_json(target.read_bytes())
    tail = log.read_text(errors="replace").strip()[-400:]
    return _Ended(answer, killed, peak, tail)


def _loaded(ended: _Ended) -> Iterator[Trial]:
    answer = ended.answer
    if answer.ready:
        yield Trial(rule="loads", passed=True, told=f"{answer.base_mib:.0f} MiB with its packages")
    elif answer.findings:
        for item in answer.findings:
            yield _failed("loads", item)
    else:
        yield _failed("loads", _died("loading", ended))


def _forms(ended: _Ended) -> Iterator[Trial]:
    """Shape, dtype, finite, spec within its ranges; for every form of sample."""
    for name in FORMS:
        rule, solved = f"result: {name}", ended.of(name)
        if solved is None:
            yield _failed(rule, _died(name, ended))
            return
        if not solved.findings:
            yield Trial(
                rule=rule, passed=True, told=f"shape, finite, spec in range; {solved.seconds:.1f} s"
            )
        elif all(item.code == "SAMPLE_UNSUITED" for item in solved.findings):
            yield Trial(rule=rule, passed=True, told=f"refused: {solved.findings[0].expected}")
        else:
            yield _failed(rule, solved.findings[0])


def _deterministic(first: _Ended, again: _Ended) -> Trial:
    rule, one, two = "same bytes in two runs", first.of(USUAL), again.of(USUAL)
    if one is None or two is None or not one.digest:
        return Trial(rule=rule, passed=True, told="no result to compare")
    if one.digest == two.digest:
        return Trial(rule=rule, passed=True, told=f"sha256 {one.digest[:12]}")
    return _failed(
        rule,
        finding(
            "NOT_DETERMINISTIC",
            USUAL,
            expected="the same bytes of x_hat and spec from two processes with one seed",
            found=f"sha256 {one.digest[:12]} and {two.digest[:12] or 'no result'}",
            hint="take all randomness from sample.seed; do not depend on the order of sets, on the"
            " time, or on what an earlier sample left behind",
        ),
    )


def _inputs(ended: _Ended) -> Trial:
    changed = sorted({name for one in ended.answer.solved for name in one.changed})
    if not changed:
        return Trial(rule="inputs left alone", passed=True, told="patterns, probe and positions")
    return _failed(
        "inputs left alone",
        finding(
            "ALGORITHM_CHANGES_INPUT",
            ", ".join(changed),
            expected="the arrays of the sample as they were",
            found="other bytes after solve()",
            hint="copy before working in place: counts = sample.counts().copy(); torch.from_numpy"
            " shares memory with its array",
        ),
    )


def _files(ended: _Ended) -> Trial:
    written = sorted({path for one in ended.answer.solved for path in one.written})
    if not written:
        return Trial(
            rule="writes no files", passed=True, told="none but below the temporary folder"
        )
    return _failed(
        "writes no files",
        finding(
            "ALGORITHM_WRITES",
            ", ".join(written)[:400],
            expected="files below /tmp alone",
            found=f"{len(written)} opened for writing",
            hint="the container's root is read-only: return diagnostics, or write below"
            " tempfile.gettempdir()",
        ),
    )


def _threads(ended: _Ended) -> Trial:
    rule = "threads as given"
    for one in ended.answer.solved:
        if one.threads[0] != one.threads[1]:
            return _failed(
                rule,
                finding(
                    "ALGORITHM_THREADS",
                    one.sample,
                    expected=f"{one.threads[0]} torch threads, as before",
                    found=f"{one.threads[1]} after solve()",
                    hint="do not call torch.set_num_threads: the last bit of a sum depends on it,"
                    " and the container has the cores of limits.toml",
                ),
            )
    told = next((f"{one.threads[0]}" for one in ended.answer.solved), "-")
    return Trial(rule=rule, passed=True, told=told)


def _deadline(ended: _Ended) -> Trial:
    rule, solved = "honours its deadline", ended.of(MEDIUM)
    if solved is not None and all(item.code == "SAMPLE_UNSUITED" for item in solved.findings):
        told = "ended" if not solved.findings else f"refused: {solved.findings[0].expected}"
        if solved.seconds <= DEADLINE_S + SLACK_S:
            return Trial(
                rule=rule,
                passed=True,
                told=f"{told} after {solved.seconds:.1f} of {DEADLINE_S:g} s",
            )
    elif solved is not None:
        if solved.findings[0].code == "SAMPLE_TIMEOUT" and (solved.seconds <= DEADLINE_S + SLACK_S):
            return Trial(rule=rule, passed=True, told=f"gave up after {solved.seconds:.1f} s")
        if solved.findings[0].code != "SAMPLE_TIMEOUT":
            return _failed(rule, solved.findings[0])
    if solved is None and not ended.killed:
        return _failed(rule, _died(MEDIUM, ended))
    late = "killed" if solved is None else f"ended after {solved.seconds:.1f} s"
    return _failed(
        rule,
        finding(
            "SAMPLE_TIMEOUT",
            MEDIUM,
            expected=f"a result within {DEADLINE_S:g} s, or {SLACK_S:g} s later at most",
            found=late,
            hint="look at sample.seconds_left in every loop, and return the best that there is",
        ),
    )


def _memory(ended: _Ended) -> Trial:
    rule = "bounded memory"
    patterns = large_bytes() / MIB
    allowed = BUDGET_BYTES / MIB + LARGEST_SHARE * patterns
    if ended.of(MEDIUM) is None:
        return Trial(rule=rule, passed=True, told="not reached")
    grown = ended.peak_mib - ended.answer.base_mib
    told = (
        f"{grown:.0f} MiB for {patterns:.0f} MiB of patterns with a budget of"
        f" {BUDGET_BYTES / MIB:.0f} MiB"
    )
    if grown <= allowed:
        return Trial(rule=rule, passed=True, told=told)
    return _failed(
        rule,
        finding(
            "OUT_OF_MEMORY",
            LARGE,
            expected=f"at most {allowed:.0f} MiB: sample.memory_bytes, and room for the object",
            found=told,
            hint="read blocks by sample.y.read(start, stop), or use"
            " algorithms.stream.PatternStream, which keeps to sample.memory_bytes",
        ),
    )


def _failed(rule: str, item: Finding) -> Trial:
    return Trial(rule=rule, passed=False, told=item.found, finding=item)


def _died(doing: str, ended: _Ended) -> Finding:
    """The process ended without a word."""
    return finding(
        "ALGORITHM_FAILED",
        doing,
        expected="a process that lives",
        found="it was stopped for its time" if ended.killed else f"it died: {ended.tail or '-'}",
        hint="run it by `stem4d dry-run --no-docker`, with the message above in mind",
    )
