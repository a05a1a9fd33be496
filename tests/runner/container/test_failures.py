"""Runs that cannot go well: the exit code, what is said, and what is left behind.

Every failure is told as findings with a code, what was expected, what was found and what to do; it
leaves either no output or a valid result of what was finished.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from runner.container.main import find_challenge
from runner.files.hdf5 import atomic_path, make_folder
from runner.files.result import ResultFile
from schemas import Blame, ContractError, ExitCode
from schemas.findings import CODES
from tests.helpers.commands import Command, Outcome
from tests.helpers.damage import Damage, drop, garble_chunk, poke, put

FAST = "cpu-baseline+midpoint"

Submission = Callable[[str], str]
ReadResult = Callable[[], ResultFile]


def assert_told(done: Outcome, code: str, *words: str) -> None:
    """The exit code that `code` has; one whole finding; no stack trace."""
    blame = CODES[code].blame
    expected = {
        Blame.SUBMISSION: ExitCode.ALGORITHM,
        Blame.LIMITS: ExitCode.ALGORITHM,
        Blame.INPUT: ExitCode.INPUT,
        Blame.USAGE: ExitCode.USAGE,
    }[blame]
    assert done.code == expected, done.err
    for word in (code, "expected:", "found:", "do:", *words):
        assert word in done.err, done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def assert_nothing_half_written(output: Path) -> None:
    """No output at all, or a valid result without a sample."""
    if not output.exists():
        return
    assert {path.name for path in output.iterdir()} <= {"result.h5"}
    for path in output.iterdir():
        with h5py.File(path) as file:
            assert list(file) == []
            assert "provenance" in file.attrs


# --- the input ------------------------------------------------------------------------------------


def test_no_such_path(stem4d: Command, tmp_path: Path, output: Path) -> None:
    done = stem4d("run", tmp_path / "none.h5", output)
    assert_told(done, "INPUT_NOT_FOUND", "none.h5", "no such path", "--input")
    assert not output.exists()


def test_nothing_mounted(stem4d: Command, output: Path) -> None:
    """Without an argument: /input, which this machine does not have."""
    if Path("/input").exists():
        pytest.skip("this machine has an /input")
    assert_told(stem4d("run"), "INPUT_NOT_FOUND", "/input", "docker run -v")


@pytest.mark.parametrize("names", [[], ["readme.txt", "scan.hdf5"]])
def test_a_folder_without_a_challenge(
    stem4d: Command, tmp_path: Path, output: Path, names: list[str]
) -> None:
    folder = tmp_path / "input"
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    done = stem4d("run", folder, output)
    assert_told(done, "INPUT_NOT_FOUND", *(names or ["nothing"]))
    assert not output.exists()


def test_two_challenges(stem4d: Command, blind: Path, tmp_path: Path, output: Path) -> None:
    folder = tmp_path / "input"
    folder.mkdir()
    for name in ("a.h5", "b.h5"):
        shutil.copy(blind, folder / name)
    assert_told(stem4d("run", folder, output), "INPUT_AMBIGUOUS", "a.h5", "b.h5", "--input")
    assert not output.exists()


def test_a_truncated_file(stem4d: Command, blind: Path, tmp_path: Path, output: Path) -> None:
    copy = Path(shutil.copy(blind, tmp_path / "challenge.h5"))
    os.truncate(copy, copy.stat().st_size // 2)
    done = stem4d("run", copy, output, "--algorithm", FAST)
    assert_told(done, "INPUT_NOT_HDF5", "challenge.h5", "truncated")
    assert_nothing_half_written(output)


@pytest.mark.parametrize(
    ("code", "damage"),
    [
        ("INPUT_MISSING_ITEM", drop("sample_01/H_ideal")),
        ("INPUT_MALFORMED", put("sample_01@spec_ranges", "[")),
        ("INPUT_UNSUPPORTED", put("sample_01/H_ideal", np.ones((8, 8, 16, 16)))),
        ("INPUT_VERSION", put("/@contract_version", "2.0")),
    ],
)
def test_a_faulty_last_sample_is_told_before_the_first_is_solved(
    stem4d: Command,
    blind: Path,
    tmp_path: Path,
    output: Path,
    submission: Submission,
    code: str,
    damage: Damage,
) -> None:
    copy = Path(shutil.copy(blind, tmp_path / "challenge.h5"))
    with h5py.File(copy, "r+") as file:
        damage(file)
    trap = submission("def solve(self, sample): raise SystemExit('solved before all was read')")
    assert_told(stem4d("run", copy, output, "--algorithm", trap), code)
    assert_nothing_half_written(output)


def test_patterns_that_cannot_be_read_are_not_the_algorithm_s_fault(
    stem4d: Command, blind: Path, tmp_path: Path, output: Path
) -> None:
    """They are met inside the algorithm, which asks for them block by block."""
    copy = Path(shutil.copy(blind, tmp_path / "challenge.h5"))
    garble_chunk(copy, "sample_00/y")
    assert_told(stem4d("run", copy, output, "--algorithm", FAST), "INPUT_NOT_HDF5", "sample_00/y")
    shutil.copy(blind, copy)
    with h5py.File(copy, "r+") as file:
        poke("sample_00/y", (0, 0, 0, 0), float("nan"))(file)
    assert_told(stem4d("run", copy, output, "--algorithm", FAST), "INPUT_MALFORMED", "NaN")


def test_the_oracle_refuses_a_blind_file(stem4d: Command, blind: Path, output: Path) -> None:
    done = stem4d("run", blind, output, "--algorithm", "cpu-baseline+oracle")
    assert_told(done, "TRUTH_MISSING", "true_spec", "+gradient")
    assert_nothing_half_written(output)


# --- usage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("magic", ["magic", "ptychography", "cpu-baseline"]),
        ("ptychography+magic", ["magic", "gradient", "pacbed"]),
        ("nowhere.py:Method", ["nowhere.py"]),
    ],
)
def test_an_unknown_algorithm(
    stem4d: Command, blind: Path, output: Path, name: str, words: list[str]
) -> None:
    assert_told(stem4d("run", blind, output, "--algorithm", name), "ALGORITHM_UNKNOWN", *words)
    assert_nothing_half_written(output)


@pytest.mark.parametrize(
    "words", [("--seed", "-1"), ("--seed", "many"), ("--seed", str(2**64)), ("--speed", "9")]
)
def test_a_wrong_option(stem4d: Command, blind: Path, output: Path, words: tuple[str, ...]) -> None:
    done = stem4d("run", blind, output, *words)
    assert done.code == ExitCode.USAGE
    assert words[0] in done.err
    assert not output.exists()


@pytest.mark.parametrize("place", ["a_file", "a_file/below"])
def test_an_output_that_is_no_folder(
    stem4d: Command, blind: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / "a_file").write_text("the user's own")
    done = stem4d("run", blind, tmp_path / place, "--algorithm", FAST)
    assert_told(done, "OUTPUT_NOT_WRITABLE", place, "--output")
    assert (tmp_path / "a_file").read_text() == "the user's own"


def test_a_folder_in_the_result_s_place(stem4d: Command, blind: Path, output: Path) -> None:
    (output / "result.h5").mkdir(parents=True)
    done = stem4d("run", blind, output, "--algorithm", FAST)
    assert_told(done, "OUTPUT_NOT_WRITABLE", "result.h5")
    assert [path.name for path in output.iterdir()] == ["result.h5"]


NOBODY = 65534


def codes_as_nobody(action: Callable[[], object]) -> str:
    """Codes of the findings that `action` ends with when it runs without root's rights."""
    if os.getuid() != 0:
        with pytest.raises(ContractError) as failure:
            action()
        return failure.value.findings[0].code
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        os.setuid(NOBODY)
        try:
            action()
            told = "nothing"
        except ContractError as error:
            told = error.findings[0].code
        except OSError as error:
            told = repr(error)
        os.write(write, told.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as stream:
        told = stream.read()
    os.waitpid(child, 0)
    return told


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """A folder that every user may enter."""
    for parent in (tmp_path, *tmp_path.parents):
        if parent.name.startswith(("pytest-", "popen-")):  # the second are xdist's workers'
            parent.chmod(0o755)
    tmp_path.chmod(0o755)
    return tmp_path


def test_an_output_of_another_user(open_folder: Path) -> None:
    folder = open_folder / "theirs"
    folder.mkdir(mode=0o555)

    def write() -> None:
        make_folder(folder)
        with atomic_path(folder / "result.h5"):
            pass

    assert codes_as_nobody(write) == "OUTPUT_NOT_WRITABLE"
    assert codes_as_nobody(lambda: make_folder(folder / "below")) == "OUTPUT_NOT_WRITABLE"
    assert list(folder.iterdir()) == []


def test_an_input_folder_of_another_user(open_folder: Path) -> None:
    folder = open_folder / "private"
    folder.mkdir(mode=0o000)
    assert codes_as_nobody(lambda: find_challenge(folder)) == "INPUT_NOT_FOUND"
    assert codes_as_nobody(lambda: find_challenge(folder / "below")) == "INPUT_NOT_FOUND"
    assert codes_as_nobody(lambda: find_challenge(folder / "below.h5")) == "INPUT_NOT_FOUND"
    folder.chmod(0o700)


@pytest.mark.parametrize(
    "make", [lambda path: path.symlink_to(path), os.mkfifo], ids=["loop", "pipe"]
)
def test_an_input_that_is_neither_file_nor_folder(tmp_path: Path, make) -> None:
    make(tmp_path / "challenge.h5")
    with pytest.raises(ContractError, match="INPUT_NOT_FOUND"):
        find_challenge(tmp_path / "challenge.h5")


# --- the algorithm --------------------------------------------------------------------------------

SECOND = """
def solve(self, sample):
    if sample.name == "sample_00":
        return right(sample)
    {}
"""

FAILURES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "raises": (
        "ALGORITHM_FAILED",
        ("KeyError", "no such plan", "method_", "in solve"),
        "raise KeyError('no such plan')",
    ),
    "leaves as if all were well": ("ALGORITHM_FAILED", ("SystemExit",), "import sys; sys.exit(0)"),
    "has no memory": ("OUT_OF_MEMORY", ("sample.y.read",), "raise MemoryError"),
    "returns nothing": ("ALGORITHM_OUTPUT", ("NoneType",), "return None"),
    "returns an image alone": ("ALGORITHM_OUTPUT", ("ndarray",), "return right(sample).x_hat"),
    "another shape": (
        "ALGORITHM_OUTPUT",
        ("(32, 32)", "(32, 31)"),
        "return Reconstruction(np.zeros((32, 31), np.float32), MismatchSpec())",
    ),
    "a ragged list": (
        "ALGORITHM_OUTPUT",
        ("x_hat",),
        "return Reconstruction([[1.0], [1.0, 2.0]], MismatchSpec())",
    ),
    "NaN": (
        "ALGORITHM_OUTPUT",
        ("1024 of 1024",),
        "return Reconstruction(np.full((32, 32), np.nan), MismatchSpec())",
    ),
    "beyond float32": (
        "ALGORITHM_OUTPUT",
        ("float32",),
        "return Reconstruction(np.full((32, 32), 1e300), MismatchSpec())",
    ),
    "complex": (
        "ALGORITHM_OUTPUT",
        ("complex128",),
        "return Reconstruction(np.ones((32, 32), complex), MismatchSpec())",
    ),
    "a tensor with a gradient": (
        "ALGORITHM_OUTPUT",
        ("detach",),
        "import torch; x = torch.ones(32, 32, requires_grad=True);"
        " return Reconstruction(x, MismatchSpec())",
    ),
    "no spec": (
        "ALGORITHM_OUTPUT",
        ("MismatchSpec", "None"),
        "return Reconstruction(right(sample).x_hat)",
    ),
    "a spec of another kind": (
        "ALGORITHM_OUTPUT",
        ("MismatchSpec", "dict"),
        "return Reconstruction(right(sample).x_hat, {'camera_length': 1.0})",
    ),
    "a spec out of range": (
        "ALGORITHM_OUTPUT",
        ("camera_length = 4.5", "[-2, 4]", "clipped"),
        "return Reconstruction(right(sample).x_hat, MismatchSpec(camera_length=4.5))",
    ),
    "diagnostics too long": (
        "ALGORITHM_OUTPUT",
        ("diagnostics", "65536"),
        "return Reconstruction(right(sample).x_hat, MismatchSpec(), {'a': 'b' * 70000})",
    ),
    "diagnostics no mapping": (
        "ALGORITHM_OUTPUT",
        ("diagnostics",),
        "return Reconstruction(right(sample).x_hat, MismatchSpec(), [1.0])",
    ),
    "diagnostics that hold themselves": (
        "ALGORITHM_OUTPUT",
        ("diagnostics",),
        "a = {}; a['a'] = a; return Reconstruction(right(sample).x_hat, MismatchSpec(), a)",
    ),
}


