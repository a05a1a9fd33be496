"""Copies of good files, to be damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from tests.helpers.damage import Damage
from tests.runner.small import Answers, SmallChallenge


def _damage(path: Path, damage: Damage) -> Path:
    with h5py.File(path, "r+") as file:
        damage(file)
    return path


@pytest.fixture
def damaged_challenge(small_challenge: SmallChallenge, tmp_path: Path) -> Callable[[Damage], Path]:
    """A copy of the small challenge after `damage(open file)`."""
    copy = tmp_path / "challenge.h5"
    return lambda damage: _damage(Path(shutil.copy(small_challenge.path, copy)), damage)


@pytest.fixture
def damaged_result(
    write_result_file: Callable[[Answers], Path], answers: Answers
) -> Callable[[Damage], Path]:
    """A result of two right answers after `damage(open file)`."""
    return lambda damage: _damage(write_result_file(answers), damage)
