"""Stopped in the middle, and taken up again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

import runner.container.run
from runner.container.stop import StopRequestedError, StopSignal
from runner.files.result import ResultFile
from schemas import ExitCode, ProgressLine, record_from_json
from tests.helpers.commands import Command

Submission = Callable[[str], str]
ReadResult = Callable[[], ResultFile]

SIGNALS = [signal.SIGTERM, signal.SIGINT]

STOPPED_IN_THE_SECOND = """
def solve(self, sample):
    import os, time
    if sample.name == "sample_01" and os.environ.get("STOP"):
        os.kill(os.getpid(), int(os.environ["STOP"]))
        time.sleep(60)
    return Reconstruction(
        np.random.random(sample.object_shape) + float(sample.name[-1]), MismatchSpec()
    )
"""


def assert_stopped(code: int, text: str) -> None:
    assert code == ExitCode.ALGORITHM
    for word in ("STOPPED", "--resume", "do:"):
        assert word in text
    assert "Traceback" not in text


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_the_middle_leaves_what_is_finished(
    stem4d: Command,
    blind: Path,
    output: Path,
    submission: Submission,
    result_of: ReadResult,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    monkeypatch.setenv("STOP", str(int(number)))
    before = signal.getsignal(number)
    begun = time.monotonic()
    done = stem4d("run", blind, output, "--algorithm", submission(STOPPED_IN_THE_SECOND))
    assert time.monotonic() - begun < 10
    assert_stopped(done.code, done.err)
    assert sorted(result_of().samples) == ["sample_00"]
    assert signal.getsignal(number) == before


def test_a_signal_that_the_algorithm_swallows_still_ends_the_run(
    stem4d: Command, blind: Path, output: Path, submission: Submission, result_of: ReadResult
) -> None:
    """`except:` hides it until the sample is done; that sample is kept, the next not begun."""
    name = submission("""
        def solve(self, sample):
            import os, signal
            assert sample.name == "sample_00", "the run goes on"
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            except:
                pass
            return right(sample)
    """)
    done = stem4d("run", blind, output, "--algorithm", name)
    assert_stopped(done.code, done.err)
    assert sorted(result_of().samples) == ["sample_00"]


def test_a_signal_during_a_write_lets_the_write_end(
    stem4d: Command,
    blind: Path,
    output: Path,
    submission: Submission,
    result_of: ReadResult,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = runner.container.run.write_result

    def interrupted(path: Path, result: ResultFile) -> None:
        if len(result.samples) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        write(path, result)

    monkeypatch.setattr("runner.container.run.write_result", interrupted)
    name = submission("def solve(self, sample): return right(sample)")
    done = stem4d("run", blind, output, "--algorithm", name)
    assert_stopped(done.code, done.err)
    assert sorted(result_of().samples) == ["sample_00"]
    assert len((output / "progress.jsonl").read_text().splitlines()) == 1


def test_a_process_of_its_own(
    blind: Path, output: Path, submission: Submission, result_of: ReadResult
) -> None:
    """SIGTERM from outside, as `docker stop` sends it to the image's process."""
    name = submission("""
        def solve(self, sample):
            import time
            if sample.name == "sample_01":
                time.sleep(60)
            return right(sample)
    """)
    command = [sys.executable, "-m", "runner.container", str(blind), str(output)]
    process = subprocess.Popen(
        [*command, "--algorithm", name], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    progress = output / "progress.jsonl"
    begun = time.monotonic()
    while not progress.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() - begun < 60
        time.sleep(0.05)
    process.terminate()
    out, err = process.communicate(timeout=30)
    assert_stopped(process.returncode, err)
    assert out == ""
    assert sorted(result_of().samples) == ["sample_00"]


# --- taken up again -------------------------------------------------------------------------------


def test_resumed_is_as_if_never_stopped(
    stem4d: Command,
    blind: Path,
    output: Path,
    submission: Submission,
    result_of: ReadResult,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = submission("""
        def solve(self, sample):
            import os, time
            if sample.name == "sample_01" and os.environ.get("STOP"):
                os.kill(os.getpid(), int(os.environ["STOP"]))
                time.sleep(60)
            rng = np.random.default_rng([sample.seed, int(sample.name[-1])])
            return Reconstruction(rng.random(sample.object_shape), MismatchSpec(), {"a": [1, 0.1]})
    """)
    assert stem4d("run", blind, output, "--algorithm", name, "--resume").code == 0
    whole = result_of()

    monkeypatch.setenv("STOP", str(int(signal.SIGTERM)))
    assert stem4d("run", blind, output, "--algorithm", name).code == ExitCode.ALGORITHM
    first_seconds = result_of().run_info.samples["sample_00"]
    monkeypatch.delenv("STOP")
    done = stem4d("run", blind, output, "--algorithm", name, "--resume")
    assert done.code == 0, done.err
    resumed = result_of()

    assert resumed.provenance == whole.provenance
    assert sorted(resumed.samples) == sorted(whole.samples)
    for key, sample in whole.samples.items():
        assert resumed.samples[key].x_hat.tobytes() == sample.x_hat.tobytes()
        assert resumed.samples[key].corrected_spec == sample.corrected_spec
        assert resumed.samples[key].diagnostics == sample.diagnostics
    assert resumed.run_info.samples["sample_00"] == first_seconds
    lines = (output / "progress.jsonl").read_text().splitlines()
    told = [record_from_json(ProgressLine, line) for line in lines]
    assert [(line.sample, line.resumed) for line in told] == [
        ("sample_00", True),
        ("sample_01", False),
    ]


def test_without_resume_a_run_begins_anew(
    stem4d: Command, blind: Path, output: Path, submission: Submission
) -> None:
    name = submission("""
        def solve(self, sample):
            print("solving", sample.name)
            return right(sample)
    """)
    for extra, solved in (((), 2), (("--resume",), 0), ((), 2)):
        done = stem4d("run", blind, output, "--algorithm", name, *extra)
        assert done.code == 0
        assert done.out.count("solving") == solved


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("--seed", "1"), "another run"),
        (("--algorithm", "cpu-baseline+none"), "another run"),
        ((), "damaged"),
    ],
)
def test_what_cannot_be_resumed(
    stem4d: Command, blind: Path, output: Path, change: tuple[str, ...], words: str
) -> None:
    """Another seed or algorithm, or a file that is none: said so, and left as it is."""
    call: tuple[Any, ...] = ("run", blind, output, "--algorithm", "cpu-baseline+midpoint")
    assert stem4d(*call).code == 0
    path = output / "result.h5"
    if not change:
        os.truncate(path, 100)
    before = path.read_bytes()
    done = stem4d(*call, *change, "--resume")
    assert done.code == ExitCode.USAGE
    assert words in done.err
    assert "--resume" in done.err
    assert path.read_bytes() == before


