"""How a command ends: findings on stderr, a documented exit code, never a bare stack trace."""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

import click

from schemas.findings import ContractError, ExitCode, refuse


def run_command(command: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Run a click command; returns the exit code, prints findings to stderr.

    An error that nobody foresaw is stem4d's own fault: it is told with its trace and exit code 5,
    so that no submission is charged for it.
    """
    warnings.showwarning = _show_warning
    try:
        outcome = command.main(
            args=list(arguments) if arguments is not None else None,
            prog_name="stem4d",
            standalone_mode=False,
        )
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
    except Exception as error:  # noqa: BLE001 - the last one to see it
        click.echo(traceback.format_exc(), err=True)
        internal = refuse(
            "INTERNAL",
            "stem4d",
            expected="no error of stem4d itself",
            found=f"{type(error).__name__}: {error}",
            hint="please report the lines above, with the command, as an issue of stem4d",
        )
        print_findings(internal)
        return int(internal.exit_code)
    return outcome if isinstance(outcome, int) else int(ExitCode.DONE)


def print_findings(error: ContractError) -> None:
    """All findings on stderr, and as one JSON line on stdout when `--json` was asked for."""
    for item in error.findings:
        click.echo(item.text(), err=True)
    if "--json" in sys.argv:
        click.echo(json.dumps({"findings": [f.model_dump(mode="json") for f in error.findings]}))


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"warning: {message}", err=True)
