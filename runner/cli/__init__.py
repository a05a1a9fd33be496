"""The command line. One file a command, imported when asked for; nothing imports this room."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from runner.container.command import run_command
from schemas.base import CONTRACT_VERSION
from schemas.findings import ContractError, refuse
from schemas.version import __version__

COMMANDS = {
    "init": "runner.cli.init:init",
    "doctor": "runner.cli.doctor:doctor",
    "run": "runner.container.main:run",
    "dry-run": "runner.cli.dry_run:dry_run",
    "selftest": "runner.cli.selftest:selftest",
    "check": "runner.cli.check:check",
    "validate": "runner.cli.validate:validate",
    "pack": "runner.cli.pack:pack",
    "score": "runner.cli.score:score",
    "evaluate": "runner.cli.evaluate:evaluate",
    "report": "runner.cli.report:report",
    "scenarios": "runner.cli.scenarios:scenarios",
    "analyse": "runner.cli.analyse:analyse",
    "bounds": "runner.cli.bounds:bounds",
    "leaderboard": "runner.cli.leaderboard:leaderboard",
    "serve-queue": "runner.cli.serve_queue:serve_queue",
    "ledger": "runner.cli.ledger:ledger",
    "inspect": "runner.cli.inspect:inspect",
    "tiers": "runner.cli.tiers:tiers",
    "export": "runner.cli.export:export",
    "import": "runner.cli.import_scan:import_scan",
    "train": "runner.cli.train:train",
    "algorithms": "runner.cli.algorithms:algorithms",
    "errors": "runner.cli.errors:errors",
    "schema": "runner.cli.schema:schema",
}
"""Command name -> "module:attribute": `stem4d schema` loads neither torch nor matplotlib."""

EXTRA_OF_PACKAGE = {
    "docker": "host",
    "jinja2": "host",
    "matplotlib": "host",
    "rich": "host",
    "emdfile": "formats",
    "rsciio": "formats",
    "scipy": "host",
    "skimage": "host",
    "tifffile": "formats",
    "sqlalchemy": "host",
    "distributed": "cluster",
    "abtem": "organizer",
    "ase": "organizer",
}
"""Which extra of stem4d brings a package that only some commands need."""


class LazyGroup(click.Group):
    """A click group whose commands are imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Command names, in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a package that an extra brings is named when it is missing."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            raise extra_missing(error) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message=f"stem4d %(version)s, contract {CONTRACT_VERSION}")
def cli() -> None:
    """stem4d: run, judge and understand submissions to the blind 4D-STEM challenge."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: every expected failure becomes findings on stderr and a documented exit code."""
    sys.exit(run_command(cli, arguments))


def extra_missing(error: ModuleNotFoundError) -> ContractError:
    """What to install for a package that an extra brings.

    Raises:
        ModuleNotFoundError: `error` itself, when no extra brings the package: a fault of stem4d.
    """
    package = (error.name or "").partition(".")[0]
    if package not in EXTRA_OF_PACKAGE:
        raise error
    return refuse(
        "EXTRA_MISSING",
        "stem4d",
        expected=f"the Python package {package}, which this command needs",
        found=str(error),
        hint=f'pip install "stem4d[{EXTRA_OF_PACKAGE[package]}]"',
    )
