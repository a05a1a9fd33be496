"""The container engine: reaching it, and saying what to do when it does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound
from requests.exceptions import RequestException

from schemas.findings import ContractError, refuse

REQUEST_TIMEOUT_S = 60.0
"""Longest wait for one answer of the engine [s]; runs are polled, so none of them is long."""

ENGINE_ERRORS = (DockerException, RequestException, OSError)
"""What docker-py raises when the engine is away, overloaded or refuses: three families."""


@contextmanager
def connect() -> Iterator[Any]:
    """A client of the engine that the `docker` command would use (DOCKER_HOST, context).

    Raises:
        ContractError: ENGINE_UNREACHABLE.
    """
    try:
        client = docker.from_env(timeout=REQUEST_TIMEOUT_S)
    except ENGINE_ERRORS as error:
        raise _unreachable(error) from error
    try:
        try:
            client.ping()
        except ENGINE_ERRORS as error:
            raise _unreachable(error) from error
        yield client
    finally:
        client.close()


def engine_version() -> str | None:
    """Name and version of the engine that answers, or None where none does."""
    try:
        with connect() as client:
            return f"Docker {client.version()['Version']}"
    except ContractError:
        return None


def find_image(client: Any, image: str) -> Any:
    """The local image of that name.

    Raises:
        ContractError: IMAGE_NOT_FOUND.
    """
    try:
        return client.images.get(image)
    except ImageNotFound as error:
        raise refuse(
            "IMAGE_NOT_FOUND",
            image,
            expected="an image that the engine has",
            found="no image of that name",
            hint="`make image` builds stem4d:latest; `docker build -t NAME .` builds your own;"
            " `docker pull NAME` fetches one",
        ) from error


def engine_failed(doing: str, error: Exception) -> ContractError:
    """The engine answered, but could not do what it was asked."""
    return refuse(
        "ENGINE_FAILED",
        doing,
        expected="the container engine to do it",
        found=f"{type(error).__name__}: {getattr(error, 'explanation', None) or error}",
        hint="the same call may go through later; `docker info` and the engine's log say more",
    )


def _unreachable(error: Exception) -> ContractError:
    return refuse(
        "ENGINE_UNREACHABLE",
        "container engine",
        expected="an engine that answers (Docker 20.10 or newer)",
        found=str(error),
        hint="start Docker (`docker version` must show a server), check that your user may use it,"
        " or DOCKER_HOST; `--no-docker` runs the algorithm in this process instead",
    )
