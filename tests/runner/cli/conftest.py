"""A command as a person or a script calls it, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from runner.cli import cli, run_command


class Outcome(NamedTuple):
    """Exit code and the two streams."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one object on stdout."""
        return json.loads(self.out)


@pytest.fixture
def stem4d(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Run a command in this process."""

    def call(*arguments: object) -> Outcome:
        words = [str(argument) for argument in arguments]
        monkeypatch.setattr("sys.argv", ["stem4d", *words])
        capsys.readouterr()
        code = run_command(cli, words)
        return Outcome(code, *capsys.readouterr())

    return call
