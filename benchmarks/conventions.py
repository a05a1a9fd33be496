"""The conventions of the imaging model, drawn: docs/images/conventions.png.

    python -m benchmarks.conventions

Everything in the picture comes from the code that it explains: positions and probe from a public
scene, the detector from `DetectorGeometry`, the pattern from `ForwardOperator`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse as Oval
from matplotlib.patches import Rectangle

from physics.geometry import DetectorGeometry
from physics.ideal import IdealOperator
from physics.operator import ForwardOperator
from runner.files.challenge import ChallengeSample, open_challenge
from runner.report.drawing import FONT_PT, OBJECT_MAP
from runner.tiers.build import build_tier
from runner.tiers.recipes import default_recipe
from schemas.challenge import Tier
from schemas.spec import MismatchSpec

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "conventions.png"
DPI = 110
LABEL = {"facecolor": "black", "alpha": 0.65, "edgecolor": "none", "pad": 1.5}

POSITION = (18, 16)
"""Scan row and column that is drawn."""

EXAGGERATED = MismatchSpec(camera_length=12.0, center_offset=5.0, elliptical_distortion=0.12)
"""A mismatch that the eye can see: each parameter some ten times what the tiers have."""

OURS, THEIRS = "#0072b2", "#d55e00"
"""Nominal and mismatched; told apart with any colour vision (Okabe & Ito)."""


def main() -> None:
    """Build a public scene and draw."""
    with tempfile.TemporaryDirectory() as folder:
        files = build_tier(default_recipe(Tier.PUBLIC, scenes=1), Path(folder))
        with open_challenge(files.truth) as challenge:
            draw(next(iter(challenge)))
    print(PICTURE)


def draw(scene: ChallengeSample) -> None:
    """Object with scan, probe, detector: three panels."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.6), layout="constrained")
    _object(axes[0], scene)
    _probe(axes[1], scene.operator)
    _detector(axes[2], scene)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=DPI)
    plt.close(figure)


def _object(axes: Axes, scene: ChallengeSample) -> None:
    ideal, (_, nx) = scene.operator, scene.y.shape[:2]
    assert scene.x_true is not None
    positions = ideal.positions_px.astype(np.float64)
    row, col = positions[POSITION[0] * nx + POSITION[1]]
    axes.imshow(scene.x_true, cmap=OBJECT_MAP, vmin=0, vmax=1)
    axes.plot(positions[:, 1], positions[:, 0], ".", color="white", markersize=1.2)
    order = positions[: nx // 4]
    axes.annotate(
        "",
        xy=(order[-1, 1], order[-1, 0]),
        xytext=(order[0, 1], order[0, 0]),
        arrowprops={"arrowstyle": "->", "color": THEIRS, "lw": 2},
    )
    axes.text(
        order[-1, 1] + 2, order[0, 0] + 1, "along a row first", color="white", va="top", bbox=LABEL
    )
    window = ideal.window
    corner = (col - window // 2 - 0.5, row - window // 2 - 0.5)
    axes.add_patch(Rectangle(corner, window, window, fill=False, color=OURS, lw=2))
    axes.plot(col, row, "+", color=OURS, markersize=12, mew=2)
    axes.text(
        col,
        row - window // 2 + 1,
        f"window n = {window} around R",
        color="white",
        ha="center",
        va="top",
        bbox=LABEL,
    )
    axes.set_title("x(r), pixel centres at whole numbers", fontsize=FONT_PT)
    axes.set_xlabel("column, x [pixels]")
    axes.set_ylabel("row, y [pixels], downwards")


def _probe(axes: Axes, ideal: IdealOperator) -> None:
    n, sampling = ideal.window, ideal.attrs.sampling_A
    intensity = np.abs(ideal.probe) ** 2
    axes.imshow(np.sqrt(intensity), cmap="cividis")
    axes.axhline(n // 2, color="white", lw=0.6)
    axes.axvline(n // 2, color="white", lw=0.6)
    axes.text(n // 2 + 1, n // 2 - 1, "(n//2, n//2)", color="white", va="bottom")
    axes.set_title(f"|P(r)|, sum |P|² = 1, C10 = {ideal.attrs.C10_A:+.0f} Å", fontsize=FONT_PT)
    axes.set_xlabel(f"column [pixels of {sampling} Å]")
    axes.set_ylabel("row [pixels]")


def _detector(axes: Axes, scene: ChallengeSample) -> None:
    ideal = scene.operator
    assert scene.x_true is not None
    forward = ForwardOperator(ideal)
    phase = forward.tensor(scene.x_true * np.float32(ideal.attrs.phase_scale_rad))
    index = POSITION[0] * scene.y.shape[1] + POSITION[1]
    pattern = forward.expected(phase, EXAGGERATED, slice(index, index + 1))[0]
    axes.imshow(np.sqrt(pattern.numpy()), cmap="cividis")
    for spec, colour, label in (
        (MismatchSpec(), OURS, "nominal disk"),
        (EXAGGERATED, THEIRS, "where it lands"),
    ):
        rim = DetectorGeometry(ideal.window, spec).disk(ideal.disk_radius_px)
        centre = (rim.center_x, rim.center_y)
        axes.add_patch(
            Oval(
                centre,
                2 * rim.radius_x,
                2 * rim.radius_y,
                fill=False,
                color=colour,
                lw=2,
                label=label,
            )
        )
        axes.plot(*centre, "+", color=colour, markersize=11, mew=2)
    axes.legend(loc="lower left", fontsize=FONT_PT - 1)
    axes.set_title(
        f"I_R(d), exaggerated: dL = {EXAGGERATED.camera_length:+.0f} %,"
        f" dc = {EXAGGERATED.center_offset:+.0f} px"
        f"\non both axes, eps = {EXAGGERATED.elliptical_distortion:+.2f}",
        fontsize=FONT_PT,
    )
    axes.set_xlabel("column, kx [detector pixels]")
    axes.set_ylabel("row, ky [detector pixels]")


if __name__ == "__main__":
    main()
