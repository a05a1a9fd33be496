"""`stem4d validate`: is a result file valid, is a submission's folder ready?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from schemas.findings import ContractError, ExitCode

if TYPE_CHECKING:
    from runner.pipeline.backend import Backend
    from runner.pipeline.check_submission import Task
    from runner.submission.check import Format


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="RESULT|FOLDER")
@click.option(
    "--against",
    "--challenge",
    "challenge",
    type=click.Path(path_type=Path),
    help="Challenge file that RESULT answers (as distributed, or its blind view).",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "junit", "github"]),
    default="text",
    show_default=True,
    help="For people, programs, test reports, or annotations on GitHub.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--no-check", is_flag=True, help="RESULT: do not look at what the counts say of it (seconds)."
)
@click.option("--image", help="FOLDER: run this image.  [default: that of submission.toml]")
@click.option("--no-docker", is_flag=True, help="FOLDER: run the method in this process.")
@click.option("--no-run", is_flag=True, help="FOLDER: look only, run nothing.")
@click.option(
    "--declare", is_flag=True, help="FOLDER: write the score that is reached into submission.toml."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="FOLDER: where the public tier is, or is built.  [default: FOLDER/data]",
)
@click.option(
    "--limits",
    "limits_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="FOLDER: TOML file of limits.  [default: the contract's]",
)
def validate(
    *,
    path: Path,
    challenge: Path | None,
    style: Format,
    as_json: bool,
    no_check: bool,
    image: str | None,
    no_docker: bool,
    no_run: bool,
    declare: bool,
    data: Path | None,
    limits_file: Path | None,
) -> int:
    """Check a RESULT against its challenge, or a submission's FOLDER; every finding at once.

    Of a valid RESULT the text tells what its counts say as well, as `stem4d check` does: advice,
    which changes no exit code.

    A FOLDER: submission.toml, weights, scripts, image or algorithm, then a run on the public tier,
    whose result must be valid and reach the declared score within its tolerance.
    """
    from runner.harness.limits import load_limits
    from runner.pipeline.check_submission import Task

    style = "json" if as_json else style
    if path.is_dir():
        if challenge is not None:
            raise click.UsageError("--against is for a result file, and this is a folder")
        if no_docker and image is not None:
            raise click.UsageError("--image and --no-docker exclude each other")
        limits = load_limits(limits_file)
        chosen = None if no_docker else image or _own_image(path)
        task = Task(
            folder=path,
            data=data or path / "data",
            out=path / "dry-run",
            limits=limits,
            image=chosen,
            run=not no_run,
            declare=declare,
        )
        return _folder(task, style)
    if challenge is None:
        raise click.UsageError("a result file needs --against CHALLENGE")
    return _result(path, challenge, style, look=style == "text" and not no_check)


def _result(result: Path, challenge: Path, style: Format, *, look: bool) -> int:
    from runner.cli.output import note
    from runner.scoring.validate import validate_result
    from runner.submission.check import Checked, told

    answer, findings = validate_result(result, challenge)
    names = sorted(answer.samples) if answer else []
    if style == "json":
        listed = [item.model_dump(mode="json") for item in findings]
        click.echo(json.dumps({"valid": not findings, "samples": names, "findings": listed}))
    elif style != "text":
        click.echo(told([Checked(str(result), findings, ", ".join(names))], style))
    for item in findings:
        note(item.text())
    if findings:
        return int(ExitCode.RESULT)
    if style == "text":
        click.echo(f"{result}: valid; samples {', '.join(names)}")
    if look:
        _tell_counts(result, challenge)
    return int(ExitCode.DONE)


def _tell_counts(result: Path, challenge: Path) -> None:
    """What the counts say of a valid result; of 4D-STEM alone, whose model has the noise."""
    from runner.cli.output import note
    from runner.files.challenge import open_challenge
    from runner.pipeline.check import check_result, told
    from schemas.base import VARIANT

    with open_challenge(challenge) as file:
        known = file.attrs.variant == VARIANT
    for line in told(check_result(result, challenge)) if known else ():
        note(line)


def _folder(task: Task, style: Format) -> int:
    from runner.cli.backends import container_backend, process_backend
    from runner.cli.output import note
    from runner.pipeline.check_submission import check_submission
    from runner.submission.check import told

    backend: Backend = (
        container_backend(task.image, task.limits)
        if task.image
        else process_backend(task.limits, "so the image is not checked")
    )
    checks = list(check_submission(task, backend, note))
    click.echo(told(checks, style))
    findings = [item for check in checks for item in check.findings]
    return int(ContractError(findings).exit_code if findings else ExitCode.DONE)


def _own_image(folder: Path) -> str | None:
    """The image that submission.toml names, if the engine has it."""
    from runner.cli.output import note
    from runner.pipeline.backend import image_or_reason
    from runner.submission.manifest import load_manifest

    try:
        image = load_manifest(folder).submission.run.image
    except ContractError:
        return None  # told by the first of the checks
    reason = image_or_reason(image)
    if reason is not None:
        note(f"no image {image} here ({reason}); `docker build --tag {image} {folder}` makes it")
    return image if reason is None else None
