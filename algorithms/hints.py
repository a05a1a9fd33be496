"""What to do about errors of a stranger's code that every second participant meets."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

from pydantic import ValidationError

from schemas.spec import PARAMETERS, MismatchSpec

NO_NETWORK = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
"""What the kernel says to code that wants to reach another machine from where there is none."""

DEPTH = 8
"""How far behind an error its causes are looked for."""


def hint_for(error: BaseException) -> str | None:
    """What to do about an error, where that is known."""
    return install_hint(error) or network_hint(error) or spec_hint(error)


def install_hint(error: BaseException) -> str | None:
    """What to do about a package that is not there."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return None
    package = error.name.partition(".")[0]
    return (
        f"the package {package} is not there: `pip install {package}` here, and in the Dockerfile"
        f" USER root, RUN pip install --no-cache-dir {package}, USER 1000:1000; a file of your own"
        " must lie beside the class's (and be let through by .dockerignore)"
    )


def network_hint(error: BaseException) -> str | None:
    """What to do about code that wants the network, which no run has."""
    if not any(_of_network(cause) for cause in _causes(error, DEPTH)):
        return None
    return (
        "there is no network in a run: fetch what it needs when the image is built (COPY, or RUN in"
        " the Dockerfile), and read it from /app"
    )


def spec_hint(error: BaseException) -> str | None:
    """What to do about a `MismatchSpec` that cannot be made."""
    if not isinstance(error, ValidationError) or error.title != MismatchSpec.__name__:
        return None
    return (
        f"a MismatchSpec has {', '.join(PARAMETERS)}, each a float; `spec.clipped(sample.ranges)`"
        " brings one into its range"
    )


def _of_network(error: BaseException) -> bool:
    return isinstance(error, socket.gaierror) or (
        isinstance(error, OSError) and error.errno in NO_NETWORK
    )


def _causes(error: BaseException, depth: int) -> Iterator[BaseException]:
    """An error and what is behind it: causes, contexts, and errors that others carry along."""
    yield error
    carried = [entry for entry in error.args if isinstance(entry, BaseException)]
    behind = [entry for entry in (error.__cause__, error.__context__) if entry is not None]
    for entry in (*carried, *behind) if depth else ():
        yield from _causes(entry, depth - 1)
