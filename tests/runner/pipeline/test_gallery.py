"""Four scenarios with a submission that the test writes itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from runner.files.challenge import ChallengeSample, open_challenge, write_challenge
from runner.files.hdf5 import sha256_of
from runner.pipeline.backend import BackendName, Execution
from runner.pipeline.gallery import COLUMNS, GalleryPlan, GalleryReport, make_gallery
from runner.pipeline.views import oracle_view
from runner.tiers.strip import strip
from schemas import ContractError, MismatchSpec, finding, record_from_json
from tests.runner.small import SmallChallenge, make_sample, write_answers

FAILED = finding("ALGORITHM_FAILED", "x", expected="no exception", found="one", hint="mend it")
UNKNOWN = finding("ALGORITHM_UNKNOWN", "x", expected="a name", found="magic", hint="spell it")
ENDED = finding("STOPPED", "x", expected="an end", found="Ctrl-C", hint="go on")

PLAIN = "mine+gradient"
ERROR_OF = {"mine+none": 0.4, "mine+gradient": 0.1, "mine+oracle": 0.05}
"""By how much the image of each algorithm is off, everywhere."""


def silent(_: str) -> None:
    """Nobody listens."""


@dataclass
class Scripted:
    """Answers with the truth plus the algorithm's error; `failures` gives findings instead."""

    truth: dict[str, np.ndarray]
    failures: dict[str, tuple] = field(default_factory=dict)
    name: BackendName = "process"
    calls: list[str | None] = field(default_factory=list)
    seen: dict[str, list[ChallengeSample]] = field(default_factory=dict)

    def run(self, challenge: Path, output: Path, *, algorithm: str | None, seed: int) -> Execution:
        self.calls.append(algorithm)
        chosen = algorithm or PLAIN
        if chosen in self.failures:
            return Execution(None, 0.5, self.failures[chosen])
        with open_challenge(challenge) as file:
            assert file.attrs.tier == "blind"
            samples = [replace(s, y=s.y.read(0, 1)) for s in file]
        self.seen.setdefault(output.name, samples)
        answers = {s.name: (self.truth[s.name] + ERROR_OF[chosen], MismatchSpec()) for s in samples}
        digest = sha256_of(challenge)
        result = write_answers(output / "result.h5", answers, input_sha256=digest, algorithm=chosen)
        return Execution(result, 0.5)


@pytest.fixture
def backend(small_challenge: SmallChallenge) -> Scripted:
    return Scripted({sample.name: sample.x_true for sample in small_challenge.samples})


@pytest.fixture
def plan(small_challenge: SmallChallenge, tmp_path: Path) -> GalleryPlan:
    return GalleryPlan(small_challenge.path, None, PLAIN, tmp_path / "out")


def test_each_scenario_has_its_own_calibrator_and_figures(plan, backend) -> None:
    report = make_gallery(plan, backend, silent)
    assert sorted(backend.calls) == sorted(["mine+none", "mine+none", "mine+oracle", PLAIN])
    assert [outcome.name for outcome in report.scenarios] == list(COLUMNS)
    errors = {"I": 0.4, "II": 0.4, "III-oracle": 0.05, "III-blind": 0.1}
    for row in (*report.gallery.scenes, report.gallery.mean):
        for name, error in errors.items():
            assert row.scenarios[name].psnr_db == pytest.approx(-20 * np.log10(error), abs=1e-3)
    assert report.findings == ()


def test_only_the_oracle_sees_the_spec_and_nobody_the_image(plan, backend, small_challenge) -> None:
    make_gallery(plan, backend, silent)
    assert set(backend.seen) == set(COLUMNS)
    for name, samples in backend.seen.items():
        for sample, original in zip(samples, small_challenge.samples, strict=True):
            assert sample.x_true is None
            told = original.true_spec if name == "III-oracle" else None
            assert sample.true_spec == told


def test_nominal_data_are_given_in_scenario_I_alone(plan, backend, small_challenge) -> None:
    make_gallery(plan, backend, silent)
    original = small_challenge.samples[0].y.read(0, 1)
    same = {name: np.array_equal(s[0].y, original) for name, s in backend.seen.items()}
    assert same == {"I": False, "II": True, "III-oracle": True, "III-blind": True}


