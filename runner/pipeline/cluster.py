"""Many workers on one queue: those of a Dask cluster."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from typing import Any

from distributed import Client

from runner.harness.owner import is_dead
from runner.pipeline.queue import IDLE_S, Say, drain
from runner.pipeline.workers import Queue, ended_by_signals, to_stderr
from runner.scoring.ledger import Ledger
from schemas.findings import refuse
from schemas.ledger import SubmissionState

CONNECT_S = 30.0
"""How long a scheduler is waited for [s]."""

MOST_SAID = 2000
"""Characters of a failed worker's last words that are kept."""

OPEN = (SubmissionState.QUEUED, SubmissionState.RUNNING)


def work_on_cluster(queue: Queue, scheduler: str, say: Say) -> None:
    """Judge on the workers of a Dask cluster: each needs the engine, the ledger and the store.

    Args:
        queue: what is judged. Its ledger must be a database that all machines reach.
        scheduler: address of Dask's scheduler, `tcp://HOST:8786`.
        say: told what happens.

    Raises:
        ContractError: SCHEDULER_UNREACHABLE, WORKER_FAILED.
    """
    try:
        client: Any = Client(scheduler, timeout=CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as error:
        raise refuse(
            "SCHEDULER_UNREACHABLE",
            scheduler,
            expected="a Dask scheduler that answers",
            found=f"{type(error).__name__}: {error}",
            hint="`dask scheduler` starts one, `dask worker ADDRESS --nthreads 1` its workers",
        ) from error
    ledger = Ledger.open(queue.url)
    under_way: dict[str, Any] = {}
    with ended_by_signals(), client:
        while True:
            ledger.recover(is_dead)
            waiting = ledger.submissions(states=OPEN, challenge=queue.challenge)
            if queue.until_empty and not waiting:
                return
            for found in waiting:
                if found.state is SubmissionState.QUEUED and found.id not in under_way:
                    under_way[found.id] = client.submit(judge_apart, queue, found.id, pure=False)
            for name in [n for n, future in under_way.items() if future.done()]:
                _tell(name, under_way.pop(name), say)
            time.sleep(IDLE_S)


def judge_apart(queue: Queue, only: str) -> str:
    """One submission, in a process of its own on a cluster's worker; what that process said.

    Of its own, because the sandbox ends a container by signals, which only a main thread gets.

    Raises:
        RuntimeError: the process failed.
    """
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-m", __name__, only],
        input=pickle.dumps(queue),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}: {said[-MOST_SAID:]}")
    return said


def _tell(name: str, future: Any, say: Say) -> None:
    """What a worker said; a worker that fails by itself ends everything: the next would as well.

    Raises:
        ContractError: WORKER_FAILED.
    """
    error = future.exception()
    if error is None:
        say(future.result())
        return
    raise refuse(
        "WORKER_FAILED",
        name,
        expected="a worker that can import stem4d, and reaches ledger, store and engine",
        found=f"{type(error).__name__}: {error}",
        hint="install the same stem4d on every worker; submissions stay in the queue",
    )


def main() -> None:
    """Judge one submission of a queue that comes, pickled by ourselves, on standard input."""
    queue: Queue = pickle.load(sys.stdin.buffer)  # noqa: S301 - from `judge_apart`
    with ended_by_signals():
        ledger = Ledger.open(queue.url)
        drain(ledger, queue.judge, only=sys.argv[1], lease_s=queue.lease_s, say=to_stderr)


if __name__ == "__main__":
    main()
