"""Docker, through its SDK."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import DeviceRequest, Healthcheck, LogConfig, Mount, Ulimit
from pydantic import JsonValue
from requests.exceptions import RequestException

from runner.harness.engine import (
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
from runner.harness.options import (
    INPUT_FILE,
    OUTPUT_FOLDER,
    RUN_LABEL,
    TMP_FOLDER,
    ContainerOptions,
)
from schemas.findings import ContractError

REQUEST_TIMEOUT_S = 60.0
"""Longest wait for one answer of the engine [s]; runs are polled, so none of them is long."""

ATTEMPTS = 3
"""How often in a row an engine that is busy is asked how a container is."""

ENGINE_ERRORS = (DockerException, RequestException, OSError)
"""What docker-py raises when the engine is away, overloaded or refuses: three families."""

GONE = (404, 409)
"""HTTP status of a container that is not there, and of one that is not running or being removed."""

GONE_LOOKS, GONE_LOOK_S = 50, 0.2
"""How often, and how far apart [s], a container is looked for that is being removed."""

NOT_EXECUTABLE = (126, 127)
"""Exit codes of a container whose first process could not be started (as a shell has them)."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""The kernel's names of machines, and the images' names of the same."""

NANO = 1e9


@contextmanager
def connect() -> Iterator[DockerEngine]:
    """The engine that the `docker` command would use (DOCKER_HOST, context).

    Raises:
        ContractError: ENGINE_UNREACHABLE.
    """
    try:
        client = docker.from_env(timeout=REQUEST_TIMEOUT_S)
    except ENGINE_ERRORS as error:
        raise unreachable(error) from error
    with _answering(client):
        yield DockerEngine(client)


@contextmanager
def _answering(client: Any) -> Iterator[None]:
    try:
        try:
            client.ping()
        except ENGINE_ERRORS as error:
            raise unreachable(error) from error
        yield
    finally:
        client.close()


def engine_version() -> str | None:
    """Name and version of the engine that answers, or None where none does."""
    try:
        with connect() as engine:
            return f"Docker {engine.client.version()['Version']}"
    except ContractError:
        return None


