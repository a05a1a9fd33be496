"""The main job with a submission that the test writes itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from runner.files.challenge import ChallengeSample, open_challenge
from runner.files.hdf5 import sha256_of
from runner.pipeline.backend import BackendName, Execution
from runner.pipeline.dry_run import Plan, public_tier, report, run_and_judge
from runner.pipeline.scenarios import uncorrected
from runner.pipeline.views import nominal_view
from runner.scoring.leaderboard import Gallery
from runner.scoring.metrics import residual
from runner.scoring.score import score_result
from schemas import ContractError, MismatchSpec, ScoreCard, finding, record_from_json
from tests.runner.small import SmallChallenge, write_answers

Solve = Callable[[str, ChallengeSample], tuple[np.ndarray, MismatchSpec] | None]


@dataclass
class FakeBackend:
    """Answers each sample with `solve(algorithm, sample)`; None leaves it out."""

    solve: Solve
    findings: tuple = ()
    name: BackendName = "process"
    calls: list[tuple[str | None, int]] = field(default_factory=list)

    def run(self, challenge: Path, output: Path, *, algorithm: str | None, seed: int) -> Execution:
        self.calls.append((algorithm, seed))
        with open_challenge(challenge) as file:
            assert file.attrs.tier == "blind"
            answers = {}
            for sample in file:
                assert sample.x_true is None
                assert sample.true_spec is None
                answer = self.solve(algorithm or "own+choice", sample)
                if answer is not None:
                    answers[sample.name] = answer
        if not answers:
            return Execution(None, 0.5, self.findings)
        result = write_answers(
            output / "result.h5", answers, input_sha256=sha256_of(challenge), algorithm="test+truth"
        )
        return Execution(result, 0.5, self.findings)


@pytest.fixture
def plan(small_challenge: SmallChallenge, tmp_path: Path) -> Plan:
    data = tmp_path / "data"
    data.mkdir()
    for kind in ("challenge", "truth"):
        shutil.copy(small_challenge.path, data / f"electron_diffraction_{kind}_public.h5")
    return Plan("test+truth", data, tmp_path / "out", smoke=False)


@pytest.fixture
def honest(answers) -> Solve:
    """The truth with the true spec; without a calibrator, half of it with the nominal one."""

    def solve(algorithm: str, sample: ChallengeSample) -> tuple[np.ndarray, MismatchSpec]:
        x, spec = answers[sample.name]
        return (x, spec) if not algorithm.endswith("+none") else (0.5 * x, MismatchSpec())

    return solve


def silent(_: str) -> None:
    """Nobody listens."""


STOPPED = finding("RUN_TIMEOUT", "container", expected="an end", found="none", hint="be faster")


def test_the_card_is_that_of_score(plan: Plan, honest: Solve, small_challenge) -> None:
    backend = FakeBackend(honest)
    judged = run_and_judge(plan, backend, silent)
    scored = score_result(plan.out / "result.h5", small_challenge.path)
    assert judged.card == scored.model_copy(update={"seconds": 0.5, "backend": "process"})
    assert record_from_json(ScoreCard, (plan.out / "score.json").read_bytes()) == judged.card
    assert backend.calls == [("test+truth", 0)]


def test_the_image_s_own_choice_is_left_to_it(plan: Plan, honest: Solve) -> None:
    backend = FakeBackend(honest)
    run_and_judge(Plan(None, plan.data, plan.out, smoke=False), backend, silent)
    assert backend.calls == [(None, 0)]


def test_a_partial_result_is_scored_and_says_why(plan: Plan, honest: Solve) -> None:
    def first_only(algorithm: str, sample: ChallengeSample):
        return honest(algorithm, sample) if sample.name == "sample_00" else None

    card = run_and_judge(plan, FakeBackend(first_only, (STOPPED,)), silent).card
    assert [entry.code for entry in card.findings] == ["RUN_TIMEOUT", "RESULT_SAMPLE_MISSING"]
    assert card.samples[0].score > 0.9
    assert card.samples[1].score == 0.0


def test_no_result_is_the_run_s_own_error(plan: Plan) -> None:
    with pytest.raises(ContractError) as failure:
        run_and_judge(plan, FakeBackend(lambda *_: None, (STOPPED,)), silent)
    assert failure.value.findings == (STOPPED,)
    assert not (plan.out / "score.json").exists()


def test_nothing_of_an_earlier_run_is_taken_for_this_one_s(plan: Plan, honest: Solve) -> None:
    run_and_judge(plan, FakeBackend(honest), silent)
    (plan.out / "notes.txt").write_text("the user's own")
    with pytest.raises(ContractError):
        run_and_judge(plan, FakeBackend(lambda *_: None, (STOPPED,)), silent)
    assert {path.name for path in plan.out.iterdir()} == {"challenge.h5", "notes.txt"}


def test_scenarios_use_the_same_reconstructor_uncorrected(plan: Plan, honest: Solve) -> None:
    backend = FakeBackend(honest)
    judged = run_and_judge(plan, backend, silent)
    made = report(plan, judged, backend, silent)
    assert backend.calls == [("test+truth", 0), ("test+none", 0), ("test+none", 0)]
    assert record_from_json(Gallery, (plan.out / "scenarios.json").read_bytes()) == made.gallery
    for row, sample in zip(made.gallery.scenes, judged.card.samples, strict=True):
        assert row.scenarios["III"].psnr_db == sample.psnr_db
        assert row.scenarios["III"].ssim == sample.ssim
        assert row.scenarios["I"] == row.scenarios["II"]
        assert row.scenarios["I"].psnr_db < 30
    assert made.picture.stat().st_size > 10_000
    assert not list(plan.out.glob(".scenarios*"))


def test_a_scenario_that_fails_is_missing_and_named(plan: Plan, honest: Solve) -> None:
    def joint(algorithm: str, sample: ChallengeSample):
        return None if algorithm.endswith("+none") else honest(algorithm, sample)

    said: list[str] = []
    judged = run_and_judge(plan, FakeBackend(honest), silent)
    made = report(plan, judged, FakeBackend(joint, (STOPPED,)), said.append)
    assert set(made.gallery.mean.scenarios) == {"III"}
    assert any("scenario I is incomplete" in line and "RUN_TIMEOUT" in line for line in said)


def test_nominal_data_are_the_same_scenes_on_a_nominal_detector(
    small_challenge: SmallChallenge, tmp_path: Path
) -> None:
    view = nominal_view(small_challenge.path, tmp_path / "nominal.h5", seed=3)
    again = nominal_view(small_challenge.path, tmp_path / "again.h5", seed=3)
    other = nominal_view(small_challenge.path, tmp_path / "other.h5", seed=4)
    assert sha256_of(view) == sha256_of(again) != sha256_of(other)
    with open_challenge(view) as file:
        for sample, original in zip(file, small_challenge.samples, strict=True):
            assert sample.x_true is None
            assert sample.true_spec is None
            nominal = residual(sample.y, sample.operator, original.x_true, MismatchSpec())
            mismatched = residual(sample.y, sample.operator, original.x_true, original.true_spec)
            assert nominal.chi_square == pytest.approx(1.0, abs=0.1)
            assert mismatched.chi_square > 2.0


@pytest.mark.parametrize(
    ("algorithm", "reconstructor"),
    [
        ("ptychography+gradient", "ptychography+none"),
        ("cpu-baseline", "cpu-baseline+none"),
        ("/app/mine.py:Method+pacbed", "/app/mine.py:Method+none"),
    ],
)
def test_the_calibrator_is_left_out(algorithm: str, reconstructor: str) -> None:
    assert uncorrected(algorithm) == reconstructor


def test_a_tier_that_is_there_is_used_as_it_is(plan: Plan) -> None:
    files = public_tier(plan, silent)
    assert files.challenge == plan.data / "electron_diffraction_challenge_public.h5"


def test_another_recipe_is_built_beside_it(plan: Plan) -> None:
    said: list[str] = []
    files = public_tier(Plan(None, plan.data, plan.out, scenes=1, seed=5), said.append)
    assert files.challenge.parent != plan.data
    assert any("building" in line for line in said)
    with open_challenge(files.challenge) as file:
        assert file.names == ("sample_00",)
    said.clear()
    assert public_tier(Plan(None, plan.data, plan.out, scenes=1, seed=5), said.append) == files
    assert not any("building" in line for line in said)
