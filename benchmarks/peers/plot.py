"""PSNR against seconds, ours beside the peers, one panel for each scene and kind of data."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmarks.peers.problems import MISMATCHED, NOMINAL
from benchmarks.peers.report import Result

STYLES = {
    "ptychography+none": ("#000000", "-", "o"),
    "ptychography+none, padded": ("#000000", "--", "o"),
    "ptychography+gradient": ("#d62728", "-", "s"),
    "ptychography+oracle": ("#d62728", "--", "s"),
    "py4DSTEM": ("#1f77b4", "-", "^"),
    "phaser, JAX Adam": ("#2ca02c", "-", "v"),
    "phaser, LSQML": ("#2ca02c", "--", "v"),
    "pty-chi": ("#ff7f0e", "-", "D"),
    "quantem": ("#9467bd", "-", "P"),
    "PtyRAD": ("#8c564b", "-", "X"),
}
"""Colour, line and marker of each curve; ours are dark or red."""

PANEL_INCHES = (6.2, 4.0)
TITLES = {NOMINAL: "nominal detector", MISMATCHED: "mismatched detector"}


def draw(result: Result, target: Path) -> None:
    """Write the figure."""
    scenes = result["scenes"]
    wide, high = PANEL_INCHES
    figure, axes = plt.subplots(
        *(2, len(scenes)), figsize=(wide * len(scenes), 2 * high), squeeze=False, sharey="row"
    )
    for row, data in zip(axes, (NOMINAL, MISMATCHED), strict=True):
        for axis, scene in zip(row, scenes, strict=True):
            _panel(axis, result, data, scene)
        row[0].set_ylabel("PSNR, offset removed [dB]")
        row[-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    for axis in axes[-1]:
        axis.set_xlabel("seconds of iterations")
    figure.tight_layout()
    figure.savefig(target, dpi=130)
    plt.close(figure)


def _panel(axis: Axes, result: Result, data: str, scene: str) -> None:
    for curve in result["curves"]:
        if curve["data"] != data or curve["scene"] != scene:
            continue
        colour, line, marker = STYLES[curve["name"]]
        ours = curve["package"] is None
        axis.plot(
            *(curve["seconds"], curve["psnr_db"]),
            color=colour,
            linestyle=line,
            marker=marker,
            markersize=4 if ours else 3.5,
            linewidth=1.8 if ours else 1.2,
            label=curve["name"],
        )
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set_title(f"{scene.partition('(')[2].rstrip(')').replace('_', ' ')}, {TITLES[data]}")
    axis.grid(visible=True, which="both", alpha=0.25)
