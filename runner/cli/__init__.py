"""The command line. One file a command, imported when asked for; nothing imports this room."""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click

from schemas.base import CONTRACT_VERSION
from schemas.findings import ContractError, ExitCode, refuse
from schemas.version import __version__

COMMANDS = {
    "run": "runner.container.main:run",
    "dry-run": "runner.cli.dry_run:dry_run",
    "validate": "runner.cli.validate:validate",
    "score": "runner.cli.score:score",
    "leaderboard": "runner.cli.leaderboard:leaderboard",
    "inspect": "runner.cli.inspect:inspect",
    "tiers": "runner.cli.tiers:tiers",
    "import": "runner.cli.import_scan:import_scan",
    "algorithms": "runner.cli.algorithms:algorithms",
    "schema": "runner.cli.schema:schema",
}
"""Command name -> "module:attribute": `stem4d schema` loads neither torch nor matplotlib."""

EXTRA_OF_PACKAGE = {
    "docker": "host",
    "matplotlib": "host",
    "rich": "host",
    "scipy": "host",
    "skimage": "host",
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


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message=f"stem4d %(version)s, contract {CONTRACT_VERSION}")
def cli() -> None:
    """stem4d: run, judge and understand submissions to the blind 4D-STEM challenge."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: every expected failure becomes findings on stderr and a documented exit code."""
    warnings.showwarning = _show_warning
    sys.exit(run_command(cli, arguments))


def run_command(command: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Run a click command; returns the exit code, prints findings to stderr."""
    try:
        outcome = _call(command, arguments)
    except ContractError as error:
        print_findings(error)
        return int(error.exit_code)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return int(ExitCode.USAGE)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return int(ExitCode.ALGORITHM)
    except BrokenPipeError:
        return int(ExitCode.DONE)
    return outcome if isinstance(outcome, int) else int(ExitCode.DONE)


def _call(command: click.Command, arguments: Sequence[str] | None) -> Any:
    try:
        return command.main(
            args=list(arguments) if arguments is not None else None, standalone_mode=False
        )
    except ModuleNotFoundError as error:
        raise extra_missing(error) from error


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


def print_findings(error: ContractError) -> None:
    """All findings on stderr, and as one JSON line on stdout when `--json` was asked for."""
    for item in error.findings:
        click.echo(item.text(), err=True)
    if "--json" in sys.argv:
        click.echo(json.dumps({"findings": [f.model_dump(mode="json") for f in error.findings]}))


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"warning: {message}", err=True)
