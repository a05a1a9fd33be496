"""Is this machine ready for a dry run? Each thing looked at, with what mends it.

Whatever is missing must not keep the doctor from telling so: packages that may be absent are
imported where they are looked at.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from schemas.findings import ContractError
from schemas.limits import MIB, ResourceLimits

if TYPE_CHECKING:
    from runner.harness.engine import Engine

State = Literal["ok", "warning", "wrong"]

LEAST_PYTHON = (3, 11)
LEAST_ENGINE = (20, 10)
SERVER_ARCHITECTURE = "amd64"
"""What images are judged on; see the organiser's word where there is one."""

OWN_ARCHITECTURE = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}

TIER_BYTES = 1 << 30
"""Room for the public tier and its runs [bytes]; four scenes and their results take 20 MiB."""

IMAGE_BYTES = 5 << 30
"""Room for building an image on stem4d's, and for packing it [bytes]."""


@dataclass(frozen=True)
class Look:
    """One thing that was looked at.

    Attributes:
        name: what.
        state: ok, warning (it works, with a drawback) or wrong.
        found: what is there.
        mend: what to do; "" when all is well.
    """

    name: str
    state: State
    found: str
    mend: str = ""


def examine(
    out: Path, limits: ResourceLimits, *, image: str, container: bool = True
) -> Iterator[Look]:
    """Look at everything that a dry run needs.

    Args:
        out: folder that it would write to.
        limits: what a run may use.
        image: image that it would run.
        container: whether engine and image are looked at.
    """
    yield _python()
    yield from _packages(container=container)
    yield _architecture()
    yield _cpus(limits)
    yield _memory(limits)
    yield _gpu(limits)
    yield _disk(out, container=container)
    yield _writable(out)
    if container:
        yield from _container(image, limits)


def _python() -> Look:
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] < LEAST_PYTHON:
        least = ".".join(map(str, LEAST_PYTHON))
        return Look("Python", "wrong", found, f"install Python {least} or newer")
    return Look("Python", "ok", found)


def _packages(*, container: bool) -> Iterator[Look]:
    """What stem4d itself states that it needs: for a run, and for judging it here."""
    try:
        stated = requires("stem4d") or []
    except PackageNotFoundError:
        yield Look("packages", "wrong", "stem4d is not installed", "pip install stem4d[host]")
        return
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:
        yield Look("packages", "wrong", "no packaging", 'pip install "stem4d[host]"')
        return
    missing: list[str] = []
    there: list[str] = []
    for requirement in map(Requirement, stated):
        marker = requirement.marker
        if marker is not None and not marker.evaluate({"extra": "host"}):
            continue
        if requirement.name == "docker" and not container:
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            missing.append(f"no {requirement.name}")
            continue
        fits = requirement.specifier.contains(found, prereleases=True)
        (there if fits else missing).append(f"{requirement.name} {found}")
    if missing:
        yield Look("packages", "wrong", ", ".join(missing), 'pip install "stem4d[host]"')
    else:
        yield Look("packages", "ok", ", ".join(there))


def _architecture() -> Look:
    machine = platform.machine()
    own = OWN_ARCHITECTURE.get(machine, machine)
    if own == SERVER_ARCHITECTURE:
        return Look("architecture", "ok", f"linux/{own}" if sys.platform == "linux" else own)
    return Look(
        "architecture",
        "warning",
        f"{own}, where servers are {SERVER_ARCHITECTURE}",
        f"build what you submit with `docker build --platform linux/{SERVER_ARCHITECTURE}`",
    )


def _cpus(limits: ResourceLimits) -> Look:
    count = os.cpu_count() or 1
    if count < limits.cpus:
        mend = "expect longer times than a server's; with --limits FILE, set cpus"
        return Look("CPUs", "warning", f"{count}, a run may use {limits.cpus:g}", mend)
    return Look("CPUs", "ok", f"{count}, a run may use {limits.cpus:g}")


