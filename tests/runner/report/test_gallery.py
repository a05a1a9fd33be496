"""The scenarios' picture: every image where it belongs, on one scale, with its figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread

from runner.report.drawing import ScenarioImage
from runner.report.gallery import GalleryColumn, GalleryScene, draw_gallery, save_gallery
from runner.scoring.leaderboard import Metrics
from tests.runner.small import make_object

COLUMNS = [
    GalleryColumn("I", "nominal data, nominal H", Metrics(psnr_db=30.0, ssim=0.9)),
    GalleryColumn("II", "mismatched data, nominal H", None),
    GalleryColumn("III-blind", "mismatched data, estimated H", Metrics(psnr_db=28.5, ssim=0.8)),
]


def make_scene(seed: int) -> GalleryScene:
    truth = make_object(seed)
    images = {
        "I": ScenarioImage(truth * 0.9, 31.25, 0.912),
        "III-blind": ScenarioImage(truth + 2.0, 28.5, 0.8),
    }
    return GalleryScene(f"scene_{seed}", truth, 0.2, images, {"II": "ALGORITHM_FAILED"})


def test_truth_and_scenarios_stand_in_their_places() -> None:
    scenes = [make_scene(0), make_scene(1)]
    figure = draw_gallery(COLUMNS, scenes, title="t")
    cells = figure.axes[:8]
    for row, scene in enumerate(scenes):
        truth, first, second, third = cells[4 * row : 4 * row + 4]
        np.testing.assert_allclose(truth.images[0].get_array(), scene.truth)
        np.testing.assert_allclose(first.images[0].get_array(), scene.images["I"].x_hat)
        assert not second.images
        assert "ALGORITHM_FAILED" in second.texts[0].get_text()
        assert first.get_xlabel() == "31.25 dB, SSIM 0.912"
        assert third.get_xlabel() == "28.50 dB, SSIM 0.800"
    assert {axes.images[0].get_clim() for axes in cells if axes.images} == {(0.0, 1.0)}


def test_headings_say_what_was_done_and_the_mean() -> None:
    figure = draw_gallery(COLUMNS, [make_scene(0)], title="t")
    headings = [axes.get_title() for axes in figure.axes[:4]]
    assert headings[0] == "truth"
    assert "nominal data" in headings[1]
    assert "30.00 dB" in headings[1]
    assert "no result" in headings[2]


def test_every_truth_has_a_scale_bar_of_its_own_length() -> None:
    """The bar's width in pixels is the length that stands above it over the pixel's side."""
    figure = draw_gallery(COLUMNS, [make_scene(0)], title="t")
    (bar,) = figure.axes[0].patches
    length = float(figure.axes[0].texts[0].get_text().removesuffix(" Å"))
    assert bar.get_width() * 0.2 == pytest.approx(length)


def test_no_text_runs_out_of_the_picture_or_into_another() -> None:
    figure = draw_gallery(COLUMNS, [make_scene(0), make_scene(1)], title="a title")
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    boxes = [axes.title.get_window_extent(renderer) for axes in figure.axes[:4]]
    boxes += [axes.xaxis.label.get_window_extent(renderer) for axes in figure.axes[:8]]
    boxes = [box for box in boxes if box.width > 1]
    assert max(box.x1 for box in boxes) <= figure.bbox.x1
    assert max(box.y1 for box in boxes) <= figure.bbox.y1
    for number, box in enumerate(boxes):
        assert box.count_overlaps(boxes[number + 1 :]) == 0


def test_the_file_is_a_picture_on_white(tmp_path: Path) -> None:
    path = tmp_path / "scenarios.png"
    save_gallery(path, COLUMNS, [make_scene(0)], title="t")
    pixels = imread(path)
    assert pixels.shape[1] >= 1000
    np.testing.assert_array_equal(pixels[0, 0, :3], 1.0)


def test_no_scene_no_gallery() -> None:
    with pytest.raises(ValueError, match="at least one"):
        draw_gallery(COLUMNS, [], title="t")
