"""`stem4d init`: folders that work at once, and nothing written over."""

from __future__ import annotations

import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from algorithms.base import Sample
from runner.files.challenge import open_challenge
from runner.pipeline.smoke import build_smoke
from runner.submission.scaffold import TEMPLATES, make_submission
from schemas import ContractError

ROOT = Path(__file__).parents[3]
EXPECTED = {
    ".dockerignore",
    ".gitattributes",
    ".gitignore",
    ".github/workflows/check.yml",
    ".gitlab-ci.yml",
    "Dockerfile",
    "README.md",
    "my_method.py",
    "submission.toml",
    "tests/test_my_method.py",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_is_made(template, tmp_path: Path, stem4d) -> None:
    done = stem4d("init", tmp_path / "new", "--template", template)
    assert done.code == 0, done.err
    made = {path.relative_to(tmp_path / "new").as_posix() for path in _files(tmp_path / "new")}
    assert made - EXPECTED == ({"train.py", "weights.npz"} if template == "torch" else set())
    assert made >= EXPECTED
    assert len(done.out.splitlines()) == len(made)
    texts = [path.read_text() for path in _files(tmp_path / "new") if path.suffix != ".npz"]
    assert not any("my-method" in text for text in texts), "the template's own name"


def test_nothing_is_written_over(tmp_path: Path, stem4d) -> None:
    make_submission(tmp_path / "mine", "minimal")
    (tmp_path / "mine" / "my_method.py").write_text("precious")
    done = stem4d("init", tmp_path / "mine", "--template", "joint")
    assert done.code == 2
    assert "FOLDER_NOT_EMPTY" in done.err
    assert (tmp_path / "mine" / "my_method.py").read_text() == "precious"
    (tmp_path / "file").write_text("")
    with pytest.raises(ContractError, match="FOLDER_NOT_EMPTY"):
        make_submission(tmp_path / "file", "minimal")


@pytest.mark.parametrize("name", ["My-Method", "a b", "-x", "a..b", "ü"])
def test_a_name_that_no_image_can_have(name: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="USAGE"):
        make_submission(tmp_path / name, "minimal")
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    "template",
    [
        name if name == "minimal" else pytest.param(name, marks=pytest.mark.slow)
        for name in TEMPLATES
    ],
)
def test_its_own_tests_pass(template, tmp_path: Path) -> None:
    make_submission(tmp_path / "new", template)
    test = tmp_path / "new" / "tests" / "test_my_method.py"
    if template != "joint":  # a calibrator that takes no seconds
        test.write_text(test.read_text().replace("+gradient", "+midpoint"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(
        command, check=False, cwd=tmp_path / "new", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_joint_finds_the_detector(tmp_path: Path) -> None:
    make_submission(tmp_path / "new", "joint")
    method = runpy.run_path(str(tmp_path / "new" / "my_method.py"))
    with open_challenge(build_smoke(tmp_path / "smoke").challenge) as challenge:
        made = challenge.sample("sample_00")
        sample = Sample(made.name, made.y, made.operator, made.ranges)
        found = method["measured_detector"](sample, sample.counts().mean(0))
    assert found.camera_length == pytest.approx(made.true_spec.camera_length, abs=0.15)
    assert found.center_offset == pytest.approx(made.true_spec.center_offset, abs=0.005)
    assert found.elliptical_distortion == pytest.approx(
        made.true_spec.elliptical_distortion, abs=0.001
    )


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_templates(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    subprocess.run([*build, "-w", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    folder = ROOT / "runner" / "submission" / "templates"
    wanted = {path.relative_to(ROOT).as_posix() for path in _files(folder)}
    assert not {name for name in wanted if "__pycache__" not in name} - held


def _files(folder: Path) -> list[Path]:
    return [
        path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
