"""`stem4d schema`: every record of the contract."""

from __future__ import annotations

import json

import click


@click.command()
@click.option(
    "--format",
    "style",
    type=click.Choice(["md", "json"]),
    default="md",
    show_default=True,
    help="Markdown page (docs/schema.md), or JSON schemas.",
)
def schema(style: str) -> None:
    """Print every record of the contract, with units and bounds."""
    from runner.report.schema_page import json_schemas, markdown

    if style == "json":
        click.echo(json.dumps(json_schemas(), indent=2))
    else:
        click.echo(markdown(), nl=False)
