"""A virtual environment for each package, made once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.peers.packages import TORCH, Package

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
READY = ".ready"
"""File in an environment that tells what was installed into it, once it was."""

TAIL = 600
"""Characters of pip's output that a failure reports."""


class EnvironmentFailedError(Exception):
    """A package could not be installed; the text says why."""


def make_environment(package: Package, cache: Path, torch_index: str | None) -> Path:
    """Python of the package's environment, which is made when it is not there.

    Args:
        package: what to install.
        cache: folder that holds one environment a package.
        torch_index: package index that torch comes from; None asks pip's own.

    Raises:
        EnvironmentFailedError: pip failed.
    """
    folder = cache / package.name
    python, ready = folder / "bin" / "python", folder / READY
    if ready.exists() and ready.read_text() == package.requirement:
        return python
    _call([sys.executable, "-m", "venv", "--clear", str(folder)])
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if package.uses_torch:
        # At the project's version, so that all run on the same build of it.
        index = ["--index-url", torch_index, "--no-deps"] if torch_index else []
        _call([*pip, *index, _pinned(TORCH)])
        _call([*pip, _pinned(TORCH), package.requirement])
    else:
        _call([*pip, package.requirement])
    ready.write_text(package.requirement)
    return python


def _pinned(name: str) -> str:
    lines = CONSTRAINTS.read_text().splitlines()
    return next(line for line in lines if line.startswith(f"{name}=="))


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EnvironmentFailedError((done.stderr or done.stdout).strip()[-TAIL:])
