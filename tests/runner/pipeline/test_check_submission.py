"""`stem4d validate FOLDER`: every check, in every form, and a score that must be reached again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from runner.submission.check import FORMATS, Checked, told
from runner.submission.scaffold import make_submission
from schemas import finding
from tests.runner.small import SmallChallenge


@pytest.fixture
def folder(tmp_path: Path, small_challenge: SmallChallenge) -> Path:
    """A submission whose public tier is small; its score is declared by itself."""
    made = tmp_path / "my-method"
    make_submission(made, "joint")
    (made / "data").mkdir()
    for kind in ("challenge", "truth"):
        shutil.copy(small_challenge.path, made / f"data/electron_diffraction_{kind}_public.h5")
    return made


def test_declare_then_validate_then_change(folder: Path, stem4d) -> None:
    wrong = stem4d("validate", folder, "--no-docker")
    assert wrong.code == 1
    assert "SCORE_NOT_REPRODUCED at submission.toml:" in wrong.out
    assert "--declare" in wrong.out
    assert stem4d("validate", folder, "--no-docker", "--declare").code == 0
    again = stem4d("validate", folder, "--no-docker", "--json")
    assert again.code == 0, again.out
    checks = {check["name"]: check for check in again.json()["checks"]}
    assert [check["state"] for check in checks.values()] == ["ok"] * 6
    method = folder / "my_method.py"
    method.write_text(method.read_text().replace("x.clip(0, 1)", "(0.5 * x).clip(0, 1)"))
    assert "SCORE_NOT_REPRODUCED" in stem4d("validate", folder, "--no-docker").out


def test_what_is_wrong_is_told_at_once_and_nothing_is_run(folder: Path, stem4d) -> None:
    (folder / "run.sh").write_bytes(b"#!/bin/sh\r\necho\r\n")
    file = folder / "submission.toml"
    text = file.read_text().replace("memory_mib = 4096", "memory_mib = 99999")
    text = text.replace("MyMethod", "MyMehtod")
    text += '\n[[weights]]\nfile = "net.pth"\nsha256 = "' + 64 * "0" + '"\n'
    file.write_text(text)
    done = stem4d("validate", folder, "--no-docker", "--format", "github")
    assert done.code == 1
    lines = file.read_text().splitlines()
    at = {
        "DECLARED_LIMITS": ("submission.toml", lines.index("memory_mib = 99999") + 1),
        "WEIGHTS_PICKLED": ("submission.toml", lines.index('file = "net.pth"') + 1),
        "WEIGHTS_MISSING": ("submission.toml", lines.index('file = "net.pth"') + 1),
        "SCRIPT_CRLF": ("run.sh", 1),
        "ALGORITHM_UNKNOWN": ("submission.toml", 1),
    }
    for code, (name, line) in at.items():
        assert f"::error file={name},line={line},title={code}::" in done.out
    assert not (folder / "dry-run").exists()
    assert "did you mean MyMethod?" in done.out


def test_no_run_looks_only(folder: Path, stem4d) -> None:
    done = stem4d("validate", folder, "--no-docker", "--no-run")
    assert done.code == 0, done.out
    assert "skipped public score" in done.out


def test_a_folder_that_is_none(tmp_path: Path, stem4d) -> None:
    done = stem4d("validate", tmp_path, "--format", "junit")
    assert done.code == 1
    suite = ElementTree.fromstring(done.out)
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert suite.find("testcase/failure").get("type") == "SUBMISSION_NOT_FOUND"


@pytest.mark.docker
def test_the_image_that_is_asked_for_is_looked_at(folder: Path, image: str, stem4d) -> None:
    done = stem4d("validate", folder, "--image", image, "--no-run", "--json")
    assert done.code == 0, done.out
    assert "image" in [check["name"] for check in done.json()["checks"]]


@pytest.mark.parametrize("style", FORMATS)
def test_no_text_breaks_a_form(style) -> None:
    """What a participant's code says may hold anything."""
    nasty = "100% <b>]]>&\n::error::\r\x07 ü"
    item = finding("ALGORITHM_FAILED", "a:b, c", expected="x", found=nasty, hint="y")
    checks = [
        Checked("one", (item,)),
        Checked("two", note="fine"),
        Checked("three", note="later", skipped=True),
    ]
    text = told(checks, style)
    if style == "junit":
        suite = ElementTree.fromstring(text)
        assert suite.get("skipped") == "1"
        assert "]]>" in suite.find("testcase/failure").text
    elif style == "json":
        assert json.loads(text)["valid"] is False
    elif style == "github":
        first, *others = text.splitlines()
        assert first.startswith("::error file=submission.toml,line=1,title=ALGORITHM_FAILED::")
        assert "100%25" in first
        assert not any(line.startswith("::") for line in others)


def test_a_result_file_in_every_form(answers, write_result_file, small_challenge, stem4d) -> None:
    result = write_result_file(answers)
    for option in ("--against", "--challenge"):
        done = stem4d("validate", result, option, small_challenge.path)
        assert done.code == 0, done.err
    done = stem4d("validate", result, "--against", small_challenge.path, "--format", "junit")
    assert ElementTree.fromstring(done.out).get("failures") == "0"
    assert stem4d("validate", result).code == 2
    assert stem4d("validate", result.parent, "--against", small_challenge.path).code == 2