@pytest.mark.parametrize("failure", sorted(FAILURES))
def test_a_submission_that_fails_keeps_what_it_finished(
    stem4d: Command,
    blind: Path,
    output: Path,
    submission: Submission,
    result_of: ReadResult,
    failure: str,
) -> None:
    code, words, second = FAILURES[failure]
    name = submission(SECOND.format(second))
    done = stem4d("run", blind, output, "--algorithm", name, "--quiet")
    assert_told(done, code, "sample_01", *words)
    assert sorted(result_of().samples) == ["sample_00"]
    assert len((output / "progress.jsonl").read_text().splitlines()) == 1


def test_a_sample_that_cannot_be_served_does_not_cost_the_others(
    stem4d: Command, blind: Path, output: Path, submission: Submission, result_of: ReadResult
) -> None:
    name = submission("""
        def solve(self, sample):
            if sample.name == "sample_00":
                raise unsuited(sample, needs="disks apart", found="one", instead="ptychography")
            return right(sample)
    """)
    done = stem4d("run", blind, output, "--algorithm", name, "--quiet")
    assert_told(done, "SAMPLE_UNSUITED", "sample_00", "disks apart", "ptychography")
    assert sorted(result_of().samples) == ["sample_01"]
    assert len((output / "progress.jsonl").read_text().splitlines()) == 1


