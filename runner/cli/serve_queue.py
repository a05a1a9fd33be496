"""`stem4d serve-queue`: judge what the ledger's queue holds, with many workers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.ledger import ledger_option
from runner.cli.queue_options import (
    judge_queue,
    quota_option,
    scheduler_option,
    submit_all,
    workers_option,
)
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
@workers_option
@scheduler_option
@click.option("--until-empty", is_flag=True, help="End when nothing is left in the queue.")
@click.option(
    "--submit",
    "folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of *.toml files (image, participant, method) to put into the queue first.",
)
@quota_option
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
    """Judge the submissions of the ledger's queue for this challenge, one verdict each.

    It may be killed at any moment: started again, it goes on where it stopped.
    """
    if folder is not None:
        submit_all(url, folder, plan, quota)
    judge_queue(
        url,
        plan,
        engine_name,
        store,
        workers=workers,
        scheduler=scheduler,
        until_empty=until_empty,
    )
