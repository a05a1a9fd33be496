"""`stem4d validate`: is a result file valid?"""

from __future__ import annotations

import json
from pathlib import Path

import click

from schemas.findings import ExitCode


@click.command()
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "--against",
    "challenge",
    type=click.Path(path_type=Path),
    required=True,
    help="Challenge file that the result answers (as distributed, or its blind view).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def validate(result: Path, challenge: Path, as_json: bool) -> int:
    """Check the result file RESULT; exit code 3 and every finding when it is not valid."""
    from runner.scoring.validate import validate_result

    answer, findings = validate_result(result, challenge)
    names = sorted(answer.samples) if answer else []
    if as_json:
        listed = [item.model_dump(mode="json") for item in findings]
        click.echo(json.dumps({"valid": not findings, "samples": names, "findings": listed}))
    for item in findings:
        click.echo(item.text(), err=True)
    if findings:
        return int(ExitCode.RESULT)
    if not as_json:
        click.echo(f"{result}: valid; samples {', '.join(names)}")
    return int(ExitCode.DONE)