def test_while_it_is_resumed_nothing_finished_is_lost(
    stem4d: Command,
    blind: Path,
    output: Path,
    submission: Submission,
    result_of: ReadResult,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second sample was finished, the first is taken up, and the run is stopped again."""
    name = submission(STOPPED_IN_THE_SECOND.replace("sample_01", "sample_00"))
    assert stem4d("run", blind, output, "--algorithm", name).code == 0
    with h5py.File(output / "result.h5", "r+") as file:
        del file["sample_00"]
    monkeypatch.setenv("STOP", str(int(signal.SIGTERM)))
    done = stem4d("run", blind, output, "--algorithm", name, "--resume")
    assert done.code == ExitCode.ALGORITHM
    assert sorted(result_of().samples) == ["sample_01"]


# --- the signal by itself -------------------------------------------------------------------------


def test_a_held_block_is_not_interrupted() -> None:
    reached = []

    def write(stop: StopSignal) -> None:
        with stop.held():
            os.kill(os.getpid(), signal.SIGTERM)
            reached.append("the end of the block")

    with StopSignal() as stop, pytest.raises(StopRequestedError):
        write(stop)
    assert reached == ["the end of the block"]


def test_outside_a_held_block_it_is_at_once() -> None:
    def solve() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)

    begun = time.monotonic()
    with StopSignal(), pytest.raises(StopRequestedError):
        solve()
    assert time.monotonic() - begun < 5


def test_an_algorithm_s_own_handler_does_not_swallow_it() -> None:
    assert not issubclass(StopRequestedError, Exception)


def test_an_error_in_a_held_block_is_told_and_not_the_signal() -> None:
    """A disk that is full just when the run is stopped: the disk is what matters."""

    def write(stop: StopSignal) -> None:
        with stop.held():
            os.kill(os.getpid(), signal.SIGTERM)
            raise OSError("disk full")

    with StopSignal() as stop, pytest.raises(OSError, match="disk full"):
        write(stop)
