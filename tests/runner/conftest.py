"""Fixtures for everything that reads or judges files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.files.hdf5 import sha256_of
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
