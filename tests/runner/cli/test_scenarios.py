"""`stem4d scenarios` on a small file, as a person or a script calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.pipeline.gallery import COLUMNS, GalleryReport
from runner.tiers.strip import strip
from schemas import record_from_json

FAST = ("--algorithm", "cpu-baseline+midpoint")


def test_json_holds_every_scene_in_every_scenario(stem4d, small_challenge, tmp_path: Path) -> None:
    output = tmp_path / "new"
    done = stem4d("scenarios", small_challenge.path, *FAST, "--json", "--output", output)
    assert done.code == 0, done.err
    report = record_from_json(GalleryReport, done.out)
    assert report.algorithm == "cpu-baseline+midpoint"
    assert [row.scene for row in report.gallery.scenes] == ["scene_00", "scene_01"]
    assert all(set(row.scenarios) == set(COLUMNS) for row in report.gallery.scenes)
    assert (output / "scenarios.png").is_file()
    assert (output / "scenarios.json").read_text().strip() == done.out.strip()
    again = stem4d("scenarios", small_challenge.path, *FAST, "--output", output)
    assert again.code == 2
    assert "USAGE" in again.err


def test_the_table_stands_beside_the_page_s(stem4d, small_challenge, tmp_path: Path) -> None:
    view = strip(small_challenge.path, tmp_path / "view.h5")
    done = stem4d("scenarios", view, "--truth", small_challenge.path, *FAST)
    assert done.code == 0, done.err
    for word in ("III-oracle dB", "III-blind SSIM", "scene_01", "mean", "CPU_baseline", "19.81"):
        assert word in done.out
    assert "not the same data" in done.err
    assert {path.name for path in tmp_path.iterdir()} == {"view.h5"}


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("--algorithm", "magic"), 2, "ALGORITHM_UNKNOWN"),
        (("--algorithm", "cpu-baseline+magic"), 2, "ALGORITHM_UNKNOWN"),
        (("--truth", "none.h5"), 4, "INPUT_NOT_FOUND"),
        (("--seed", "-1"), 2, "seed"),
    ],
)
def test_what_cannot_be_done_is_said(stem4d, small_challenge, arguments, code, word) -> None:
    done = stem4d("scenarios", small_challenge.path, *arguments)
    assert done.code == code
    assert word in done.err
    assert done.out == ""


def test_a_blind_file_needs_its_truth(stem4d, small_challenge, tmp_path: Path) -> None:
    view = strip(small_challenge.path, tmp_path / "view.h5")
    done = stem4d("scenarios", view, *FAST, "--json")
    assert done.code == 4
    assert done.json()["findings"][0]["code"] == "TRUTH_MISSING"


def test_a_method_that_calibrates_itself_has_one_scenario(
    stem4d, small_challenge, tmp_path: Path
) -> None:
    """It cannot be told the detector, nor be kept from finding it: the others are missing."""
    own = tmp_path / "own.py"
    own.write_text(
        "import numpy as np\n"
        "from algorithms.base import Reconstruction\n"
        "from schemas.spec import MismatchSpec\n"
        "class Own:\n"
        "    def solve(self, sample):\n"
        "        return Reconstruction(np.zeros(sample.object_shape), MismatchSpec())\n"
    )
    done = stem4d("scenarios", small_challenge.path, "--algorithm", f"{own}:Own", "--json")
    assert done.code == 2
    report = record_from_json(GalleryReport, done.out)
    assert set(report.gallery.mean.scenarios) == {"III-blind"}
    assert {o.name for o in report.scenarios if o.findings} == {"I", "II", "III-oracle"}
    assert "scenario I is incomplete: USAGE" in done.err


def test_a_container_that_was_asked_for_is_not_replaced(
    stem4d, small_challenge, monkeypatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    done = stem4d("scenarios", small_challenge.path, "--image", "stem4d:none")
    assert done.code == 5
    assert "ENGINE_UNREACHABLE" in done.err


@pytest.mark.docker
@pytest.mark.slow
def test_container_and_process_agree(stem4d, small_challenge, image: str) -> None:
    inside = stem4d("scenarios", small_challenge.path, *FAST, "--json", "--image", image).json()
    outside = stem4d("scenarios", small_challenge.path, *FAST, "--json").json()
    assert inside["backend"] == "container"
    assert inside["gallery"] == outside["gallery"]
