"""`stem4d doctor`: is this machine ready?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from schemas.findings import ExitCode

MARKS = {"ok": "\u2713", "warning": "!", "wrong": "\u2717"}
PLAIN_MARKS = {"ok": "+", "warning": "!", "wrong": "x"}
COLOURS = {"ok": "green", "warning": "yellow", "wrong": "red"}


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("dry-run"),
    show_default=True,
    help="Folder that a dry run would write to.",
)
@click.option("--image", default="stem4d:latest", show_default=True, help="Image to look at.")
@click.option(
    "--limits",
    "limits_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file of limits.  [default: the contract's]",
)
@click.option("--no-docker", is_flag=True, help="Leave engine and image out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(
    *, out: Path, image: str, limits_file: Path | None, no_docker: bool, as_json: bool
) -> int:
    """Look at Python, packages, engine, image, memory, GPU, disk; what is wrong, with its mend.

    Exit code 0: a dry run can be made (warnings are no hindrance); 5: something is wrong.
    """
    from runner.harness.doctor import examine
    from runner.harness.limits import load_limits

    looks = list(examine(out, load_limits(limits_file), image=image, container=not no_docker))
    ready = all(look.state != "wrong" for look in looks)
    if as_json:
        click.echo(json.dumps({"ready": ready, "looks": [asdict(look) for look in looks]}))
    else:
        marks = MARKS if _can_print(MARKS) else PLAIN_MARKS
        for look in looks:
            mark = click.style(marks[look.state], fg=COLOURS[look.state])
            click.echo(f"{mark} {look.name}: {look.found}")
            if look.mend:
                click.echo(f"    do: {look.mend}")
    return int(ExitCode.DONE if ready else ExitCode.INFRASTRUCTURE)


def _can_print(marks: dict[str, str]) -> bool:
    """Whether the terminal's own encoding has these characters."""
    try:
        "".join(marks.values()).encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
