"""A run that goes well: what it writes, what it says, and that it does so twice."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from runner.files.hdf5 import sha256_of
from runner.files.result import ResultFile
from schemas import ProgressLine, ResourceLimits, record_from_json
from schemas.version import __version__
from tests.helpers.commands import Command

FAST = "cpu-baseline+midpoint"

Submission = Callable[[str], str]
ReadResult = Callable[[], ResultFile]


def test_a_whole_run(stem4d: Command, blind: Path, output: Path, result_of: ReadResult) -> None:
    done = stem4d("run", "--input", blind, "--output", output, "--algorithm", FAST)
    assert done.code == 0, done.err
    assert done.out == "", "stdout is for data alone"
    assert str(output / "result.h5") in done.err
    result = result_of()
    assert sorted(result.samples) == ["sample_00", "sample_01"]
    assert result.attrs.tier == "blind"
    provenance = result.provenance
    assert provenance.algorithm == FAST
    assert provenance.seed == 0
    assert provenance.runner_version == __version__
    assert provenance.input_sha256 == sha256_of(blind)
    assert provenance.libraries["python"] == platform.python_version()
    assert {"numpy", "torch", "h5py"} <= set(provenance.libraries)
    assert provenance.parameters["reconstructor"] == {"smoothing": 0.5}
    assert sorted(result.run_info.samples) == ["sample_00", "sample_01"]
    assert result.run_info.threads == 1


def test_progress_lines(stem4d: Command, blind: Path, output: Path, result_of: ReadResult) -> None:
    stem4d("run", blind, output, "--algorithm", FAST)
    text = (output / "progress.jsonl").read_text()
    lines = [record_from_json(ProgressLine, line) for line in text.splitlines()]
    assert [line.sample for line in lines] == ["sample_00", "sample_01"]
    assert [(line.index, line.total) for line in lines] == [(1, 2), (2, 2)]
    assert lines[-1].eta_s == 0
    assert not any(line.resumed for line in lines)
    measured = result_of().run_info.samples
    for line in lines:
        assert line.seconds >= measured[line.sample].seconds - 1e-3


@pytest.mark.parametrize("algorithm", ["cpu-baseline+pacbed", "ptychography+gradient"])
def test_two_runs_give_the_same_bytes(
    stem4d: Command, blind: Path, output: Path, result_of: ReadResult, algorithm: str
) -> None:
    results = []
    for _ in range(2):
        assert stem4d("run", blind, output, "--algorithm", algorithm, "--seed", 7).code == 0
        results.append(result_of())
    first, second = results
    assert first.provenance == second.provenance
    for name, sample in first.samples.items():
        assert sample.x_hat.tobytes() == second.samples[name].x_hat.tobytes()
        assert sample.corrected_spec == second.samples[name].corrected_spec


RANDOM = """
def solve(self, sample):
    import random, torch
    x = np.full(sample.object_shape, random.random() + np.random.random(), np.float32)
    return Reconstruction(x + torch.rand(sample.object_shape).numpy(), MismatchSpec(),
                          {"seed": sample.seed})
"""


def test_the_seed_reaches_every_generator(
    stem4d: Command,
    blind: Path,
    output: Path,
    result_of: ReadResult,
    submission: Submission,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = submission(RANDOM)
    images = {}
    for key, seed in (("first", "3"), ("again", "3"), ("other", "4")):
        monkeypatch.setenv("STEM4D_SEED", seed)
        assert stem4d("run", blind, output, "--algorithm", name).code == 0
        result = result_of()
        assert result.provenance.seed == int(seed)
        assert result.samples["sample_01"].diagnostics == {"seed": int(seed)}
        images[key] = result.samples["sample_01"].x_hat
    assert images["first"].tobytes() == images["again"].tobytes()
    assert not np.array_equal(images["first"], images["other"])


def test_ways_to_name_things(
    stem4d: Command,
    blind: Path,
    output: Path,
    result_of: ReadResult,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Options, places, a folder, the environment: the same run. Options win."""
    monkeypatch.setenv("STEM4D_ALGORITHM", FAST)
    images = set()
    for words in (
        ("--input", blind, "--output", output),
        (blind, output),
        (blind.parent, output),
        ("nowhere", "never", "--input", blind, "--output", output),
    ):
        assert stem4d("run", *words).code == 0
        assert result_of().provenance.algorithm == FAST
        images.add(result_of().samples["sample_00"].x_hat.tobytes())
    assert len(images) == 1
    assert stem4d("run", blind, output, "--algorithm", "cpu-baseline+none").code == 0
    assert result_of().provenance.algorithm == "cpu-baseline+none"


def test_json_is_one_object(stem4d: Command, blind: Path, output: Path) -> None:
    done = stem4d("run", blind, output, "--algorithm", FAST, "--json", "--quiet", "--seed", 5)
    assert done.json() == {
        "result": str(output / "result.h5"),
        "algorithm": FAST,
        "seed": 5,
    }
    assert done.err == ""


