"""From `ResourceLimits` to the options of one container, for the engine and for a person to read.

Both forms are closed: nothing that a submission says can add to them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from schemas.base import json_text
from schemas.limits import MIB, ResourceLimits

USER = "1000:1000"
"""User and group of every run, whatever the image says."""

INPUT_FILE = "/input/challenge.h5"
"""Where the challenge file lies inside: one neutral name for every tier."""

OUTPUT_FOLDER = "/output"
TMP_FOLDER = "/tmp"  # noqa: S108 - a path in the container

RUN_LABEL = "org.stem4d.run"
"""Label of every container: `docker ps -a --filter label=org.stem4d.run` finds all of them. Its
value is the process that the container belongs to."""

NOT_ASKED_FOR: Mapping[str, JsonValue] = {
    "privileged": False,
    "capabilities_added": [],
    "devices": [],
    "binds": [],
    "volumes_from": [],
    "pid_namespace": "private",
    "host_namespaces": [],
    "masked_paths": True,
    "restart": "no",
}
"""What no container of ours has; read back like the options themselves."""


@dataclass(frozen=True)
class Job:
    """One run: which image on which file, under which limits.

    Attributes:
        image: name, tag or id of a local image.
        challenge: stripped challenge file on the host.
        output: folder on the host into which the results are copied.
        limits: what the run may use.
        algorithm: algorithm's name, or None for the image's own choice.
        seed: random seed.
        nonce: token that the result must carry, or None.
        staging: folder on the host in which the run's own folder is made; None is `output`. A
            container can read the path of what is mounted into it, so that a path which tells
            something must not be given.
    """

    image: str
    challenge: Path
    output: Path
    limits: ResourceLimits
    algorithm: str | None = None
    seed: int = 0
    nonce: str | None = None
    staging: Path | None = None

    def environment(self) -> dict[str, str]:
        """Environment of the container: seed, limits, algorithm, a thread for every core."""
        threads = str(max(1, int(self.limits.cpus)))
        variables = {
            "STEM4D_SEED": str(self.seed),
            "STEM4D_LIMITS": json_text(self.limits),
            "STEM4D_THREADS": threads,
            "OMP_NUM_THREADS": threads,
        }
        if self.algorithm is not None:
            variables["STEM4D_ALGORITHM"] = self.algorithm
        if self.nonce is not None:
            variables["STEM4D_NONCE"] = self.nonce
        return variables


@dataclass(frozen=True)
class ContainerOptions:
    """Everything that a container is made with.

    Attributes:
        image: id of the image.
        challenge: file that becomes `INPUT_FILE`, read-only.
        output: folder that becomes /output.
        limits: what the run may use.
        environment: its environment.
        runtime: the runtime, resolved: never None.
        owner: value of `RUN_LABEL`.
    """

    image: str
    challenge: Path
    output: Path
    limits: ResourceLimits
    environment: Mapping[str, str]
    runtime: str
    owner: str = ""
    user: str = field(default=USER, init=False)

    @property
    def memory_bytes(self) -> int:
        """Memory [bytes]; swap is included, so that there is none beside it."""
        return self.limits.memory_mib * MIB

    @property
    def shm_bytes(self) -> int:
        """Size of /dev/shm [bytes]."""
        return self.limits.shm_mib * MIB

    @property
    def tmpfs(self) -> str:
        """Mount options of /tmp; executable: compiled kernels are cached and loaded there."""
        return f"rw,nosuid,nodev,exec,size={self.limits.tmp_mib}m,mode=1777"

    @property
    def log_bytes(self) -> int:
        """Size at which the engine begins its own copy of the log anew [bytes]."""
        return round(self.limits.log_mib * MIB)

    @property
    def ulimits(self) -> dict[str, int]:
        """Limits of each process; none may write a file larger than any folder may hold."""
        limits = self.limits
        largest = max(limits.output_mib, limits.tmp_mib, limits.shm_mib) * MIB
        return {"core": 0, "fsize": largest, "nofile": limits.nofile}

    def stated(self) -> dict[str, JsonValue]:
        """The options as plain values: what `Engine.applied` must give back."""
        return {
            **NOT_ASKED_FOR,
            "user": self.user,
            "network": "none",
            "read_only": True,
            "capabilities_dropped": ["ALL"],
            "security": ["no-new-privileges"],
            "init": True,
            "ipc": "private",
            "cgroup_namespace": "private",
            "runtime": self.runtime,
            "memory_bytes": self.memory_bytes,
            "memory_and_swap_bytes": self.memory_bytes,
            "cpus": self.limits.cpus,
            "pids": self.limits.pids,
            "shm_bytes": self.shm_bytes,
            "tmpfs": {TMP_FOLDER: self.tmpfs},
            "ulimits": {name: [value, value] for name, value in self.ulimits.items()},
            "log": ["json-file", str(self.log_bytes), "1"],
            "mounts": [
                [INPUT_FILE, str(self.challenge), "read-only"],
                [OUTPUT_FOLDER, str(self.output), "read-write"],
            ],
            "gpus": int(self.limits.gpu),
        }


def not_applied(options: ContainerOptions, applied: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """Names of the options that the engine reports otherwise than they were asked for."""
    return tuple(name for name, value in options.stated().items() if applied.get(name) != value)


def docker_arguments(options: ContainerOptions) -> list[str]:
    """Options, image and nothing more: what follows `docker run` to get the same container."""
    limits = options.limits
    arguments = [
        "--network=none",
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--init",
        "--ipc=private",
        "--cgroupns=private",
        f"--user={options.user}",
        f"--memory={limits.memory_mib}m",
        f"--memory-swap={limits.memory_mib}m",
        f"--cpus={limits.cpus:g}",
        f"--pids-limit={limits.pids}",
        f"--shm-size={limits.shm_mib}m",
        f"--tmpfs={TMP_FOLDER}:{options.tmpfs}",
        *(f"--ulimit={name}={value}:{value}" for name, value in options.ulimits.items()),
        "--no-healthcheck",
        "--log-driver=json-file",
        f"--log-opt=max-size={options.log_bytes}",
        "--log-opt=max-file=1",
        f"--mount=type=bind,source={options.challenge},target={INPUT_FILE},readonly",
        f"--mount=type=bind,source={options.output},target={OUTPUT_FOLDER}",
    ]
    if limits.gpu:
        arguments.append("--gpus=1")
    if limits.runtime is not None:
        arguments.append(f"--runtime={limits.runtime}")
    arguments += [f"--env={name}={value}" for name, value in options.environment.items()]
    return [*arguments, options.image]


def options_of(job: Job, *, runtime: str, owner: str = "") -> ContainerOptions:
    """The options of a job's container.

    Args:
        job: what is run; its paths are those that the engine mounts.
        runtime: the engine's default runtime, for a job that names none.
        owner: the process that the container belongs to.
    """
    return ContainerOptions(
        image=job.image,
        challenge=job.challenge.resolve(),
        output=job.output.resolve(),
        limits=job.limits,
        environment=job.environment(),
        runtime=job.limits.runtime or runtime,
        owner=owner,
    )


def docker_command(job: Job) -> str:
    """The equivalent `docker run` line, to be pasted into a shell."""
    return shlex.join(["docker", "run", "--rm", *docker_arguments(options_of(job, runtime=""))])
