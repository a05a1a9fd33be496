"""One process of `benchmarks.scaling`: time and memory of the work on one file, as JSON."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from algorithms.base import Sample
from algorithms.objective import Objective
from algorithms.registry import load_algorithm
from runner.container.environment import peak_memory_mib
from runner.files.challenge import open_challenge

TIMED_PATTERNS = 65536
"""Patterns that a figure is taken over, whatever the scan: many passes of a small one."""


@dataclass(frozen=True)
class Measurement:
    """One process: seconds per pattern of each kind of work, and its peak memory.

    Attributes:
        patterns: size of the scan.
        seconds: {kind of work: seconds per pattern}.
        start_mib: peak resident memory before the first pattern was read [MiB].
        peak_mib: at the end [MiB].
    """

    patterns: int
    seconds: Mapping[str, float]
    start_mib: float
    peak_mib: float


def passes(sample: Sample) -> Measurement:
    """Time the passes over a scan, at the true phase's scale but from nothing."""
    start_mib = peak_memory_mib()
    objective = Objective(sample)
    count = objective.operator.count
    generator = torch.Generator().manual_seed(0)
    phi = 0.1 * torch.rand(sample.object_shape, generator=generator)
    assert sample.true_spec is not None
    spec = sample.true_spec
    information = objective.information(phi, spec)
    work: dict[str, Callable[[], object]] = {
        "gradient": lambda: objective.gradient(phi, spec),
        "spec": lambda: objective.spec_information(phi, spec),
        "product": lambda: information.product(phi),
    }
    objective.gradient(phi, spec)  # reads the file
    repeats = math.ceil(TIMED_PATTERNS / count)
    seconds = {name: _mean(call, repeats) / count for name, call in work.items()}
    return Measurement(count, seconds, start_mib, peak_memory_mib())


def solve(sample: Sample) -> Measurement:
    """Time a whole blind solve by ptychography+gradient."""
    start_mib = peak_memory_mib()
    count = sample.scan_shape[0] * sample.scan_shape[1]
    algorithm = load_algorithm("ptychography+gradient")
    seconds = {"solve": _mean(lambda: algorithm.solve(sample), 1) / count}
    return Measurement(count, seconds, start_mib, peak_memory_mib())


def _mean(call: Callable[[], object], repeats: int) -> float:
    """Mean time of a call [s].

    Not the least: a small scan would have more chances of a quiet moment for the same work.
    """
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - began) / repeats


def main() -> None:
    """Measure one file, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("kind", choices=("passes", "solve"))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with open_challenge(options.file) as challenge:
        found = challenge.sample(challenge.names[0])
        sample = Sample(
            found.name, found.y, found.operator, found.ranges, true_spec=found.true_spec
        )
        measured = (solve if options.kind == "solve" else passes)(sample)
    print(json.dumps(vars(measured)))


if __name__ == "__main__":
    main()
