"""What all tests share: when container and GPU tests run, and when not running them is an error."""

from __future__ import annotations

import os
import sys
from functools import cache

import pytest
from hypothesis import settings

from runner.harness.docker_engine import connect, engine_version
from schemas.findings import ContractError

IMAGE = os.environ.get("STEM4D_TEST_IMAGE", "stem4d:latest")
"""Image that the container tests run."""

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}

# The time of one example says nothing on a shared machine; in CI the examples are always the same.
settings.register_profile("stem4d", deadline=None, derandomize=IN_CI)
settings.load_profile("stem4d")


@cache
def missing_for_docker() -> str | None:
    """Why container tests cannot run, or None where they can."""
    if engine_version() is None:
        return "no container engine answers (start Docker)"
    try:
        with connect() as engine:
            engine.image(IMAGE)
    except ContractError:
        return f"the engine has no image {IMAGE} (make image)"
    return None


@cache
def has_gpu() -> bool:
    import torch  # takes seconds: only where a GPU test asks

    return bool(torch.cuda.is_available())


def pytest_report_header(config: pytest.Config) -> str:
    return f"container tests: {missing_for_docker() or f'{IMAGE} on {engine_version()}'}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not has_gpu():
        pytest.skip("no CUDA device")
    if item.get_closest_marker("docker") and (reason := missing_for_docker()):
        if IN_CI:
            # A green run in which the container was never tried would say nothing.
            pytest.fail(f"container tests must run in CI: {reason}", pytrace=False)
        pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The arrays are small: a second thread costs more than it gives.

    torch is loaded by now if any of the chosen tests needs it, and stays unloaded if none does.
    """
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def image() -> str:
    """The submission image under test."""
    return IMAGE
