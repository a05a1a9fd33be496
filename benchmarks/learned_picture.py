"""The pictures of docs/learned.md: curves, scenes, cost, and how honest the spread is."""

from __future__ import annotations

import csv
import math
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from algorithms.networks.models import NETWORKS
from algorithms.networks.weights import WEIGHTS, shipped
from benchmarks import page
from benchmarks.learned_scenes import PLAIN, Answer
from runner.report.drawing import DPI, FONT_PT
from schemas.challenge import Tier

MARKERS = {Tier.PUBLIC: "o", Tier.DEV: "s", Tier.HIDDEN: "^"}

COVERAGE_WIDTHS = [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0]
"""Half-widths of intervals about x_hat, in standard deviations."""


Seconds = dict[tuple[str, str], tuple[float, float]]
"""(Mean, slowest) of a sample, calibration included, by method and tier."""


def draw(answers: list[Answer], coverage: list[dict[str, Any]], seconds: Seconds) -> None:
    """All of them, into docs/images."""
    methods = [m for m in dict.fromkeys(a.method for a in answers) if m != PLAIN]
    _save(_curves(), "learned_curves")
    _save(_all_scenes(methods, answers), "learned_scenes")
    _save(_cost(answers, seconds), "learned_cost")
    if coverage:
        _save(_coverage(coverage), "learned_coverage")


def _save(figure: Figure, name: str) -> None:
    for place in figure.axes:
        place.tick_params(labelsize=FONT_PT - 1)
        place.grid(alpha=0.3)
    figure.savefig(page.DOCS / "images" / f"{name}.png", dpi=DPI)
    plt.close(figure)


def _curves() -> Figure:
    """Loss and validation of every training."""
    figure, (losses, validation) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for number, method in enumerate(NETWORKS):
        text = WEIGHTS.joinpath(f"{method}.csv").read_text(encoding="utf-8")
        rows = list(csv.DictReader(text.splitlines()))
        steps, loss, psnr = (
            [float(row[key]) for row in rows] for key in ("step", "loss", "validation_psnr_db")
        )
        if method != "diffed":  # its loss is another
            losses.plot(steps, loss, color=f"C{number}")
        validation.plot(steps, psnr, color=f"C{number}", label=method)
        plain = shipped(method).card.plain_psnr_db
    validation.axhline(plain, color="gray", linestyle="--", label="plain ptychography")
    for place, name in ((losses, "training loss"), (validation, "validation PSNR [dB]")):
        place.set_xlabel("training step", fontsize=FONT_PT)
        place.set_ylabel(name, fontsize=FONT_PT)
    validation.legend(fontsize=FONT_PT - 1)
    return figure


def _all_scenes(methods: list[str], answers: list[Answer]) -> Figure:
    """Each scene before and after each method."""
    columns = 4
    rows = math.ceil(len(methods) / columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.8 * columns, 2.8 * rows), layout="constrained", squeeze=False
    )
    for place, method in zip(axes.flat, methods, strict=False):
        _scenes(place, method, answers)
    for place in axes.flat[len(methods) :]:
        place.remove()
    return figure


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


def _cost(answers: list[Answer], seconds: Seconds) -> Figure:
    """Score against seconds a sample, means over all tiers."""
    figure, place = plt.subplots(figsize=(8.0, 3.6), layout="constrained")
    means = {
        method: float(np.mean([seconds[method, tier.value][0] for tier in Tier]))
        for method in {a.method for a in answers}
    }
    for number, method in enumerate(sorted(means, key=means.__getitem__)):
        score = float(np.mean([a.score for a in answers if a.method == method]))
        place.plot(means[method], score, "o", color=f"C{number}")
        place.annotate(
            method,
            (means[method], score),
            (5 if number % 2 else -5, -3),  # names of neighbours go apart
            textcoords="offset points",
            fontsize=FONT_PT - 1,
            horizontalalignment="left" if number % 2 else "right",
        )
    place.margins(0.3)
    place.set_xlabel("seconds a sample, calibration included", fontsize=FONT_PT)
    place.set_ylabel("blind score, mean", fontsize=FONT_PT)
    return figure


def _coverage(coverage: list[dict[str, Any]]) -> Figure:
    """How often the truth lies within an interval, against how often it should."""
    figure, place = plt.subplots(figsize=(3.6, 3.4), layout="constrained")
    nominal = [math.erf(width / math.sqrt(2)) for width in COVERAGE_WIDTHS]
    for tier, marker in MARKERS.items():
        shares = [entry["shares"] for entry in coverage if entry["tier"] == tier.value]
        for scene in shares:
            place.plot(nominal, scene, color="gray", alpha=0.25, linewidth=0.6)
        if shares:
            place.plot(nominal, np.mean(shares, axis=0), marker=marker, label=tier.value)
    place.plot([0, 1], [0, 1], "--", color="black", linewidth=0.8)
    place.set_xlabel("of a normal distribution within the interval", fontsize=FONT_PT)
    place.set_ylabel("of the pixels' truth within it", fontsize=FONT_PT)
    place.legend(fontsize=FONT_PT - 1)
    return figure
