"""Curves of the page: Fourier ring correlation, power, convergence, parameters.

Drawn once: on the page as inline SVG whose colours follow its theme, beside it as PNG and SVG.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any, Concatenate, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from runner.report.page.records import Answer, SampleView
from runner.scoring.fourier import FRC_THRESHOLD, resolution_A
from schemas.spec import PARAMETERS

INK, MUTED, GRID = "#1b1f23", "#59636e", "#d0d7de"
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#c2570c", "#007a5a", "#a8558a"
"""Near those of Okabe and Ito (2008), told apart by colour-blind readers, dark enough on white."""

WIDTH_INCH, HEIGHT_INCH = 5.0, 3.1

SYMBOLS = {
    "camera_length": ("ΔL", "%", "camera length"),
    "center_offset": ("Δc", "px", "centre offset"),
    "elliptical_distortion": ("ε", "", "ellipticity"),
}
"""Symbol, unit and name of each mismatch parameter."""

ZOOM_SIGMA = 6.0
"""Half width of a parameter's enlarged axis, in standard deviations of the bound, at least."""

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}

P = ParamSpec("P")


@contextmanager
def style() -> Iterator[None]:
    """matplotlib's settings for everything in here, and for saving it."""
    with mpl.rc_context(STYLE):
        yield


def _figure(
    draw: Callable[Concatenate[Figure, P], None],
) -> Callable[P, Figure]:
    """A function that fills a figure, as one that returns it."""

    def made(*arguments: P.args, **named: P.kwargs) -> Figure:
        with style():
            figure = Figure(figsize=(WIDTH_INCH, HEIGHT_INCH), layout="constrained")
            draw(figure, *arguments, **named)
        return figure

    made.__doc__ = draw.__doc__
    return made


@_figure
def correlation_figure(figure: Figure, sample: SampleView, answer: Answer) -> None:
    """Fourier ring correlation with the truth, its threshold and the beam's own limits."""
    assert answer.correlation is not None
    axes = figure.add_subplot()
    curve = answer.correlation
    axes.plot(curve.frequency, curve.value, color=BLUE, label="with the truth")
    axes.axhline(
        FRC_THRESHOLD,
        color=ORANGE,
        linestyle="--",
        linewidth=1.2,
        label=f"threshold {FRC_THRESHOLD}",
    )
    resolved = resolution_A(curve)
    if resolved is not None:
        axes.plot(1 / resolved, FRC_THRESHOLD, "o", color=ORANGE, markersize=5)
    _aperture(axes, sample)
    axes.set_ylim(min(-0.05, 1.05 * float(curve.value.min())), 1.05)
    axes.set_ylabel("Fourier ring correlation")
    _frequency_axis(axes, sample)
    axes.legend(loc="best")


@_figure
def power_figure(figure: Figure, sample: SampleView, answer: Answer) -> None:
    """Power over rings, of the reconstruction and of the truth where that is known."""
    axes = figure.add_subplot()
    if sample.true_radial is not None:
        axes.semilogy(
            sample.true_radial.frequency,
            _positive(sample.true_radial.value),
            color=MUTED,
            linestyle="--",
            label="truth",
        )
    axes.semilogy(
        answer.radial.frequency, _positive(answer.radial.value), color=BLUE, label="reconstruction"
    )
    _aperture(axes, sample)
    axes.set_ylabel("mean of |F x|² / pixels")
    _frequency_axis(axes, sample)
    axes.legend(loc="best")


