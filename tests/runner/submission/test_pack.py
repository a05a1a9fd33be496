"""Archives: the same folder, the same bytes; nothing in them that does not belong there."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from runner.submission import pack as module
from runner.submission.files import own_files
from runner.submission.pack import pack_folder, pack_image
from runner.submission.scaffold import make_submission
from schemas import ContractError, ScoreReport, record_from_json


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_submission(tmp_path / "my-method", "torch")
    return tmp_path / "my-method"


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_times_modes_and_owners_leave_no_trace(kind, folder: Path, tmp_path: Path) -> None:
    pack_folder(folder, tmp_path / "one", kind)
    for number, path in enumerate(sorted(folder.rglob("*"), reverse=True)):
        if path.is_file():
            path.chmod(0o600)
        os.utime(path, (number * 1e6, number * 1e6))
    (folder / "data").mkdir()
    (folder / "data" / "big.h5").write_bytes(b"x")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "my_method.pyc").write_bytes(b"x")
    pack_folder(folder, tmp_path / "two", kind)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    (folder / "my_method.py").write_text("# another\n")
    pack_folder(folder, tmp_path / "three", kind)
    assert (tmp_path / "one").read_bytes() != (tmp_path / "three").read_bytes()


def test_both_archives_hold_the_folder(folder: Path, tmp_path: Path) -> None:
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o700)
    names = [name.as_posix() for name in pack_folder(folder, tmp_path / "a.zip", "zip")]
    pack_folder(folder, tmp_path / "a.tar.gz", "tar.gz")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == names
        assert archive.read("my_method.py") == (folder / "my_method.py").read_bytes()
        assert archive.getinfo("run.sh").external_attr >> 16 == 0o100755
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        assert archive.getnames() == names
        assert {(m.uid, m.gid, m.mtime, m.uname) for m in archive.getmembers()} == {(0, 0, 0, "")}
        assert archive.getmember("run.sh").mode == 0o755
        assert archive.getmember("my_method.py").mode == 0o644
    assert gzip.decompress((tmp_path / "a.tar.gz").read_bytes())


def test_what_git_ignores_stays_out(folder: Path) -> None:
    subprocess.run(["git", "init", "-q", folder], check=True)
    (folder / ".gitignore").write_text("notes/\nsecret.txt\n")
    (folder / "notes").mkdir()
    for name in ("notes/a.txt", "secret.txt", "kept.txt"):
        (folder / name).write_text("x")
    names = {name.as_posix() for name in own_files(folder)}
    assert "kept.txt" in names
    assert not names & {"notes/a.txt", "secret.txt"}


def test_links_and_size_are_refused(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_ARCHIVE_BYTES", 1000)
    with pytest.raises(ContractError, match="PACK_TOO_LARGE"):
        pack_folder(folder, tmp_path / "a.zip", "zip")
    assert not (tmp_path / "a.zip").exists()
    (folder / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(ContractError, match="PACK_LINK"):
        pack_folder(folder, tmp_path / "a.zip", "zip")


def test_the_command_and_its_report(folder: Path, stem4d) -> None:
    done = stem4d("pack", folder, "--as", "tar.gz")
    assert done.code == 0, done.err
    archive, path = map(Path, done.out.split())
    assert archive.is_file()
    report = record_from_json(ScoreReport, path.read_bytes())
    assert list(json.loads(path.read_text())) == [
        "variant_key",
        "tier_name",
        "method_name",
        "method_description",
        "paper_url",
        "code_url",
        "reported_psnr",
        "reported_ssim",
    ]
    assert (report.method_name, report.tier_name) == ("my-method", "public")
    again = stem4d("pack", folder, "--as", "tar.gz", "--out", folder.parent / "again")
    assert Path(again.out.split()[0]).read_bytes() == archive.read_bytes()


def test_other_weights_than_the_declared_are_not_packed(folder: Path, stem4d) -> None:
    (folder / "weights.npz").write_bytes(b"x")
    done = stem4d("pack", folder)
    assert done.code == 1
    assert "WEIGHTS_CHANGED" in done.err
    assert not (folder / "dist").exists()


def saved(order: list[str], mtime: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in order:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.uname = len(name), mtime, f"user{mtime}"
            archive.addfile(entry, io.BytesIO(name.encode()))
    return stream.getvalue()


def test_an_image_is_the_same_bytes_whenever_it_is_saved(tmp_path: Path) -> None:
    pack_image([saved(["b/layer.tar", "a.json"], 1)], tmp_path / "one")
    pack_image([saved(["a.json", "b/layer.tar"], 2)], tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with tarfile.open(tmp_path / "one") as archive:
        assert archive.extractfile("b/layer.tar").read() == b"b/layer.tar"
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}
