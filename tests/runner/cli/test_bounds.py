"""`stem4d bounds` as a person or a script calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.pipeline.bounds import BoundsReport
from runner.tiers.strip import strip
from schemas import record_from_json


def test_table_and_json_say_the_same(stem4d, small_challenge) -> None:
    call = ("bounds", small_challenge.path, "--sample", "sample_01")
    done = stem4d(*call, "--json")
    assert done.code == 0, done.err
    report = record_from_json(BoundsReport, done.out)
    (entry,) = report.samples
    assert report.units == {
        "camera_length": "%",
        "center_offset": "pixels",
        "elliptical_distortion": "",
    }
    table = stem4d(*call)
    for word in (
        "truth",
        f"{entry.known['camera_length']:.5f}",
        f"{entry.joint['center_offset']:.6f}",
        f"{entry.joint['elliptical_distortion']:.7f}",
        f"{entry.ceiling:.4f}",
    ):
        assert word in table.out
    assert "sample_00" not in table.out
    assert "correlation" in table.err


def test_it_says_when_it_had_to_guess(stem4d, small_challenge, tmp_path: Path) -> None:
    view = strip(small_challenge.path, tmp_path / "view.h5")
    done = stem4d("bounds", view, "--sample", "sample_00")
    assert done.code == 0, done.err
    assert "estimate" in done.out
    assert "ptychography+gradient" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("--sample", "sample_09"), 2, "sample_00, sample_01"),
        (("--truth", "none.h5"), 4, "INPUT_NOT_FOUND"),
    ],
)
def test_what_cannot_be_done_is_said(stem4d, small_challenge, arguments, code, word) -> None:
    done = stem4d("bounds", small_challenge.path, *arguments)
    assert (done.code, done.out) == (code, "")
    assert word in done.err
