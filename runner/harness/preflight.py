"""Pre-flight: what can be known of an image before it runs, and costs no attempt.

Every finding at once. The name is resolved here, once, and whatever follows uses the image's id: a
tag may be moved to another image after it was checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runner.harness.engine import Engine, EngineFacts, ImageFacts
from runner.harness.options import INPUT_FILE, OUTPUT_FOLDER, TMP_FOLDER
from schemas.base import CONTRACT_VERSION
from schemas.findings import Finding, finding
from schemas.limits import MIB, ResourceLimits

VERSION_LABEL = "org.stem4d.contract-version"
"""Label that names the version of the contract an image follows; `FROM stem4d` inherits it."""

COVERED = (INPUT_FILE.rpartition("/")[0], OUTPUT_FOLDER, TMP_FOLDER)
"""Where a VOLUME of the image does no harm: the sandbox mounts something of its own there."""

ROOT_USERS = ("", "0", "root")


@dataclass(frozen=True)
class Preflight:
    """What is known before the run.

    Attributes:
        engine: the engine's account of itself.
        image: the image, by its id.
        runtime: the runtime that the run will have.
        not_held: limits that no kernel holds under that runtime.
        findings: why it must not run; empty when it may.
    """

    engine: EngineFacts
    image: ImageFacts
    runtime: str
    not_held: tuple[str, ...]
    findings: tuple[Finding, ...]


def preflight(engine: Engine, image: str, limits: ResourceLimits) -> Preflight:
    """Look at an engine and an image.

    Raises:
        ContractError: ENGINE_UNREACHABLE, ENGINE_FAILED or IMAGE_NOT_FOUND: there is nothing to
            look at.
    """
    facts, found = engine.facts(), engine.image(image)
    runtime = limits.runtime or facts.default_runtime
    findings = (*_of_image(image, found, facts, limits), *_of_engine(facts, runtime, limits))
    return Preflight(facts, found, runtime, facts.not_held(runtime), findings)


def _of_image(
    name: str, image: ImageFacts, engine: EngineFacts, limits: ResourceLimits
) -> Iterator[Finding]:
    if (image.os, image.architecture) != ("linux", engine.architecture):
        yield finding(
            "IMAGE_ARCHITECTURE",
            name,
            expected=f"linux/{engine.architecture}",
            found=f"{image.os}/{image.architecture}",
            hint=f"docker build --platform linux/{engine.architecture} ...",
        )
    user, _, group = image.user.partition(":")
    if user in ROOT_USERS or group in ROOT_USERS[1:]:
        yield finding(
            "IMAGE_USER",
            name,
            expected="USER 1000:1000",
            found=f"USER {image.user}" if image.user else "no USER, which is root",
            hint="end the Dockerfile with `USER 1000:1000`: every run is made as that user",
        )
    yield from _of_version(name, image)
    if image.size_bytes > limits.image_mib * MIB:
        yield finding(
            "IMAGE_TOO_LARGE",
            name,
            expected=f"at most {limits.image_mib} MiB, unpacked",
            found=f"{image.size_bytes / MIB:.0f} MiB",
            hint="`docker history IMAGE` shows which layers are large; leave out build tools,"
            " caches and the CUDA build of torch",
        )
    if not any(image.entrypoint):
        yield finding(
            "IMAGE_ENTRYPOINT",
            name,
            expected="an ENTRYPOINT that does the job without an argument",
            found="none",
            hint='`FROM stem4d:latest` brings one; else ENTRYPOINT ["python", "main.py"]',
        )
    volumes = [path for path in image.volumes if path.rstrip("/") not in COVERED]
    if volumes:
        yield finding(
            "IMAGE_VOLUME",
            name,
            expected="no VOLUME: /tmp is there to be written to",
            found=f"VOLUME {', '.join(volumes)}",
            hint="remove the line, or build on a base image without one",
        )


def _of_version(name: str, image: ImageFacts) -> Iterator[Finding]:
    version = image.labels.get(VERSION_LABEL)
    if version is None:
        yield finding(
            "IMAGE_LABEL",
            name,
            expected=f"a label {VERSION_LABEL}",
            found="none",
            hint=f'`FROM stem4d:latest` brings it; else LABEL {VERSION_LABEL}="{CONTRACT_VERSION}"',
        )
    elif version.partition(".")[0] != CONTRACT_VERSION.partition(".")[0]:
        yield finding(
            "IMAGE_VERSION",
            name,
            expected=f"version {CONTRACT_VERSION.partition('.')[0]}.x of the contract",
            found=version,
            hint="build on the stem4d image of that version",
        )


def _of_engine(engine: EngineFacts, runtime: str, limits: ResourceLimits) -> Iterator[Finding]:
    if runtime not in engine.runtimes:
        yield finding(
            "RUNTIME_UNAVAILABLE",
            "container engine",
            expected=f"the runtime {runtime}",
            found=", ".join(sorted(engine.runtimes)),
            hint="docs/organisers.md says how gVisor (runsc) is installed and registered",
        )
    if limits.gpu and not engine.gpu:
        yield finding(
            "GPU_UNAVAILABLE",
            "container engine",
            expected="a way to give a container a GPU, as the limits ask",
            found="neither the nvidia runtime nor a CDI device",
            hint="install the NVIDIA container toolkit, or set `gpu = false`",
        )
    if not engine.seccomp:
        yield finding(
            "PROTECTION_MISSING",
            "container engine",
            expected="system calls filtered by the engine's default seccomp profile",
            found="no filter",
            hint="start the engine without --seccomp-profile=unconfined, on a kernel with seccomp",
        )
