"""Small images that misbehave in one way each, built on the submission image."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.harness.docker_engine import connect
from runner.harness.options import Job
from schemas.limits import ResourceLimits

SMALL = ResourceLimits(memory_mib=256, tmp_mib=64, shm_mib=16, wall_s=60.0, output_mib=4)
"""Limits under which a shell or a bare Python runs, and little more."""

MakeJob = Callable[..., Job]


@pytest.fixture
def make_job(image: str, tmp_path: Path) -> Iterator[MakeJob]:
    """A job whose container runs the given command instead of the runner."""
    built: list[str] = []
    challenge = tmp_path / "in.h5"
    challenge.write_bytes(b"any input")

    def make(*command: str, limits: ResourceLimits = SMALL, **more: object) -> Job:
        dockerfile = f"FROM {image}\nENTRYPOINT {json.dumps(command)}\n".encode()
        with connect() as engine:
            made, _ = engine.client.images.build(fileobj=io.BytesIO(dockerfile), rm=True)
        built.append(made.id)
        return Job(made.id, challenge, tmp_path / "out", limits, **more)  # type: ignore[arg-type]

    yield make
    with connect() as engine:
        for identifier in set(built):
            engine.client.images.remove(identifier, force=True)
