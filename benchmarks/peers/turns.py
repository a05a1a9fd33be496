"""All entries on all scenes, in turn, several times over: a drift of the machine hits all alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import measure
from benchmarks.peers.launch import AdapterFailedError, Cores, call_adapter
from benchmarks.peers.packages import Entry
from benchmarks.peers.problems import Scene
from benchmarks.peers.progress import say

MIB = 2.0**20


@dataclass
class Turns:
    """What was measured so far.

    Attributes:
        entries: all curves, in the order in which they alternate.
        runs: figures of each run, by the entry's place and the scene's name.
        failures: what failed, once for each curve and scene; it is not tried again.
    """

    entries: Sequence[Entry]
    runs: dict[tuple[int, str], list[dict[str, Any]]] = field(default_factory=dict)
    failures: dict[tuple[int, str], str] = field(default_factory=dict)

    def take(
        self,
        scenes: Sequence[Scene],
        pythons: Mapping[str, Path],
        cores: Cores,
        repeats: int,
        save: Callable[[], None],
    ) -> None:
        """Run all; `save` is called after each scene, so that a run cut short leaves its figures.

        Args:
            scenes: the scenes.
            pythons: interpreter of each package, by name.
            cores: what each process may use.
            repeats: how often all take their turn.
            save: writes what there is.
        """
        for turn in range(repeats):
            for scene in scenes:
                for place, entry in enumerate(self.entries):
                    if (place, scene.name) not in self.failures:
                        say(f"turn {turn + 1}/{repeats}  {scene.name}  {entry.data}  {entry.name}")
                        python = pythons[entry.package.name] if entry.package else None
                        self._run(place, scene, python, cores)
                save()

    def _run(self, place: int, scene: Scene, python: Path | None, cores: Cores) -> None:
        entry, where = self.entries[place], (place, scene.name)
        try:
            result = call_adapter(entry, "reconstruct", scene.files[entry.data], python, cores)
        except AdapterFailedError as error:
            self.failures[where] = str(error)
            say(f"    failed: {error}")
            return
        run = {
            "seconds": result["seconds"].tolist(),
            "psnr_db": [measure.psnr_db(image, scene) for image in result["images"]],
            "setup_seconds": float(result["setup_seconds"]),
            "peak_mib": float(result["peak_bytes"]) / MIB,
        }
        self.runs.setdefault(where, []).append(run)
        say(f"    {run['psnr_db'][-1]:.2f} dB after {run['seconds'][-1]:.2f} s")

    def curves(self) -> list[dict[str, Any]]:
        """One curve for each entry and scene: medians of the times; the PSNR of the first run."""
        return [
            {
                **self._names(place, scene),
                "settings": dict(self.entries[place].settings),
                "psnr_db": runs[0]["psnr_db"],
                "seconds": measure.median_curve(runs),
                "setup_seconds": float(np.median([run["setup_seconds"] for run in runs])),
                "peak_mib": max(run["peak_mib"] for run in runs),
                "total_seconds_of_each_run": [run["seconds"][-1] for run in runs],
            }
            for (place, scene), runs in sorted(self.runs.items())
        ]

    def failed(self) -> list[dict[str, Any]]:
        """What failed, with its reason."""
        return [
            {**self._names(place, scene), "reason": reason}
            for (place, scene), reason in sorted(self.failures.items())
        ]

    def _names(self, place: int, scene: str) -> dict[str, Any]:
        entry = self.entries[place]
        package = entry.package.name if entry.package else None
        return {"name": entry.name, "package": package, "data": entry.data, "scene": scene}
