"""The picture of an analysis: each map over the scan, with its colour bar and a scale bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from runner.files.analysis import AnalysedSample, StoredMap
from runner.report.drawing import CELL_INCH, DPI, FONT_PT, OBJECT_MAP, scale_bar

SIGNED_MAP = "RdBu_r"
"""Diverging, white at 0: perceptually even, and told apart by colour-blind readers."""

LABEL_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
"""Colours of the palette of Okabe and Ito (2008), safe for colour-blind readers."""

MASKED_COLOR = "0.75"
"""Grey of positions without an answer."""

COVERED = (1.0, 99.0)
"""Percentiles [%] of the values that a colour scale covers."""

ERROR_SUFFIX = "_error"
"""Standard errors are in the file, and not in the picture."""

PERCENT = 100.0


@dataclass(frozen=True)
class _Scale:
    """How a map's numbers become colours.

    Attributes:
        factor: what they are multiplied with.
        label: below the colour bar.
        colors: the map of colours.
        norm: from numbers to the colours' range.
    """

    factor: float
    label: str
    colors: Colormap
    norm: Normalize


def save_maps(path: Path, samples: Mapping[str, AnalysedSample], *, title: str) -> None:
    """Draw the maps of each sample, one row a sample, and write a PNG."""
    draw_maps(samples, title=title).savefig(path, dpi=DPI, facecolor="white")


def draw_maps(samples: Mapping[str, AnalysedSample], *, title: str) -> Figure:
    """The figure of `save_maps`.

    Raises:
        ValueError: no sample.
    """
    if not samples:
        raise ValueError("a figure needs at least one sample")
    first = next(iter(samples.values()))
    names = [name for name in first.maps if not name.endswith(ERROR_SUFFIX)]
    names.sort(key=lambda name: not first.maps[name].attrs.signed)
    scales = {name: _scale([(s.maps[name], s.valid) for s in samples.values()]) for name in names}
    rows, columns = len(samples), len(names)
    height = (CELL_INCH + 0.15) * rows + 1.15
    figure = Figure(figsize=(CELL_INCH * columns + 0.5, height))
    grid = figure.add_gridspec(
        rows + 1,
        columns,
        height_ratios=[1.0] * rows + [0.06],
        left=0.035,
        right=0.985,
        top=1 - 0.66 / height,
        bottom=0.46 / height,
        wspace=0.08,
        hspace=0.12,
    )
    figure.suptitle(title, fontsize=FONT_PT + 1, y=1 - 0.1 / height, va="top")
    for row, (sample_name, sample) in enumerate(samples.items()):
        for column, name in enumerate(names):
            axes = figure.add_subplot(grid[row, column])
            _draw(axes, sample, name, scales[name])
            if row == 0:
                axes.set_title(name, fontsize=FONT_PT, pad=5)
            if column == 0:
                axes.set_ylabel(sample_name, fontsize=FONT_PT)
                _axes_arrows(axes)
    for column, name in enumerate(names):
        _bar(figure, figure.add_subplot(grid[-1, column]), scales[name], first.maps[name])
    return figure


def _draw(axes: Axes, sample: AnalysedSample, name: str, scale: _Scale) -> None:
    entry = sample.maps[name]
    shown = np.ma.masked_where(~sample.valid, entry.values * scale.factor)
    step_y, step_x = sample.attrs.scan_step_y_A, sample.attrs.scan_step_x_A
    axes.set_facecolor(MASKED_COLOR)
    axes.imshow(
        shown,
        cmap=scale.colors,
        norm=scale.norm,
        interpolation="nearest",
        aspect=step_y / step_x if step_y > 0 and step_x > 0 else "auto",
    )
    axes.set_xticks([])
    axes.set_yticks([])
    if step_x > 0 and shown.shape[1] > 1:
        height, width = shown.shape
        scale_bar(axes, (height, width), step_x)


def _axes_arrows(axes: Axes) -> None:
    """x to the right, y down: the directions that strains and rotations are named by."""
    for name, end in (("x", (0.26, 0.93)), ("y", (0.07, 0.74))):
        arrow = {"arrowstyle": "->", "color": "black", "linewidth": 1.1}
        start = (0.07, 0.93)
        axes.annotate("", end, start, xycoords="axes fraction", arrowprops=arrow)
        axes.text(
            end[0] + 0.03,
            end[1] - 0.03,
            name,
            transform=axes.transAxes,
            fontsize=FONT_PT - 1,
            va="center",
            path_effects=[withStroke(linewidth=2.0, foreground="white")],
        )


def _scale(entries: Sequence[tuple[StoredMap, np.ndarray]]) -> _Scale:
    """One scale for a map in all samples."""
    attrs = entries[0][0].attrs
    values = np.concatenate([entry.values[valid].astype(np.float64) for entry, valid in entries])
    if attrs.labels:
        colors = ListedColormap(
            [LABEL_COLORS[n % len(LABEL_COLORS)] for n in range(len(attrs.labels))]
        )
        bounds = np.arange(len(attrs.labels) + 1) - 0.5
        return _Scale(1.0, "", colors, BoundaryNorm(bounds, colors.N))
    percent = attrs.signed and attrs.unit == ""
    factor = PERCENT if percent else 1.0
    label = "%" if percent else attrs.unit
    low, high = np.percentile(values * factor, COVERED)
    if attrs.signed:
        limit = max(abs(low), abs(high), np.finfo(np.float32).tiny)
        return _Scale(factor, label, colormaps[SIGNED_MAP], Normalize(-limit, limit))
    high = high if high > low else low + 1.0
    return _Scale(factor, label, colormaps[OBJECT_MAP], Normalize(low, high))


def _bar(figure: Figure, axes: Axes, scale: _Scale, entry: StoredMap) -> None:
    attrs, whole = entry.attrs, entry.values.dtype.kind in "iu"
    x0, y0, width, height = axes.get_position().bounds
    axes.set_position((x0 + 0.08 * width, y0, 0.84 * width, height))
    drawn = figure.colorbar(
        ScalarMappable(scale.norm, scale.colors), cax=axes, orientation="horizontal"
    )
    drawn.ax.tick_params(labelsize=FONT_PT - 2, length=2, pad=1)
    if attrs.labels:
        drawn.set_ticks(range(len(attrs.labels)))
        drawn.set_ticklabels([_short(label) for label in attrs.labels])
    else:
        drawn.locator = MaxNLocator(4, integer=whole)
        drawn.update_ticks()
    drawn.set_label(scale.label or " ", fontsize=FONT_PT - 1, labelpad=1)


def _short(label: str) -> str:
    """The last word of a label: `gold [011]` is [011] where room is scarce."""
    return label.rpartition(" ")[2]
