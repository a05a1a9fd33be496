"""Options of the commands that judge many submissions: serve-queue and evaluate --many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from runner.pipeline.stages import Plan
    from schemas.ledger import Submission

workers_option: Callable[[Any], Any] = click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes of this machine; each runs one container at a time.",
)

scheduler_option: Callable[[Any], Any] = click.option(
    "--scheduler", help="Dask scheduler whose workers judge instead, tcp://HOST:8786."
)

quota_option: Callable[[Any], Any] = click.option(
    "--quota",
    type=click.IntRange(min=1),
    help="Submissions that a participant may have charged on this tier.  [default: any number]",
)


def submit_all(url: str, folder: Path, plan: Plan, quota: int | None) -> Sequence[Submission]:
    """Put a folder of submissions into the ledger's queue, and say so."""
    from runner.cli.output import note
    from runner.pipeline.many import submit_folder
    from runner.scoring.ledger import Ledger

    found = []
    for submission in submit_folder(Ledger.open(url), folder, plan.challenge, quota=quota):
        note(f"{submission.id}: {submission.entry.method}, {submission.state}")
        found.append(submission)
    return found


def judge_queue(
    url: str,
    plan: Plan,
    engine_name: str,
    store: Path,
    *,
    workers: int,
    scheduler: str | None,
    until_empty: bool,
) -> None:
    """Judge what the ledger's queue holds for the plan's challenge, here or on a cluster."""
    from runner.cli.output import note
    from runner.files.hdf5 import sha256_of
    from runner.harness.engines import open_engine
    from runner.pipeline.many import tier_of
    from runner.pipeline.tier_judge import TierJudge
    from runner.pipeline.workers import Queue, work_here

    tier_of(plan.challenge)  # before any worker finds out that there is no such file
    judge = TierJudge(plan, store.resolve(), partial(open_engine, engine_name))
    queue = Queue(url, judge, sha256_of(plan.challenge), until_empty=until_empty)
    if scheduler is not None:
        from runner.pipeline.cluster import work_on_cluster

        work_on_cluster(queue, scheduler, note)
    else:
        work_here(queue, workers, note)
