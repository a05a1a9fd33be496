"""`stem4d algorithms`: what can be run, one line each; imports none of it."""

from __future__ import annotations

import json

import click

from algorithms.registry import (
    ANALYSES,
    CALIBRATORS,
    DEFAULT_ALGORITHM,
    RECONSTRUCTORS,
    installed,
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object")
def algorithms(as_json: bool) -> None:
    """List reconstructors, calibrators and analyses; NAME+CALIBRATOR composes the first two."""
    listed = {
        "reconstructors": {name: entry.summary for name, entry in RECONSTRUCTORS.items()},
        "calibrators": {name: entry.summary for name, entry in CALIBRATORS.items()},
        "analyses": {name: entry.summary for name, entry in ANALYSES.items()},
        "installed": installed(),
    }
    if as_json:
        click.echo(json.dumps({"default": DEFAULT_ALGORITHM, **listed}))
        return
    width = max(len(name) for entries in listed.values() for name in entries)
    for title, entries in listed.items():
        if entries:
            click.echo(f"{title}:")
            for name, summary in entries.items():
                click.echo(f"  {name:<{width}}  {summary}")
    click.echo(f"\ndefault: {DEFAULT_ALGORITHM}; your own: path/to/file.py:ClassName[+CALIBRATOR]")
