"""`stem4d init`: a working submission's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.submission.scaffold import TEMPLATES

if TYPE_CHECKING:
    from runner.submission.scaffold import Template


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--template",
    type=click.Choice(list(TEMPLATES)),
    default="minimal",
    show_default=True,
    help="; ".join(f"{name}: {what}" for name, what in TEMPLATES.items()) + ".",
)
def init(folder: Path, template: Template) -> None:
    """Make FOLDER, a submission that runs: method, image, declaration, test, CI, README.

    Nothing is ever written over.
    """
    from runner.cli.output import note
    from runner.submission.scaffold import make_submission

    for path in make_submission(folder, template):
        click.echo(folder / path)
    note(f"next: cd {folder} && stem4d dry-run --no-docker --scenes 1 --no-report")
    note(f"      docker build -t {folder.resolve().name} . && stem4d validate .")
