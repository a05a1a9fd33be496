"""The container engines by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType

from runner.harness import docker_engine, podman_engine
from runner.harness.engine import Engine

ENGINES: Mapping[str, Callable[[], AbstractContextManager[Engine]]] = MappingProxyType(
    {"docker": docker_engine.connect, "podman": podman_engine.connect}
)


def open_engine(name: str) -> AbstractContextManager[Engine]:
    """An engine that answers.

    Raises:
        ContractError: ENGINE_UNREACHABLE, when the context is entered.
    """
    return ENGINES[name]()