def test_all_faults_of_an_answer_at_once(
    stem4d: Command, blind: Path, output: Path, submission: Submission
) -> None:
    name = submission("""
        def solve(self, sample):
            return Reconstruction(np.zeros(3), MismatchSpec(center_offset=9.0), {"a": "b" * 70000})
    """)
    done = stem4d("run", blind, output, "--algorithm", name, "--json")
    assert done.code == ExitCode.ALGORITHM
    told = done.json()["findings"]
    assert [entry["code"] for entry in told] == ["ALGORITHM_OUTPUT"] * 3
    assert [entry["where"].partition(": ")[2] for entry in told] == ["x_hat", "spec", "diagnostics"]
    assert all(entry["counts_against_quota"] for entry in told)
    assert_nothing_half_written(output)


def test_a_setup_that_fails(
    stem4d: Command, blind: Path, output: Path, submission: Submission
) -> None:
    name = submission("""
        def setup(self): raise FileNotFoundError("weights.pt")
        def solve(self, sample): return right(sample)
    """)
    done = stem4d("run", blind, output, "--algorithm", name)
    assert_told(done, "ALGORITHM_FAILED", "setup()", "weights.pt")
    assert_nothing_half_written(output)


def test_a_failed_run_leaves_no_result_of_an_earlier_one(
    stem4d: Command, blind: Path, output: Path, submission: Submission, result_of: ReadResult
) -> None:
    """What lies in the output folder is this run's, so that nobody scores another's by mistake."""
    assert stem4d("run", blind, output, "--algorithm", FAST).code == 0
    name = submission(SECOND.format("raise ValueError"))
    assert stem4d("run", blind, output, "--algorithm", name).code == ExitCode.ALGORITHM
    assert result_of().provenance.algorithm == name
    assert sorted(result_of().samples) == ["sample_00"]


def test_an_error_of_stem4d_itself_is_not_the_submission_s(
    stem4d: Command, blind: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 5, with the trace: the attempt does not count."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("in the writer")

    monkeypatch.setattr("runner.container.run.write_result", broken)
    done = stem4d("run", blind, output, "--algorithm", FAST)
    assert done.code == ExitCode.INFRASTRUCTURE
    assert "INTERNAL" in done.err
    assert "Traceback" in done.err
