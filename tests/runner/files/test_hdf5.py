"""Writing: all or nothing, and errors that say whose fault it is."""

from __future__ import annotations

import errno
import hashlib
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from runner.files.hdf5 import (
    atomic_path,
    attributes_as,
    json_attribute,
    output_error,
    sha256_of,
)
from runner.files.result import ResultFile, SampleResult, write_result
from schemas import (
    ContractError,
    ExitCode,
    MismatchSpec,
    Provenance,
    ResultAttrs,
    RunInfo,
)
from tests.runner.small import SmallChallenge, true_answers, write_answers


@pytest.mark.parametrize("error", [RuntimeError("algorithm"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "result.h5"
    target.write_text("old")

    def write() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half of the new")
            raise error

    with pytest.raises(type(error)):
        write()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_old_content_stands_until_the_new_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "result.h5"
    target.write_text("old")
    reader = target.open()
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
        assert temporary.parent == target.parent, "a rename is atomic on one file system alone"
    assert target.read_text() == "new"
    with reader:
        assert reader.read() == "old", "replaced, not written over: who reads it reads on"
    assert list(tmp_path.iterdir()) == [target]
    assert target.stat().st_mode & 0o777 == 0o644, "the host's user reads what uid 1000 wrote"


def test_a_result_that_cannot_be_written_leaves_the_old_one(
    small_challenge: SmallChallenge, tmp_path: Path
) -> None:
    """The second sample's diagnostics are no JSON: found in the middle of the write."""
    path = write_answers(
        tmp_path / "result.h5", true_answers(small_challenge), input_sha256="0" * 64
    )
    before = sha256_of(path)
    sample = small_challenge.samples[0]
    good = SampleResult(sample.x_true, MismatchSpec().values())
    bad = SampleResult(sample.x_true, MismatchSpec().values(), {"loss": float("nan")})
    whole = write_whole(path, {"sample_00": good, "sample_01": bad})
    with pytest.raises(ValueError, match="JSON"):
        write_result(path, whole)
    assert sha256_of(path) == before
    assert list(tmp_path.iterdir()) == [path]


def write_whole(path: Path, samples: dict[str, SampleResult]) -> ResultFile:
    """The root of the file at `path` with other samples."""
    codes = {"missing": "INTERNAL", "malformed": "INTERNAL"}
    with h5py.File(path) as file:
        return ResultFile(
            attributes_as(file, ResultAttrs, **codes),
            json_attribute(file, "provenance", Provenance, **codes, loose="INTERNAL"),
            json_attribute(file, "run_info", RunInfo, **codes, loose="INTERNAL"),
            samples,
        )


@pytest.mark.parametrize("folder", ["missing", "a_file"])
def test_a_folder_that_cannot_be_written_to(tmp_path: Path, folder: str) -> None:
    (tmp_path / "a_file").write_text("in the way")
    target = tmp_path / folder / "result.h5"
    with pytest.raises(ContractError) as failure, atomic_path(target):
        raise AssertionError("never reached")
    (entry,) = failure.value.findings
    assert entry.code == "OUTPUT_NOT_WRITABLE"
    assert failure.value.exit_code == ExitCode.USAGE
    assert str(target) in entry.where


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "NO_SPACE"),
        (errno.EDQUOT, "NO_SPACE"),
        (errno.EFBIG, "NO_SPACE"),
        (errno.EROFS, "OUTPUT_NOT_WRITABLE"),
        (errno.EACCES, "OUTPUT_NOT_WRITABLE"),
    ],
)
def test_what_the_system_refuses_costs_no_attempt(number: int, code: str) -> None:
    error = output_error(Path("/output/result.h5"), OSError(number, "words of the system"))
    assert isinstance(error, ContractError)
    (entry,) = error.findings
    assert entry.code == code
    assert "words of the system" in entry.found
    assert not entry.counts_against_quota


WRITES_TOO_MUCH = """
import resource, sys
from pathlib import Path
import h5py, numpy as np
from runner.files.hdf5 import atomic_path
from schemas import ContractError

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
try:
    with atomic_path(Path(sys.argv[1])) as temporary, h5py.File(temporary, "w") as file:
        file["noise"] = np.random.default_rng(0).random(10_000)
except ContractError as error:
    print(error.findings[0].code)
    sys.exit(int(error.exit_code))
"""


def test_a_full_disk_under_hdf5_itself(tmp_path: Path) -> None:
    # In a process of its own: the limit would hit whatever file pytest writes its output to.
    run = subprocess.run(
        [sys.executable, "-c", WRITES_TOO_MUCH, str(tmp_path / "result.h5")],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.split() == ["NO_SPACE"], run.stderr
    assert run.returncode == ExitCode.INFRASTRUCTURE
    assert list(tmp_path.iterdir()) == []


def test_sha256(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"4D-STEM" * 400_000)
    assert sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
