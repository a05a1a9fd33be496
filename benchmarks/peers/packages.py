"""The packages that are compared, and the settings each is given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.problems import MISMATCHED, NOMINAL

HERE = Path(__file__).parent
ADAPTERS = HERE / "adapters"
DEFAULT_CACHE = Path.home() / ".cache" / "stem4d-peers"
"""Folder of the packages' environments."""

SETTINGS = HERE / "settings.json"
"""{curve: {"package": name, data: settings}}: the best that `tune` found."""

TORCH = "torch"
"""Requirement that a package brings along, at the version that this project pins."""


@dataclass(frozen=True)
class Package:
    """One package, in its own virtual environment.

    Attributes:
        name: what it is called in tables; also its environment's folder.
        requirement: what pip installs, with its version.
        adapter: script in `adapters` that runs it.
        uses_torch: whether torch is installed first.
    """

    name: str
    requirement: str
    adapter: str
    uses_torch: bool


PEERS = (
    Package("py4DSTEM", "py4dstem==0.14.18", "with_py4dstem.py", uses_torch=False),
    Package("phaser", "phaserEM[jax]==0.3.1", "with_phaser.py", uses_torch=False),
    Package("pty-chi", "ptychi==2.2.0", "with_ptychi.py", uses_torch=True),
    Package("quantem", "quantem==0.1.10", "with_quantem.py", uses_torch=True),
    Package("PtyRAD", "ptyrad==1.0.0", "with_ptyrad.py", uses_torch=True),
)


@dataclass(frozen=True)
class Entry:
    """One curve: an adapter with settings on one kind of data.

    Attributes:
        name: name of the curve.
        data: nominal or mismatched.
        package: the peer, or None for this project.
        settings: what the adapter is given.
    """

    name: str
    data: str
    package: Package | None
    settings: Mapping[str, Any]

    @property
    def adapter(self) -> Path:
        """The script."""
        return ADAPTERS / (self.package.adapter if self.package else "with_stem4d.py")


OURS = (
    Entry("ptychography+none", NOMINAL, None, {"calibrator": "none"}),
    Entry("ptychography+none, padded", NOMINAL, None, {"calibrator": "none", "periodic": False}),
    Entry("ptychography+none", MISMATCHED, None, {"calibrator": "none"}),
    Entry("ptychography+gradient", MISMATCHED, None, {"calibrator": "gradient"}),
    Entry("ptychography+oracle", MISMATCHED, None, {"calibrator": "oracle"}),
)
"""Ours: as the sample is, and on a larger object that does not wrap, as most peers see it."""


def entries(peers: Mapping[str, Package], iterations: int) -> list[Entry]:
    """All curves of a run, in the order in which they alternate."""
    found = json.loads(SETTINGS.read_text())
    theirs = [
        Entry(name, data, peers[choice["package"]], {**choice[data], "iterations": iterations})
        for name, choice in found.items()
        if choice["package"] in peers
        for data in (NOMINAL, MISMATCHED)
    ]
    return [*OURS, *theirs]
