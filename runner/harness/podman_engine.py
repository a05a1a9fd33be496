"""Podman, through its command.

Podman also answers Docker's programming interface, but loses options there: a container made
through it shares the host's control group namespace, gets a limit on processes that it may not be
allowed to set, and its log cannot be read from the start (4.3). The command does what it is told.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import IO, Any, Literal

from pydantic import JsonValue

from runner.harness.engine import (
    KERNEL_LIMITS,
    ContainerState,
    Engine,
    EngineFacts,
    ImageFacts,
    LogPiece,
    engine_failed,
    image_not_found,
    image_not_started,
    unreachable,
)
from runner.harness.options import RUN_LABEL, ContainerOptions, docker_arguments
from schemas.findings import ContractError

COMMAND_TIMEOUT_S = 60.0
"""Longest wait for one command [s]; none lasts as long as a run."""

NOT_EXECUTABLE = (126, 127)
"""Exit codes of a container whose first process could not be started."""

READ_BYTES = 1 << 16
NANO = 1e9

CONTROLLERS = {"memory": "memory", "cpus": "cpu", "pids": "pids"}
"""Control group controller of each limit."""

OWN_MOUNT_OPTIONS = {"rprivate", "tmpcopyup"}
"""What podman adds to every tmpfs."""

USER_PROCESSES = 32768
"""Processes of one user of the host: what a kernel gives by default to a small machine."""

SHAREABLE = "shareable"
"""Podman's word for a namespace that another container may join if it asks; none of ours does."""


class PodmanError(Exception):
    """A command that failed; its text is what it wrote to stderr."""


@contextmanager
def connect() -> Iterator[PodmanEngine]:
    """Podman of this machine and user.

    Raises:
        ContractError: ENGINE_UNREACHABLE.
    """
    engine = PodmanEngine()
    try:
        engine.command("version")
    except (OSError, PodmanError, subprocess.TimeoutExpired) as error:
        raise unreachable(error) from error
    yield engine


