"""Tries several settings of each peer and keeps its best: `python -m benchmarks.peers.tune`.

Best is the highest PSNR after the last iteration, mean over scenes; among those that come within
0.1 dB of it, the fastest. The settings are chosen on nominal data; on mismatched data the chosen
ones are tried with and without the package's own centring. Trials are kept beside the results.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import measure
from benchmarks.peers.candidates import CANDIDATES
from benchmarks.peers.environments import make_environment
from benchmarks.peers.launch import AdapterFailedError, Cores, call_adapter
from benchmarks.peers.packages import DEFAULT_CACHE, PEERS, SETTINGS, Entry, Package
from benchmarks.peers.problems import MISMATCHED, NOMINAL, Scene, build_scenes
from benchmarks.peers.progress import say

TRIALS = SETTINGS.parents[1] / "results" / "peers-tuning.json"
EQUAL_DB = 0.1
"""Settings that differ by less are equally good [dB]."""


def trial(
    curve: str,
    package: Package,
    data: str,
    settings: Mapping[str, Any],
    scenes: list[Scene],
    python: Path,
) -> dict[str, Any]:
    """PSNR and time of one choice of settings, or why it failed."""
    entry = Entry(curve, data, package, settings)
    psnr, seconds = [], []
    for scene in scenes:
        try:
            result = call_adapter(entry, "reconstruct", scene.files[data], python, Cores(2))
        except AdapterFailedError as error:
            say(f"{curve}, {data}: {json.dumps(settings)} failed: {error}")
            return {"settings": dict(settings), "failed": str(error)}
        psnr.append(measure.psnr_db(result["images"][-1], scene))
        seconds.append(float(result["seconds"][-1]))
    quality, lasted = float(np.mean(psnr)), float(np.mean(seconds))
    say(f"{curve}, {data}: {quality:.2f} dB in {lasted:.1f} s with {json.dumps(settings)}")
    return {"settings": dict(settings), "psnr_db": quality, "seconds": lasted}


def best(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Settings of the best trial."""
    done = [
        entry for entry in trials if "psnr_db" in entry and entry["psnr_db"] > measure.DIVERGED_DB
    ]
    top = max(entry["psnr_db"] for entry in done)
    near = [entry for entry in done if entry["psnr_db"] > top - EQUAL_DB]
    settings: dict[str, Any] = min(near, key=lambda entry: float(entry["seconds"]))["settings"]
    return {name: value for name, value in settings.items() if name != "iterations"}


def main() -> None:
    """Try all, write the settings and the trials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--torch-index")
    parser.add_argument("--curves", nargs="*", default=list(CANDIDATES), help="which, by name")
    options = parser.parse_args()
    trials = json.loads(TRIALS.read_text()) if TRIALS.exists() else {}
    settings = json.loads(SETTINGS.read_text()) if SETTINGS.exists() else {}
    packages = {package.name: package for package in PEERS}
    count = {"iterations": options.iterations}
    Cores(2).claim()
    with tempfile.TemporaryDirectory() as name:
        scenes = build_scenes(Path(name), scenes=options.scenes, seed=0)
        for curve in options.curves:
            tried = CANDIDATES[curve]
            package = packages[tried.package]
            python = make_environment(package, options.cache, options.torch_index)
            nominal = [
                trial(curve, package, NOMINAL, {**choice, **count}, scenes, python)
                for choice in tried.solvers
            ]
            chosen = best(nominal)
            centred = [{**chosen, **tried.centring}] if tried.centring else []
            mismatched = [
                trial(curve, package, MISMATCHED, {**choice, **count}, scenes, python)
                for choice in (chosen, *centred)
            ]
            trials[curve] = {NOMINAL: nominal, MISMATCHED: mismatched}
            settings[curve] = {
                "package": package.name,
                NOMINAL: chosen,
                MISMATCHED: best(mismatched),
            }
            TRIALS.write_text(json.dumps(trials, indent=1) + "\n")
            SETTINGS.write_text(json.dumps(settings, indent=1) + "\n")


if __name__ == "__main__":
    main()
