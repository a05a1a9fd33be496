"""What the pictures have in common: colours, scale bar, caption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse, Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from physics.geometry import Ellipse as Disk

Image = NDArray[np.floating[Any]]

OBJECT_MAP = "magma"
"""Colours of x: perceptually even, and told apart by colour-blind readers."""

CELL_INCH = 1.95
DPI = 150
FONT_PT = 9.5
BAR_INSET_INCH = 0.12
"""Gap between a colour bar and the edge of its columns, so that outer numbers stay apart [inch]."""


@dataclass(frozen=True)
class ScenarioImage:
    """One reconstruction.

    Attributes:
        x_hat: (H, W), as the algorithm returned it.
        psnr_db: against the truth [dB]; None where there is none.
        ssim: likewise.
    """

    x_hat: Image
    psnr_db: float | None = None
    ssim: float | None = None


def caption(axes: Axes, text: str) -> None:
    """A line below an image."""
    axes.set_xlabel(text, fontsize=FONT_PT - 1.5, labelpad=2.5)


def quality_caption(axes: Axes, image: ScenarioImage) -> None:
    """PSNR and SSIM below an image, where they are known."""
    if image.psnr_db is not None and image.ssim is not None:
        caption(axes, f"{image.psnr_db:.2f} dB, SSIM {image.ssim:.3f}")


def scale_bar(axes: Axes, shape: tuple[int, int], sampling_A: float) -> None:
    """A bar of a round length [A] in the lower left corner.

    Args:
        axes: shows an image of `shape`.
        shape: (H, W) [pixels].
        sampling_A: side of a pixel [A].
    """
    height, width = shape
    length = round_length(0.4 * width * sampling_A)
    outline = [withStroke(linewidth=2.0, foreground="black")]
    axes.add_patch(
        Rectangle(
            (0.05 * width, 0.92 * height),
            length / sampling_A,
            0.025 * height,
            facecolor="white",
            edgecolor="black",
            linewidth=0.5,
        )
    )
    axes.text(
        0.05 * width,
        0.90 * height,
        f"{length:g} Å",
        color="white",
        fontsize=FONT_PT - 1,
        va="bottom",
        path_effects=outline,
    )


def disk_rim(axes: Axes, disk: Disk, *, color: str, linestyle: str) -> None:
    """The rim of a bright-field disk over a pattern, pixel centres at whole numbers."""
    axes.add_patch(
        Ellipse(
            (disk.center_x, disk.center_y),
            2 * disk.radius_x,
            2 * disk.radius_y,
            fill=False,
            edgecolor=color,
            linestyle=linestyle,
            linewidth=1.4,
        )
    )


def round_length(limit: float) -> float:
    """The largest of 1, 2, 5, 10, 20, ... (and 0.5, 0.2, ...) that is not above `limit`."""
    decade = 10.0 ** np.floor(np.log10(limit))
    return float(max(step for step in (1, 2, 5) if step * decade <= limit * (1 + 1e-9)) * decade)
