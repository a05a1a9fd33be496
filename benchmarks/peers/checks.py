"""Before anything is timed: is a package installed, and does it compute the same patterns?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import measure
from benchmarks.peers.environments import EnvironmentFailedError, make_environment
from benchmarks.peers.launch import AdapterFailedError, Cores, call_adapter
from benchmarks.peers.packages import PEERS, Entry, Package
from benchmarks.peers.problems import NOMINAL, Scene
from benchmarks.peers.progress import say


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
                check_forward_model(peer, scene, cores)
        except (EnvironmentFailedError, AdapterFailedError) as error:
            peer.reason = str(error)
        if peer.reason:
            say(f"{peer.package.name}: not run: {peer.reason}")
    return peers


def check_forward_model(peer: Peer, scene: Scene, cores: Cores) -> None:
    """Compare the package's own patterns of the true object with ours, noiseless and nominal."""
    entry = Entry(peer.package.name, NOMINAL, peer.package, {})
    result = call_adapter(entry, "check", scene.check, peer.python, cores)
    with np.load(scene.check) as file:
        error = measure.forward_error(result["patterns"], file["counts"])
    peer.version = str(result["version"])
    peer.forward_error[scene.name] = error
    say(f"{peer.package.name}: forward model differs by {error:.1e} on {scene.name}")
    if not error <= measure.FORWARD_TOLERANCE:
        peer.reason = (
            f"its forward model differs by {error:.1e} on {scene.name}, more than"
            f" {measure.FORWARD_TOLERANCE:.0e}: not the same problem"
        )
