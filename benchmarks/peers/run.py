"""Side by side with other packages: `python benchmarks/peers/run.py --out FILE.json`.

Makes each package's environment, asks each for the patterns of a known object by its own forward
model, then runs all of them in turn, several times over, and writes what was measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # started as a script: the project lies above

from benchmarks.peers import measure  # noqa: E402
from benchmarks.peers.environments import (  # noqa: E402
    EnvironmentFailedError,
    make_environment,
)
from benchmarks.peers.launch import AdapterFailedError, Cores, call_adapter  # noqa: E402
from benchmarks.peers.machine import machine  # noqa: E402
from benchmarks.peers.packages import PEERS, Entry, Package, entries  # noqa: E402
from benchmarks.peers.problems import NOMINAL, Scene, build_scenes  # noqa: E402

DEFAULT_CACHE = Path.home() / ".cache" / "stem4d-peers"
MIB = 2.0**20


@dataclass
class Peer:
    """What is known about one package.

    Attributes:
        package: which one.
        python: its interpreter, once it is installed.
        version: as its adapter reports it.
        forward_error: {scene: relative error of its own forward model}.
        reason: why it is not run, or None.
    """

    package: Package
    python: Path | None = None
    version: str = ""
    forward_error: dict[str, float] = field(default_factory=dict)
    reason: str | None = None

    def report(self) -> dict[str, Any]:
        """For the JSON: no path of this machine."""
        return {
            "requirement": self.package.requirement,
            "version": self.version,
            "forward_error": self.forward_error,
            "reason": self.reason,
        }


def say(text: str) -> None:
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)


def prepare_peers(
    names: Sequence[str],
    cache: Path,
    torch_index: str | None,
    scenes: Sequence[Scene],
    cores: Cores,
) -> dict[str, Peer]:
    """Install each package and check its forward model; what fails is kept with its reason."""
    peers = {package.name: Peer(package) for package in PEERS if package.name in names}
    for peer in peers.values():
        try:
            say(f"{peer.package.name}: environment")
            peer.python = make_environment(peer.package, cache, torch_index)
            for scene in scenes:
                _check(peer, scene, cores)
        except (EnvironmentFailedError, AdapterFailedError) as error:
            peer.reason = str(error)
        if peer.reason:
            say(f"{peer.package.name}: not run: {peer.reason}")
    return peers


def _check(peer: Peer, scene: Scene, cores: Cores) -> None:
    entry = Entry(peer.package.name, NOMINAL, peer.package, {})
    result = call_adapter(entry, "check", scene.check, peer.python, cores)
    with np.load(scene.check) as file:
        error = measure.forward_error(result["patterns"], file["counts"])
    peer.version = str(result["version"])
    peer.forward_error[scene.name] = error
    say(f"{peer.package.name}: forward model differs by {error:.1e} on {scene.name}")
    if error > measure.FORWARD_TOLERANCE:
        peer.reason = (
            f"its forward model differs by {error:.1e} on {scene.name}, more than"
            f" {measure.FORWARD_TOLERANCE:.0e}: not the same problem"
        )


def run_all(
    todo: Sequence[Entry],
    scenes: Sequence[Scene],
    pythons: Mapping[str, Path],
    cores: Cores,
    repeats: int,
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Every entry on every scene, in turn, `repeats` times: (curves, failures)."""
    runs: dict[tuple[int, str], list[dict[str, Any]]] = {}
    failures: dict[tuple[str, str, str], dict[str, str]] = {}
    for turn in range(repeats):
        for scene in scenes:
            for number, entry in enumerate(todo):
                where = (entry.name, entry.data, scene.name)
                if where in failures:
                    continue
                python = pythons[entry.package.name] if entry.package else None
                try:
                    result = call_adapter(
                        entry, "reconstruct", scene.files[entry.data], python, cores
                    )
                except AdapterFailedError as error:
                    package = entry.package.name if entry.package else ""
                    names = ("name", "data", "scene")
                    told = dict(zip(names, where, strict=True))
                    failures[where] = {**told, "package": package, "reason": str(error)}
                    say(f"{entry.name} on {entry.data} {scene.name} failed: {error}")
                    continue
                run = _figures(result, scene)
                runs.setdefault((number, scene.name), []).append(run)
                say(
                    f"turn {turn + 1}/{repeats}  {scene.name}  {entry.data:10}  {entry.name:25}"
                    f" {run['psnr_db'][-1]:6.2f} dB after {run['seconds'][-1]:6.2f} s"
                )
    curves = [
        _curve(todo[number], scene, found)
        for (number, scene), found in sorted(runs.items(), key=lambda item: item[0])
    ]
    return curves, list(failures.values())


def _figures(result: Mapping[str, Any], scene: Scene) -> dict[str, Any]:
    return {
        "seconds": result["seconds"].tolist(),
        "psnr_db": [measure.psnr_db(image, scene) for image in result["images"]],
        "setup_seconds": float(result["setup_seconds"]),
        "peak_mib": float(result["peak_bytes"]) / MIB,
    }


def _curve(entry: Entry, scene: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One curve: PSNR of the first run (all compute the same), medians of the times."""
    return {
        "name": entry.name,
        "package": entry.package.name if entry.package else None,
        "data": entry.data,
        "scene": scene,
        "settings": dict(entry.settings),
        "psnr_db": runs[0]["psnr_db"],
        "seconds": measure.median_curve(runs),
        "setup_seconds": float(np.median([run["setup_seconds"] for run in runs])),
        "peak_mib": max(run["peak_mib"] for run in runs),
        "total_seconds_of_each_run": [run["seconds"][-1] for run in runs],
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--scenes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=2, help="turns that all packages take")
    parser.add_argument("--iterations", type=int, default=20, help="iterations of each peer")
    parser.add_argument("--cores", type=int, default=2, help="cores and threads of every process")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="where environments lie")
    parser.add_argument("--torch-index", help="package index that torch comes from")
    parser.add_argument(
        "--peers",
        nargs="*",
        default=[package.name for package in PEERS],
        help="which packages, by name",
    )
    options = parser.parse_args()
    cores = Cores(options.cores)
    with tempfile.TemporaryDirectory() as name:
        say("building scenes")
        scenes = build_scenes(Path(name), scenes=options.scenes, seed=options.seed)
        peers = prepare_peers(options.peers, options.cache, options.torch_index, scenes, cores)
        cores.claim()
        usable = {name: peer for name, peer in peers.items() if peer.reason is None}
        pythons = {name: peer.python for name, peer in usable.items() if peer.python}
        todo = entries({name: peer.package for name, peer in usable.items()}, options.iterations)
        curves, failures = run_all(todo, scenes, pythons, cores, options.repeats)
    result = {
        "machine": machine(ROOT, options.cores),
        "scenes": [scene.name for scene in scenes],
        "patterns": scenes[0].patterns,
        "repeats": options.repeats,
        "iterations": options.iterations,
        "forward_tolerance": measure.FORWARD_TOLERANCE,
        "peers": {name: peer.report() for name, peer in peers.items()},
        "curves": curves,
        "failures": failures,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    say(f"wrote {options.out}")


if __name__ == "__main__":
    main()
