"""The same sandbox on podman, where there is one: what is asked for is applied, limits hold."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.harness.docker_engine import connect as connect_docker
from runner.harness.options import Job
from runner.harness.outcome import ContainerRun
from runner.harness.podman_engine import PodmanEngine, connect
from runner.harness.sandbox import run_container
from runner.harness.watch import Timing
from schemas.findings import ContractError
from schemas.limits import ResourceLimits

pytestmark = pytest.mark.docker

BASE = "stem4d-base:bookworm"
SMALL = ResourceLimits(
    memory_mib=128, tmp_mib=32, shm_mib=16, wall_s=20.0, output_mib=2, pids=64, log_mib=0.1
)
QUICK = Timing(poll_s=0.05, grace_s=1.0)

Run = Callable[..., ContainerRun]


@pytest.fixture(scope="module")
def podman() -> Iterator[PodmanEngine]:
    try:
        with connect() as engine, connect_docker() as docker:
            try:
                docker.image(BASE)
            except ContractError:
                pytest.skip(f"needs {BASE} (tools/base_image.sh)")
            with (
                subprocess.Popen(["docker", "save", BASE], stdout=subprocess.PIPE) as saved,
                subprocess.Popen(["podman", "load", "--quiet"], stdin=saved.stdout),
            ):
                pass
            yield engine
    except ContractError as error:
        pytest.skip(f"no podman: {error.findings[0].found}")


@pytest.fixture
def run(podman: PodmanEngine, tmp_path: Path) -> Iterator[Run]:
    """Run a shell command in a container of podman's."""
    tags = []

    def call(command: str, limits: ResourceLimits = SMALL) -> ContainerRun:
        tag = f"localhost/stem4d-test:{uuid.uuid4().hex[:12]}"
        lines = f'FROM {BASE}\nENTRYPOINT ["sh", "-c", "{command}"]\n'
        podman.command("build", "--quiet", "--tag", tag, "--file", _file(tmp_path, lines))
        tags.append(tag)
        challenge = tmp_path / "challenge.h5"
        challenge.write_bytes(b"counts")
        job = Job(tag, challenge, tmp_path / "out", limits, staging=tmp_path / "staging")
        ended = run_container(podman, job, timing=QUICK)
        assert podman.labelled("org.stem4d.run") == {}
        return ended

    yield call
    if tags:
        podman.command("rmi", "--force", *tags)


def _file(folder: Path, text: str) -> str:
    path = folder / "Dockerfile"
    path.write_text(text)
    return str(path)


def codes(ended: ContainerRun) -> list[str]:
    return [entry.code for entry in ended.findings]


def test_what_is_asked_for_is_applied(run: Run) -> None:
    probe = (
        "id -u; cat /input/challenge.h5; echo; ls /sys/class/net; echo result > /output/result.h5;"
        " grep -E 'Cap(Eff|Bnd)|NoNewPrivs' /proc/self/status;"
        " touch /x /run/x /var/tmp/x; ulimit -n"
    )
    ended = run(probe)
    assert codes(ended) == []
    assert ended.not_applied == ()
    lines = [line.split() for line in ended.log.splitlines()]
    for line in (
        ["1000"],
        ["counts"],
        ["lo"],
        ["CapEff:", "0000000000000000"],
        ["CapBnd:", "0000000000000000"],
        ["NoNewPrivs:", "1"],
        ["1024"],
    ):
        assert line in lines
    assert ended.log.count("Read-only file system") == 3
    assert [path.name for path in ended.outputs] == ["result.h5"]


@pytest.mark.parametrize(
    ("command", "limits", "expected"),
    [
        ("sleep 600", {"wall_s": 1.0}, ["RUN_TIMEOUT"]),
        ("trap : TERM; while true; do sleep 0.1; done", {"wall_s": 1.0}, ["RUN_TIMEOUT"]),
        ("head -c 3000000 /dev/zero > /output/x; sleep 600", {}, ["OUTPUT_TOO_LARGE"]),
        ("ln -s /etc/passwd /output/result.h5", {}, ["RESULT_NOT_REGULAR"]),
        ("cat /dev/zero >&2", {}, ["LOG_FLOOD"]),
        ("exit 7", {}, ["ALGORITHM_FAILED"]),
    ],
)
def test_limits_hold(run: Run, command: str, limits: dict[str, float], expected: list[str]) -> None:
    assert codes(run(command, SMALL.model_copy(update=limits))) == expected


def test_memory_ends(run: Run) -> None:
    """The limit holds; podman 4.3 does not tell why on control groups of the first version."""
    ended = run("python3 -c 'bytearray(1 << 30)'")
    assert ended.exit_code == 137
    assert codes(ended) == (["OUT_OF_MEMORY"] if ended.oom else ["ALGORITHM_FAILED"])


def test_an_image_that_is_not_there(podman: PodmanEngine) -> None:
    with pytest.raises(ContractError) as caught:
        podman.image("localhost/stem4d-no-such-image")
    assert caught.value.findings[0].code == "IMAGE_NOT_FOUND"
