"""inspect's checks, check and export, as a person calls them."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.cli.inspect import MATERIALS
from runner.files.hdf5 import sha256_of
from runner.report.checks import TOLERANCES
from tests.runner.small import true_answers, write_answers


@pytest.fixture
def result(small_challenge, tmp_path: Path) -> Path:
    answers = true_answers(small_challenge)
    return write_answers(
        tmp_path / "result.h5", answers, input_sha256=sha256_of(small_challenge.path)
    )


def test_materials_are_those_of_the_table() -> None:
    assert set(MATERIALS) == set(TOLERANCES)


def test_inspect_prints_checks_with_what_to_do(stem4d, small_challenge) -> None:
    done = stem4d("inspect", small_challenge.path, "--material", "protein")
    assert done.code == 0
    assert "! " in done.out
    assert "eLife" in done.out
    assert "do: " in done.out
    found = stem4d("inspect", small_challenge.path, "--json", "--material", "protein").json()
    dose = next(c for c in found["samples"][0]["checks"] if c["name"] == "dose")
    assert dose["level"] == "warning"
    assert dose["figures"]["factor"] > 1
    assert not stem4d("inspect", small_challenge.path, "--json", "--no-checks").json()["samples"][
        0
    ]["checks"]


def test_check_prints_a_row_a_sample(stem4d, small_challenge, result: Path) -> None:
    done = stem4d("check", result, small_challenge.path)
    assert done.code == 0, done
    assert "sample_00" in done.out
    assert "sample_01" in done.out
    found = stem4d("check", result, small_challenge.path, "--json").json()
    assert [one["sample"] for one in found["samples"]] == ["sample_00", "sample_01"]


def test_export_prints_its_paths(stem4d, small_challenge, result: Path, tmp_path: Path) -> None:
    out = tmp_path / "images"
    done = stem4d("export", result, "--against", small_challenge.path, "--to", "png", "--out", out)
    assert done.code == 0, done
    assert [Path(line).name for line in done.out.split()] == [
        "sample_00_x_hat.png",
        "sample_01_x_hat.png",
    ]
    assert all(Path(line).stat().st_size > 0 for line in done.out.split())
