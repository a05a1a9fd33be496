"""The picture of an analysis: scales, units, masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runner.report.maps import MASKED_COLOR, draw_maps
from schemas.analysis import MapAttrs
from tests.runner.files.test_analysis import SAMPLE, STRAIN, VALID


def shown(figure, title: str):
    (axes,) = [a for a in figure.axes if a.get_title() == title]
    (image,) = axes.images
    return axes, image


def test_strain_is_in_percent_and_white_at_zero() -> None:
    figure = draw_maps({"sample_00": SAMPLE}, title="t")
    axes, image = shown(figure, "e_xx")
    np.testing.assert_allclose(image.get_array().compressed(), 100 * STRAIN.values[VALID])
    low, high = image.get_clim()
    assert low == pytest.approx(-high)
    assert axes.get_facecolor()[0] == pytest.approx(float(MASKED_COLOR))
    np.testing.assert_array_equal(np.ma.getmaskarray(image.get_array()), ~VALID)
    labels = [a.get_xlabel() for a in figure.axes]
    assert "%" in labels


def test_steps_that_differ_are_drawn_to_scale() -> None:
    axes, _ = shown(draw_maps({"sample_00": SAMPLE}, title="t"), "e_xx")
    assert axes.get_aspect() == pytest.approx(2.0)  # steps of 20 A down, 10 A across


def test_names_stand_for_whole_numbers() -> None:
    figure = draw_maps({"sample_00": SAMPLE}, title="t")
    ticks = [label.get_text() for a in figure.axes for label in a.get_xticklabels()]
    assert "one" in ticks
    assert "two" in ticks


def test_errors_are_left_out_and_a_scale_is_shared() -> None:
    error = replace(STRAIN, attrs=MapAttrs(unit="", description="standard error"))
    one = replace(SAMPLE, maps={"e_xx": STRAIN, "e_xx_error": error})
    twice = replace(STRAIN, values=2 * STRAIN.values)
    figure = draw_maps({"a": one, "b": replace(one, maps={"e_xx": twice})}, title="t")
    assert not [a for a in figure.axes if a.get_title() == "e_xx_error"]
    limits = {a.images[0].get_clim() for a in figure.axes if a.images}
    assert len(limits) == 1


def test_nothing_is_no_figure() -> None:
    with pytest.raises(ValueError, match="at least one"):
        draw_maps({}, title="t")