def _memory(limits: ResourceLimits) -> Look:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return Look("memory", "warning", "unknown here", "see that 8 GiB are free")
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MIB
    found = f"{total} MiB, a run may use {limits.memory_mib} MiB"
    if total < limits.memory_mib:
        mend = "a method that needs it all cannot be tried here; one that needs less can"
        return Look("memory", "warning", found, mend)
    return Look("memory", "ok", found)


def _gpu(limits: ResourceLimits) -> Look:
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a library of CUDA's is missing
        return Look("GPU", "wrong", f"torch: {error}", 'pip install "stem4d[host]"')
    there = torch.cuda.is_available()
    name = torch.cuda.get_device_name(0) if there else "none"
    if limits.gpu and not there:
        return Look("GPU", "wrong", "none, and limits.toml gives one", "set `gpu = false`")
    if there and not limits.gpu:
        found = f"{name}; a server's run has none"
        return Look("GPU", "warning", found, "measure times with CUDA_VISIBLE_DEVICES= (empty)")
    return Look("GPU", "ok", f"{name}; a run has {'one' if limits.gpu else 'none'}")


def _disk(out: Path, *, container: bool) -> Look:
    folder = next(path for path in (out.resolve(), *out.resolve().parents) if path.exists())
    free = shutil.disk_usage(folder).free
    found = f"{free / (1 << 30):.1f} GiB free at {folder}"
    if free < TIER_BYTES:
        return Look("disk", "wrong", found, f"free {TIER_BYTES >> 30} GiB, or name another --out")
    if container and free < IMAGE_BYTES:
        mend = "`docker system df` says what images take; building one needs 5 GiB"
        return Look("disk", "warning", found, mend)
    return Look("disk", "ok", found)


def _writable(out: Path) -> Look:
    """Whether a file can be written where a dry run writes; nothing stays there."""
    folder = next(path for path in (out.resolve(), *out.resolve().parents) if path.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".stem4d-"):
            pass
    except OSError as error:
        mend = f"`sudo chown -R $USER {folder}`, or name another --out"
        return Look("output folder", "wrong", f"{folder}: {error.strerror}", mend)
    return Look("output folder", "ok", f"{folder} can be written to")


def _container(image: str, limits: ResourceLimits) -> Iterator[Look]:
    try:
        from runner.harness.docker_engine import connect
    except ModuleNotFoundError as error:
        yield Look("engine", "wrong", str(error), 'pip install "stem4d[host]"')
        return
    try:
        with connect() as engine:
            yield _engine(engine)
            yield from _image(engine, image, limits)
    except ContractError as error:
        first = error.findings[0]
        yield Look("engine", "wrong", first.found, first.hint)


def _engine(engine: Engine) -> Look:
    facts = engine.facts()
    found = f"{facts.name} {facts.version}, {facts.architecture}"
    numbers = tuple(int(part) for part in facts.version.split(".")[:2] if part.isdigit())
    if numbers < LEAST_ENGINE:
        return Look("engine", "wrong", found, "install Docker 20.10 or newer")
    held = facts.not_held(facts.default_runtime)
    if held:
        mend = "a run may use more than a server allows; mount the control groups"
        return Look("engine", "warning", f"{found}; it does not hold {', '.join(held)}", mend)
    return Look("engine", "ok", found)


def _image(engine: Engine, image: str, limits: ResourceLimits) -> Iterator[Look]:
    from runner.harness.preflight import preflight

    name = f"image {image}"
    try:
        seen = preflight(engine, image, limits)
    except ContractError as error:
        yield Look(name, "wrong", error.findings[0].found, error.findings[0].hint)
        return
    for item in seen.findings:
        yield Look(name, "wrong", f"{item.code}: {item.found}", item.hint)
    if not seen.findings:
        size = seen.image.size_bytes / MIB
        yield Look(name, "ok", f"{seen.image.id[:19]}, {size:.0f} MiB, {seen.image.architecture}")
