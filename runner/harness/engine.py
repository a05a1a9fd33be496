"""What the sandbox asks of a container engine: ten calls, in words that no engine owns.

`docker_engine.py` and `podman_engine.py` answer them through the engines' programming interface;
the tests have an engine that only pretends. Whatever goes wrong in one of these calls is a
`ContractError` whose blame is the infrastructure's, with one exception that is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import JsonValue

from runner.harness.options import ContainerOptions
from schemas.findings import ContractError, refuse

KERNEL_LIMITS = ("memory", "cpus", "pids")
"""Limits that the kernel's control groups hold, and that a runtime may leave out."""


@dataclass(frozen=True)
class EngineFacts:
    """What an engine says of itself.

    Attributes:
        name: docker, podman.
        version: its version.
        architecture: of the machine that it runs on, as images name it (amd64, arm64).
        runtimes: arguments that each runtime is started with, by the runtime's name.
        default_runtime: the runtime of a container that names none.
        seccomp: whether system calls are filtered by default.
        limits: which of `KERNEL_LIMITS` the machine's kernel can hold.
        gpu: whether the engine has a way to hand on a GPU.
        local: whether containers are processes of this very machine.
    """

    name: str
    version: str
    architecture: str
    runtimes: Mapping[str, tuple[str, ...]]
    default_runtime: str
    seccomp: bool
    limits: frozenset[str]
    gpu: bool
    local: bool

    def not_held(self, runtime: str) -> tuple[str, ...]:
        """Which of `KERNEL_LIMITS` no kernel holds for containers of a runtime."""
        if "--ignore-cgroups" in self.runtimes.get(runtime, ()):  # gVisor's runsc
            return KERNEL_LIMITS
        return tuple(name for name in KERNEL_LIMITS if name not in self.limits)


@dataclass(frozen=True)
class ImageFacts:
    """What an image says of itself.

    Attributes:
        id: content address; what runs are started from, because a tag may move.
        digest: name@sha256:... as a registry knows it, None for an image that was built here.
        os: operating system.
        architecture: as the engine names it.
        user: USER of the image; "" is root.
        labels: its labels.
        entrypoint: ENTRYPOINT.
        volumes: paths that it declares as VOLUME.
        size_bytes: unpacked.
    """

    id: str
    digest: str | None
    os: str
    architecture: str
    user: str
    labels: Mapping[str, str]
    entrypoint: tuple[str, ...]
    volumes: tuple[str, ...]
    size_bytes: int

    @classmethod
    def of(cls, inspected: Mapping[str, Any]) -> ImageFacts:
        """From what `image inspect` prints, in which docker and podman agree."""
        config = inspected.get("Config") or {}
        digests = inspected.get("RepoDigests") or ()
        return cls(
            id=inspected["Id"],
            digest=digests[0] if digests else None,
            os=inspected["Os"],
            architecture=inspected["Architecture"],
            user=config.get("User") or "",
            labels=config.get("Labels") or {},
            entrypoint=tuple(config.get("Entrypoint") or ()),
            volumes=tuple(sorted(config.get("Volumes") or ())),
            size_bytes=inspected["Size"],
        )


@dataclass(frozen=True)
class ContainerState:
    """What an engine says of a container.

    Attributes:
        ended: it has run and is dead.
        exit_code: of its first process.
        oom: the kernel killed a process of it for memory.
        pid: its first process, as the engine's machine numbers it; 0 when it is dead.
    """

    ended: bool
    exit_code: int
    oom: bool
    pid: int


@dataclass(frozen=True)
class LogPiece:
    """Some bytes of a container's log."""

    stream: Literal["stdout", "stderr"]
    data: bytes


