"""Time and memory per pattern, from a thousand patterns to sixty-four thousand.

    python -m benchmarks.scaling [--repeats N] [--threads N]     about 15 minutes on 2 cores
    python -m benchmarks.scaling --big [--image IMAGE]           a scan larger than memory

The scan step stays and the object grows with the scan. Each size is measured in a process of its
own, all sizes in turn, `--repeats` times over. Writes JSON, a picture, and the table into
docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import big_scan, page
from benchmarks.peers.machine import machine
from benchmarks.scaling_plot import draw
from benchmarks.scaling_worker import Measurement
from benchmarks.tiled_scan import write_tiled_challenge

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PICTURE = ROOT / "docs" / "images" / "scaling.png"
PICTURE_LINE = f"![Time per pattern and peak memory over patterns](images/{PICTURE.name})"

TILES = (1, 2, 4, 8)
"""Supercells along each axis of the scan: 1024, 4096, 16384 and 65536 patterns."""

WINDOW = 64
SOLVED_UP_TO = 4096
"""Patterns up to which a whole blind solve is measured as well."""

AIM = 0.15
"""Largest relative difference of the cost per pattern between two sizes."""

PASSES = {
    "gradient": "gradient of the phase",
    "spec": "Gauss-Newton step of the spec",
    "product": "Fisher information times an image",
    "solve": "blind solve",
}
"""What is timed."""


def measure(folder: Path, sizes: Sequence[int], *, repeats: int, threads: int) -> list[Measurement]:
    """All sizes [supercells along an axis] in turn, each in a process of its own."""
    for tiles in sizes:
        print(f"writing {tiles * tiles * 1024} patterns", flush=True)
        write_tiled_challenge(_file(folder, tiles), tiles, window=WINDOW)
    found = []
    for repeat in range(repeats):
        for tiles in sizes:
            patterns = tiles * tiles * 1024
            for kind in ("passes", "solve") if patterns <= SOLVED_UP_TO else ("passes",):
                found.append(_in_process(_file(folder, tiles), kind, threads))
                times = ", ".join(f"{k} {1e3 * s:.3f}" for k, s in found[-1].seconds.items())
                print(f"{repeat + 1}/{repeats}: {patterns} patterns: {times} ms", flush=True)
    return found


def _file(folder: Path, tiles: int) -> Path:
    return folder / f"scan_{tiles}.h5"


def _in_process(path: Path, kind: str, threads: int) -> Measurement:
    command = [sys.executable, "-m", "benchmarks.scaling_worker", str(path), kind]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [*command, "--threads", str(threads)],
        check=True,
        stdout=subprocess.PIPE,
        env=environment,
        cwd=ROOT,
    )
    return Measurement(**json.loads(done.stdout))


def summary(found: Sequence[Measurement]) -> dict[str, Any]:
    """Median over the repeats of each figure and size, and how much the cost differs."""
    costs: dict[str, dict[int, float]] = {}
    for name in PASSES:
        sizes = sorted({m.patterns for m in found if name in m.seconds})
        costs[name] = {
            size: median(m.seconds[name] for m in found if m.patterns == size and name in m.seconds)
            for size in sizes
        }
    kept = [m for m in found if "gradient" in m.seconds]
    sizes = sorted({m.patterns for m in kept})
    peak = {size: median(m.peak_mib for m in kept if m.patterns == size) for size in sizes}
    return {
        "seconds_per_pattern": costs,
        "spread": {n: max(c.values()) / min(c.values()) - 1 for n, c in costs.items() if c},
        "peak_mib": peak,
        "kib_per_pattern": 1024 * (peak[sizes[-1]] - peak[sizes[0]]) / (sizes[-1] - sizes[0]),
    }


def table(figures: Mapping[str, Any]) -> str:
    """The summary in Markdown."""
    costs, peak = figures["seconds_per_pattern"], figures["peak_mib"]
    sizes = sorted(peak)
    lines = [
        "| ms per pattern | "
        + " | ".join(f"{size} patterns" for size in sizes)
        + " | differs by |",
        "|---|" + "---|" * (len(sizes) + 1),
    ]
    for name, label in PASSES.items():
        cells = [f"{1e3 * costs[name][s]:.3f}" if s in costs[name] else "" for s in sizes]
        lines.append(f"| {label} | {' | '.join(cells)} | {figures['spread'][name]:.0%} |")
    lines.append(f"| peak memory [MiB] | {' | '.join(f'{peak[s]:.0f}' for s in sizes)} | |")
    return "\n".join(lines)


def main() -> None:
    """Measure, write, draw, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tiles", type=int, nargs="+", default=TILES, help="sizes, see TILES")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    parser.add_argument("--big", action="store_true", help="one scan of 256 x 256 x 128 x 128")
    parser.add_argument("--image", help="with --big: run in this container image")
    parser.add_argument("--folder", type=Path, help="with --big: keep the file there")
    options = parser.parse_args()
    if options.big:
        found = big_scan.measure(
            folder=options.folder,
            threads=options.threads,
            image=options.image,
            tiles=big_scan.TILES,
        )
        big_scan.report(found, options.results / "big_scan.json")
        page.put("big scan", big_scan.table(found))
        return
    with tempfile.TemporaryDirectory() as name:
        runs = measure(Path(name), options.tiles, repeats=options.repeats, threads=options.threads)
    figures = summary(runs)
    record = {
        "machine": machine(ROOT, options.threads),
        "summary": figures,
        "runs": [vars(run) for run in runs],
    }
    options.results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=2) + "\n"
    (options.results / "scaling.json").write_text(text, encoding="utf-8")
    draw(figures, PASSES, AIM, options.picture)
    page.put("scaling", f"{table(figures)}\n\n{PICTURE_LINE}")
    print(table(figures))


if __name__ == "__main__":
    main()
