"""A picture for each algorithm's page: truth, image and difference of the public scenes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from benchmarks.zoo.tables import PAGES
from runner.files.challenge import ChallengeSample, open_challenge
from runner.files.result import SampleResult, read_result
from runner.report.drawing import (
    CELL_INCH,
    DPI,
    FONT_PT,
    OBJECT_MAP,
    ScenarioImage,
    quality_caption,
    scale_bar,
)
from runner.scoring.metrics import psnr_db, ssim
from runner.tiers.build import build_tier
from runner.tiers.recipes import default_recipe
from schemas.challenge import Tier

DIFFERENCE_MAP = "RdBu_r"
DIFFERENCE_LIMIT = 0.5
"""The difference is drawn from minus to plus this, in units of x."""

ROWS = ("truth", "image", "image - truth")


def write(results: Path) -> None:
    """For each result file NAME.h5 of the public tier, docs/algorithms/images/NAME.png."""
    with tempfile.TemporaryDirectory() as folder:
        files = build_tier(default_recipe(Tier.PUBLIC), Path(folder))
        with open_challenge(files.truth) as challenge:
            scenes = tuple(challenge)
            for path in sorted(results.glob("*.h5")):
                result, _ = read_result(path, challenge)
                assert result is not None
                draw(path.stem, scenes, dict(result.samples), PAGES / "images" / f"{path.stem}.png")


def draw(
    name: str, scenes: tuple[ChallengeSample, ...], answers: dict[str, SampleResult], path: Path
) -> None:
    """Rows: truth, image, difference; a column for each scene; a refused scene stays empty."""
    size = (CELL_INCH * len(scenes) + 1.1, CELL_INCH * len(ROWS) * 1.13)
    figure, grid = plt.subplots(
        len(ROWS), len(scenes), figsize=size, layout="constrained", squeeze=False
    )
    for column, scene in enumerate(scenes):
        assert scene.x_true is not None
        axes = grid[:, column]
        axes[0].set_title(scene.metadata.scene.replace("_", " ")[:24], fontsize=FONT_PT - 1)
        shown = _image(axes[0], scene.x_true)
        scale_bar(axes[0], scene.x_true.shape, scene.operator.attrs.sampling_A)
        answer = answers.get(scene.name)
        if answer is None:
            for empty in axes[1:]:
                _blank(empty)
                empty.text(0.5, 0.5, "refused", ha="center", va="center", fontsize=FONT_PT)
            continue
        _image(axes[1], answer.x_hat)
        quality = psnr_db(answer.x_hat, scene.x_true), ssim(answer.x_hat, scene.x_true)
        quality_caption(axes[1], ScenarioImage(answer.x_hat, *quality))
        differing = axes[2].imshow(
            answer.x_hat - scene.x_true,
            cmap=DIFFERENCE_MAP,
            vmin=-DIFFERENCE_LIMIT,
            vmax=DIFFERENCE_LIMIT,
        )
        _blank(axes[2])
    for row, label in enumerate(ROWS):
        grid[row, 0].set_ylabel(label, fontsize=FONT_PT)
    figure.colorbar(shown, ax=grid[:2, :], label="x", fraction=0.02, pad=0.01)
    figure.colorbar(differing, ax=grid[2, :], label="difference", fraction=0.02, pad=0.01)
    figure.suptitle(name, fontsize=FONT_PT + 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def _image(axes: Axes, image: np.ndarray) -> mpl.image.AxesImage:
    _blank(axes)
    return axes.imshow(image, cmap=OBJECT_MAP, vmin=0.0, vmax=1.0)


def _blank(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
