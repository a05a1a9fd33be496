"""Forward model, gradient, Gauss-Newton step, Fisher product: beside what the machine can do.

    python -m benchmarks.micro [--threads 1 2] [--rounds N]     about 2 minutes; CUDA when there is

The default profile, 1024 patterns of 64 x 64, kept in memory. The machine's limits are measured in
the same process, in turn with the operations: the bare transforms of a batch, the best rate of
matrix products, the bandwidth of a copy. Writes JSON, and the tables into docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from algorithms.base import Sample
from algorithms.objective import Objective
from benchmarks import page
from benchmarks.peers.machine import machine
from benchmarks.tiled_scan import tiled_sample
from physics.operator import DEFAULT_BATCH, batches
from runner.files.challenge import ChallengeSample
from schemas.spec import MismatchSpec

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "micro.json"

WINDOW = 64
PEAK_SIDE = 768
"""Side of the matrices whose product gives the peak rate [elements]."""

COPY_BYTES = 256 << 20
"""Size of a copy [bytes]: far beyond every cache."""

SECONDS = 0.3
"""Time that one figure is measured for in each round, at least."""

COMPLEX_FLOPS = 8
"""Real operations in a complex multiplication and addition."""


@dataclass(frozen=True)
class Operation:
    """What is timed, and the least that it takes.

    Attributes:
        label: for people.
        transforms: two-dimensional far-field transforms per pattern; a Gauss-Newton step has half
            transforms, because its derivatives along the two axes share one side.
        counts: whether it reads the counts.
        matrices: it takes matrix products even on the nominal detector.
    """

    label: str
    transforms: float
    counts: bool
    matrices: bool = False


OPERATIONS = {
    "forward": Operation("forward model", 1, counts=False),
    "gradient": Operation("gradient of the phase", 2, counts=True),
    "spec": Operation("Gauss-Newton step of the spec", 2.5, counts=True, matrices=True),
    "product": Operation("Fisher information times an image", 3, counts=False),
}


def limits(device: str) -> dict[str, Callable[[], object]]:
    """What the machine's limits are measured by; see `rates`."""
    stack = torch.randn(DEFAULT_BATCH, WINDOW, WINDOW, dtype=torch.complex64, device=device)
    side = torch.randn(WINDOW, WINDOW, dtype=torch.complex64, device=device)
    real = torch.randn(PEAK_SIDE, PEAK_SIDE, device=device)
    waves = torch.complex(real, real)
    source = torch.empty(COPY_BYTES, dtype=torch.uint8, device=device).fill_(1)
    target = torch.empty_like(source)
    return {
        "fft": lambda: torch.fft.fft2(stack, norm="ortho"),
        "matrices": lambda: side @ stack @ side,
        "real_product": lambda: real @ real,
        "complex_product": lambda: waves @ waves,
        "copy": lambda: target.copy_(source),
    }


def operations(source: ChallengeSample, device: str, spec: MismatchSpec) -> dict[str, Any]:
    """The operations on the default profile, each a call over the whole scan."""
    sample = Sample(source.name, source.y, source.operator, source.ranges, device=device)
    objective = Objective(sample)
    operator = objective.operator
    assert source.x_true is not None
    phi = operator.tensor(source.operator.attrs.phase_scale_rad * source.x_true)
    information = objective.information(phi, spec)

    def forward() -> None:
        for index in batches(operator.count, operator.batch):
            operator.expected(phi, spec, index)

    return {
        "forward": forward,
        "gradient": lambda: objective.gradient(phi, spec),
        "spec": lambda: objective.spec_information(phi, spec),
        "product": lambda: information.product(phi),
    }


def least_times(
    calls: Mapping[str, Callable[[], object]], device: str, rounds: int
) -> dict[str, float]:
    """Least time of each call [s], all of them in turn, round by round."""
    least = dict.fromkeys(calls, math.inf)
    for call in calls.values():  # caches, plans, kernels
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            end = time.perf_counter() + SECONDS
            while time.perf_counter() < end:
                _wait(device)
                began = time.perf_counter()
                call()
                _wait(device)
                least[name] = min(least[name], time.perf_counter() - began)
    return least


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def measure(source: ChallengeSample, device: str, rounds: int) -> dict[str, Any]:
    """Limits and operations of one device and number of threads."""
    assert source.true_spec is not None
    specs = {"nominal": MismatchSpec(), "mismatched": source.true_spec}
    calls: dict[str, Callable[[], object]] = dict(limits(device))
    for detector, spec in specs.items():
        for name, call in operations(source, device, spec).items():
            calls[f"{detector} {name}"] = call
    seconds = least_times(calls, device, rounds)
    count = source.y.shape[0] * source.y.shape[1]
    found = {
        f"{detector} {name}": _beside(
            operation,
            seconds[f"{detector} {name}"] / count,
            seconds,
            matrices=operation.matrices or detector == "mismatched",
        )
        for detector in specs
        for name, operation in OPERATIONS.items()
    }
    return {"limits": rates(seconds), "operations": found}


