"""`stem4d serve-queue`: judge what the ledger's queue holds, with many workers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.ledger import ledger_option
from runner.cli.tier_options import engine_option, tier_options

if TYPE_CHECKING:
    from runner.pipeline.stages import Plan


@click.command("serve-queue")
@ledger_option
@tier_options
@engine_option
@click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("evaluations"),
    show_default=True,
    help="Folder in which each submission has one; workers on several machines share it.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes of this machine; each runs one container at a time.",
)
@click.option("--scheduler", help="Dask scheduler whose workers judge instead, tcp://HOST:8786.")
@click.option("--until-empty", is_flag=True, help="End when nothing is left in the queue.")
@click.option(
    "--submit",
    "folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of *.toml files (image, participant, method) to put into the queue first.",
)
@click.option(
    "--quota",
    type=click.IntRange(min=1),
    help="Submissions that a participant may have charged on this tier.  [default: any number]",
)
def serve_queue(
    *,
    url: str,
    plan: Plan,
    engine_name: str,
    store: Path,
    workers: int,
    scheduler: str | None,
    until_empty: bool,
    folder: Path | None,
    quota: int | None,
) -> None:
    """Judge the submissions of the ledger's queue, one verdict each.

    It may be killed at any moment: started again, it goes on where it stopped.
    """
    from runner.cli.output import note
    from runner.harness.engines import open_engine
    from runner.pipeline.many import submit_folder
    from runner.pipeline.tier_judge import TierJudge
    from runner.pipeline.workers import Queue, work_here
    from runner.scoring.ledger import Ledger

    if folder is not None:
        for submission in submit_folder(Ledger.open(url), folder, plan.challenge, quota=quota):
            note(f"{submission.id}: {submission.entry.method}, {submission.state}")
    judge = TierJudge(plan, store.resolve(), partial(open_engine, engine_name))
    queue = Queue(url, judge, until_empty=until_empty)
    if scheduler is not None:
        from runner.pipeline.cluster import work_on_cluster

        work_on_cluster(queue, scheduler, note)
    else:
        work_here(queue, workers, note)
