"""Progress: lines for programs, words for people."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pytest

from runner.container import progress as module
from runner.container.progress import LOG_S, Progress
from schemas import ContractError, ProgressLine, record_from_json


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def lines(path: Path) -> list[ProgressLine]:
    return [record_from_json(ProgressLine, text) for text in path.read_text().splitlines()]


def test_time_left_is_the_mean_of_what_was_solved(clock: Clock, tmp_path: Path) -> None:
    """A sample taken over from an earlier run took no time, and says nothing of the others."""
    stream = io.StringIO()
    progress = Progress(4, tmp_path / "progress.jsonl", stream)
    progress.begin("sample_00")
    progress.finish(resumed=True)
    for name, seconds in (("sample_01", 10.0), ("sample_02", 20.0), ("sample_03", 3.0)):
        progress.begin(name)
        clock.now += seconds
        progress.finish()
    found = lines(tmp_path / "progress.jsonl")
    assert [line.index for line in found] == [1, 2, 3, 4]
    assert [line.seconds for line in found] == [0, 10, 20, 3]
    assert [line.eta_s for line in found] == [0, 20, 15, 0]
    assert [line.resumed for line in found] == [True, False, False, False]
    assert "sample_02 done, 3 of 4: 20.0 s, about 15 s left" in stream.getvalue()
    assert "kept from an earlier run" in stream.getvalue()


@pytest.mark.parametrize(("limit_s", "told"), [(100.0, "of 100 s"), (30.0, "MORE than the limit")])
def test_the_first_sample_gives_a_forecast_of_the_run(
    clock: Clock, tmp_path: Path, limit_s: float, told: str
) -> None:
    stream = io.StringIO()
    progress = Progress(4, tmp_path / "progress.jsonl", stream, limit_s=limit_s, run_began=95.0)
    for name in ("sample_00", "sample_01"):
        progress.begin(name)
        clock.now += 10
        progress.finish()
    assert stream.getvalue().count("forecast") == 1, "told once, after the first"
    assert "forecast: about 45 s for all 4 samples" in stream.getvalue()
    assert told in stream.getvalue()


def test_a_sample_left_out_is_told_and_costs_no_time(clock: Clock, tmp_path: Path) -> None:
    stream = io.StringIO()
    progress = Progress(3, tmp_path / "progress.jsonl", stream)
    progress.begin("sample_00")
    progress.leave_out()
    for name in ("sample_01", "sample_02"):
        progress.begin(name)
        clock.now += 10
        progress.finish()
    assert [line.index for line in lines(tmp_path / "progress.jsonl")] == [1, 2]
    assert [line.eta_s for line in lines(tmp_path / "progress.jsonl")] == [10, 0]
    assert "sample_00 left out" in stream.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_log_is_not_flooded(clock: Clock, tmp_path: Path, terminal: bool) -> None:
    stream = Terminal() if terminal else io.StringIO()
    progress = Progress(1, tmp_path / "progress.jsonl", stream)
    progress.begin("sample_00")
    for step in range(1000):
        clock.now += 0.1
        progress.update(step / 1000)
    told = stream.getvalue().count("%")
    if terminal:
        assert told == pytest.approx(100 / module.REDRAW_S, abs=3, rel=0.25)
    else:  # every 2 s for 20 s, then ever more rarely
        thinning = math.log(100 / 20) / math.log(1 + module.LOG_FRACTION)
        assert told == pytest.approx(20 / LOG_S + thinning, abs=4)
    assert ("\r" in stream.getvalue()) == terminal


@pytest.mark.parametrize("fraction", [-1.0, 0.0, 0.5, 7.0])
def test_a_fraction_that_makes_no_sense_is_no_error(
    clock: Clock, tmp_path: Path, fraction: float
) -> None:
    stream = io.StringIO()
    progress = Progress(1, tmp_path / "progress.jsonl", stream)
    progress.begin("sample_00")
    clock.now += LOG_S + 1
    progress.update(fraction)
    assert "sample_00 (1 of 1)" in stream.getvalue()


def test_quiet_tells_programs_alone(clock: Clock, tmp_path: Path) -> None:
    stream = io.StringIO()
    progress = Progress(1, tmp_path / "progress.jsonl", stream, quiet=True)
    progress.begin("sample_00")
    clock.now += 1000
    progress.update(0.5)
    progress.finish()
    assert stream.getvalue() == ""
    assert len(lines(tmp_path / "progress.jsonl")) == 1


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    progress = Progress(1, tmp_path / "none" / "progress.jsonl", io.StringIO())
    progress.begin("sample_00")
    with pytest.raises(ContractError, match="OUTPUT_NOT_WRITABLE"):
        progress.finish()