def test_the_run_s_token_is_in_the_result(
    stem4d: Command,
    blind: Path,
    output: Path,
    result_of: ReadResult,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STEM4D_NONCE", "f00d")
    stem4d("run", blind, output, "--algorithm", FAST)
    assert result_of().provenance.nonce == "f00d"


def test_a_submission_sees_no_truth_in_a_blind_file(
    stem4d: Command, blind: Path, output: Path, submission: Submission, result_of: ReadResult
) -> None:
    name = submission("""
        def solve(self, sample):
            seen = {"truth": sample.true_spec, "name": sample.name, "ranges": sample.ranges.names}
            return Reconstruction(right(sample).x_hat, MismatchSpec(), seen)
    """)
    assert stem4d("run", blind, output, "--algorithm", name).code == 0
    seen = result_of().samples["sample_00"].diagnostics
    assert seen["truth"] is None
    assert seen["name"] == "sample_00"
    assert len(seen["ranges"]) == 3


def test_numbers_of_any_kind_are_taken(
    stem4d: Command, blind: Path, output: Path, submission: Submission, result_of: ReadResult
) -> None:
    """float64 images, torch tensors, numpy numbers in the diagnostics: plain ones are written."""
    name = submission("""
        def solve(self, sample):
            import torch
            x = torch.full(sample.object_shape, 0.25, dtype=torch.float64)
            told = {"n": np.int64(3), "loss": np.float32(0.5), "all": np.arange(2), 1: (x[0, 0],),
                    "nan": float("nan")}
            return Reconstruction(x, MismatchSpec(), told)
    """)
    assert stem4d("run", blind, output, "--algorithm", name).code == 0
    sample = result_of().samples["sample_00"]
    assert sample.x_hat.dtype == np.float32
    assert (sample.x_hat == 0.25).all()
    assert sample.diagnostics == {"n": 3, "loss": 0.5, "all": [0, 1], "1": [0.25], "nan": "nan"}


def test_setup_is_called_once_before_the_first_sample(
    stem4d: Command, blind: Path, output: Path, submission: Submission, result_of: ReadResult
) -> None:
    name = submission("""
        calls = 0

        def setup(self):
            import time
            time.sleep(0.05)
            self.calls += 1

        def solve(self, sample):
            return Reconstruction(right(sample).x_hat, MismatchSpec(), {"calls": self.calls})
    """)
    assert stem4d("run", blind, output, "--algorithm", name).code == 0
    result = result_of()
    assert [sample.diagnostics["calls"] for sample in result.samples.values()] == [1, 1]
    assert result.run_info.setup_seconds >= 0.05
    assert all(cost.seconds < 0.05 for cost in result.run_info.samples.values())


@pytest.mark.parametrize(
    ("sample_s", "run_s", "least", "most"), [(50, 3600, 49, 50), (900, 20, 0, 20)]
)
def test_the_deadline_is_the_sooner_of_both(
    stem4d: Command,
    blind: Path,
    output: Path,
    submission: Submission,
    result_of: ReadResult,
    monkeypatch: pytest.MonkeyPatch,
    sample_s: float,
    run_s: float,
    least: float,
    most: float,
) -> None:
    """The sample's own wall time, or what is left of the run's."""
    limits = ResourceLimits(sample_wall_s=float(sample_s), wall_s=float(run_s))
    monkeypatch.setenv("STEM4D_LIMITS", limits.model_dump_json())
    name = submission("""
        def solve(self, sample):
            left = {"left": sample.seconds_left}
            return Reconstruction(right(sample).x_hat, MismatchSpec(), left)
    """)
    assert stem4d("run", blind, output, "--algorithm", name).code == 0
    left = [sample.diagnostics["left"] for sample in result_of().samples.values()]
    assert all(least < value <= most for value in left)
    if run_s < sample_s:
        assert left[1] < left[0], "the run's time goes on, the sample's begins anew"


@pytest.mark.parametrize(
    ("memory_mib", "patterns_mib", "mebibytes"),
    [(8192, 1536, 1536), (4096, 1536, 1536), (8192, 100, 100), (1024, 1536, 512)],
)
def test_the_memory_for_patterns_is_what_the_limits_say(
    stem4d: Command,
    blind: Path,
    output: Path,
    submission: Submission,
    result_of: ReadResult,
    monkeypatch: pytest.MonkeyPatch,
    memory_mib: int,
    patterns_mib: int,
    mebibytes: int,
) -> None:
    """But never more than half of all memory, however little that is."""
    limits = ResourceLimits(memory_mib=memory_mib, patterns_mib=patterns_mib)
    monkeypatch.setenv("STEM4D_LIMITS", limits.model_dump_json())
    name = submission("""
        def solve(self, sample):
            told = {"bytes": sample.memory_bytes}
            return Reconstruction(right(sample).x_hat, MismatchSpec(), told)
    """)
    assert stem4d("run", blind, output, "--algorithm", name).code == 0
    told = {sample.diagnostics["bytes"] for sample in result_of().samples.values()}
    assert told == {mebibytes * 1024 * 1024}


def test_out_of_time_the_default_still_answers(
    stem4d: Command,
    blind: Path,
    output: Path,
    result_of: ReadResult,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What comes built in heeds the deadline; to kill what does not is the harness's part."""
    limits = ResourceLimits(sample_wall_s=1e-6)
    monkeypatch.setenv("STEM4D_LIMITS", limits.model_dump_json())
    assert stem4d("run", blind, output).code == 0
    assert len(result_of().samples) == 2


def test_an_image_runs_under_a_harness_that_is_newer(
    stem4d: Command, blind: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limits that it does not know are no reason to fail."""
    stated = {**ResourceLimits(sample_wall_s=1e-6).model_dump(mode="json"), "quanta": 7}
    monkeypatch.setenv("STEM4D_LIMITS", json.dumps(stated))
    done = stem4d("run", blind, output)
    assert done.code == 0
    assert "quanta" in done.err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STEM4D_LIMITS", "{"),
        ("STEM4D_LIMITS", "[]"),
        ("STEM4D_LIMITS", '{"memory_mib": "much"}'),
        ("STEM4D_THREADS", "abc"),
        ("STEM4D_THREADS", "0"),
    ],
)
def test_a_malformed_environment_is_named(
    stem4d: Command,
    blind: Path,
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    monkeypatch.setenv(name, value)
    outcome = stem4d("run", blind, output)
    assert outcome.code == 2
    assert name in outcome.err
