"""What the image is: small, closed, not root, and holding nothing that it must not hold."""

from __future__ import annotations

from typing import Any

import pytest

from runner.harness.docker_engine import connect
from schemas.base import CONTRACT_VERSION
from schemas.version import __version__

pytestmark = pytest.mark.docker

LARGEST_MB = 1200
ORGANISERS_ROOMS = ("cli", "harness", "report", "scoring", "tiers")


@pytest.fixture(scope="module")
def config(image: str) -> dict[str, Any]:
    with connect() as engine:
        attrs: dict[str, Any] = engine.client.images.get(image).attrs
    return attrs


@pytest.fixture
def shell(docker_run: Any) -> Any:
    """Runs a shell command in the image, returns what it prints."""

    def run(command: str) -> str:
        done = docker_run("-c", command, options=["--entrypoint", "sh"])
        assert done.returncode == 0, done.stderr
        text: str = done.stdout
        return text

    return run


def test_size(config: dict[str, Any]) -> None:
    assert config["Size"] / 1e6 < LARGEST_MB


def test_user_and_entrypoint(config: dict[str, Any]) -> None:
    assert config["Config"]["User"] == "1000:1000"
    assert config["Config"]["Entrypoint"] == ["python", "-m", "runner.container"]
    assert not config["Config"]["Cmd"]


def test_labels(config: dict[str, Any]) -> None:
    labels = config["Config"]["Labels"]
    assert labels["org.stem4d.contract-version"] == CONTRACT_VERSION
    assert labels["org.opencontainers.image.version"] == __version__
    for name in ("title", "revision", "source", "licenses", "base.name"):
        assert labels[f"org.opencontainers.image.{name}"]


def test_only_the_container_s_rooms(shell: Any) -> None:
    found = shell("cd /opt/stem4d-code && ls && ls runner")
    assert {"schemas", "physics", "algorithms", "runner", "files", "container"} <= {*found.split()}
    assert not {*ORGANISERS_ROOMS, "tests", "tools"} & {*found.split()}


def test_no_tools_and_no_leftovers(shell: Any) -> None:
    script = (
        "for tool in gcc cc g++ make git; do command -v $tool; done;"
        " find / -xdev \\( -name '*.whl' -o -name '*.a' -o -path '*/torch/include' \\)"
        " ! -path '/usr/*' 2>/dev/null;"
        " ls -d /root/.cache /build 2>/dev/null; true"
    )
    assert shell(script) == ""


def test_code_is_compiled_and_not_ours_to_change(shell: Any) -> None:
    found = shell(
        "find /opt/stem4d-code -name '*.pyc' | wc -l;"
        " find /opt/stem4d /opt/stem4d-code ! -user root | wc -l; id -un; echo $HOME"
    ).split()
    assert int(found[0]) > 10
    assert found[1:] == ["0", "stem4d", "/tmp"]


def test_it_knows_nothing_of_this_machine(shell: Any) -> None:
    """Neither where packages came from nor who built it."""
    found = shell("cat /etc/pip.conf /etc/apt/sources.list ~/.config/pip/pip.conf 2>/dev/null; env")
    assert "PIP_" not in found
    assert "file://" not in found
