"""A scan far larger than memory, through the run's own entry, in a process held to 4 GiB."""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.machine import machine
from benchmarks.tiled_scan import write_tiled_challenge
from runner.files.challenge import open_challenge
from runner.files.result import read_result
from runner.scoring.metrics import psnr_db
from schemas.limits import MIB, ResourceLimits
from schemas.spec import MismatchSpec

TILES, WINDOW = 8, 128
"""256 x 256 positions, 128 x 128 pixels: 1.07e9 values, 4.3e9 bytes of float32 counts."""

LIMITS = ResourceLimits(memory_mib=4096, wall_s=4 * 3600.0, sample_wall_s=4 * 3600.0)

ROOT = Path(__file__).parents[1]
ALGORITHM = Path(__file__).with_name("few_steps.py")


def measure(*, folder: Path | None, threads: int, image: str | None, tiles: int) -> dict[str, Any]:
    """Write the file, reconstruct it, compare with the truth.

    Args:
        folder: where the file is kept, and found again the next time; None: a temporary one.
        threads: CPU threads of the run.
        image: run in this container image, where the engine holds the limit; None: in a process
            whose data segment (all memory but that of mapped files) may not grow beyond it.
        tiles: repetitions of the supercell along each axis of the scan.
    """
    with tempfile.TemporaryDirectory() as name:
        source = (folder or Path(name)) / f"big_scan_{tiles}.h5"
        written_s = None
        if not source.is_file():
            print(f"writing {source.name}", flush=True)
            began = time.monotonic()
            write_tiled_challenge(source, tiles, window=WINDOW)
            written_s = round(time.monotonic() - began, 1)
        output = Path(name) / "output"
        output.mkdir(mode=0o777)
        output.chmod(0o777)  # the container's user is another
        command = _in_container(image, source, output) if image else _in_process(source, output)
        environment = os.environ | _environment(threads)
        print("reconstructing", flush=True)
        began = time.monotonic()
        subprocess.run(
            command, check=True, env=environment, preexec_fn=None if image else _hold_memory
        )
        total_s = time.monotonic() - began
        return {
            "machine": machine(ROOT, threads),
            "threads": threads,
            "held_by": f"engine, {LIMITS.memory_mib} MiB, image {image}"
            if image
            else f"RLIMIT_DATA, {LIMITS.memory_mib} MiB",
            "patterns_mib": LIMITS.patterns_bytes // MIB,
            "file_mib": round(source.stat().st_size / MIB, 1),
            "write_s": written_s,
            "run_s": round(total_s, 1),
            **_outcome(source, output / "result.h5"),
        }


def _environment(threads: int) -> dict[str, str]:
    return {
        "STEM4D_LIMITS": LIMITS.model_dump_json(),
        "STEM4D_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
    }


def _in_process(source: Path, output: Path) -> list[str]:
    paths = [str(source), str(output)]
    return [
        sys.executable,
        "-m",
        "runner.container",
        *paths,
        "--algorithm",
        f"{ALGORITHM}:FewSteps",
    ]


def _in_container(image: str, source: Path, output: Path) -> list[str]:
    memory = f"{LIMITS.memory_mib}m"
    mounts = {source.resolve(): "/input/challenge.h5", ALGORITHM.resolve(): "/few_steps.py"}
    return [
        *("docker", "run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp:exec"),
        *(f"--memory={memory}", f"--memory-swap={memory}"),
        *(f"--mount=type=bind,source={s},target={t},readonly" for s, t in mounts.items()),
        f"--mount=type=bind,source={output.resolve()},target=/output",
        *(f"--env={name}" for name in _environment(1)),
        *(image, "--algorithm", "/few_steps.py:FewSteps"),
    ]


def _hold_memory() -> None:
    limit = LIMITS.memory_mib * MIB
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _outcome(source: Path, path: Path) -> dict[str, Any]:
    """What the result file says of the run, and how good it is."""
    with open_challenge(source) as challenge:
        result, findings = read_result(path, challenge)
        if result is None:
            raise SystemExit("\n".join(finding.text() for finding in findings))
        sample = challenge.sample(challenge.names[0])
    assert sample.x_true is not None
    assert sample.true_spec is not None
    answer, run = result.samples[sample.name], result.run_info
    spec, truth = MismatchSpec.from_values(answer.corrected_spec).values(), sample.true_spec
    return {
        "shape": list(sample.metadata.shape),
        "solve_s": run.samples[sample.name].seconds,
        "peak_memory_mib": run.peak_memory_mib,
        "psnr_db": round(psnr_db(answer.x_hat, sample.x_true), 2),
        "spec_error": {name: spec[name] - value for name, value in truth.values().items()},
        "diagnostics": answer.diagnostics,
    }


def table(found: dict[str, Any]) -> str:
    """What matters of it, in Markdown."""
    shape = " x ".join(str(side) for side in found["shape"])
    return (
        "| scan | counts as float32 | held to | peak memory | threads | time | PSNR |\n"
        "|---|---|---|---|---|---|---|\n"
        f"| {shape} | {math.prod(found['shape']) * 4 / 1024**3:.1f} GiB | {found['held_by']}"
        f" | {found['peak_memory_mib']:.0f} MiB | {found['threads']}"
        f" | {found['solve_s'] / 60:.0f} min | {found['psnr_db']} dB |"
    )


def report(found: dict[str, Any], path: Path) -> None:
    """Write the JSON and print the table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(table(found))
