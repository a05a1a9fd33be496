"""What a measurement was made on."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch


def machine(root: Path, cores: int) -> dict[str, Any]:
    """Processor, cores used, versions, and the commit of the project at `root`."""
    return {
        "cpu": _cpu(),
        "cores_used": cores,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "commit": _git(root, "rev-parse", "--short", "HEAD"),
        "changed_since": bool(_git(root, "status", "--porcelain", "--", "algorithms", "physics")),
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
