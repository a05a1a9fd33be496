"""From `ResourceLimits` to the options of one container, for the engine and for a person to read.

Both forms are closed: nothing that a submission says can add to them.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

from schemas.base import json_text
from schemas.limits import ResourceLimits

MIB = 1024 * 1024
USER = "1000:1000"
"""User and group of every run, whatever the image says."""

INPUT_FILE = "/input/challenge.h5"
"""Where the challenge file lies inside: one neutral name for every tier."""

OUTPUT_FOLDER = "/output"
RUN_LABEL = "org.stem4d.run"
"""Label of every container: `docker ps -a --filter label=org.stem4d.run` finds leftovers."""


@dataclass(frozen=True)
class Job:
    """One run: which image on which file, under which limits.

    Attributes:
        image: name, tag or id of a local image.
        challenge: stripped challenge file on the host.
        output: folder on the host that becomes /output.
        limits: what the run may use.
        algorithm: algorithm's name, or None for the image's own choice.
        seed: random seed.
    """

    image: str
    challenge: Path
    output: Path
    limits: ResourceLimits
    algorithm: str | None = None
    seed: int = 0

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
        return variables


def host_options(job: Job) -> dict[str, Any]:
    """Keyword arguments of docker-py's `create_host_config`."""
    limits = job.limits
    memory = limits.memory_mib * MIB
    options: dict[str, Any] = {
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "init": True,
        "ipc_mode": "private",
        "mem_limit": memory,
        "memswap_limit": memory,  # memory and swap together: no swap beside it
        "nano_cpus": round(limits.cpus * 1e9),
        "pids_limit": limits.pids,
        "shm_size": limits.shm_mib * MIB,
        "tmpfs": {"/tmp": _tmpfs(limits)},  # noqa: S108 - a path in the container
        "ulimits": [
            Ulimit(name="core", soft=0, hard=0),
            Ulimit(name="nofile", soft=limits.nofile, hard=limits.nofile),
        ],
        "log_config": LogConfig(
            type="json-file", config={"max-size": str(_log_bytes(limits)), "max-file": "1"}
        ),
        "mounts": [
            Mount(INPUT_FILE, str(job.challenge.resolve()), type="bind", read_only=True),
            Mount(OUTPUT_FOLDER, str(job.output.resolve()), type="bind"),
        ],
    }
    if limits.gpu:
        options["device_requests"] = [DeviceRequest(count=1, capabilities=[["gpu"]])]
    if limits.runtime is not None:
        options["runtime"] = limits.runtime
    return options


def docker_arguments(job: Job) -> list[str]:
    """Options, image and nothing more: what follows `docker run` to get the same container."""
    limits = job.limits
    arguments = [
        "--network=none",
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--init",
        "--ipc=private",
        f"--user={USER}",
        f"--memory={limits.memory_mib}m",
        f"--memory-swap={limits.memory_mib}m",
        f"--cpus={limits.cpus:g}",
        f"--pids-limit={limits.pids}",
        f"--shm-size={limits.shm_mib}m",
        f"--tmpfs=/tmp:{_tmpfs(limits)}",
        f"--ulimit=nofile={limits.nofile}:{limits.nofile}",
        "--ulimit=core=0:0",
        "--log-driver=json-file",
        f"--log-opt=max-size={_log_bytes(limits)}",
        "--log-opt=max-file=1",
        f"--mount=type=bind,source={job.challenge.resolve()},target={INPUT_FILE},readonly",
        f"--mount=type=bind,source={job.output.resolve()},target={OUTPUT_FOLDER}",
    ]
    if limits.gpu:
        arguments.append("--gpus=1")
    if limits.runtime is not None:
        arguments.append(f"--runtime={limits.runtime}")
    arguments += [f"--env={name}={value}" for name, value in job.environment().items()]
    return [*arguments, job.image]


def docker_command(job: Job) -> str:
    """The equivalent `docker run` line, to be pasted into a shell."""
    return shlex.join(["docker", "run", "--rm", *docker_arguments(job)])


def _tmpfs(limits: ResourceLimits) -> str:
    """Mount options of /tmp; executable, because compiled kernels are cached and loaded there."""
    return f"rw,nosuid,nodev,exec,size={limits.tmp_mib}m,mode=1777"


def _log_bytes(limits: ResourceLimits) -> int:
    return round(limits.log_mib * MIB)