def test_picture_and_report_are_written_and_nothing_else(plan, backend) -> None:
    report = make_gallery(plan, backend, silent)
    assert {p.name for p in plan.output.iterdir()} == {"scenarios.png", "scenarios.json"}
    assert [p for p in plan.output.parent.iterdir() if p.name.startswith(".")] == []
    assert record_from_json(GalleryReport, (plan.output / "scenarios.json").read_bytes()) == report


def test_the_image_s_own_choice_names_the_others(plan, backend) -> None:
    report = make_gallery(replace(plan, algorithm=None), backend, silent)
    assert backend.calls[0] is None
    assert sorted(backend.calls[1:]) == ["mine+none", "mine+none", "mine+oracle"]
    assert report.algorithm == PLAIN


@pytest.mark.parametrize("failing", ["mine+oracle", PLAIN])
def test_a_scenario_that_fails_is_missing_with_its_reason(plan, backend, failing: str) -> None:
    said: list[str] = []
    backend.failures[failing] = (FAILED,)
    report = make_gallery(plan, backend, said.append)
    name = {"mine+oracle": "III-oracle", PLAIN: "III-blind"}[failing]
    assert set(report.gallery.mean.scenarios) == {*COLUMNS} - {name}
    assert {o.name: o.findings for o in report.scenarios if o.findings} == {name: (FAILED,)}
    assert any(f"scenario {name} is incomplete" in line for line in said)
    assert (plan.output / "scenarios.png").stat().st_size > 10_000


def test_an_algorithm_that_cannot_be_run_is_told_at_once(plan, backend) -> None:
    backend.failures[PLAIN] = (UNKNOWN,)
    with pytest.raises(ContractError) as failure:
        make_gallery(plan, backend, silent)
    assert failure.value.findings == (UNKNOWN,)
    assert backend.calls == [PLAIN]
    assert not plan.output.exists(), "the same command must be possible again"


def test_nothing_in_any_scenario_is_an_error_not_an_empty_table(plan, backend) -> None:
    backend.failures.update(dict.fromkeys(ERROR_OF, (FAILED,)))
    with pytest.raises(ContractError, match="ALGORITHM_FAILED"):
        make_gallery(plan, backend, silent)


def test_a_stop_ends_all(plan, backend) -> None:
    backend.failures["mine+none"] = (ENDED,)
    with pytest.raises(ContractError, match="STOPPED"):
        make_gallery(plan, backend, silent)
    assert backend.calls == [PLAIN, "mine+none"]


def test_a_file_without_truth_is_refused(plan, backend, tmp_path: Path) -> None:
    view = strip(plan.challenge, tmp_path / "view.h5")
    with pytest.raises(ContractError, match="TRUTH_MISSING"):
        make_gallery(replace(plan, challenge=view), backend, silent)
    assert backend.calls == []
    report = make_gallery(replace(plan, challenge=view, truth=plan.challenge), backend, silent)
    assert report.tier == "public"


def test_the_truth_of_other_data_is_refused(plan, backend, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    with open_challenge(plan.challenge) as file:
        spec = file.sample("sample_00").true_spec
        again = replace(make_sample(5, spec), name="sample_00")
        write_challenge(other, file.attrs, [again, file.sample("sample_01")])
        fewer = tmp_path / "fewer.h5"
        write_challenge(fewer, file.attrs, [file.sample("sample_00")])
    for truth, found in ((other, "sample_00"), (fewer, "sample_00, sample_01")):
        with pytest.raises(ContractError, match="INPUT_INCONSISTENT") as failure:
            make_gallery(replace(plan, truth=truth), backend, silent)
        assert found in failure.value.findings[0].expected


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_an_output_that_is_there_is_left_alone(plan, backend, kind: str) -> None:
    plan.output.mkdir() if kind == "folder" else plan.output.write_text("mine")
    with pytest.raises(ContractError) as failure:
        make_gallery(plan, backend, silent)
    assert failure.value.findings[0].code == "USAGE"
    assert failure.value.findings[0].found == f"a {kind}"
    assert backend.calls == []


def test_an_oracle_is_told_the_spec_and_no_more(plan, tmp_path: Path) -> None:
    blind = strip(plan.challenge, tmp_path / "blind.h5")
    told = oracle_view(plan.challenge, blind, tmp_path / "oracle.h5")
    with h5py.File(blind) as without, h5py.File(told) as with_spec:
        for name in without:
            assert set(with_spec[name]) == set(without[name])
            assert set(with_spec[name].attrs) - set(without[name].attrs) == {"true_spec"}
