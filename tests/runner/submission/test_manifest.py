"""submission.toml: faults are told with their line; what is declared is written in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.submission.manifest import declare, lines_of, load_manifest
from runner.submission.scaffold import TEMPLATES, make_submission
from schemas import ContractError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_submission(tmp_path / "my-method", "minimal")
    return tmp_path / "my-method"


def changed(folder: Path, old: str, new: str) -> Path:
    file = folder / "submission.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return folder


def line_of(folder: Path, start: str) -> int:
    lines = (folder / "submission.toml").read_text().splitlines()
    return 1 + next(i for i, line in enumerate(lines) if line.startswith(start))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("memory_mib = 4096", "memory_mib = 1", "limits.memory_mib"),
        ("memory_mib = 4096", "memory_mb = 1", "limits.memory_mb"),
        ('paper_url = ""', 'paper_url = "on my desk"', "method.paper_url"),
        ("gpu = false", 'gpu = "no"', "limits.gpu"),
        ("ssim = ", "ssim = 7 #", "public.ssim"),
        ('image = "my-method"', 'image = "My Method"', "run.image"),
    ],
)
def test_a_fault_is_told_with_its_line(folder: Path, old: str, new: str, said: str) -> None:
    changed(folder, old, new)
    with pytest.raises(ContractError) as caught:
        load_manifest(folder)
    (item,) = caught.value.findings
    assert item.code == "SUBMISSION_MALFORMED"
    assert item.where == f"submission.toml:{line_of(folder, new)} {said}"


def test_all_faults_at_once_and_a_missing_key_at_its_table(folder: Path) -> None:
    changed(folder, "gpu = false", "gpu = 0")
    changed(folder, 'name = "my-method"\n', "")
    with pytest.raises(ContractError) as caught:
        load_manifest(folder)
    found = [item.where for item in caught.value.findings]
    assert found == [
        f"submission.toml:{line_of(folder, '[method]')} method.name",
        f"submission.toml:{line_of(folder, 'gpu')} limits.gpu",
    ]


def test_what_is_no_toml_is_told_with_its_line(folder: Path) -> None:
    changed(folder, "gpu = false", "gpu = ")
    with pytest.raises(ContractError) as caught:
        load_manifest(folder)
    assert caught.value.findings[0].where == f"submission.toml:{line_of(folder, 'gpu')}"


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="SUBMISSION_NOT_FOUND"):
        load_manifest(tmp_path)
    (tmp_path / "submission.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ContractError, match="SUBMISSION_MALFORMED"):
        load_manifest(tmp_path)


def test_lines_of_tables_that_come_twice() -> None:
    lines = lines_of('[[weights]]\nfile = "a"\n\n[[weights]]\nfile = "b"  # [x]\n')
    assert lines[("weights", 1, "file")] == 5
    assert (lines[("weights",)], lines[("weights", 0, "file")]) == (1, 2)


@pytest.mark.parametrize("table", [True, False])
def test_a_declared_score_changes_nothing_else(folder: Path, table: bool) -> None:
    file = folder / "submission.toml"
    if not table:
        file.write_text(file.read_text().partition("[public]")[0].rstrip() + "\n")
    before = file.read_text().splitlines()
    declare(load_manifest(folder), {"psnr": "20.5", "ssim": "0.5", "score": "0.4"})
    public = load_manifest(folder).submission.public
    assert public is not None
    assert (public.psnr, public.ssim, public.score) == (20.5, 0.5, 0.4)
    after = file.read_text().splitlines()
    assert after[: len(before) - 3] == before[:-3] if table else after[: len(before)] == before


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_declares_itself_well(template, tmp_path: Path) -> None:
    make_submission(tmp_path / "x-1", template)
    submission = load_manifest(tmp_path / "x-1").submission
    assert submission.run.image == "x-1"
    assert submission.public is not None
    assert submission.public.score > 0.2
