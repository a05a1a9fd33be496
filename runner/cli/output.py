"""How commands print: data on stdout, everything for people on stderr."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from pydantic import BaseModel
from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 132
"""Width [characters] of tables that go to a pipe or a file, where no terminal says its own."""


def note(text: str) -> None:
    """A line for people, on stderr."""
    click.echo(text, err=True)


def print_record(record: BaseModel) -> None:
    """One JSON object on stdout."""
    click.echo(record.model_dump_json(indent=2))


def print_tables(*tables: Table) -> None:
    """Tables on stdout; colours only on a terminal, and none when NO_COLOR is set."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    console = Console(file=sys.stdout, width=width, highlight=False)
    for table in tables:
        console.print(table)


def make_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: int = 1,
    footer: Sequence[str] = (),
) -> Table:
    """A plain table: the first `left` columns flush left, the others, numbers, flush right.

    Texts are taken as they are: a unit in square brackets is no markup.
    """
    table = Table(
        title=Text(title) if title else None,
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1),
        pad_edge=False,
        collapse_padding=True,
        show_footer=bool(footer),
    )
    for index, name in enumerate(columns):
        justify: JustifyMethod = "left" if index < left else "right"
        below = Text(footer[index]) if footer else ""
        table.add_column(Text(name), below, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
