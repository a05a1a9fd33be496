"""The picture of `benchmarks.scaling`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

COLORS = ("#1f6f8b", "#c8553d", "#588157", "#6d597a")


def draw(figures: Mapping[str, Any], labels: Mapping[str, str], aim: float, path: Path) -> None:
    """Cost per pattern beside peak memory, both over the number of patterns.

    Args:
        figures: the summary of the measurement.
        labels: {kind of work: what a reader calls it}.
        aim: relative width of the band in which the cost is constant.
        path: picture to write.
    """
    figure, (cost, memory) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for color, (name, label) in zip(COLORS, labels.items(), strict=True):
        values = {int(size): 1e3 * s for size, s in figures["seconds_per_pattern"][name].items()}
        cost.plot(list(values), list(values.values()), "o-", color=color, label=label)
        if len(values) > 2:
            least = min(values.values())
            cost.axhspan(least, (1 + aim) * least, color=color, alpha=0.12, lw=0)
    cost.set(xscale="log", yscale="log", xlabel="patterns", ylabel="time per pattern [ms]")
    cost.set_title(f"Cost per pattern; bands: {aim:.0%}", fontsize=10)
    cost.legend(fontsize=8, frameon=False)
    peak = {int(size): mib for size, mib in figures["peak_mib"].items()}
    memory.plot(list(peak), list(peak.values()), "o-", color=COLORS[0], label="peak, all of it")
    kept = [size * 16 / 1024 for size in peak]
    memory.plot(list(peak), kept, "--", color="0.5", label="the counts alone (float32)")
    memory.set(xscale="log", yscale="log", xlabel="patterns", ylabel="resident memory [MiB]")
    memory.set_title("Memory, patterns kept", fontsize=10)
    memory.legend(fontsize=8, frameon=False)
    for axes in (cost, memory):
        axes.set_xticks(list(peak), [f"{size // 1024}k" for size in peak])
        axes.minorticks_off()
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)