@_figure
def convergence_figure(figure: Figure, answer: Answer) -> None:
    """Objective above the lowest value of its own stage, against seconds, on a log axis."""
    axes = figure.add_subplot()
    looks = cycle(((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (PURPLE, ":")))
    for stage in answer.trace:
        color, line = next(looks)
        above = stage.objective - stage.objective.min()
        drawn = np.where(above > 0, above, np.nan)
        axes.semilogy(
            stage.seconds,
            drawn,
            color=color,
            linestyle=line,
            marker="o",
            markersize=3.5,
            label=stage.name.replace("$", r"\$"),  # a stranger's name is no formula
        )
    axes.set_xlim(left=0)
    axes.set_xlabel("time since the sample was begun [s]")
    axes.set_ylabel("objective − lowest of its stage")
    axes.legend(loc="best")


@_figure
def parameter_figure(figure: Figure, sample: SampleView, answer: Answer) -> None:
    """The three parameters: left within their ranges, right enlarged to the error's own size."""
    figure.set_size_inches(WIDTH_INCH * 1.5, HEIGHT_INCH * 1.05)
    grid = figure.subplots(len(PARAMETERS), 2, width_ratios=(1.2, 1.0))
    for (whole, near), name in zip(grid, PARAMETERS, strict=True):
        if name not in sample.ranges.names:
            whole.set_axis_off()
            near.set_axis_off()
            continue
        _whole_range(whole, sample, answer, name)
        _enlarged(near, sample, answer, name)
    grid[0, 0].set_title("within the published range", fontsize=9, color=INK)
    grid[0, 1].set_title("enlarged, as difference", fontsize=9, color=INK)
    handles, labels = grid[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)


def _whole_range(axes: Axes, sample: SampleView, answer: Answer, name: str) -> None:
    limits, value = sample.ranges[name], answer.spec.values()[name]
    symbol, unit, _ = SYMBOLS[name]
    margin = 0.04 * (limits.max - limits.min)
    axes.axvspan(limits.min, limits.max, color=BLUE, alpha=0.13, linewidth=0)
    axes.axvline(0.0, color=MUTED, linewidth=1.0, linestyle=":")
    if sample.true_spec is not None:
        axes.plot(
            sample.true_spec.values()[name], 0.0, "D", color=GREEN, markersize=9, fillstyle="none"
        )
    axes.plot(value, 0.0, "o", color=ORANGE, markersize=5)
    low, high = min(limits.min, 0.0), max(limits.max, 0.0)
    axes.set_xlim(low - margin, high + margin)
    _one_row(axes)
    axes.set_ylabel(f"{symbol}{f' [{unit}]' if unit else ''}", rotation=0, ha="right", va="center")


def _enlarged(axes: Axes, sample: SampleView, answer: Answer, name: str) -> None:
    """Estimate less truth; without truth, the error bar about the estimate."""
    _, unit, _ = SYMBOLS[name]
    zero = answer.spec if sample.true_spec is None else sample.true_spec
    difference = answer.spec.values()[name] - zero.values()[name]
    error = answer.standard_errors.get(name)
    bound = None if answer.bound is None else answer.bound.sigma[name]
    if bound is not None:
        axes.axvspan(
            -bound, bound, color=GREEN, alpha=0.22, linewidth=0, label="± Cramér–Rao bound"
        )
    if sample.true_spec is not None:
        axes.plot(
            0.0, 0.0, "D", color=GREEN, markersize=9, fillstyle="none", label="truth", linestyle=""
        )
    axes.errorbar(
        difference,
        0.0,
        xerr=error,
        fmt="o",
        color=ORANGE,
        markersize=5,
        capsize=4,
        label="estimate ± its own σ",
    )
    half = max(
        ZOOM_SIGMA * (bound or 0.0),
        1.3 * (abs(difference) + (error or 0.0)),
        _smallest(sample, name),
    )
    axes.set_xlim(-half, half)
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 3), useMathText=False)
    _one_row(axes)
    axes.set_ylabel(unit, rotation=0, ha="right", va="center")


def _smallest(sample: SampleView, name: str) -> float:
    """A half width where neither error nor bound is known: a hundredth of the range."""
    limits = sample.ranges[name]
    return 1e-6 * (limits.max - limits.min)


def _one_row(axes: Axes) -> None:
    axes.set_ylim(-1, 1)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5))


def _aperture(axes: Axes, sample: SampleView) -> None:
    """The aperture's radius alpha/lambda, and twice that: what a bright-field disk interferes."""
    attrs = sample.operator.attrs
    radius = attrs.semiangle_mrad * 1e-3 / attrs.wavelength_A
    for factor, name in ((1, "α/λ"), (2, "2α/λ")):
        axes.axvline(factor * radius, color=MUTED, linewidth=0.9, linestyle=":")
        axes.annotate(
            name,
            (factor * radius, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(2, 1),
            textcoords="offset points",
            fontsize=8,
            color=MUTED,
            va="bottom",
        )


def _frequency_axis(axes: Axes, sample: SampleView) -> None:
    axes.set_xlim(0, 0.5 / sample.operator.attrs.sampling_A)
    axes.set_xlabel("spatial frequency [1/Å]")


def _positive(values: np.ndarray) -> np.ndarray:
    """For a log axis: what is 0 is not drawn."""
    return np.where(values > 0, values, np.nan)


def spec_text(name: str, value: float) -> str:
    """A parameter's value with its unit and as many digits as its bound makes sensible."""
    digits = {"camera_length": 4, "center_offset": 5, "elliptical_distortion": 6}[name]
    unit = SYMBOLS[name][1]
    return f"{value:+.{digits}f}" + (f" {unit}" if unit else "")
