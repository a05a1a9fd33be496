"""Self-test of an algorithm: what keeps the rules passes, and each broken rule is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.pipeline.selftest import SelfTest, run, selftest
from runner.pipeline.selftest.samples import FORMS

WELL = """
import numpy as np
from algorithms.base import Reconstruction


class Well:
    def reconstruct(self, sample, spec):
        total = 0.0
        ny, nx = sample.scan_shape
        for start in range(0, ny * nx, 512):
            if sample.seconds_left <= 0:
                break
            total += float(sample.y.read(start, min(start + 512, ny * nx)).sum())
        return Reconstruction(np.full(sample.object_shape, total % 1.0, dtype=np.float32))
"""

BADLY = """
import os, time
import numpy as np, torch
from pathlib import Path
from algorithms.base import Reconstruction
from schemas.spec import MismatchSpec


class Badly:
    def solve(self, sample):
        sample.operator.probe[0, 0] += 1.0
        Path("left_behind.txt").write_text("here")
        torch.set_num_threads(1 + torch.get_num_threads() % 2)
        if sample.name.startswith("more"):
            time.sleep(2.5)
        kept = [sample.counts().astype(np.float64)]
        if sample.name.startswith("large"):
            time.sleep(1)
        x = np.random.default_rng(os.getpid()).uniform(size=sample.object_shape)
        if sample.name == "odd object":
            x = x[:-1]
        return Reconstruction(x, MismatchSpec())
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Shorter waits; the children work in a folder of their own."""
    for name, value in (("DEADLINE_S", 1.0), ("SLACK_S", 1.0), ("KILL_S", 120.0)):
        monkeypatch.setattr(run, name, value)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv(
        "TMPDIR", str(tmp_path / "tmp")
    )  # else all of pytest lies in the allowed one
    monkeypatch.chdir(tmp_path)


def tried(code: str, name: str, folder: Path) -> SelfTest:
    file = folder / "method.py"
    file.write_text(code)
    return selftest(f"{file}:{name}")


def test_what_keeps_the_rules_passes(quick: None, tmp_path: Path) -> None:
    report = tried(WELL, "Well+midpoint", tmp_path)
    assert report.passed, report
    rules = [trial.rule for trial in report.trials]
    assert len(rules) == len(set(rules)) == len(FORMS) + 7


def test_every_broken_rule_is_named(quick: None, tmp_path: Path) -> None:
    report = tried(BADLY, "Badly", tmp_path)
    found = {t.rule: t.finding.code for t in report.trials if t.finding is not None}
    assert found == {
        "result: odd object": "ALGORITHM_OUTPUT",
        "same bytes in two runs": "NOT_DETERMINISTIC",
        "inputs left alone": "ALGORITHM_CHANGES_INPUT",
        "writes no files": "ALGORITHM_WRITES",
        "threads as given": "ALGORITHM_THREADS",
        "honours its deadline": "SAMPLE_TIMEOUT",
        "bounded memory": "OUT_OF_MEMORY",
    }


def test_what_does_not_load_is_told_by_itself(quick: None, tmp_path: Path) -> None:
    report = tried("import nothing_of_that_name\n", "Any", tmp_path)
    assert [t.finding.code for t in report.trials if t.finding] == ["ALGORITHM_NOT_LOADED"]
    assert not report.passed
