"""The picture of the scenarios: one row a scene, one column a scenario, the truth on the left.

All images share one scale, from 0 to 1 as x is scored; nothing is stretched or aligned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from runner.report.drawing import (
    CELL_INCH,
    DPI,
    FONT_PT,
    OBJECT_MAP,
    Image,
    ScenarioImage,
    quality_caption,
    scale_bar,
)
from runner.scoring.leaderboard import Metrics

X_SCALE = Normalize(0.0, 1.0)
"""x is in [0, 1]; what is beyond has the end's colour, and the bar's arrows say so."""

BAR_SHARE = 0.6
"""Length of the colour bar, as a share of the images' width."""

TOP_INCH = 1.1
BOTTOM_INCH = 0.72
"""Room for title and headings, and for the colour bar [inch]."""


@dataclass(frozen=True)
class GalleryColumn:
    """One scenario.

    Attributes:
        name: I, II, III-oracle, III-blind.
        setting: which data, which operator.
        mean: over the scenes that were reconstructed; None when none was.
    """

    name: str
    setting: str
    mean: Metrics | None


@dataclass(frozen=True)
class GalleryScene:
    """One row.

    Attributes:
        scene: its name.
        truth: x (H, W).
        sampling_A: side of a pixel [A].
        images: reconstruction in each scenario, by the column's name.
        missing: code that says why there is none.
    """

    scene: str
    truth: Image
    sampling_A: float
    images: Mapping[str, ScenarioImage]
    missing: Mapping[str, str] = field(default_factory=dict)


def save_gallery(
    path: Path, columns: Sequence[GalleryColumn], scenes: Sequence[GalleryScene], *, title: str
) -> None:
    """Draw the scenes and write a PNG."""
    draw_gallery(columns, scenes, title=title).savefig(path, dpi=DPI, facecolor="white")


def draw_gallery(
    columns: Sequence[GalleryColumn], scenes: Sequence[GalleryScene], *, title: str
) -> Figure:
    """The figure of `save_gallery`.

    Args:
        columns: scenarios from left to right; the truth stands before them.
        scenes: rows, at least one.
        title: a line above, as "algorithm, tier".

    Raises:
        ValueError: no scene.
    """
    if not scenes:
        raise ValueError("a gallery needs at least one scene")
    width = CELL_INCH * (len(columns) + 1) + 0.5
    height = (CELL_INCH + 0.28) * len(scenes) + TOP_INCH + BOTTOM_INCH
    figure = Figure(figsize=(width, height))
    grid = figure.add_gridspec(
        len(scenes),
        len(columns) + 1,
        left=0.45 / width,
        right=1 - 0.05 / width,
        top=1 - TOP_INCH / height,
        bottom=BOTTOM_INCH / height + 0.2 / height,
        wspace=0.05,
        hspace=0.15,
    )
    figure.suptitle(title, fontsize=FONT_PT + 2, y=1 - 0.1 / height, va="top")
    for row, scene in enumerate(scenes):
        cells = [figure.add_subplot(grid[row, number]) for number in range(len(columns) + 1)]
        for axes in cells:
            axes.set_xticks([])
            axes.set_yticks([])
        _show(cells[0], scene.truth)
        scale_bar(cells[0], scene.truth.shape, scene.sampling_A)
        cells[0].set_ylabel(scene.scene.replace("_", " "), fontsize=FONT_PT)
        for axes, column in zip(cells[1:], columns, strict=True):
            _cell(axes, scene, column.name)
        if row == 0:
            for axes, text in zip(cells, ("truth", *map(_heading, columns)), strict=True):
                axes.set_title(text, fontsize=FONT_PT, pad=5)
    _bar(figure)
    return figure


def _heading(column: GalleryColumn) -> str:
    mean = column.mean
    below = "no result" if mean is None else f"mean {mean.psnr_db:.2f} dB, {mean.ssim:.3f}"
    setting = column.setting.replace(", ", ",\n")
    return f"{column.name}\n{setting}\n{below}"


def _cell(axes: Axes, scene: GalleryScene, name: str) -> None:
    image = scene.images.get(name)
    if image is None:
        text = f"no result\n{scene.missing.get(name, '')}".strip()
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", fontsize=FONT_PT - 1.5)
        axes.set_box_aspect(scene.truth.shape[0] / scene.truth.shape[1])
        return
    _show(axes, image.x_hat)
    quality_caption(axes, image)


def _show(axes: Axes, image: Image) -> None:
    axes.imshow(image, cmap=OBJECT_MAP, norm=X_SCALE, interpolation="nearest")


def _bar(figure: Figure) -> None:
    height = figure.get_figheight()
    axes = figure.add_axes(((1 - BAR_SHARE) / 2, 0.45 / height, BAR_SHARE, 0.11 / height))
    drawn = figure.colorbar(
        ScalarMappable(X_SCALE, OBJECT_MAP), cax=axes, orientation="horizontal", extend="both"
    )
    drawn.ax.tick_params(labelsize=FONT_PT - 2, length=2, pad=1)
    drawn.set_label("x", fontsize=FONT_PT - 1, labelpad=1)
