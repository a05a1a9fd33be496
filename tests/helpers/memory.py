"""How much this process grows, by the kernel's own mark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def added_peak_mib() -> Iterator[Callable[[], float]]:
    """Gives a function: the highest resident memory since the beginning, less that then [MiB]."""
    Path("/proc/self/clear_refs").write_text("5")  # 5: the mark of the peak begins anew (proc(5))
    begin = _status_mib("VmRSS")
    yield lambda: _status_mib("VmHWM") - begin


def _status_mib(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024.0
    raise AssertionError(f"no {field} in /proc/self/status")
