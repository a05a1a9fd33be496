"""Many workers on one queue: processes of this machine."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any

from runner.pipeline.queue import IDLE_S, Judge, Say, drain, serve
from runner.scoring.ledger import Ledger
from runner.scoring.ledger.ledger import LEASE_S

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

REVIVE_S = 5.0
"""Before a worker that died is replaced [s]: one that dies at once must not make this spin."""


@dataclass(frozen=True)
class Queue:
    """What every worker must know; goes to other processes and machines as it is.

    Attributes:
        url: the ledger's database.
        judge: what takes a submission to its verdict.
        challenge: sha256 of the challenge file that the judge judges on: submissions of this ledger
            for others are not theirs; None: all that wait.
        until_empty: end when nothing is left, instead of waiting for more.
        lease_s: how long a claim holds without a sign of life [s].
    """

    url: str
    judge: Judge
    challenge: str | None = None
    until_empty: bool = False
    lease_s: float = LEASE_S


def work_here(queue: Queue, workers: int, say: Say) -> None:
    """Judge with so many processes of this machine, until asked to stop or nothing is left.

    One worker is this process itself. What a signal interrupts is queued again by the next who
    looks, and its container is removed.
    """
    if workers == 1:
        with ended_by_signals():
            _work(queue, say)
        return
    context = multiprocessing.get_context("spawn")

    def start() -> BaseProcess:
        process = context.Process(target=_worker, args=(queue,), name="stem4d worker")
        process.start()
        return process

    team: list[BaseProcess] = []
    try:
        team += [start() for _ in range(workers)]
        with ended_by_signals():
            _look_after(team, start, say)
    finally:
        for process in team:
            process.terminate()
        for process in team:
            process.join()


def _worker(queue: Queue) -> None:
    """A worker's whole life, in a process of its own."""
    with ended_by_signals():
        _work(queue, to_stderr)


def _work(queue: Queue, say: Say) -> None:
    ledger = Ledger.open(queue.url)
    judge, challenge, lease_s = queue.judge, queue.challenge, queue.lease_s
    if queue.until_empty:
        drain(ledger, judge, challenge=challenge, lease_s=lease_s, say=say)
    else:
        stop = threading.Event()
        serve(ledger, judge, stop, challenge=challenge, lease_s=lease_s, say=say)


def _look_after(team: list[BaseProcess], start: Any, say: Say) -> None:
    """Until all have ended well; a worker that died is replaced."""
    while any(process.is_alive() for process in team) or any(p.exitcode for p in team):
        for place, process in enumerate(team):
            if process.exitcode:
                say(f"worker {process.pid} died (exit code {process.exitcode}); another comes")
                time.sleep(REVIVE_S)
                team[place] = start()
        time.sleep(IDLE_S / 10)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and Ctrl-C end the work where it stands; the sandbox tidies on the way out."""

    def end(number: int, _: Any) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def to_stderr(text: str) -> None:
    """A line for people, from a process without a command line."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201
