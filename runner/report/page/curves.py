"""Curves of the page: Fourier ring correlation, power, convergence, parameters.

Drawn once: on the page as inline SVG whose colours follow its theme, beside it as PNG and SVG.
"""

from __future__ import annotations

import math
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

TRUTH_MARK: dict[str, Any] = {
    "marker": "D",
    "color": GREEN,
    "markersize": 9,
    "fillstyle": "none",
    "linestyle": "",
    "label": "truth",
}
ESTIMATE_MARK: dict[str, Any] = {
    "marker": "o",
    "color": ORANGE,
    "markersize": 5,
    "linestyle": "",
    "label": "estimate",
}
BESIDE: dict[str, Any] = {"rotation": 0, "ha": "right", "va": "center"}

SMALLEST_SHARE = 1e-6
"""Half width of an enlarged axis at least, as a share of the range."""

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

MARGINS: dict[str, Any] = {"left": 0.14, "right": 0.975, "top": 0.93, "bottom": 0.15}
"""Room around the axes; set by hand, for matplotlib's own search takes as long as the drawing."""

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
            figure = Figure(figsize=(WIDTH_INCH, HEIGHT_INCH))
            figure.subplots_adjust(**MARGINS)
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
    axes.plot(curve.frequency, curve.value, color=BLUE, marker=".", label="with the truth")
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
    lowest = float(np.nanmin(curve.value, initial=0.0))
    axes.set_ylim(min(-0.05, 1.05 * lowest), 1.05)
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
    axes.minorticks_off()
    axes.set_ylabel("mean of |F x|² / pixels")
    _frequency_axis(axes, sample)
    axes.legend(loc="best")


@_figure
def convergence_figure(figure: Figure, answer: Answer) -> None:
    """Objective above the lowest value of its own stage, against seconds, on a log axis."""
    figure.subplots_adjust(bottom=0.3)
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
    axes.minorticks_off()
    axes.set_xlim(left=0)
    axes.set_xlabel("time since the sample was begun [s]")
    axes.set_ylabel("objective − lowest of its stage")
    figure.legend(loc="lower center", ncols=2)


@_figure
def range_figure(figure: Figure, sample: SampleView, answer: Answer) -> None:
    """The parameters within their published ranges."""
    for axes, name in _rows(figure, sample):
        limits = sample.ranges[name]
        symbol, unit, _ = SYMBOLS[name]
        axes.axvspan(limits.min, limits.max, color=BLUE, alpha=0.13, linewidth=0, label="range")
        axes.axvline(0.0, color=MUTED, linewidth=1.0, linestyle=":", label="nominal")
        if sample.true_spec is not None:
            axes.plot(sample.true_spec.values()[name], 0.0, **TRUTH_MARK)
        axes.plot(answer.spec.values()[name], 0.0, **ESTIMATE_MARK)
        low, high = min(limits.min, 0.0), max(limits.max, 0.0)
        margin = 0.04 * (high - low)
        axes.set_xlim(low - margin, high + margin)
        axes.set_ylabel(f"{symbol}\n[{unit}]" if unit else symbol, **BESIDE)
    _common_legend(figure)


@_figure
def error_figure(figure: Figure, sample: SampleView, answer: Answer) -> None:
    """Estimate less truth, with the stated error and the bound; without truth, about itself."""
    for axes, name in _rows(figure, sample):
        symbol, unit, _ = SYMBOLS[name]
        zero = answer.spec if sample.true_spec is None else sample.true_spec
        difference = answer.spec.values()[name] - zero.values()[name]
        error = answer.standard_errors.get(name)
        bound = None if answer.bound is None else answer.bound.sigma[name]
        half = max(
            ZOOM_SIGMA * (bound or 0.0),
            1.3 * (abs(difference) + (error or 0.0)),
            SMALLEST_SHARE * (sample.ranges[name].max - sample.ranges[name].min),
        )
        power = 3 * math.floor(math.log10(half) / 3)
        scale = 10.0**power
        if bound is not None:
            ends = -bound / scale, bound / scale
            axes.axvspan(*ends, color=GREEN, alpha=0.22, linewidth=0, label="± bound")
        if sample.true_spec is not None:
            axes.plot(0.0, 0.0, **TRUTH_MARK)
        axes.errorbar(
            difference / scale,
            0.0,
            xerr=None if error is None else error / scale,
            capsize=4,
            **ESTIMATE_MARK,
        )
        axes.set_xlim(-half / scale, half / scale)
        units = " ".join(filter(None, ("" if power == 0 else _power_of_ten(power), unit)))
        axes.set_ylabel(f"{symbol}\n[{units}]" if units else symbol, **BESIDE)
    _common_legend(figure)


def _rows(figure: Figure, sample: SampleView) -> Iterator[tuple[Axes, str]]:
    """An axis for each parameter that has a range."""
    names = [name for name in PARAMETERS if name in sample.ranges.names]
    figure.subplots_adjust(bottom=0.2, top=0.98, hspace=0.75)
    for axes, name in zip(figure.subplots(len(names), 1, squeeze=False)[:, 0], names, strict=True):
        yield axes, name
        axes.set_ylim(-1, 1)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(6))


def _common_legend(figure: Figure) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=4)


def _power_of_ten(power: int) -> str:
    digits = str(abs(power)).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{'⁻' if power < 0 else ''}{digits}"


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
