"""Every reconstructor on the public, dev and hidden profiles, beside the published rows.

    python -m benchmarks.zoo run [--only NAME]... [--tiers public,dev,hidden] [--scenes N]
    python -m benchmarks.zoo tables    # tables and pictures into docs/, from what was run

Each run is a process of its own, as in a container: `NAME+gradient` on the blind track, one after
the other, on all cores. Needs the extra `organizer` for the dev and hidden tiers. All of it takes
about half an hour on two cores; `--only` measures some algorithms again and keeps the others.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from algorithms.registry import RECONSTRUCTORS
from benchmarks.peers.machine import machine
from benchmarks.zoo import pictures, tables
from benchmarks.zoo.measure import Measured, Zoo, environment_cores, measure
from runner.tiers.build import build_tier, tier_files
from runner.tiers.recipes import default_recipe
from schemas.challenge import Tier

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "zoo.json"
IMAGES = ROOT / "benchmarks" / "results" / "zoo"
"""Public-tier images of each algorithm, from which the pictures are drawn; not kept in git."""

SEED = 0


def run(options: argparse.Namespace) -> None:
    """Measure, and write the JSON after every algorithm."""
    zoo = Zoo.model_validate_json(RESULTS.read_text()) if RESULTS.exists() else Zoo()
    names = options.only or list(RECONSTRUCTORS)
    with tempfile.TemporaryDirectory() as folder:
        for tier in (Tier(name) for name in options.tiers.split(",")):
            place = Path(folder) / tier
            print(f"building {options.scenes} scenes of the {tier} tier", flush=True)
            build_tier(default_recipe(tier, seed=SEED, scenes=options.scenes), place)
            for name in names:
                algorithm = f"{name}+{RECONSTRUCTORS[name].calibrator}"
                keep = IMAGES / f"{name}.h5" if tier is Tier.PUBLIC else None
                entry = measure(algorithm, tier_files(tier, place), place / name, keep=keep)
                print(_line(entry), flush=True)
                zoo = zoo.with_entry(entry, machine(ROOT, environment_cores()))
                RESULTS.write_text(json.dumps(zoo.model_dump(mode="json"), indent=1) + "\n")


def _line(entry: Measured) -> str:
    if entry.card is None:
        return f"{entry.algorithm:<32} {entry.tier:<7} {'; '.join(f.code for f in entry.findings)}"
    return (
        f"{entry.algorithm:<32} {entry.tier:<7} score {entry.card.score:.3f}"
        f" {entry.card.psnr_db:6.2f} dB SSIM {entry.card.ssim:.3f}"
        f" {entry.seconds:6.1f} s (slowest {entry.slowest:.1f}) {entry.peak_mib:6.0f} MiB"
    )


def write(_: argparse.Namespace) -> None:
    """Tables and pictures into the docs."""
    zoo = Zoo.model_validate_json(RESULTS.read_text())
    tables.write(zoo)
    pictures.write(IMAGES)


def main() -> None:
    """Run, or write what was run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser("run")
    running.add_argument("--only", action="append", choices=list(RECONSTRUCTORS))
    running.add_argument("--tiers", default=",".join(Tier))
    running.add_argument("--scenes", type=int, default=4)
    running.set_defaults(act=run)
    commands.add_parser("tables").set_defaults(act=write)
    options = parser.parse_args()
    options.act(options)


if __name__ == "__main__":
    main()