class Engine(Protocol):
    """A container engine that answers."""

    def facts(self) -> EngineFacts:
        """What the engine says of itself."""

    def image(self, name: str) -> ImageFacts:
        """An image that the engine has; no registry is asked.

        Raises:
            ContractError: IMAGE_NOT_FOUND.
        """

    def create(self, options: ContainerOptions) -> str:
        """Make a container, not yet running; returns its id."""

    def applied(self, container: str) -> dict[str, JsonValue]:
        """The options that hold, in the words of `ContainerOptions.stated`."""

    def log(self, container: str) -> Iterator[LogPiece]:
        """All that a container will write, from before its start to its end."""

    def start(self, container: str) -> None:
        """Start a container.

        Raises:
            ContractError: IMAGE_NOT_STARTED, when it is the image that cannot be started: the one
                failure here that is the submission's.
        """

    def state(self, container: str) -> ContainerState:
        """How a container is."""

    def kill(self, container: str, signal: str) -> None:
        """Send a signal to a container's first process; nothing when it is dead already."""

    def remove(self, container: str) -> None:
        """Kill a container, all processes of it, and remove it; nothing when there is none."""

    def labelled(self, label: str) -> dict[str, str]:
        """The label's value of each container that has it, dead ones included, by id."""


def image_not_found(image: str) -> ContractError:
    """The engine answered that it has no such image."""
    return refuse(
        "IMAGE_NOT_FOUND",
        image,
        expected="an image that the engine has",
        found="no image of that name",
        hint="`make image` builds stem4d:latest; `docker build -t NAME .` builds your own;"
        " `docker pull NAME` fetches one",
    )


def image_not_started(image: str, said: str) -> ContractError:
    """The engine answered that the image's entry point cannot be started."""
    return refuse(
        "IMAGE_NOT_STARTED",
        image,
        expected="an ENTRYPOINT that user 1000 can execute",
        found=said,
        hint="`docker run --rm --user 1000:1000 IMAGE` shows the same; check its path and mode",
    )


def engine_failed(doing: str, error: Exception) -> ContractError:
    """The engine answered, but could not do what it was asked."""
    return refuse(
        "ENGINE_FAILED",
        doing,
        expected="the container engine to do it",
        found=f"{type(error).__name__}: {getattr(error, 'explanation', None) or error}",
        hint="the same call may go through later; `docker info` and the engine's log say more",
    )


def unreachable(error: Exception) -> ContractError:
    """No engine answers; what to do depends on why."""
    return refuse(
        "ENGINE_UNREACHABLE",
        "container engine",
        expected="an engine that answers (Docker 20.10 or newer)",
        found=str(error),
        hint=f"{_mend(error)}; then `docker version` shows a server."
        " `--no-docker` runs the algorithm in this process instead",
    )


MENDS: tuple[tuple[type[BaseException], str], ...] = (
    (
        PermissionError,
        "Docker is there, but your user may not use it: `sudo usermod -aG docker $USER`, then log"
        " out and in again (or `newgrp docker` for this shell)",
    ),
    (
        FileNotFoundError,
        "no engine listens here: start Docker (`sudo systemctl start docker`, or Docker Desktop),"
        " or install it (https://docs.docker.com/engine/install); DOCKER_HOST, where it is set,"
        " must name its socket",
    ),
    (
        ConnectionRefusedError,
        "nobody listens there: start Docker (`sudo systemctl start docker`), or correct"
        " DOCKER_HOST",
    ),
)
"""What to do about each cause, the first that is found."""


def _mend(error: BaseException) -> str:
    causes = tuple(_causes(error))
    for kind, mend in MENDS:
        if any(isinstance(cause, kind) for cause in causes):
            return mend
    return "start Docker, or correct DOCKER_HOST"


def _causes(error: BaseException, depth: int = 10) -> Iterator[BaseException]:
    """An error and what is behind it: causes, contexts, and errors that others carry along."""
    yield error
    carried = [entry for entry in error.args if isinstance(entry, BaseException)]
    behind = [entry for entry in (error.__cause__, error.__context__) if entry is not None]
    for entry in (*carried, *behind) if depth else ():
        yield from _causes(entry, depth - 1)
