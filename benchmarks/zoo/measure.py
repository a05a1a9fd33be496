"""One algorithm on one tier, in a process of its own: what it scores and what it costs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from pydantic import Field

from algorithms.base import UNSUITED
from runner.files.challenge import open_challenge
from runner.files.result import RESULT_NAME, read_result
from runner.scoring.score import score_result
from runner.tiers.build import TierFiles
from runner.tiers.strip import strip
from schemas.base import Record, quantity
from schemas.challenge import Tier
from schemas.findings import Finding
from schemas.score import ScoreCard


class Measured(Record):
    """One algorithm on one tier."""

    algorithm: str = Field(description="RECONSTRUCTOR+CALIBRATOR")
    tier: Tier = Field(strict=False)
    scenes: int = Field(description="samples of the tier")
    served: int = Field(description="samples that it returned an image for")
    card: ScoreCard | None = Field(description="none: it served no sample")
    findings: tuple[Finding, ...] = Field(description="what it refused, and why")
    seconds: float = quantity("s", "mean wall time of a sample, calibration included")
    slowest: float = quantity("s", "wall time of the slowest sample")
    peak_mib: float = quantity("MiB", "peak resident memory of the process")


class Zoo(Record):
    """All that was measured, and on what."""

    machine: dict[str, Any] = Field(default_factory=dict)
    entries: tuple[Measured, ...] = ()

    def with_entry(self, entry: Measured, machine: dict[str, Any]) -> Zoo:
        """With one entry more, which replaces an earlier one of the same algorithm and tier."""
        key = (entry.algorithm, entry.tier)
        kept = [e for e in self.entries if (e.algorithm, e.tier) != key]
        return Zoo(machine=machine, entries=(*kept, entry))

    def of(self, tier: Tier) -> dict[str, Measured]:
        """Entries of one tier by algorithm."""
        return {e.algorithm: e for e in self.entries if e.tier is tier}


def environment_cores() -> int:
    """Cores that a run gets."""
    return len(os.sched_getaffinity(0))


def measure(algorithm: str, files: TierFiles, folder: Path, *, keep: Path | None) -> Measured:
    """Run on the blind view, then score with the truth.

    Args:
        algorithm: what is run.
        files: the tier.
        folder: for the run's files.
        keep: where the result file is copied to, or None.

    Raises:
        SystemExit: the run failed otherwise than by refusing samples.
    """
    view = strip(files.challenge, _folder(folder) / "challenge.h5")
    command = [sys.executable, "-m", "runner.container", "--input", str(view), "--quiet", "--json"]
    command += ["--output", str(folder), "--algorithm", algorithm]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    refused = _refused(done.stdout) if done.returncode else ()
    only_refused = bool(refused) and all(item.code == UNSUITED for item in refused)
    if done.returncode and not only_refused:
        raise SystemExit(f"{algorithm}: exit code {done.returncode}\n{done.stderr}")
    with open_challenge(files.truth) as challenge:
        scenes = len(challenge.names)
        result, _ = read_result(folder / RESULT_NAME, challenge)
    assert result is not None
    times = [cost.seconds for cost in result.run_info.samples.values()]
    if keep is not None and result.samples:
        shutil.copyfile(folder / RESULT_NAME, _folder(keep.parent) / keep.name)
    return Measured(
        algorithm=algorithm,
        tier=Tier(files.challenge.stem.rpartition("_")[2]),
        scenes=scenes,
        served=len(result.samples),
        card=score_result(folder / RESULT_NAME, files.truth) if result.samples else None,
        findings=refused,
        seconds=sum(times) / len(times) if times else 0.0,
        slowest=max(times, default=0.0),
        peak_mib=result.run_info.peak_memory_mib,
    )


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _refused(text: str) -> tuple[Finding, ...]:
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return tuple(
        Finding.model_validate(item, strict=False)
        for line in lines
        for item in line.get("findings", ())
    )
