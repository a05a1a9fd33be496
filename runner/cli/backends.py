"""The container that a command was asked to run in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from runner.pipeline.backend import ContainerBackend
    from schemas.limits import ResourceLimits


def container_backend(image: str, limits: ResourceLimits) -> ContainerBackend:
    """The sandbox for an image; says which limits hold. Its log goes to stderr as it comes."""
    from runner.cli.output import note
    from runner.pipeline.backend import ContainerBackend

    note(f"backend: container of {image}, network none, {_limits_text(limits)}")
    return ContainerBackend(image, limits, lambda text: click.echo(text, err=True, nl=False))


def _limits_text(limits: ResourceLimits) -> str:
    return (
        f"{limits.memory_mib} MiB, {limits.cpus:g} CPUs, {limits.pids} pids,"
        f" {limits.wall_s:g} s" + (", GPU" if limits.gpu else "")
    )
