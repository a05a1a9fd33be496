"""Fixtures for everything that reads or judges files, and for commands in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.cli import cli
from runner.container.command import run_command
from runner.files.hdf5 import sha256_of
from tests.helpers.commands import Command, Outcome
from tests.runner.small import (
    Answers,
    SmallChallenge,
    true_answers,
    write_answers,
    write_small_challenge,
)


@pytest.fixture(scope="session")
def small_challenge(tmp_path_factory: pytest.TempPathFactory) -> SmallChallenge:
    """A public challenge file of two samples; read-only for the tests."""
    folder = tmp_path_factory.mktemp("challenge")
    return write_small_challenge(folder / "electron_diffraction_challenge_public.h5")


@pytest.fixture
def answers(small_challenge: SmallChallenge) -> Answers:
    """The true answer to every sample; a fresh one for each test."""
    return true_answers(small_challenge)


@pytest.fixture
def write_result_file(small_challenge: SmallChallenge, tmp_path: Path) -> Callable[[Answers], Path]:
    """Write a result file for the small challenge."""
    digest = sha256_of(small_challenge.path)
    return lambda given: write_answers(tmp_path / "result.h5", given, input_sha256=digest)


@pytest.fixture
def stem4d(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command as a person or a script calls it, in this process."""

    def call(*arguments: object) -> Outcome:
        words = [str(argument) for argument in arguments]
        monkeypatch.setattr("sys.argv", ["stem4d", *words])
        capsys.readouterr()
        code = run_command(cli, words)
        return Outcome(code, *capsys.readouterr())

    return call