class PodmanEngine(Engine):
    """Podman 4 or newer."""

    name = "podman"

    def __init__(self) -> None:
        self._started: dict[str, threading.Event] = {}

    def command(self, *arguments: str) -> str:
        """Run `podman ARGUMENTS`; returns what it prints.

        Raises:
            PodmanError: it failed.
            subprocess.TimeoutExpired: it does not end.
        """
        done = subprocess.run(
            ["podman", *arguments],
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            raise PodmanError(done.stderr.strip() or f"exit code {done.returncode}")
        return done.stdout.strip()

    def facts(self) -> EngineFacts:
        """What `podman info` says."""
        with _doing("asking podman about itself"):
            info = json.loads(self.command("info", "--format", "json"))
        host = info["host"]
        held = set(host["cgroupControllers"])
        return EngineFacts(
            name=self.name,
            version=info["version"]["Version"],
            architecture=host["arch"],
            runtimes={host["ociRuntime"]["name"]: ()},
            default_runtime=host["ociRuntime"]["name"],
            seccomp=bool(host["security"]["seccompEnabled"]),
            limits=frozenset(name for name in KERNEL_LIMITS if CONTROLLERS[name] in held),
            gpu=False,
            local=True,
        )

    def image(self, name: str) -> ImageFacts:
        """What `podman image inspect` says."""
        with _doing(f"looking for image {name}"):
            try:
                self.command("image", "exists", name)
            except PodmanError as error:
                raise image_not_found(name) from error
            attrs = json.loads(self.command("image", "inspect", name))[0]
        return ImageFacts.of(attrs)

    def create(self, options: ContainerOptions) -> str:
        """`podman create`, with the options that `docker run` would get, and three of its own."""
        arguments = [
            word.replace("--log-driver=json-file", "--log-driver=k8s-file")
            for word in docker_arguments(options)
            if word != "--log-opt=max-file=1"
        ]
        own = [
            "--pull=never",
            "--read-only-tmpfs=false",
            f"--label={RUN_LABEL}={options.owner}",
            _process_limit(),
        ]
        with _doing(f"creating a container of {options.image}"):
            return self.command("create", *own, *arguments)

    def applied(self, container: str) -> dict[str, JsonValue]:
        """What `podman inspect` says of a container's options."""
        with _doing("reading a container's options"):
            return _stated(self._inspect(container))

    def log(self, container: str) -> Iterator[LogPiece]:
        """`podman logs --follow`, from the start of the container on."""
        started = self._started.setdefault(container, threading.Event())
        return _follow(container, started)

    def start(self, container: str) -> None:
        """`podman start`."""
        try:
            with _doing("starting a container"):
                try:
                    self.command("start", container)
                except PodmanError as error:
                    if self._inspect(container)["State"]["ExitCode"] in NOT_EXECUTABLE:
                        raise image_not_started("container", str(error)) from error
                    raise
        finally:
            self._started.setdefault(container, threading.Event()).set()

    def state(self, container: str) -> ContainerState:
        """What `podman inspect` says of a container's state."""
        with _doing("looking at a container"):
            state = self._inspect(container)["State"]
        return ContainerState(
            ended=state["Status"] in ("exited", "stopped"),
            exit_code=int(state["ExitCode"]),
            oom=bool(state["OOMKilled"]),
            pid=int(state["Pid"]),
        )

    def kill(self, container: str, signal: str) -> None:
        """`podman kill`."""
        with _doing("ending a container"):
            try:
                self.command("kill", "--signal", signal, container)
            except PodmanError:
                if not self.state(container).ended:
                    raise

    def remove(self, container: str) -> None:
        """`podman rm --force --ignore --volumes`."""
        self._started.pop(container, None)
        with _doing("removing a container"):
            self.command("rm", "--force", "--ignore", "--volumes", "--time=0", container)

    def labelled(self, label: str) -> dict[str, str]:
        """`podman ps --all --filter label=...`."""
        with _doing("looking for containers"):
            text = self.command("ps", "--all", "--filter", f"label={label}", "--format", "json")
        return {entry["Id"]: entry["Labels"][label] for entry in json.loads(text or "[]")}

    def _inspect(self, container: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.command("container", "inspect", container))[0]
        return found


def _process_limit() -> str:
    """Podman limits a user's processes by itself, at a million; that may be more than it may set.

    The number is not the sandbox's limit, which counts the container's processes: it is high enough
    for all of a user's containers together.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    most = USER_PROCESSES if hard == resource.RLIM_INFINITY else min(hard, USER_PROCESSES)
    return f"--ulimit=nproc={most}:{most}"


def _stated(attrs: dict[str, Any]) -> dict[str, JsonValue]:
    """What `inspect` says, in the words of `ContainerOptions.stated`."""
    host = attrs["HostConfig"]
    spaces = ("UTSMode", "UsernsMode", "CgroupMode", "NetworkMode", "IpcMode", "PidMode")
    ulimits = {e["Name"].removeprefix("RLIMIT_").lower(): e for e in host["Ulimits"] or ()}
    mounts: list[JsonValue] = [
        [m["Destination"], m["Source"], "read-write" if m["RW"] else "read-only"]
        for m in sorted(attrs["Mounts"], key=itemgetter("Destination"))
    ]
    asked = {f"{m['Source']}:{m['Destination']}" for m in attrs["Mounts"]}
    return {
        "user": attrs["Config"]["User"],
        "network": host["NetworkMode"],
        "read_only": host["ReadonlyRootfs"],
        # None left: what is dropped is listed one by one, and all that there was by default.
        "capabilities_dropped": ["ALL"] if not attrs["EffectiveCaps"] else host["CapDrop"],
        "capabilities_added": host["CapAdd"] or [],
        "privileged": host["Privileged"],
        "security": sorted(host["SecurityOpt"] or []),
        "init": bool(host.get("Init")),
        "ipc": "private" if host["IpcMode"] == SHAREABLE else host["IpcMode"],
        "pid_namespace": host["PidMode"],
        "cgroup_namespace": host["CgroupMode"],
        "host_namespaces": [name for name in spaces if host.get(name) == "host"],
        "runtime": attrs["OCIRuntime"],
        "memory_bytes": host["Memory"],
        "memory_and_swap_bytes": host["MemorySwap"],
        "cpus": host["NanoCpus"] / NANO,
        "pids": host["PidsLimit"],
        "shm_bytes": host["ShmSize"],
        "tmpfs": {path: _mount_options(text) for path, text in (host["Tmpfs"] or {}).items()},
        "ulimits": {
            name: [entry["Soft"], entry["Hard"]]
            for name, entry in ulimits.items()
            if name != "nproc"
        },
        "log": _log(attrs),
        "mounts": mounts,
        "binds": [b for b in host["Binds"] or () if b.rpartition(":")[0] not in asked],
        "volumes_from": host["VolumesFrom"] or [],
        "devices": host["Devices"] or [],
        "gpus": 0,
        "masked_paths": not any("unmask" in word for word in host["SecurityOpt"] or ()),
        "restart": host["RestartPolicy"]["Name"] or "no",
    }


def _mount_options(text: str) -> str:
    return ",".join(word for word in text.split(",") if word not in OWN_MOUNT_OPTIONS)


def _log(attrs: dict[str, Any]) -> JsonValue:
    """Podman keeps one file, and tells its size rounded, as "1.049MB".

    So the exact size is told from the command that made the container, if the rounded one agrees.
    """
    config = attrs["HostConfig"]["LogConfig"]
    option = "--log-opt=max-size="
    for word in attrs["Config"]["CreateCommand"]:
        size = word.removeprefix(option)
        if size != word and config["Type"] == "k8s-file" and config["Size"] == _rounded(int(size)):
            return ["json-file", size, "1"]
    return [config["Type"], config["Size"]]


def _rounded(size: float) -> str:
    """A size as podman tells it: four digits, in steps of a thousand."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.4g}{unit}"
        size /= 1000
    return f"{size:.4g}GB"


def _follow(container: str, started: threading.Event) -> Iterator[LogPiece]:
    started.wait()
    with subprocess.Popen(
        ["podman", "logs", "--follow", container],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as reading:
        assert reading.stdout is not None
        assert reading.stderr is not None
        yield from _both(reading.stdout, reading.stderr)


def _both(stdout: IO[bytes], stderr: IO[bytes]) -> Iterator[LogPiece]:
    streams: Sequence[tuple[IO[bytes], Literal["stdout", "stderr"]]] = (
        (stdout, "stdout"),
        (stderr, "stderr"),
    )
    with selectors.DefaultSelector() as selector:
        for pipe, name in streams:
            selector.register(pipe, selectors.EVENT_READ, name)
        while selector.get_map():
            for key, _ in selector.select():
                data = os.read(key.fd, READ_BYTES)
                if data:
                    yield LogPiece(key.data, data)
                else:
                    selector.unregister(key.fileobj)


@contextmanager
def _doing(what: str) -> Iterator[None]:
    try:
        yield
    except ContractError:
        raise
    except (OSError, PodmanError, subprocess.TimeoutExpired, json.JSONDecodeError) as error:
        raise engine_failed(what, error) from error