class DockerEngine(Engine):
    """Docker Engine 20.10 or newer.

    Attributes:
        client: the SDK's own client.
    """

    name = "docker"

    def __init__(self, client: Any) -> None:
        self.client = client
        self._api = client.api

    def facts(self) -> EngineFacts:
        """What `docker info` says."""
        with _doing("asking the engine about itself"):
            info = self.client.info()
        stated = {"memory": "MemoryLimit", "cpus": "CpuCfsQuota", "pids": "PidsLimit"}
        runtimes = {
            name: tuple(entry.get("runtimeArgs") or ())
            for name, entry in (info.get("Runtimes") or {}).items()
        }
        return EngineFacts(
            name=self.name,
            version=str(info["ServerVersion"]),
            architecture=ARCHITECTURES.get(info["Architecture"], info["Architecture"]),
            runtimes=runtimes,
            default_runtime=info["DefaultRuntime"],
            seccomp=any(
                "name=seccomp" in entry and "unconfined" not in entry
                for entry in info.get("SecurityOptions") or ()
            ),
            limits=frozenset(name for name, key in stated.items() if info.get(key)),
            gpu="nvidia" in runtimes or bool(info.get("DiscoveredDevices")),
            local=str(self._api.base_url) == "http+docker://localhost",  # a socket of this machine
        )

    def image(self, name: str) -> ImageFacts:
        """What `docker image inspect` says."""
        with _doing(f"looking for image {name}"):
            try:
                attrs = self.client.images.get(name).attrs
            except ImageNotFound as error:
                raise image_not_found(name) from error
        return ImageFacts.of(attrs)

    def saved(self, name: str) -> Iterator[bytes]:
        """`docker save`: an image with its tag, as pieces of a tar.

        Raises:
            ContractError: IMAGE_NOT_FOUND; ENGINE_FAILED, also while it is read.
        """
        with _doing(f"saving image {name}"):
            try:
                image = self.client.images.get(name)
            except ImageNotFound as error:
                raise image_not_found(name) from error
            yield from image.save(named=name)

    def create(self, options: ContainerOptions) -> str:
        """`docker create`."""
        with _doing(f"creating a container of {options.image}"):
            created = self._api.create_container(
                options.image,
                user=options.user,
                environment=dict(options.environment),
                labels={RUN_LABEL: options.owner},
                host_config=self._api.create_host_config(**self._host_config(options)),
                healthcheck=Healthcheck(test=["NONE"]),
            )
        return str(created["Id"])

    def applied(self, container: str) -> dict[str, JsonValue]:
        """What `docker inspect` says of a container's options."""
        with _doing("reading a container's options"):
            return self._stated(self._api.inspect_container(container))

    def log(self, container: str) -> Iterator[LogPiece]:
        """`docker attach`: all that will be written, however the engine's own copy is cut."""
        with _doing("attaching to a container"):
            pieces = self._api.attach(container, stream=True, demux=True)
        return _pieces(pieces)

    def start(self, container: str) -> None:
        """`docker start`."""
        with _doing("starting a container"):
            try:
                self._api.start(container)
            except APIError as error:
                if self._at_fault(container, error):
                    said = str(error.explanation or error)
                    raise image_not_started("container", said) from error
                raise

    def state(self, container: str) -> ContainerState:
        """What `docker inspect` says of a container's state."""
        with _doing("looking at a container"):
            state = self._inspect(container)["State"]
        return ContainerState(
            ended=state["Status"] in ("exited", "dead", "stopped"),
            exit_code=int(state["ExitCode"]),
            oom=bool(state["OOMKilled"]),
            pid=int(state.get("Pid") or 0),
        )

    def kill(self, container: str, signal: str) -> None:
        """`docker kill`."""
        with _doing("ending a container"):
            try:
                self._api.kill(container, signal)
            except APIError as error:
                if error.status_code not in GONE:
                    raise

    def remove(self, container: str) -> None:
        """`docker rm --force --volumes`."""
        with _doing("removing a container"):
            try:
                self._api.remove_container(container, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                # Another harness that tidies up has begun to remove it.
                if error.status_code not in GONE or not self._gone_soon(container):
                    raise

    def labelled(self, label: str) -> dict[str, str]:
        """`docker ps --all --filter label=...`."""
        with _doing("looking for containers"):
            found = self._api.containers(all=True, filters={"label": label})
        return {entry["Id"]: entry["Labels"][label] for entry in found}

    def _gone_soon(self, container: str) -> bool:
        for _ in range(GONE_LOOKS):
            try:
                self._api.inspect_container(container)
            except NotFound:
                return True
            time.sleep(GONE_LOOK_S)
        return False

    def _inspect(self, container: str) -> dict[str, Any]:
        """The engine's word on a container; an engine that is busy is asked again."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                attrs: dict[str, Any] = self._api.inspect_container(container)
            except ENGINE_ERRORS:
                if attempt == ATTEMPTS:
                    raise
            else:
                return attrs
        raise AssertionError("the last attempt returns or raises")

    def _at_fault(self, container: str, error: APIError) -> bool:
        """Whether it is the image that a start failed for, and not the engine."""
        if "device driver" in str(error.explanation):
            return False  # a GPU that is not there
        state = self._inspect(container)["State"]
        return bool(error.is_client_error()) or state["ExitCode"] in NOT_EXECUTABLE

    def _host_config(self, options: ContainerOptions) -> dict[str, Any]:
        """Keyword arguments of docker-py's `create_host_config`."""
        limits = options.limits
        config: dict[str, Any] = {
            "network_mode": "none",
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "init": True,
            "ipc_mode": "private",
            "cgroupns": "private",
            "mem_limit": options.memory_bytes,
            "memswap_limit": options.memory_bytes,
            "nano_cpus": round(limits.cpus * NANO),
            "pids_limit": limits.pids,
            "shm_size": options.shm_bytes,
            "tmpfs": {TMP_FOLDER: options.tmpfs},
            "ulimits": [Ulimit(name=n, soft=v, hard=v) for n, v in options.ulimits.items()],
            "log_config": LogConfig(
                type="json-file", config={"max-size": str(options.log_bytes), "max-file": "1"}
            ),
            "mounts": [
                Mount(INPUT_FILE, str(options.challenge), type="bind", read_only=True),
                Mount(OUTPUT_FOLDER, str(options.output), type="bind"),
            ],
            "runtime": options.runtime,
        }
        if limits.gpu:
            config["device_requests"] = [DeviceRequest(count=1, capabilities=[["gpu"]])]
        return config

    def _stated(self, attrs: dict[str, Any]) -> dict[str, JsonValue]:
        """What `inspect` says, in the words of `ContainerOptions.stated`."""
        host = attrs["HostConfig"]
        requests = host.get("DeviceRequests") or []
        log = host["LogConfig"]
        spaces = ("UTSMode", "UsernsMode", "CgroupnsMode", "NetworkMode", "IpcMode", "PidMode")
        return {
            "user": attrs["Config"]["User"],
            "network": host["NetworkMode"],
            "read_only": host["ReadonlyRootfs"],
            "capabilities_dropped": host["CapDrop"] or [],
            "capabilities_added": host["CapAdd"] or [],
            "privileged": host["Privileged"],
            "security": sorted(host["SecurityOpt"] or []),
            "init": bool(host.get("Init")),
            "ipc": host["IpcMode"],
            "pid_namespace": host["PidMode"] or "private",
            "cgroup_namespace": host.get("CgroupnsMode"),
            "host_namespaces": [name for name in spaces if host.get(name) == "host"],
            "runtime": host["Runtime"],
            "memory_bytes": host["Memory"],
            "memory_and_swap_bytes": host["MemorySwap"],
            "cpus": host["NanoCpus"] / NANO,
            "pids": host["PidsLimit"],
            "shm_bytes": host["ShmSize"],
            "tmpfs": host.get("Tmpfs") or {},
            "ulimits": {e["Name"]: [e["Soft"], e["Hard"]] for e in host["Ulimits"] or ()},
            "log": [log["Type"], *(log["Config"].get(key) for key in ("max-size", "max-file"))],
            "mounts": _mounts(attrs),
            "binds": host.get("Binds") or [],
            "volumes_from": host.get("VolumesFrom") or [],
            "devices": host.get("Devices") or [],
            "gpus": sum(request["Count"] for request in requests),
            "masked_paths": bool(host.get("MaskedPaths")) and bool(host.get("ReadonlyPaths")),
            "restart": host["RestartPolicy"]["Name"] or "no",
        }


def _pieces(pairs: Iterable[tuple[bytes | None, bytes | None]]) -> Iterator[LogPiece]:
    with _doing("reading a container's log"):
        for stdout, stderr in pairs:
            if stdout:
                yield LogPiece("stdout", stdout)
            if stderr:
                yield LogPiece("stderr", stderr)


def _mounts(attrs: dict[str, Any]) -> list[JsonValue]:
    """[where, from where, how] of everything that is mounted, volumes of the image included.

    Docker Desktop tells its own path of the source; what was asked for is in HostConfig.
    """
    asked = {entry["Target"]: entry["Source"] for entry in attrs["HostConfig"].get("Mounts") or ()}
    held: list[JsonValue] = [
        [where, asked.get(where, entry["Source"]), "read-write" if entry["RW"] else "read-only"]
        for entry in attrs["Mounts"]
        if (where := entry["Destination"]) != TMP_FOLDER
    ]
    return sorted(held, key=str)


@contextmanager
def _doing(what: str) -> Iterator[None]:
    try:
        yield
    except ENGINE_ERRORS as error:
        raise engine_failed(what, error) from error
