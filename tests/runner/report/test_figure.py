"""The picture shows what it says: right columns, right scales, rims where the disks are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.image import imread

from runner.report.drawing import ScenarioImage, round_length
from runner.report.figure import ScenePanel, draw_figure, save_figure
from schemas import MismatchSpec
from tests.runner.small import make_sample

SPEC = MismatchSpec(camera_length=3.0, center_offset=1.5, elliptical_distortion=0.01)


@pytest.fixture(scope="module")
def panel() -> ScenePanel:
    sample = make_sample(0, SPEC, dose_e=1e5)
    images = {
        name: ScenarioImage(sample.x_true * factor, psnr_db=20.0 * factor, ssim=0.9 * factor)
        for name, factor in (("I", 1.0), ("II", 0.5), ("III", 0.9))
    }
    return ScenePanel(
        scene="two_bumps",
        pacbed=sample.y.values.mean(axis=(0, 1)),
        operator=sample.operator,
        images=images,
        fitted=SPEC,
        truth=sample.x_true,
    )


def pictures(figure: Figure) -> list:
    return [axes for axes in figure.axes if axes.images]


def test_a_row_has_truth_pattern_scenarios_and_residual(panel: ScenePanel) -> None:
    drawn = pictures(draw_figure([panel, panel], title="t"))
    assert len(drawn) == 2 * 6
    shown = [np.asarray(axes.images[0].get_array()) for axes in drawn[:6]]
    expected = [
        panel.truth,
        panel.pacbed,
        *(panel.images[name].x_hat for name in ("I", "II", "III")),
        panel.images["III"].x_hat - panel.truth,
    ]
    for found, wanted in zip(shown, expected, strict=True):
        np.testing.assert_allclose(found, wanted)


def test_reconstructions_and_truth_share_the_scored_scale(panel: ScenePanel) -> None:
    drawn = pictures(draw_figure([panel], title="t"))
    for index in (0, 2, 3, 4):
        assert drawn[index].images[0].get_clim() == (0.0, 1.0)
    low, high = drawn[5].images[0].get_clim()
    assert low == -high


def test_captions_carry_the_figures(panel: ScenePanel) -> None:
    drawn = pictures(draw_figure([panel], title="t"))
    assert drawn[2].get_xlabel() == "20.00 dB, SSIM 0.900"
    assert "+3.00 %" in drawn[1].get_xlabel()
    assert "+1.50 px" in drawn[1].get_xlabel()


def test_the_fitted_rim_lies_on_the_edge_of_the_disk(panel: ScenePanel) -> None:
    """Bright inside the solid ellipse, dark outside; the dashed circle has both on its rim."""
    nominal, fitted = pictures(draw_figure([panel], title="t"))[1].patches
    rows, cols = np.mgrid[: panel.pacbed.shape[0], : panel.pacbed.shape[1]]

    def radius(ellipse) -> np.ndarray:
        (x, y), width, height = ellipse.center, ellipse.width, ellipse.height
        return np.hypot(2 * (cols - x) / width, 2 * (rows - y) / height)

    margin = 1.0 / panel.operator.disk_radius_px
    plateau = np.median(panel.pacbed[radius(fitted) < 0.5])
    assert panel.pacbed[radius(fitted) < 1 - margin].min() > 0.6 * plateau
    assert panel.pacbed[radius(fitted) > 1 + margin].max() < 0.4 * plateau
    assert panel.pacbed[radius(nominal) < 1 - margin].min() < 0.4 * plateau
    assert fitted.width / fitted.height == pytest.approx(1.01 / 0.99)
    assert nominal.width == nominal.height
    assert nominal.get_linestyle() == "--"


def test_a_real_scan_has_no_truth_to_show(panel: ScenePanel) -> None:
    scan = replace(
        panel,
        truth=None,
        images={"III": ScenarioImage(panel.truth)},
        remarks=("centre 1.500 ± 0.003 px",),
    )
    figure = draw_figure([scan], title="t")
    drawn = pictures(figure)
    assert len(drawn) == 2
    assert drawn[1].get_title() == "reconstruction"
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "centre 1.500 ± 0.003 px" in texts
    assert any(text.endswith(" Å") for text in texts)


def test_scenarios_that_were_not_computed_are_left_out(panel: ScenePanel) -> None:
    only = replace(panel, images={"III": panel.images["III"]})
    assert len(pictures(draw_figure([only], title="t"))) == 4


def test_no_scene_no_figure() -> None:
    with pytest.raises(ValueError, match="at least one"):
        draw_figure([], title="t")


def test_the_file_is_a_picture_of_readable_width(panel: ScenePanel, tmp_path: Path) -> None:
    path = tmp_path / "report.png"
    save_figure(path, [panel], title="test+truth, public")
    pixels = imread(path)
    assert pixels.shape[1] >= 1600
    assert pixels[..., :3].std() > 0.1


@given(st.floats(1e-3, 1e6))
def test_a_scale_bar_is_round_and_fits(limit: float) -> None:
    length = round_length(limit)
    assert 0.39 * limit <= length <= limit * (1 + 1e-6)
    assert f"{length:.0e}"[0] in "125"
