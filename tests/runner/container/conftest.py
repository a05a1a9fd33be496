"""Submissions written on the spot, and runs of them in this process."""

from __future__ import annotations

import itertools
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.files.challenge import open_challenge
from runner.files.result import ResultFile, read_result
from runner.tiers.strip import strip
from tests.runner.small import SmallChallenge

NUMBERS = itertools.count()

HEAD = """
import numpy as np
from algorithms.base import Calibration, Reconstruction, unsuited
from schemas.spec import MismatchSpec

def right(sample):
    return Reconstruction(np.full(sample.object_shape, 0.5, np.float32), MismatchSpec())

class Method:
"""


@pytest.fixture(autouse=True)
def settings_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread; nothing from the tester's own environment; the import path as it was."""
    for name in ("STEM4D_ALGORITHM", "STEM4D_SEED", "STEM4D_LIMITS", "STEM4D_NONCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STEM4D_THREADS", "1")
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture(scope="session")
def blind(small_challenge: SmallChallenge, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a container gets: the small challenge without its truth."""
    return strip(small_challenge.path, tmp_path_factory.mktemp("blind") / "challenge.h5")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


@pytest.fixture
def submission(tmp_path: Path) -> Callable[[str], str]:
    """The name of an algorithm whose class body is given; `right(sample)` is a valid answer."""

    def write(body: str) -> str:
        path = tmp_path / f"method_{next(NUMBERS)}.py"
        path.write_text(HEAD + textwrap.indent(textwrap.dedent(body), "    "), encoding="utf-8")
        return f"{path}:Method"

    return write


@pytest.fixture
def result_of(blind: Path, output: Path) -> Callable[[], ResultFile]:
    """The result in the output folder: valid, but for samples that are missing; nothing beside."""

    def read() -> ResultFile:
        assert {path.name for path in output.iterdir()} <= {"result.h5", "progress.jsonl"}
        with open_challenge(blind) as challenge:
            result, findings = read_result(output / "result.h5", challenge)
        assert {entry.code for entry in findings} <= {"RESULT_SAMPLE_MISSING"}
        assert result is not None
        return result

    return read
