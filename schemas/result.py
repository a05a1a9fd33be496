"""Records of a result file, and of the progress file beside it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from schemas.base import Record, quantity
from schemas.challenge import VARIANT_PATTERN

MAX_RESULT_BYTES = 50 * 1024 * 1024
"""Largest result file [bytes]."""


MAX_MAGNITUDE = 1e6
"""Largest |x_hat|: the signal lies in [0, 1], so a million times that is no image, but sums of
its squares are still far from the end of float32."""


class Provenance(Record):
    """What a result was made with: the same inputs and seed give the same provenance."""

    runner_version: str = Field(max_length=64, description="version of stem4d")
    algorithm: str = Field(max_length=256, description="algorithm as named to the runner")
    parameters: dict[str, JsonValue] = Field(description="the algorithm's own parameters")
    seed: int = Field(ge=0, description="random seed")
    libraries: dict[str, str] = Field(description="versions of the libraries used")
    input_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="sha256 of the challenge file")
    nonce: str | None = Field(
        default=None, max_length=128, description="token of one run, when the organiser gave one"
    )


class SampleRun(Record):
    """What one sample cost."""

    seconds: float = quantity("s", "wall time of the sample", ge=0.0)


class RunInfo(Record):
    """What varies from run to run; no part of a result's identity."""

    started_utc: str = Field(max_length=40, description="start of the run, ISO 8601")
    host: str = Field(max_length=256, description="host name as the run saw it")
    device: str = Field(max_length=64, description="torch device")
    threads: int = Field(ge=1, description="CPU threads used")
    setup_seconds: float = quantity("s", "time for imports, weights and plans", ge=0.0)
    peak_memory_mib: float = quantity("MiB", "peak resident memory of the process", ge=0.0)
    samples: dict[str, SampleRun] = Field(description="cost per finished sample")


class ResultAttrs(Record):
    """Root attributes of a result file, `provenance` and `run_info` apart."""

    variant: str = Field(
        pattern=VARIANT_PATTERN, max_length=64, description="imaging variant of the challenge file"
    )
    tier: Literal["public", "dev", "hidden", "blind"] = Field(
        description="tier as the challenge file named it"
    )
    submission_type: Literal["reconstruction"] = Field(description="kind of submission")
    contract_version: str = Field(pattern=r"^1\.[0-9]+$", description="version of the contract")


class ProgressLine(Record):
    """One line of `progress.jsonl`: a sample that is finished."""

    sample: str = Field(max_length=64, description="sample name")
    index: int = Field(ge=1, description="how many samples are done, this one included")
    total: int = Field(ge=1, description="how many samples there are")
    seconds: float = quantity("s", "wall time of the sample", ge=0.0)
    eta_s: float = quantity("s", "expected time until the last sample is done", ge=0.0)
    resumed: bool = Field(default=False, description="taken over from an earlier, partial run")
