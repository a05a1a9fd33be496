"""The doctor: what is wrong is said, with what mends it, and never by a stack trace."""

from __future__ import annotations

import errno
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from runner.harness import docker_engine, doctor
from runner.harness.engine import Engine, unreachable
from schemas import ContractError, ResourceLimits
from tests.helpers.fake_engine import FACTS, IMAGE, FakeEngine, FakeImage


def looks(out: Path, limits: ResourceLimits = ResourceLimits(), **more) -> dict[str, doctor.Look]:
    found = doctor.examine(out, limits, image="submission", **more)
    return {look.name.partition(" ")[0]: look for look in found}


def with_engine(monkeypatch: pytest.MonkeyPatch, engine: Engine | ContractError) -> None:
    @contextmanager
    def connect() -> Iterator[Engine]:
        if isinstance(engine, ContractError):
            raise engine
        yield engine

    monkeypatch.setattr(docker_engine, "connect", connect)


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    about = replace(FACTS, version="24.0.7")
    return FakeEngine(tmp_path / "engine", {"submission": FakeImage()}, about=about)


def test_all_is_well(engine: FakeEngine, tmp_path: Path, monkeypatch) -> None:
    with_engine(monkeypatch, engine)
    found = looks(tmp_path / "new" / "out")
    assert {look.name: look for look in found.values() if look.state == "wrong"} == {}
    assert "24.0.7" in found["engine"].found
    assert not (tmp_path / "new").exists(), "a doctor leaves nothing"


@pytest.mark.parametrize(
    ("cause", "mend"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "usermod -aG docker"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "install it"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "systemctl start docker"),
        (ValueError("?"), "docker version"),
    ],
)
def test_no_engine_and_why(cause: Exception, mend: str, tmp_path: Path, monkeypatch) -> None:
    """docker-py wraps what the system said: in its arguments, or as its cause."""
    for error in (RuntimeError("Connection aborted", cause), RuntimeError("no")):
        if not error.args[1:]:
            error.__cause__ = cause
        with_engine(monkeypatch, unreachable(error))
        found = looks(tmp_path)["engine"]
        assert found.state == "wrong"
        assert mend in found.mend


def test_an_engine_that_is_too_old(engine: FakeEngine, tmp_path: Path, monkeypatch) -> None:
    with_engine(monkeypatch, replace(engine, about=replace(FACTS, version="19.03.1")))
    found = looks(tmp_path)["engine"]
    assert (found.state, "20.10" in found.mend) == ("wrong", True)


def test_an_engine_that_holds_no_limits(engine: FakeEngine, tmp_path: Path, monkeypatch) -> None:
    about = replace(engine.about, limits=frozenset({"cpus"}))
    with_engine(monkeypatch, replace(engine, about=about))
    found = looks(tmp_path)["engine"]
    assert found.state == "warning"
    assert "memory, pids" in found.found


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ({}, "no image"),
        ({"submission": FakeImage(facts=replace(IMAGE, architecture="arm64"))}, "ARCHITECTURE"),
        ({"submission": FakeImage(facts=replace(IMAGE, labels={}))}, "IMAGE_LABEL"),
    ],
)
def test_an_image_that_will_not_do(images, said: str, tmp_path: Path, monkeypatch) -> None:
    with_engine(monkeypatch, FakeEngine(tmp_path / "e", images, about=replace(FACTS, version="24")))
    found = looks(tmp_path)["image"]
    assert found.state == "wrong"
    assert said in found.found
    assert found.mend


def test_packages_by_version(tmp_path: Path, monkeypatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "rich":
            raise metadata.PackageNotFoundError(name)
        return "0.1" if name == "scipy" else real(name)

    monkeypatch.setattr(doctor, "version", version)
    found = looks(tmp_path, container=False)["packages"]
    assert found.state == "wrong"
    assert "no rich" in found.found
    assert "scipy 0.1" in found.found
    assert "stem4d[host]" in found.mend


def test_machine(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10 << 20))
    limits = ResourceLimits(cpus=1e4, memory_mib=1 << 40, gpu=True)
    found = looks(tmp_path, limits, container=False)
    assert {name: found[name].state for name in ("architecture", "CPUs", "memory", "disk")} == {
        "architecture": "warning",
        "CPUs": "warning",
        "memory": "warning",
        "disk": "wrong",
    }
    assert "--platform linux/amd64" in found["architecture"].mend
    assert "engine" not in found


def test_a_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    found = looks(tmp_path / "out", container=False)["output"]
    assert (found.state, "chown" in found.mend) == ("wrong", True)


def test_the_command(stem4d, tmp_path: Path, monkeypatch) -> None:
    done = stem4d("doctor", "--no-docker", "--out", tmp_path, "--json")
    assert done.code == 0, done.out
    assert done.json()["ready"] is True
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/engine.sock")
    done = stem4d("doctor", "--out", tmp_path)
    assert done.code == 5
    assert "\u2717 engine" in done.out
    assert "    do: " in done.out
