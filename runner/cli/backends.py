"""The container that a command was asked to run in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from runner.pipeline.backend import Backend, ContainerBackend, ProcessBackend
    from schemas.limits import ResourceLimits


def container_backend(image: str, limits: ResourceLimits) -> ContainerBackend:
    """The sandbox for an image; says which limits hold. Its log goes to stderr as it comes."""
    from runner.cli.output import note
    from runner.cli.resources import limits_text
    from runner.pipeline.backend import ContainerBackend

    note(f"backend: container of {image}, no network, read-only root, user 1000")
    note(f"limits: {limits_text(limits)}")
    return ContainerBackend(image, limits, lambda text: click.echo(text, err=True, nl=False))


def process_backend(limits: ResourceLimits, why: str) -> ProcessBackend:
    """This process; says what a server holds and this process does not."""
    from runner.cli.output import note
    from runner.cli.resources import limits_text
    from runner.pipeline.backend import ProcessBackend

    note(f"backend: this process, {why}")
    note(f"limits: {limits_text(limits)}")
    note("  here only the wall times hold; a container has no network and a read-only root as well")
    return ProcessBackend(limits)


def chosen_backend(
    image: str | None, limits: ResourceLimits, *, algorithm: str | None = None, no_docker: bool
) -> Backend:
    """The backend that was asked for, or the one that is there; says which, and why.

    An algorithm that is a file of this machine is no part of stem4d's own image.

    Raises:
        ContractError: an image that a server would refuse unrun; one that was asked for and is not
            there.
    """
    from runner.pipeline.backend import DEFAULT_IMAGE, image_or_reason, require_fit

    if no_docker:
        return process_backend(limits, "as asked for (--no-docker)")
    if image is None and algorithm is not None and ".py:" in algorithm:
        return process_backend(limits, f"for {algorithm} is a file here, in no image (--image)")
    reason = None if image is not None else image_or_reason(DEFAULT_IMAGE)
    if reason is not None:
        return process_backend(limits, f"for no container can be run here ({reason})")
    require_fit(image or DEFAULT_IMAGE, limits)
    return container_backend(image or DEFAULT_IMAGE, limits)
