"""What a file says of its making: the same for every kind of file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from runner.container import environment
from runner.files.hdf5 import sha256_of
from schemas.result import Provenance, RunInfo, SampleRun


def provenance(
    algorithm: str,
    parameters: Mapping[str, Any],
    seed: int,
    source: Path,
    *,
    nonce: str | None = None,
) -> Provenance:
    """What the answer was made with, from the file `source`."""
    return Provenance(
        runner_version=environment.runner_version(),
        algorithm=algorithm,
        parameters=plain(parameters),
        seed=seed,
        libraries=environment.libraries(),
        input_sha256=sha256_of(source),
        nonce=nonce,
    )


def run_info(started: datetime, setup_seconds: float, samples: Mapping[str, SampleRun]) -> RunInfo:
    """What varies from run to run."""
    return RunInfo(
        started_utc=started.isoformat(timespec="seconds"),
        host=environment.host(),
        device=environment.device(),
        threads=environment.threads(),
        setup_seconds=round(setup_seconds, 3),
        peak_memory_mib=round(environment.peak_memory_mib(), 1),
        samples=dict(samples),
    )


def plain(value: Any) -> Any:
    """Diagnostics and parameters as plain JSON values: numpy and torch numbers become Python's."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)
