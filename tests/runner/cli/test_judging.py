"""inspect, validate, score, leaderboard and schema, as a person or a script calls them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from runner.cli import extra_missing
from runner.files.challenge import open_challenge, write_challenge
from runner.files.hdf5 import sha256_of
from runner.report.inspection import probe_diameter_A, scan_step_A
from runner.tiers.strip import strip
from schemas import MismatchSpec, ScoreCard, record_from_json
from schemas.result import MAX_RESULT_BYTES
from tests.runner.small import make_operator, write_answers


@pytest.fixture
def result(answers, write_result_file) -> Path:
    return write_result_file(answers)


# --- validate -------------------------------------------------------------------------------------


def test_a_valid_result_is_called_valid(stem4d, small_challenge, result) -> None:
    done = stem4d("validate", result, "--against", small_challenge.path)
    assert done.code == 0
    assert "valid" in done.out
    assert [line.split(":")[0] for line in done.err.splitlines()] == [
        f"sample_{index:02d} by its counts" for index in range(2)
    ]
    bare = stem4d("validate", result, "--against", small_challenge.path, "--no-check")
    assert (bare.code, bare.out, bare.err) == (0, done.out, "")
    found = stem4d("validate", result, "--against", small_challenge.path, "--json")
    assert found.json() == {"valid": True, "samples": ["sample_00", "sample_01"], "findings": []}
    assert found.err == "", "programs are not kept waiting for advice"


def test_what_the_counts_say_is_told_of_a_valid_result(
    stem4d, small_challenge, answers, write_result_file
) -> None:
    turned = {name: (1 - x.T, spec) for name, (x, spec) in answers.items()}
    path = write_result_file(turned)
    done = stem4d("validate", path, "--against", small_challenge.path)
    assert done.code == 0
    assert done.err.count("less than no specimen") == 2


def test_a_result_of_the_blind_view_is_valid_for_the_public_file(
    stem4d, small_challenge, answers, tmp_path: Path
) -> None:
    view = strip(small_challenge.path, tmp_path / "view.h5")
    digest = sha256_of(view)
    assert digest != sha256_of(small_challenge.path)
    result = write_answers(tmp_path / "result.h5", answers, input_sha256=digest)
    assert stem4d("validate", result, "--against", small_challenge.path).code == 0
    assert stem4d("validate", result, "--against", view).code == 0


def test_a_result_of_another_file_is_refused(
    stem4d, small_challenge, answers, tmp_path: Path
) -> None:
    result = write_answers(tmp_path / "result.h5", answers, input_sha256="0" * 64)
    done = stem4d("validate", result, "--against", small_challenge.path)
    assert done.code == 3
    assert "RESULT_OTHER_INPUT" in done.err


def test_a_result_too_large_is_not_read(stem4d, small_challenge, result) -> None:
    os.truncate(result, MAX_RESULT_BYTES + 1)
    done = stem4d("validate", result, "--against", small_challenge.path)
    assert done.code == 3
    assert "RESULT_TOO_LARGE" in done.err


def test_a_result_tells_what_it_cost(stem4d, small_challenge, result) -> None:
    """Only the canonical rewrite leaves run_info out; that one is scored all the same."""
    with h5py.File(result, "a") as file:
        del file.attrs["run_info"]
    done = stem4d("validate", result, "--against", small_challenge.path)
    assert done.code == 3
    assert "RESULT_MISSING_ITEM" in done.err
    card = stem4d("score", result, "--truth", small_challenge.path, "--json").json()
    assert card["seconds"] is None
    assert card["samples"][0]["seconds"] is None
    assert "not told" in stem4d("inspect", result).out


def test_every_fault_is_reported_at_once(stem4d, small_challenge, result) -> None:
    with h5py.File(result, "a") as file:
        file["sample_00/x_hat"][0, 0] = np.inf
        del file["sample_01"].attrs["corrected_spec"]
        file["notes"] = 1
    done = stem4d("validate", result, "--against", small_challenge.path, "--json")
    assert done.code == 3
    found = done.json()
    assert found["valid"] is False
    assert {entry["code"] for entry in found["findings"]} == {
        "RESULT_NOT_FINITE",
        "RESULT_SPEC",
        "RESULT_UNKNOWN_ITEM",
    }
    for entry in found["findings"]:
        assert entry["code"] in done.err
        assert entry["hint"]


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        (MismatchSpec(camera_length=4.1), "camera_length = 4.1"),
        (MismatchSpec(elliptical_distortion=-0.4), "elliptical_distortion"),
    ],
)
def test_a_spec_outside_its_ranges_is_refused(
    stem4d, small_challenge, answers, write_result_file, spec, word
) -> None:
    answers["sample_00"] = (answers["sample_00"][0], spec)
    done = stem4d("validate", write_result_file(answers), "--against", small_challenge.path)
    assert done.code == 3
    assert word in done.err


@pytest.mark.parametrize("command", ["validate", "score"])
def test_a_result_that_is_no_result(stem4d, small_challenge, tmp_path: Path, command: str) -> None:
    option = {"validate": "--against", "score": "--truth"}[command]
    missing = stem4d(command, tmp_path / "none.h5", option, small_challenge.path)
    assert missing.code == 3
    assert "RESULT_NOT_FOUND" in missing.err
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    other = stem4d(command, text, option, small_challenge.path)
    assert other.code == 3
    assert "RESULT_NOT_HDF5" in other.err
    bad_input = stem4d(command, text, option, tmp_path / "none.h5")
    assert bad_input.code == 4


# --- score ----------------------------------------------------------------------------------------


def test_score_prints_one_card(stem4d, small_challenge, result) -> None:
    done = stem4d("score", result, "--truth", small_challenge.path, "--json")
    assert done.code == 0
    card = record_from_json(ScoreCard, done.out)
    assert [entry.sample for entry in card.samples] == ["sample_00", "sample_01"]


def test_score_prints_a_table_and_keeps_remarks_apart(stem4d, small_challenge, result) -> None:
    done = stem4d("score", result, "--truth", small_challenge.path)
    card = record_from_json(
        ScoreCard, stem4d("score", result, "--truth", small_challenge.path, "--json").out
    )
    for sample in card.samples:
        assert f"{sample.score:.4f}" in done.out
        assert f"{sample.consistency:.4f}" in done.out
    assert "rank 1 of 10" in done.err
    assert "not the same data" in done.err
    assert "\x1b" not in done.out


def test_score_names_the_samples_that_count_nothing(
    stem4d, small_challenge, answers, write_result_file
) -> None:
    del answers["sample_00"]
    done = stem4d("score", write_result_file(answers), "--truth", small_challenge.path, "--json")
    assert done.code == 0
    assert done.json()["samples"][0]["score"] == 0
    assert "RESULT_SAMPLE_MISSING at result.h5:/sample_00" in done.err


def test_score_of_a_track(stem4d, small_challenge, result) -> None:
    call = ("score", result, "--truth", small_challenge.path, "--json", "--track")
    assert stem4d(*call, "standard").json()["score"] == pytest.approx(1.0)
    assert stem4d(*call, "blind").json()["score"] < 1.0
    assert stem4d(*call, "other").code == 2


def test_no_sample_is_an_error_not_a_score(stem4d, small_challenge, write_result_file) -> None:
    done = stem4d("score", write_result_file({}), "--truth", small_challenge.path, "--json")
    assert done.code == 3
    assert "score" not in done.json()
    assert done.json()["findings"]


# --- leaderboard ----------------------------------------------------------------------------------


def test_leaderboard_puts_cards_beside_the_published_rows(
    stem4d, small_challenge, result, tmp_path: Path
) -> None:
    path = tmp_path / "card.json"
    path.write_text(stem4d("score", result, "--truth", small_challenge.path, "--json").out)
    found = stem4d("leaderboard", "--tier", "public", "--json", path).json()
    assert "not the same data" in found["note"]
    assert [row["local"] for row in found["rows"]] == [True] + [False] * 9
    assert found["rows"][0]["rank"] == 1
    table = stem4d("leaderboard", "--tier", "public", path)
    assert "test+truth (local)" in table.out
    assert "PSNR [dB]" in table.out
    assert "not the same data" in table.err
    dev = stem4d("leaderboard", "--tier", "dev", "--json", path).json()
    assert not any(row["local"] for row in dev["rows"])


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        ((), "DiffED + gradient"),
        (("--tier", "public"), "PhysED + gradient"),
        (("--tier", "dev"), "SwinED + gradient"),
        (("--track", "standard"), "DiffED"),
    ],
)
def test_leaderboard_without_cards(stem4d, arguments, first: str) -> None:
    assert stem4d("leaderboard", *arguments, "--json").json()["rows"][0]["method"] == first
    assert first in stem4d("leaderboard", *arguments).out


def test_a_card_that_is_none_is_refused(stem4d, tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text('{"score": NaN}')
    done = stem4d("leaderboard", path)
    assert done.code == 2
    assert "NaN" in done.err
    assert stem4d("leaderboard", tmp_path / "none.json").code == 2


# --- inspect --------------------------------------------------------------------------------------


def test_inspect_measures_a_challenge(stem4d, small_challenge) -> None:
    found = stem4d("inspect", small_challenge.path, "--json").json()
    assert found["kind"] == "challenge"
    assert found["sha256"] == sha256_of(small_challenge.path)
    for entry, sample in zip(found["samples"], small_challenge.samples, strict=True):
        y, attrs = sample.y.values, sample.operator.attrs
        assert entry["y_shape"] == list(y.shape)
        assert entry["electrons_per_pattern"] == pytest.approx(y.sum() / y[..., 0, 0].size)
        assert entry["electrons_per_pattern"] == pytest.approx(attrs.dose_e, rel=0.02)
        assert entry["counts_range"] == [y.min(), y.max()]
        assert entry["scan_step_A"] == pytest.approx([1.6, 1.6])
        assert entry["electrons_per_A2"] == pytest.approx(entry["electrons_per_pattern"] / 1.6**2)
        assert entry["truth"]["spec"] == sample.true_spec.values()
    table = stem4d("inspect", small_challenge.path).out
    for word in ("8 x 8 positions", "16 x 16 pixels", "-2 to 4 %", "the true values", "1.01786"):
        assert word in table


def test_inspect_says_that_a_blind_view_is_blind(stem4d, small_challenge, tmp_path: Path) -> None:
    view = strip(small_challenge.path, tmp_path / "view.h5")
    found = stem4d("inspect", view, "--json").json()
    assert found["tier"] == "blind"
    assert all(sample["truth"] is None for sample in found["samples"])
    table = stem4d("inspect", view).out
    assert re.search(r"x_true +none", table)
    assert re.search(r"true_spec +none", table)


def test_inspect_of_a_result(stem4d, result, answers) -> None:
    found = stem4d("inspect", result, "--json").json()
    assert found["kind"] == "result"
    assert found["algorithm"] == "test+truth"
    for entry in found["samples"]:
        assert entry["corrected_spec"] == answers[entry["name"]][1].values()
        assert entry["finite"] is True
    assert "test+truth" in stem4d("inspect", result).out


def test_inspect_counts_electrons_not_counts(stem4d, small_challenge, tmp_path: Path) -> None:
    path = tmp_path / "gain.h5"
    with open_challenge(small_challenge.path) as file:
        sample = file.sample("sample_00")
        attrs = sample.operator.attrs.model_copy(update={"gain": 10.0})
        amplified = replace(sample, operator=replace(sample.operator, attrs=attrs))
        write_challenge(path, file.attrs, [amplified])
    plain = stem4d("inspect", small_challenge.path, "--json").json()["samples"][0]
    found = stem4d("inspect", path, "--json").json()["samples"][0]
    assert found["electrons_per_pattern"] == pytest.approx(plain["electrons_per_pattern"] / 10)


def test_inspect_of_a_plain_array_operator(stem4d, small_challenge, tmp_path: Path) -> None:
    path = tmp_path / "array.h5"
    path.write_bytes(small_challenge.path.read_bytes())
    with h5py.File(path, "a") as file:
        for name in ("sample_00", "sample_01"):
            del file[name]["H_ideal"], file[name]["y"]
            file[name]["H_ideal"] = np.eye(9, dtype=np.float32)
            file[name]["y"] = np.ones(9, dtype=np.float32)
    found = stem4d("inspect", path, "--json").json()["samples"][0]
    assert found["h_shape"] == [9, 9]
    assert "9 x 9" in stem4d("inspect", path).out


def test_inspect_of_nothing(stem4d, tmp_path: Path) -> None:
    assert stem4d("inspect", tmp_path / "none.h5").code == 4


def test_probe_diameter_of_a_uniform_disk() -> None:
    operator = make_operator()
    axis = np.arange(16) - 8
    disk = (np.hypot(axis[:, None], axis[None, :]) <= 6).astype(np.complex64)
    uniform = replace(operator, probe=disk)
    assert probe_diameter_A(uniform) == pytest.approx(2 * 6 * np.sqrt(0.9) * 0.4, rel=0.05)


def test_scan_step_of_a_single_row_and_of_a_single_position() -> None:
    operator = make_operator()
    row = replace(operator, positions_px=np.array([[8, 8], [8, 11]], np.float32))
    assert scan_step_A(row, (1, 2)) == pytest.approx((1.2, 1.2))
    single = replace(operator, positions_px=np.array([[8, 8]], np.float32))
    assert scan_step_A(single, (1, 1)) == (0.4, 0.4)


# --- schema ---------------------------------------------------------------------------------------


def test_schema_prints_the_page_and_json(stem4d) -> None:
    page = Path(__file__).parents[3] / "docs" / "schema.md"
    assert stem4d("schema").out == page.read_text(encoding="utf-8")
    assert "ScoreCard" in stem4d("schema", "--format", "json").json()["records"]


def test_schema_loads_neither_torch_nor_matplotlib() -> None:
    code = (
        "import sys; from runner.cli import cli, run_command; run_command(cli, ['schema']);"
        "print(sorted({'torch', 'h5py', 'matplotlib', 'rich'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.stderr.strip() == "[]"


# --- packages that only some commands need -------------------------------------------------------


def test_a_missing_package_is_named_with_its_extra(
    stem4d, small_challenge, result, monkeypatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("runner.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setitem(sys.modules, "rich.box", None)
    done = stem4d("score", result, "--truth", small_challenge.path)
    assert done.code == 2
    assert "EXTRA_MISSING" in done.err
    assert "stem4d[host]" in done.err


def test_a_module_of_stem4d_itself_is_no_extra() -> None:
    with pytest.raises(ModuleNotFoundError):
        extra_missing(
            ModuleNotFoundError("No module named 'runner.nothing'", name="runner.nothing")
        )
