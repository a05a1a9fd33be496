"""Side by side with other packages: `python benchmarks/peers/run.py --out FILE.json`.

Makes each package's environment, asks each for the patterns of a known object by its own forward
model, then runs all of them in turn, several times over, and writes what was measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # started as a script: the project lies above

from benchmarks.peers import measure  # noqa: E402
from benchmarks.peers.checks import prepare_peers  # noqa: E402
from benchmarks.peers.launch import Cores  # noqa: E402
from benchmarks.peers.machine import machine  # noqa: E402
from benchmarks.peers.packages import DEFAULT_CACHE, PEERS, entries  # noqa: E402
from benchmarks.peers.problems import build_scenes  # noqa: E402
from benchmarks.peers.progress import say  # noqa: E402
from benchmarks.peers.turns import Turns  # noqa: E402


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    names = [package.name for package in PEERS]
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--scenes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=2, help="turns that all packages take")
    parser.add_argument("--iterations", type=int, default=20, help="iterations of each peer")
    parser.add_argument("--cores", type=int, default=2, help="cores and threads of every process")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="where environments lie")
    parser.add_argument("--torch-index", help="package index that torch comes from")
    parser.add_argument("--peers", nargs="*", default=names, help="which packages, by name")
    return parser.parse_args()


def main() -> None:
    """Measure and write."""
    options = arguments()
    cores = Cores(options.cores)
    with tempfile.TemporaryDirectory() as name:
        say("building scenes")
        scenes = build_scenes(Path(name), scenes=options.scenes, seed=options.seed)
        peers = prepare_peers(options.peers, options.cache, options.torch_index, scenes, cores)
        usable = {name: peer for name, peer in peers.items() if peer.reason is None}
        pythons = {name: peer.python for name, peer in usable.items() if peer.python}
        packages = {name: peer.package for name, peer in usable.items()}
        turns = Turns(entries(packages, options.iterations))

        def save() -> None:
            result = {
                "machine": machine(ROOT, options.cores),
                "scenes": [scene.name for scene in scenes],
                "patterns": scenes[0].patterns,
                "repeats": options.repeats,
                "iterations": options.iterations,
                "forward_tolerance": measure.FORWARD_TOLERANCE,
                "peers": {name: peer.report() for name, peer in peers.items()},
                "curves": turns.curves(),
                "failures": turns.failed(),
            }
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
            say(f"wrote {options.out}")

        cores.claim()
        turns.take(scenes, pythons, cores, options.repeats, save)


if __name__ == "__main__":
    main()
