"""The `run` command: what the image's ENTRYPOINT and `stem4d run` do."""

from __future__ import annotations

import json
import os
import stat
import warnings
from pathlib import Path

import click

from algorithms.registry import DEFAULT_ALGORITHM
from runner.container.command import run_command
from schemas.base import StrictJSONError, strict_json
from schemas.findings import ContractError, ExitCode, refuse
from schemas.limits import ResourceLimits

DEFAULT_INPUT = Path("/input")
DEFAULT_OUTPUT = Path("/output")

MAX_SEED = 2**63 - 1
"""Largest seed that torch's generators take."""


@click.command()
@click.argument("input_path", required=False, type=click.Path(path_type=Path), metavar="[INPUT]")
@click.argument("output_path", required=False, type=click.Path(path_type=Path), metavar="[OUTPUT]")
@click.option(
    "--input",
    "input_option",
    type=click.Path(path_type=Path),
    help="Challenge file, or the folder that holds one [default: /input]",
)
@click.option(
    "--output",
    "output_option",
    type=click.Path(path_type=Path),
    help="Folder for result.h5 and progress.jsonl [default: /output]",
)
@click.option(
    "--algorithm",
    envvar="STEM4D_ALGORITHM",
    default=DEFAULT_ALGORITHM,
    show_default=True,
    help="NAME[+CALIBRATOR], or path/to/file.py:ClassName [env: STEM4D_ALGORITHM]",
)
@click.option(
    "--seed",
    envvar="STEM4D_SEED",
    default=0,
    show_default=True,
    type=click.IntRange(0, MAX_SEED),
    help="Random seed [env: STEM4D_SEED]",
)
@click.option("--resume", is_flag=True, help="Go on from a partial result of the same run")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout at the end")
@click.option("--quiet", is_flag=True, help="No progress on stderr")
def run(
    input_path: Path | None,
    output_path: Path | None,
    input_option: Path | None,
    output_option: Path | None,
    algorithm: str,
    seed: int,
    resume: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Reconstruct every sample of a challenge file and write result.h5.

    INPUT is a challenge file or a folder with exactly one; OUTPUT is a folder. The result is
    complete and valid after each sample, so a run that is stopped loses only the sample in hand.
    """
    source = find_challenge(input_option or input_path or DEFAULT_INPUT)
    folder = output_option or output_path or DEFAULT_OUTPUT
    # torch is loaded here, after the arguments are known to be good.
    from runner.container.run import RunOptions, run_challenge

    options = RunOptions(
        algorithm=algorithm,
        seed=seed,
        limits=limits_from_environment(),
        resume=resume,
        quiet=quiet,
        nonce=os.environ.get("STEM4D_NONCE"),
    )
    result = run_challenge(source, folder, options)
    if as_json:
        click.echo(json.dumps({"result": str(result), "algorithm": algorithm, "seed": seed}))
    elif not quiet:
        click.echo(f"wrote {result}", err=True)
    return int(ExitCode.DONE)


def find_challenge(path: Path) -> Path:
    """The challenge file at `path`, or the only one in that folder.

    Raises:
        ContractError: INPUT_NOT_FOUND or INPUT_AMBIGUOUS.
    """
    mode = _mode_of(path)
    if stat.S_ISREG(mode):
        return path
    names = _names_in(path) if stat.S_ISDIR(mode) else []
    found = [path / name for name in names if name.endswith(".h5")]
    if len(found) == 1:
        return found[0]
    if found:
        raise refuse(
            "INPUT_AMBIGUOUS",
            str(path),
            expected="one .h5 file",
            found=", ".join(entry.name for entry in found),
            hint="name the file: --input FOLDER/FILE.h5",
        )
    raise refuse(
        "INPUT_NOT_FOUND",
        str(path),
        expected="a challenge file (.h5), or a folder with one",
        found=f"a folder with {', '.join(names[:10]) or 'nothing'}"
        if stat.S_ISDIR(mode)
        else "no such path, or no plain file",
        hint="mount the folder that holds it: docker run -v /path/to/folder:/input:ro ...; or give"
        " --input PATH",
    )


def _mode_of(path: Path) -> int:
    """File type and rights of what lies there, links followed; 0: nothing does.

    Raises:
        ContractError: INPUT_NOT_FOUND, a folder on the way may not be entered.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        raise _closed(path, "a path whose folders", "enter", error) from error


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise _closed(folder, "a folder that", "read", error) from error


def _closed(path: Path, what: str, do: str, error: OSError) -> ContractError:
    return refuse(
        "INPUT_NOT_FOUND",
        str(path),
        expected=f"{what} user id {os.getuid()} may {do}",
        found=f"{type(error).__name__}: {error.strerror}",
        hint="let others read it (for a container: chmod 755 on the host folder that is mounted at"
        " /input, and on those above it)",
    )


def limits_from_environment() -> ResourceLimits:
    """The limits that the harness passes as JSON in STEM4D_LIMITS, or the contract's.

    Limits that this version does not know are left to the harness, with a warning: an image must
    still run under a harness that is newer than itself.

    Raises:
        ContractError: USAGE, when it is no JSON object of limits.
    """
    text = os.environ.get("STEM4D_LIMITS")
    if not text:
        return ResourceLimits()
    try:
        stated = strict_json(text)
        if not isinstance(stated, dict):
            raise StrictJSONError("not an object")
        known = {name: stated[name] for name in stated if name in ResourceLimits.model_fields}
        if len(known) < len(stated):
            unknown = ", ".join(sorted(set(stated) - set(known)))
            warnings.warn(f"STEM4D_LIMITS: limits unknown to this version: {unknown}", stacklevel=2)
        return ResourceLimits.model_validate(known)
    except ValueError as error:
        raise refuse(
            "USAGE",
            "STEM4D_LIMITS",
            expected="a JSON object of limits, as limits.toml names them",
            found=" ".join(str(error).split())[:200],
            hint="unset it: the contract's limits are the default",
        ) from error


def main() -> int:
    """Entry point of the image; returns the exit code."""
    return run_command(run)