def rates(seconds: Mapping[str, float]) -> dict[str, float]:
    """The machine's limits, from the times of `limits`."""
    product = 2 * PEAK_SIDE**3
    transform = DEFAULT_BATCH * 2 * WINDOW**3 * COMPLEX_FLOPS
    return {
        "fft_us": 1e6 * seconds["fft"] / DEFAULT_BATCH,
        "matrices_us": 1e6 * seconds["matrices"] / DEFAULT_BATCH,
        "matrices_gflops": 1e-9 * transform / seconds["matrices"],
        "real_product_gflops": 1e-9 * product / seconds["real_product"],
        "complex_product_gflops": 1e-9 * 4 * product / seconds["complex_product"],
        "copy_gb_per_s": 1e-9 * 2 * COPY_BYTES / seconds["copy"],
    }


def _beside(
    operation: Operation, each_s: float, seconds: Mapping[str, float], *, matrices: bool
) -> dict[str, float]:
    """Time per pattern, and the shares of it that the least work would take at the limits.

    transforms: the bare transforms, as batches of the same size take them.
    products: their floating-point operations at the peak rate of complex products (matrices only).
    memory: each transform's input and output once through memory and the counts once, everything
    else fused, at the bandwidth of a copy. Above 1 where a batch stays in the cache.
    """
    bare = seconds["matrices" if matrices else "fft"] / DEFAULT_BATCH
    traffic = (operation.transforms * 16 + 4 * operation.counts) * WINDOW**2
    shares = {
        "transforms": operation.transforms * bare / each_s,
        "memory": traffic * seconds["copy"] / (2 * COPY_BYTES) / each_s,
    }
    if matrices:
        flops = operation.transforms * 2 * WINDOW**3 * COMPLEX_FLOPS
        peak = 4 * 2 * PEAK_SIDE**3 / seconds["complex_product"]
        shares["products"] = flops / peak / each_s
    return {"ms_per_pattern": 1e3 * each_s, **shares}


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Both tables in Markdown: the limits, and the operations beside them."""
    limit_lines = [
        "| | FFT of a pattern | two products | their rate | complex products | real products"
        " | copy |",
        "|---|---|---|---|---|---|---|",
    ]
    lines = [
        "| | detector | ms per pattern | bare transforms | peak of products | memory |",
        "|---|---|---|---|---|---|",
    ]
    for setting, part in found.items():
        r = part["limits"]
        limit_lines.append(
            f"| {setting} | {r['fft_us']:.1f} us | {r['matrices_us']:.1f} us"
            f" | {r['matrices_gflops']:.0f} GFLOP/s | {r['complex_product_gflops']:.0f} GFLOP/s"
            f" | {r['real_product_gflops']:.0f} GFLOP/s | {r['copy_gb_per_s']:.1f} GB/s |"
        )
        for key, entry in part["operations"].items():
            detector, _, name = key.partition(" ")
            peak = f"{entry['products']:.0%}" if "products" in entry else ""
            lines.append(
                f"| {OPERATIONS[name].label}, {setting} | {detector}"
                f" | {entry['ms_per_pattern']:.4f} | {entry['transforms']:.0%} | {peak}"
                f" | {entry['memory']:.0%} |"
            )
    return "\n".join([*limit_lines, "", *lines])


def main() -> None:
    """Measure on the CPU with each number of threads, then on CUDA; write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    source = tiled_sample(1, window=WINDOW)
    found = {}
    for threads in options.threads:
        torch.set_num_threads(threads)
        setting = f"CPU, {threads} thread{'s' if threads > 1 else ''}"
        print(f"measuring: {setting}", flush=True)
        found[setting] = measure(source, "cpu", options.rounds)
    if torch.cuda.is_available():
        setting = torch.cuda.get_device_name()
        print(f"measuring: {setting}", flush=True)
        found[setting] = measure(source, "cuda", options.rounds)
    record = {"machine": machine(ROOT, max(options.threads)), "settings": found}
    options.result.parent.mkdir(parents=True, exist_ok=True)
    options.result.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    page.put("micro", table(found))
    print(table(found))


if __name__ == "__main__":
    main()
