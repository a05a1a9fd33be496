"""Options of the commands that judge images on a tier: evaluate and serve-queue."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from runner.pipeline.stages import Plan

ENGINE_NAMES = ("docker", "podman")

_OPTIONS = (
    click.option(
        "--challenge",
        type=click.Path(path_type=Path, dir_okay=False),
        required=True,
        help="The tier's challenge file; the container gets its blind view.",
    ),
    click.option(
        "--truth",
        type=click.Path(path_type=Path, dir_okay=False),
        required=True,
        help="The tier's truth file, or the public challenge file, which holds the truth.",
    ),
    click.option(
        "--limits",
        "limits_file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="TOML file of limits.  [default: the contract's]",
    ),
    click.option("--runtime", help="Container runtime, for example runsc (gVisor)."),
    click.option(
        "--repeat",
        type=click.IntRange(1, 9),
        default=1,
        show_default=True,
        help="Number of runs: from two on, the results must be the same.",
    ),
    click.option(
        "--staging",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder for a run's own files; the container can read its path.  [default: /var/tmp]",
    ),
    click.option(
        "--key",
        "key_file",
        type=click.Path(path_type=Path, dir_okay=False, exists=True),
        help="File whose bytes are the key of a seal beside the canonical result (HMAC-SHA256).",
    ),
)

engine_option: Callable[[Any], Any] = click.option(
    "--engine",
    "engine_name",
    type=click.Choice(ENGINE_NAMES),
    default=ENGINE_NAMES[0],
    show_default=True,
    help="Container engine.",
)


def tier_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a tier; they reach it as one argument, `plan`.

    The plan's image, folder and seed are not yet those of a submission.
    """

    @wraps(command)
    def with_plan(
        *,
        challenge: Path,
        truth: Path,
        limits_file: Path | None,
        runtime: str | None,
        repeat: int,
        staging: Path | None,
        key_file: Path | None,
        **others: Any,
    ) -> Any:
        plan = _plan(challenge, truth, limits_file, runtime, repeat, staging, key_file)
        return command(plan=plan, **others)

    for option in reversed(_OPTIONS):
        with_plan = option(with_plan)
    return with_plan


def _plan(
    challenge: Path,
    truth: Path,
    limits_file: Path | None,
    runtime: str | None,
    repeat: int,
    staging: Path | None,
    key_file: Path | None,
) -> Plan:
    from runner.harness.limits import load_limits
    from runner.harness.seal import MIN_KEY_BYTES
    from runner.pipeline.stages import DEFAULT_STAGING, Plan

    key = key_file.read_bytes() if key_file else None
    if key is not None and len(key) < MIN_KEY_BYTES:
        raise click.UsageError(f"--key: {len(key)} bytes, at least {MIN_KEY_BYTES} are needed")
    limits = load_limits(limits_file)
    if runtime is not None:
        limits = limits.model_copy(update={"runtime": runtime})
    return Plan(
        image="",
        challenge=challenge,
        truth=truth,
        out=Path(),
        limits=limits,
        repeat=repeat,
        staging=staging or DEFAULT_STAGING,
        hmac_key=key,
    )
