"""Owners: the dead are known for certain, and nobody else is taken for dead."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from runner.harness.owner import is_dead, this_process

PRINT_OWNER = "from runner.harness.owner import this_process; print(this_process().text())"


def owner_of_a_dead_process() -> str:
    done = subprocess.run(
        [sys.executable, "-c", PRINT_OWNER], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_this_process_lives() -> None:
    assert not is_dead(this_process().text())


def test_a_process_that_has_ended_is_dead() -> None:
    assert is_dead(owner_of_a_dead_process())


def test_a_process_that_runs_is_alive() -> None:
    code = f"{PRINT_OWNER}; import sys; sys.stdout.flush(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        text = process.stdout.readline().strip()
        assert not is_dead(text)
        process.kill()
        # Not yet waited for: a zombie has a number, and holds nothing any more.
        process.stdout.read()
        while not is_dead(text):
            pass


def test_a_number_that_is_used_again_is_another_process() -> None:
    assert is_dead(replace(this_process(), started="1").text())


def test_an_earlier_start_of_this_machine_is_over() -> None:
    assert is_dead(replace(this_process(), boot="another").text())


@pytest.mark.parametrize("other", [{"machine": "another"}, {"space": "pid:[1]"}])
def test_who_cannot_be_seen_is_not_dead(other: dict[str, str]) -> None:
    here = replace(this_process(), pid=2**22 + 1, **other)  # type: ignore[arg-type]
    assert not is_dead(here.text())


@pytest.mark.parametrize("text", ["", "me", "a/b/c/x/d", "a/b/c/1/d/e"])
def test_a_label_of_no_sense_has_no_dead_owner(text: str) -> None:
    assert not is_dead(text)
