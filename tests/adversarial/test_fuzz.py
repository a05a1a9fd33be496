"""A few hundred files of the fuzzer, `python -m tests.adversarial.fuzz`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.adversarial import fuzz as program
from tests.adversarial.files.workshop import furnish
from tests.adversarial.fuzz import fuzz
from tests.adversarial.mutate import MUTATIONS, stock_of
from tests.adversarial.oracle import check_canonical

TRIES = 200


def test_no_file_breaks_a_rule(tmp_path: Path) -> None:
    report = fuzz(TRIES, seed=1, keep=tmp_path)
    assert not report.failures, report.text()
    assert report.tries == TRIES
    assert set(report.by_mutation) == {mutation.__name__ for mutation in MUTATIONS}
    # A fuzzer all of whose files are refused at the door, or let through, tries nothing.
    assert report.whole + report.partial > TRIES // 20
    assert len(report.by_code) > 10


def test_a_file_is_the_same_whenever_it_is_made(tmp_path: Path) -> None:
    """`seed-number` names a file for ever."""
    stock = stock_of(furnish(tmp_path))
    for mutation in MUTATIONS:
        one, two = (mutation(random.Random("7"), stock) for _ in range(2))
        assert one == two, mutation.__name__


def test_the_fuzzer_finds_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An oracle that is never content: each accepted file is a failure, and is kept."""

    def refuse(*arguments: object) -> None:
        check_canonical(*arguments)
        raise AssertionError("not content")

    monkeypatch.setattr(program, "check_canonical", refuse)
    keep = tmp_path / "kept"
    monkeypatch.setattr("sys.argv", ["fuzz", "--tries", "20", "--seed", "1", "--keep", str(keep)])
    assert program.main() == 1
    said = capsys.readouterr().out
    assert "not content" in said
    kept = list(keep.iterdir())
    assert 0 < len(kept) < 20
    assert all(path.stem.startswith("1-") and path.stem in said for path in kept)
