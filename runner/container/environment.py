"""The process's own settings: threads, determinism, device, and what it used."""

from __future__ import annotations

import os
import platform
import random
import resource
import socket
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from schemas.findings import refuse
from schemas.version import __version__

DEFAULT_THREADS = 2
"""CPU threads unless STEM4D_THREADS says otherwise: the contract's two cores. Fixed, not read off
the machine, because the order of a sum, and with it the last bit, depends on it."""


def prepare(seed: int) -> None:
    """Fix threads, seeds and deterministic kernels for the whole process."""
    torch.set_num_threads(threads())
    random.seed(seed)
    np.random.seed(seed % 2**32)  # submissions may use the global generator
    torch.manual_seed(seed)
    if device() == "cuda":
        # Only where it changes anything: on the CPU every kernel used here adds in a fixed order,
        # and the switch makes scattered sums ten times slower.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)


def threads() -> int:
    """CPU threads to use: STEM4D_THREADS, or two.

    Raises:
        ContractError: USAGE, when it is no whole number above 0.
    """
    text = os.environ.get("STEM4D_THREADS", str(DEFAULT_THREADS))
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise refuse(
            "USAGE",
            "STEM4D_THREADS",
            expected="a whole number above 0",
            found=repr(text),
            hint="unset it, or set it to the number of cores",
        )
    return int(text)


def device() -> str:
    """The torch device: a GPU if the container was given one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def libraries() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    names = ("numpy", "h5py", "torch", "pydantic")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def runner_version() -> str:
    """Version of stem4d."""
    return __version__


def host() -> str:
    """Host name as the run sees it."""
    return socket.gethostname()[:256]


def peak_memory_mib() -> float:
    """Peak resident memory of this process so far [MiB]."""
    # Linux counts into ru_maxrss what the parent held when it started this process.
    own = high_water_mib("self")
    if own is not None:
        return own
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0 if sys.platform != "darwin" else 1024.0**2)


def high_water_mib(process: int | Literal["self"]) -> float | None:
    """Peak resident memory of a process so far [MiB], from Linux's /proc; None where it is not."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)
