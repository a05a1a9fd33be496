"""The picture of docs/learned.md: training curves, and each scene before and after a network."""

from __future__ import annotations

import csv
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from algorithms.networks.weights import read_weights
from benchmarks.learned_scenes import PLAIN, Answer
from runner.report.drawing import DPI, FONT_PT
from schemas.challenge import Tier

MARKERS = {Tier.PUBLIC: "o", Tier.DEV: "s", Tier.HIDDEN: "^"}


def draw(answers: list[Answer], weights: Path, path: Path) -> None:
    """One column for the curves of all methods, one for the scenes of each."""
    methods = [m for m in dict.fromkeys(a.method for a in answers) if m != PLAIN]
    size = (3.4 * (1 + len(methods)), 3.2)
    figure, axes = plt.subplots(1, 1 + len(methods), figsize=size, layout="constrained")
    _curves(axes[0], methods, weights)
    for place, method in zip(axes[1:], methods, strict=True):
        _scenes(place, method, answers)
    for place in axes:
        place.tick_params(labelsize=FONT_PT - 1)
        place.grid(alpha=0.3)
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def _curves(place: Axes, methods: list[str], weights: Path) -> None:
    for method in methods:
        rows = list(csv.DictReader((weights / f"{method}.csv").read_text().splitlines()))
        steps, psnr = ([float(r[key]) for r in rows] for key in ("step", "validation_psnr_db"))
        place.plot(steps, psnr, label=method)
        card = read_weights(weights, method).card
    place.axhline(card.plain_psnr_db, color="gray", linestyle="--", label="plain ptychography")
    place.set_xlabel("training step", fontsize=FONT_PT)
    place.set_ylabel("validation PSNR [dB]", fontsize=FONT_PT)
    place.legend(fontsize=FONT_PT - 1)


def _scenes(place: Axes, method: str, answers: list[Answer]) -> None:
    before = {(a.tier, a.number): a.psnr_db for a in answers if a.method == PLAIN}
    limits = [99.0, 0.0]
    for tier, marker in MARKERS.items():
        own = [a for a in answers if (a.method, a.tier) == (method, tier.value)]
        x, y = [before[a.tier, a.number] for a in own], [a.psnr_db for a in own]
        place.scatter(x, y, s=14, marker=marker, label=tier.value)
        limits = [min(limits[0], *x, *y), max(limits[1], *x, *y)]
    for gain, style in ((0.0, "-"), (2.0, ":")):
        place.plot(limits, [one + gain for one in limits], style, color="gray", linewidth=0.8)
    place.set_xlabel("plain ptychography [dB]", fontsize=FONT_PT)
    place.set_ylabel(f"{method} [dB]", fontsize=FONT_PT)
    place.legend(fontsize=FONT_PT - 1)
