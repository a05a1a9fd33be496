"""The report's picture: what was measured, what was found, what is wrong with it.

One row a scene. Pictures share their scales over all rows, so that rows can be compared; x is drawn
from 0 to 1 as it is scored, with nothing stretched or aligned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import MaxNLocator

from physics.geometry import DetectorGeometry
from physics.ideal import IdealOperator
from runner.report.drawing import (
    BAR_INSET_INCH,
    CELL_INCH,
    DPI,
    FONT_PT,
    OBJECT_MAP,
    Image,
    ScenarioImage,
    caption,
    disk_rim,
    quality_caption,
    scale_bar,
)
from schemas.spec import MismatchSpec

PATTERN_MAP = "gray"
RESIDUAL_MAP = "RdBu_r"
"""Perceptually even maps that colour-blind readers can tell apart."""

NOMINAL_COLOR = "#56B4E9"
FITTED_COLOR = "#E69F00"
"""Sky blue and orange of the palette of Okabe and Ito (2008), safe for colour-blind readers."""

SCENARIO_HEADINGS = {
    "I": "I: nominal data,\nnominal H",
    "II": "II: mismatched data,\nnominal H",
    "III": "III: mismatched data,\ncorrected H",
}
"""What each scenario of the contract is."""

RESIDUAL_PERCENTILE = 99.5
"""Share of residual pixels [%] that the colour scale covers."""

DISK_MARGIN = 1.9
"""Half width of the drawn part of the detector, in disk radii."""


@dataclass(frozen=True)
class ScenePanel:
    """One row of the figure.

    Attributes:
        scene: its name.
        pacbed: position-averaged pattern (n, n) [electrons].
        operator: the ideal operator, for scale and disk.
        images: reconstruction of each scenario that was computed, by name (I, II, III).
        fitted: the detector geometry that was found; None draws the nominal disk alone.
        truth: x (H, W); None for a real scan.
        remarks: lines of text for a scene without truth, as the spec's uncertainty.
    """

    scene: str
    pacbed: Image
    operator: IdealOperator
    images: Mapping[str, ScenarioImage]
    fitted: MismatchSpec | None = None
    truth: Image | None = None
    remarks: Sequence[str] = field(default=())


@dataclass(frozen=True)
class _Scales:
    """Colour scales shared by all rows."""

    object: Normalize
    pattern: Normalize
    residual: Normalize


@dataclass(frozen=True)
class _Column:
    """One column: heading, what it draws into an axes, and the map of its colour bar."""

    heading: str
    draw: Callable[[Axes, ScenePanel], None]
    bar: ScalarMappable | None = None
    bar_label: str = ""


def save_figure(path: Path, panels: Sequence[ScenePanel], *, title: str) -> None:
    """Draw the scenes and write a PNG.

    Args:
        path: the picture's file.
        panels: one for each scene, at least one.
        title: a line above the picture, as "algorithm, tier, score".
    """
    draw_figure(panels, title=title).savefig(path, dpi=DPI, facecolor="white")


def draw_figure(panels: Sequence[ScenePanel], *, title: str) -> Figure:
    """The figure of `save_figure`, to be shown or saved elsewhere.

    Raises:
        ValueError: no panel.
    """
    if not panels:
        raise ValueError("a figure needs at least one scene")
    columns = _columns(panels, _scales(panels))
    rows = len(panels)
    figure = Figure(figsize=(CELL_INCH * len(columns) + 0.5, (CELL_INCH + 0.28) * rows + 1.45))
    grid = figure.add_gridspec(
        rows + 1,
        len(columns),
        height_ratios=[1.0] * rows + [0.06],
        left=0.035,
        right=0.995,
        top=1 - 0.92 / figure.get_figheight(),
        bottom=0.42 / figure.get_figheight(),
        wspace=0.05,
        hspace=0.16,
    )
    figure.suptitle(title, fontsize=FONT_PT + 2, y=1 - 0.12 / figure.get_figheight(), va="top")
    for row, panel in enumerate(panels):
        for number, column in enumerate(columns):
            axes = figure.add_subplot(grid[row, number])
            axes.set_xticks([])
            axes.set_yticks([])
            column.draw(axes, panel)
            if row == 0:
                axes.set_title(column.heading, fontsize=FONT_PT, pad=6)
            if number == 0:
                axes.set_ylabel(panel.scene.replace("_", " "), fontsize=FONT_PT)
    _bars(figure, grid, columns)
    return figure


def _scales(panels: Sequence[ScenePanel]) -> _Scales:
    brightest = max(float(panel.pacbed.max()) for panel in panels)
    residuals = [
        np.abs(panel.images["III"].x_hat - panel.truth).ravel()
        for panel in panels
        if panel.truth is not None and "III" in panel.images
    ]
    limit = np.percentile(np.concatenate(residuals), RESIDUAL_PERCENTILE) if residuals else 1.0
    return _Scales(
        object=Normalize(0.0, 1.0),
        pattern=PowerNorm(0.5, 0.0, brightest),
        residual=Normalize(-float(limit), float(limit)),
    )


def _columns(panels: Sequence[ScenePanel], scales: _Scales) -> list[_Column]:
    measured = all(panel.truth is None for panel in panels)
    pattern = _Column(
        "PACBED\ndashed: nominal, solid: fitted",
        partial(_draw_pattern, norm=scales.pattern),
        ScalarMappable(scales.pattern, PATTERN_MAP),
        "electrons per pixel",
    )
    object_bar = ScalarMappable(scales.object, OBJECT_MAP)
    images = [
        _Column(
            "reconstruction" if measured else heading,
            partial(_draw_scenario, name=name, norm=scales.object),
            object_bar,
            "x",
        )
        for name, heading in SCENARIO_HEADINGS.items()
        if any(name in panel.images for panel in panels)
    ]
    if measured:
        return [pattern, *images, _Column("", _draw_remarks)]
    residual = _Column(
        "III minus truth",
        partial(_draw_residual, norm=scales.residual),
        ScalarMappable(scales.residual, RESIDUAL_MAP),
        "error of x",
    )
    return [
        _Column("truth", partial(_draw_truth, norm=scales.object)),
        pattern,
        *images,
        residual,
    ]


def _draw_truth(axes: Axes, panel: ScenePanel, *, norm: Normalize) -> None:
    if panel.truth is None:
        axes.set_axis_off()
        return
    axes.imshow(panel.truth, cmap=OBJECT_MAP, norm=norm, interpolation="nearest")
    scale_bar(axes, *_grid(panel))


def _draw_scenario(axes: Axes, panel: ScenePanel, *, name: str, norm: Normalize) -> None:
    image = panel.images.get(name)
    if image is None:
        axes.text(0.5, 0.5, "no result", transform=axes.transAxes, ha="center", fontsize=FONT_PT)
        return
    axes.imshow(image.x_hat, cmap=OBJECT_MAP, norm=norm, interpolation="nearest")
    quality_caption(axes, image)
    if panel.truth is None:
        scale_bar(axes, *_grid(panel))


def _draw_residual(axes: Axes, panel: ScenePanel, *, norm: Normalize) -> None:
    if panel.truth is None or "III" not in panel.images:
        axes.set_axis_off()
        return
    error = panel.images["III"].x_hat - panel.truth
    axes.imshow(error, cmap=RESIDUAL_MAP, norm=norm, interpolation="nearest")
    caption(axes, f"rms {np.sqrt(np.mean(error**2)):.3f}, mean {np.mean(error):+.3f}")


def _draw_pattern(axes: Axes, panel: ScenePanel, *, norm: Normalize) -> None:
    axes.imshow(panel.pacbed, cmap=PATTERN_MAP, norm=norm, interpolation="nearest")
    radius = panel.operator.disk_radius_px
    _rim(axes, panel, MismatchSpec(), color=NOMINAL_COLOR, linestyle="--")
    if panel.fitted is not None:
        _rim(axes, panel, panel.fitted, color=FITTED_COLOR, linestyle="-")
        length, offset, ellipse = panel.fitted.vector()
        caption(axes, f"ΔL {length:+.2f} %, Δc {offset:+.2f} px, ε {ellipse:+.4f}")
    center = panel.operator.window // 2
    half = min(DISK_MARGIN * radius, center)
    axes.set_xlim(center - half - 0.5, center + half - 0.5)
    axes.set_ylim(center + half - 0.5, center - half - 0.5)


def _rim(axes: Axes, panel: ScenePanel, spec: MismatchSpec, *, color: str, linestyle: str) -> None:
    disk = DetectorGeometry(panel.operator.window, spec).disk(panel.operator.disk_radius_px)
    disk_rim(axes, disk, color=color, linestyle=linestyle)
    axes.plot(disk.center_x, disk.center_y, "+", color=color, markersize=5)


def _draw_remarks(axes: Axes, panel: ScenePanel) -> None:
    axes.set_axis_off()
    axes.text(
        0.0,
        1.0,
        "\n".join(panel.remarks),
        transform=axes.transAxes,
        fontsize=FONT_PT - 1,
        va="top",
        wrap=True,
    )


def _grid(panel: ScenePanel) -> tuple[tuple[int, int], float]:
    """Shape [pixels] and sampling [A] of the object."""
    return panel.operator.attrs.object_shape, panel.operator.attrs.sampling_A


def _bars(figure: Figure, grid: GridSpec, columns: Sequence[_Column]) -> None:
    """One colour bar below each run of columns that share it."""
    start = 0
    while start < len(columns):
        stop = start + 1
        while stop < len(columns) and columns[stop].bar is columns[start].bar:
            stop += 1
        bar = columns[start].bar
        if bar is not None:
            axes = figure.add_subplot(grid[-1, start:stop])
            x0, y0, width, height = axes.get_position().bounds
            inset = BAR_INSET_INCH / figure.get_figwidth()
            axes.set_position((x0 + inset, y0, width - 2 * inset, height))
            drawn = figure.colorbar(bar, cax=axes, orientation="horizontal")
            drawn.locator = MaxNLocator(4)
            drawn.ax.tick_params(labelsize=FONT_PT - 2, length=2, pad=1)
            drawn.set_label(columns[start].bar_label, fontsize=FONT_PT - 1, labelpad=1)
        start = stop
