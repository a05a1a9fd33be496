"""`stem4d errors`: what a code means, and whose fault it is."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from schemas.findings import CODES, refuse


@click.command()
@click.argument("code", required=False)
@click.option(
    "--format",
    "style",
    type=click.Choice(["md", "json"]),
    default="md",
    show_default=True,
    help="Markdown page (docs/errors.md), or JSON.",
)
def errors(code: str | None, style: str) -> None:
    """Explain CODE, or print every code that a finding may have."""
    from runner.report.errors_page import describe, markdown

    if code is None:
        every = {name: asdict(info) for name, info in CODES.items()}
        click.echo(
            json.dumps(every, indent=2) if style == "json" else markdown(), nl=style == "json"
        )
        return
    name = code.upper()
    if name not in CODES:
        near = [known for known in CODES if name.split("_")[0] in known]
        raise refuse(
            "USAGE",
            code,
            expected="a code of a finding",
            found="no such code",
            hint=f"one of {', '.join(near or CODES)}",
        )
    click.echo(json.dumps({name: asdict(CODES[name])}) if style == "json" else describe(name))
