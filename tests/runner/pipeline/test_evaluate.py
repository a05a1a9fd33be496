"""The organiser's way, on an engine that pretends: verdicts, restarts, and who is told what."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runner.files.hdf5 import sha256_of
from runner.harness.seal import check_seal
from runner.harness.watch import Timing
from runner.pipeline.evaluate import Evaluation
from runner.pipeline.stages import Plan
from runner.scoring.score import score_result
from schemas.evaluation import Outcome, RepeatFacts, Stage, State, Verdict
from schemas.findings import CODES, ContractError, ExitCode
from schemas.limits import ResourceLimits
from schemas.spec import MismatchSpec
from tests.helpers.commands import Command
from tests.helpers.fake_engine import FakeEngine, FakeImage, Inside, Program, fails_at, image_like
from tests.runner.small import Answers, SmallTier, true_answers, write_answers, write_small_tier

QUICK = Timing(poll_s=0.001, grace_s=0.02, dead_s=0.05)
LIMITS = ResourceLimits(wall_s=0.5, output_mib=1)
CANARY = "CANARY"
"""Stands in everything that a stranger or a secret file says in these tests."""


@pytest.fixture(scope="session")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> SmallTier:
    folder = tmp_path_factory.mktemp(f"{CANARY}-hidden")
    return write_small_tier(folder, "hidden", scene=f"{CANARY} scene")


@pytest.fixture(scope="session")
def public(tmp_path_factory: pytest.TempPathFactory) -> SmallTier:
    return write_small_tier(tmp_path_factory.mktemp("public"), "public")


def plan_for(tier: SmallTier, folder: Path, **more: object) -> Plan:
    plan = Plan(
        image=f"{CANARY.lower()}-image",
        challenge=tier.challenge,
        truth=tier.truth,
        out=folder / "out",
        limits=LIMITS,
        staging=folder / "staging",
        timing=QUICK,
    )
    return replace(plan, **more)  # type: ignore[arg-type]


def engine_for(folder: Path, image: FakeImage) -> FakeEngine:
    return FakeEngine(folder / "engine", {f"{CANARY.lower()}-image": image})


def writes(answers: Answers, **more: object) -> Program:
    """A submission that answers so, with the nonce and the input that it was given."""

    def program(inside: Inside) -> int:
        given = {
            "input_sha256": sha256_of(inside.challenge),
            "nonce": inside.environment["STEM4D_NONCE"],
            "algorithm": f"{CANARY} \x1b[31malgorithm",
            "diagnostics": {"note": f"{CANARY} diagnostics"},
            **more,
        }
        write_answers(inside.output / "result.h5", answers, **given)  # type: ignore[arg-type]
        return 0

    return program


def whole(evaluation: Evaluation) -> Verdict:
    for _ in evaluation:
        pass
    return evaluation.verdict()


def codes(verdict: Verdict) -> list[str]:
    return [entry.code for entry in verdict.findings]


class TestVerdict:
    def test_the_truth_scores_what_the_scorer_says(self, hidden: SmallTier, tmp_path: Path) -> None:
        engine = engine_for(tmp_path, FakeImage(writes(true_answers(hidden))))
        verdict = whole(Evaluation(plan_for(hidden, tmp_path), engine))
        assert verdict.state is State.SCORED
        assert codes(verdict) == []
        canonical = tmp_path / "out" / "organiser" / "run-1" / "canonical.h5"
        assert verdict.score == score_result(canonical, hidden.truth).score
        assert verdict.score is not None
        assert verdict.score > 0.9
        assert verdict.identity == sha256_of(canonical)
        assert verdict.counts_against_quota
        assert [record.key for record in verdict.stages] == [
            "preflight",
            "strip",
            "run-1",
            "sanitise-1",
            "score",
        ]
        assert engine.left() == 0

    def test_the_image_is_resolved_once_and_run_by_its_id(
        self, hidden: SmallTier, tmp_path: Path
    ) -> None:
        """A tag that is moved after the pre-flight changes nothing."""
        good = FakeImage(writes(true_answers(hidden)))
        other = FakeImage(lambda _: 1, facts=replace(good.facts, id="sha256:" + 64 * "0"))
        engine = FakeEngine(tmp_path / "engine", {"tag": good})
        evaluation = Evaluation(plan_for(hidden, tmp_path, image="tag"), engine)
        for record in evaluation:
            if record.stage is Stage.PREFLIGHT:
                engine.images = {"tag": other, "was": good}
        assert evaluation.verdict().state is State.SCORED

    def test_a_run_that_was_stopped_keeps_what_it_finished(
        self, hidden: SmallTier, tmp_path: Path
    ) -> None:
        first = {"sample_00": true_answers(hidden)["sample_00"]}
        engine = engine_for(tmp_path, FakeImage(writes(first), looks=-1))
        verdict = whole(Evaluation(plan_for(hidden, tmp_path, repeat=2), engine))
        assert verdict.state is State.SCORED
        assert codes(verdict) == ["RUN_TIMEOUT", "RESULT_SAMPLE_MISSING"]
        assert verdict.card is not None
        assert verdict.card.samples[0].score > 0.9
        assert verdict.card.samples[1].score == 0.0
        assert engine.calls["start"] == 1, "a run that was stopped is not repeated"

    @pytest.mark.parametrize("exit_code", [1, 2, 4, 5, 137])
    def test_a_failure_counts_whatever_the_container_says_of_it(
        self, hidden: SmallTier, tmp_path: Path, exit_code: int
    ) -> None:
        engine = engine_for(tmp_path, FakeImage(lambda _: exit_code))
        verdict = whole(Evaluation(plan_for(hidden, tmp_path), engine))
        assert verdict.state is State.REFUSED
        assert codes(verdict) == ["ALGORITHM_FAILED"]
        assert verdict.counts_against_quota

    def test_no_result_is_refused(self, hidden: SmallTier, tmp_path: Path) -> None:
        verdict = whole(Evaluation(plan_for(hidden, tmp_path), engine_for(tmp_path, FakeImage())))
        assert (verdict.state, codes(verdict)) == (State.REFUSED, ["RESULT_NOT_FOUND"])

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            ({"nonce": "0" * 32}, "RESULT_NONCE"),
            ({"nonce": None}, "RESULT_NONCE"),
            ({"input_sha256": "0" * 64}, "RESULT_OTHER_INPUT"),
        ],
    )
    def test_a_result_of_another_run_is_refused(
        self, hidden: SmallTier, tmp_path: Path, given: Mapping[str, object], code: str
    ) -> None:
        engine = engine_for(tmp_path, FakeImage(writes(true_answers(hidden), **given)))
        verdict = whole(Evaluation(plan_for(hidden, tmp_path), engine))
        assert (verdict.state, codes(verdict)) == (State.REFUSED, [code])

    def test_an_image_at_fault_is_not_run_and_costs_nothing(
        self, hidden: SmallTier, tmp_path: Path
    ) -> None:
        engine = engine_for(tmp_path, image_like(user="", labels={}))
        verdict = whole(Evaluation(plan_for(hidden, tmp_path), engine))
        assert (verdict.state, codes(verdict)) == (State.REFUSED, ["IMAGE_USER", "IMAGE_LABEL"])
        assert not verdict.counts_against_quota
        assert engine.calls["create"] == 0

    def test_files_that_do_not_belong_together_are_found_before_the_run(
        self, hidden: SmallTier, public: SmallTier, tmp_path: Path
    ) -> None:
        engine = engine_for(tmp_path, FakeImage())
        plan = plan_for(hidden, tmp_path, truth=hidden.challenge)
        verdict = whole(Evaluation(plan, engine))
        assert (verdict.state, codes(verdict)) == (State.FAULT, ["TRUTH_MISSING"])
        assert not verdict.counts_against_quota
        assert not engine.calls

    def test_an_unfinished_evaluation_has_no_verdict(
        self, hidden: SmallTier, tmp_path: Path
    ) -> None:
        evaluation = Evaluation(plan_for(hidden, tmp_path), engine_for(tmp_path, FakeImage()))
        with pytest.raises(ValueError, match="end"):
            evaluation.verdict()
        next(iter(evaluation))
        with pytest.raises(ValueError, match="end"):
            evaluation.verdict()

    def test_a_canonical_file_that_was_changed_is_not_scored(
        self, hidden: SmallTier, tmp_path: Path
    ) -> None:
        engine = engine_for(tmp_path, FakeImage(writes(true_answers(hidden))))
        evaluation = Evaluation(plan_for(hidden, tmp_path), engine)
        for record in evaluation:
            if record.stage is Stage.SANITISE:
                canonical = tmp_path / "out" / "organiser" / "run-1" / "canonical.h5"
                canonical.write_bytes(canonical.read_bytes() + b"\0")
        verdict = evaluation.verdict()
        assert (verdict.state, codes(verdict)) == (State.FAULT, ["INTERNAL"])


class TestRepeat:
    def test_the_same_twice(self, hidden: SmallTier, tmp_path: Path) -> None:
        engine = engine_for(tmp_path, FakeImage(writes(true_answers(hidden))))
        verdict = whole(Evaluation(plan_for(hidden, tmp_path, repeat=2), engine))
        assert codes(verdict) == []
        assert engine.calls["start"] == 2
        facts = next(r.facts for r in verdict.stages if r.stage is Stage.REPEAT)
        assert facts == RepeatFacts(identical=True, differences=())

    def test_the_first_sample_that_differs_is_named_with_how_much(
        self, hidden: SmallTier, tmp_path: Path
    ) -> None:
        """One pixel of the second sample by a quarter, and its spec by 0.25 %."""
        one = true_answers(hidden)
        x, spec = one["sample_01"]
        changed = np.where(np.arange(x.size).reshape(x.shape) == 7, x + np.float32(0.25), x)
        moved = MismatchSpec.from_values(
            {**spec.values(), "camera_length": spec.camera_length + 0.25}
        )
        runs = [one, {**one, "sample_01": (changed, moved)}]

        def program(inside: Inside) -> int:
            return writes(runs.pop(0))(inside)

        engine = engine_for(tmp_path, FakeImage(program))
        verdict = whole(Evaluation(plan_for(hidden, tmp_path, repeat=2), engine))
        assert verdict.state is State.SCORED
        assert codes(verdict) == ["NOT_DETERMINISTIC"]
        facts = next(r.facts for r in verdict.stages if r.stage is Stage.REPEAT)
        assert isinstance(facts, RepeatFacts)
        assert [entry.sample for entry in facts.differences] == ["sample_01"]
        assert facts.differences[0].pixels == 1
        assert facts.differences[0].x_hat == pytest.approx(0.25, abs=1e-6)
        assert facts.differences[0].spec == {"camera_length": pytest.approx(0.25)}

    def test_each_run_has_a_token_of_its_own(self, hidden: SmallTier, tmp_path: Path) -> None:
        seen: list[str] = []

        def program(inside: Inside) -> int:
            seen.append(inside.environment["STEM4D_NONCE"])
            return writes(true_answers(hidden))(inside)

        engine = engine_for(tmp_path, FakeImage(program))
        whole(Evaluation(plan_for(hidden, tmp_path, repeat=3), engine))
        assert len(set(seen)) == 3
        assert all(len(nonce) == 32 for nonce in seen)


class TestRestart:
    @pytest.mark.parametrize("stages", [1, 2, 3, 4])
    def test_what_was_done_is_not_done_again(
        self, hidden: SmallTier, tmp_path: Path, stages: int
    ) -> None:
        engine = engine_for(tmp_path, FakeImage(writes(true_answers(hidden))))
        first = Evaluation(plan_for(hidden, tmp_path), engine)
        done = [record for record, _ in zip(first, range(stages), strict=False)]
        verdict = whole(Evaluation(plan_for(hidden, tmp_path), engine))
        assert verdict.state is State.SCORED
        assert verdict.stages[:stages] == tuple(done)
        assert engine.calls["start"] == 1

    def test_a_finished_evaluation_only_tells_its_verdict_again(
        self, hidden: SmallTier, tmp_path: Path
    ) -> None:
        engine = engine_for(tmp_path, FakeImage(writes(true_answers(hidden))))
        one = whole(Evaluation(plan_for(hidden, tmp_path), engine))
        made = dict(engine.calls)
        assert whole(Evaluation(plan_for(hidden, tmp_path), engine)) == one
        assert dict(engine.calls) == made

    @pytest.mark.parametrize("call", ["image", "create", "applied", "start", "state", "remove"])
    def test_a_fault_of_ours_is_no_attempt_and_the_stage_is_done_again(
        self, hidden: SmallTier, tmp_path: Path, call: str
    ) -> None:
        engine = engine_for(tmp_path, FakeImage(writes(true_answers(hidden))))
        engine.before = fails_at(call, times=3)
        verdict = whole(Evaluation(plan_for(hidden, tmp_path), engine))
        assert verdict.state is State.FAULT
        assert not verdict.counts_against_quota
        assert verdict.score is None
        assert verdict.stages[-1].outcome is Outcome.FAULT
        engine.before = lambda call, number: None
        assert whole(Evaluation(plan_for(hidden, tmp_path), engine)).state is State.SCORED

    @pytest.mark.parametrize("call", ["create", "state", "remove"])
    def test_killed_in_the_middle_it_comes_to_the_same_end(
        self, hidden: SmallTier, tmp_path: Path, call: str
    ) -> None:
        """kill -9 at a call of the engine, twice; then to the end."""
        image = FakeImage(writes(true_answers(hidden)))

        def before(made: str, _number: int) -> None:
            if made == call:
                os.kill(os.getpid(), signal.SIGKILL)

        for _ in range(2):
            child = os.fork()
            if child == 0:
                engine = engine_for(tmp_path, image)
                engine.before = before
                whole(Evaluation(plan_for(hidden, tmp_path), engine))
                os._exit(0)
            assert os.waitpid(child, 0)[1] == signal.SIGKILL
        engine = engine_for(tmp_path, FakeImage(writes(true_answers(hidden))))
        verdict = whole(Evaluation(plan_for(hidden, tmp_path), engine))
        assert verdict.state is State.SCORED
        assert engine.left() == 0
        assert list((tmp_path / "staging").iterdir()) == []

    @pytest.mark.parametrize("more", [{"seed": 1}, {"repeat": 2}, {"image": "other"}])
    def test_a_folder_of_another_evaluation_is_refused(
        self, hidden: SmallTier, tmp_path: Path, more: Mapping[str, object]
    ) -> None:
        engine = engine_for(tmp_path, FakeImage(writes(true_answers(hidden))))
        whole(Evaluation(plan_for(hidden, tmp_path), engine))
        with pytest.raises(ContractError) as caught:
            whole(Evaluation(plan_for(hidden, tmp_path, **more), engine))
        assert caught.value.exit_code is ExitCode.USAGE


def leaves_traces(answers: Answers) -> Program:
    """An accepted result that says CANARY wherever a result can."""
    return writes(answers)


def unknown_items(answers: Answers) -> Program:
    def program(inside: Inside) -> int:
        import h5py

        writes(answers)(inside)
        with h5py.File(inside.output / "result.h5", "r+") as file:
            file.attrs[f"{CANARY}_attribute"] = CANARY
            file.create_group(f"{CANARY}_group")
        return 0

    return program


def raises(_answers: Answers) -> Program:
    return lambda _: 1


def nothing_usable(_answers: Answers) -> Program:
    def program(inside: Inside) -> int:
        (inside.output / "result.h5").write_bytes(CANARY.encode() * 100)
        return 0

    return program


def files_with_names(_answers: Answers) -> Program:
    def program(inside: Inside) -> int:
        for index in range(100):
            (inside.output / f"{CANARY}{index}").touch()
        return 0

    return program


def one_sample(answers: Answers) -> Program:
    return writes({"sample_00": answers["sample_00"]})


SUBMISSIONS: dict[Callable[[Answers], Program], list[str]] = {
    leaves_traces: [],
    unknown_items: ["RESULT_UNKNOWN_ITEM"],
    raises: ["ALGORITHM_FAILED"],
    nothing_usable: ["RESULT_FOREIGN_BYTES", "RESULT_NOT_HDF5"],
    files_with_names: ["OUTPUT_TOO_MANY_FILES"],
    one_sample: ["RESULT_SAMPLE_MISSING"],
}
LOG = f"{CANARY} on stderr\n".encode() * 3


class TestWhoIsToldWhat:
    @pytest.mark.parametrize("submission", SUBMISSIONS, ids=lambda entry: entry.__name__)
    def test_the_hidden_tier_tells_codes_and_a_rounded_score(
        self, hidden: SmallTier, tmp_path: Path, submission: Callable[[Answers], Program]
    ) -> None:
        """Every byte that a participant gets is of a known form; nothing else fits into it."""
        program = submission(true_answers(hidden))
        engine = engine_for(tmp_path, FakeImage(program, log=LOG))
        verdict = whole(Evaluation(plan_for(hidden, tmp_path), engine))
        assert set(codes(verdict)) <= {*SUBMISSIONS[submission], "RESULT_SAMPLE_MISSING"}
        told = sorted(set(codes(verdict)))
        score = None if verdict.score is None else round(verdict.score, 2)
        folder = tmp_path / "out" / "participant"
        assert sorted(path.name for path in folder.rglob("*")) == ["report.json", "report.md"]
        assert json.loads((folder / "report.json").read_text()) == {
            "state": verdict.state.value,
            "tier": "hidden",
            "score": score,
            "counts_against_quota": True,
            "codes": [
                {
                    "code": code,
                    "meaning": CODES[code].meaning,
                    "counts_against_quota": CODES[code].counts,
                }
                for code in told
            ],
            "track": None,
            "identity": None,
            "findings": [],
            "card": None,
            "differences": [],
            "run_seconds": None,
            "log": "",
        }
        text = (folder / "report.md").read_text()
        assert [line for line in text.splitlines() if line] == [
            f"# hidden tier: {verdict.state.value}",
            f"Score: {'none' if score is None else f'{score:.2f}'}",
            "Counts as an attempt: yes",
            *(f"- `{code}`: {CODES[code].meaning}" for code in told),
        ]
        for path in folder.iterdir():
            assert CANARY.lower() not in path.read_text().lower()
        organiser = (tmp_path / "out" / "organiser" / "report.json").read_text()
        assert CANARY.lower() in organiser, "the same search does find it where it may be"

    @pytest.mark.parametrize("submission", SUBMISSIONS, ids=lambda entry: entry.__name__)
    def test_an_open_tier_tells_everything(
        self, public: SmallTier, tmp_path: Path, submission: Callable[[Answers], Program]
    ) -> None:
        program = submission(true_answers(public))
        engine = engine_for(tmp_path, FakeImage(program, log=LOG))
        verdict = whole(Evaluation(plan_for(public, tmp_path), engine))
        told = json.loads((tmp_path / "out" / "participant" / "report.json").read_text())
        assert told["score"] == verdict.score
        assert [entry["code"] for entry in told["findings"]] == codes(verdict)
        assert told["log"] == LOG.decode()
        assert (told["card"] is None) is (verdict.card is None)

    def test_nothing_commands_a_terminal(self, public: SmallTier, tmp_path: Path) -> None:
        program = writes(true_answers(public))
        engine = engine_for(tmp_path, FakeImage(program, log=b"\x1b[2J\x07"))
        whole(Evaluation(plan_for(public, tmp_path), engine))
        for path in (tmp_path / "out").rglob("report.*"):
            text = path.read_text()
            assert "\x1b" not in text
            assert "\\u001b" not in text

    def test_a_stranger_s_text_stays_in_its_block(self, public: SmallTier, tmp_path: Path) -> None:
        log = b"```\n# public tier: scored\nScore: 1.0000\n"
        engine = engine_for(tmp_path, FakeImage(lambda _: 1, log=log))
        whole(Evaluation(plan_for(public, tmp_path), engine))
        text = (tmp_path / "out" / "participant" / "report.md").read_text()
        outside = "".join(text.split("```")[::2])
        assert "1.0000" in text
        assert "1.0000" not in outside

    def test_the_organiser_s_folder_is_closed_to_others(
        self, hidden: SmallTier, tmp_path: Path
    ) -> None:
        whole(Evaluation(plan_for(hidden, tmp_path), engine_for(tmp_path, FakeImage())))
        assert (tmp_path / "out" / "organiser").stat().st_mode & 0o077 == 0


def test_names_that_tell_a_tier_are_refused(tmp_path: Path, hidden: SmallTier) -> None:
    import h5py

    for path in (hidden.challenge, hidden.truth):
        copy = tmp_path / path.name
        copy.write_bytes(path.read_bytes())
        with h5py.File(copy, "r+") as file:
            file.move("sample_01", "sample_41")
    files = replace(
        hidden, challenge=tmp_path / hidden.challenge.name, truth=tmp_path / hidden.truth.name
    )
    verdict = whole(Evaluation(plan_for(files, tmp_path), engine_for(tmp_path, FakeImage())))
    assert (verdict.state, codes(verdict)) == (State.FAULT, ["INPUT_INCONSISTENT"])


class TestCommand:
    @pytest.fixture
    def call(
        self, stem4d: Command, hidden: SmallTier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[..., object]:
        def run(image: FakeImage, *words: str) -> object:
            from contextlib import nullcontext

            engine = FakeEngine(tmp_path / "engine", {"it": image})
            monkeypatch.setattr(
                "runner.harness.engines.open_engine", lambda name: nullcontext(engine)
            )
            files = ("--challenge", hidden.challenge, "--truth", hidden.truth)
            folders = ("--out", tmp_path / "out", "--staging", tmp_path / "staging")
            # Its ledger is of its own: one in the working folder would stay there.
            ledger = ("--ledger", f"sqlite:///{tmp_path / 'ledger.sqlite'}")
            return stem4d("evaluate", "it", *files, *folders, *ledger, *words)

        return run

    def test_scored(self, call: Callable[..., object], hidden: SmallTier) -> None:
        done = call(FakeImage(writes(true_answers(hidden))), "--json")
        assert done.code == ExitCode.DONE  # type: ignore[attr-defined]
        assert done.json()["state"] == "scored"  # type: ignore[attr-defined]

    def test_for_people(self, call: Callable[..., object], hidden: SmallTier) -> None:
        done = call(FakeImage(writes(true_answers(hidden))), "--repeat", "2")
        assert done.code == ExitCode.DONE  # type: ignore[attr-defined]
        assert "scored" in done.out  # type: ignore[attr-defined]
        assert "repeat: done" in done.err  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("image", "code"),
        [
            (FakeImage(lambda _: 1), ExitCode.ALGORITHM),
            (FakeImage(), ExitCode.RESULT),
            (image_like(user="root"), ExitCode.ALGORITHM),
        ],
        ids=["failed", "no result", "root"],
    )
    def test_exit_codes(
        self, call: Callable[..., object], image: FakeImage, code: ExitCode
    ) -> None:
        assert call(image).code == code  # type: ignore[attr-defined]

    def test_a_short_key_is_found_before_anything_runs(
        self, call: Callable[..., object], tmp_path: Path
    ) -> None:
        (tmp_path / "key").write_bytes(b"short")
        done = call(FakeImage(), "--key", str(tmp_path / "key"))
        assert done.code == ExitCode.USAGE  # type: ignore[attr-defined]
        assert not (tmp_path / "out").exists()

    def test_a_seal_lies_beside_the_canonical_result(
        self, call: Callable[..., object], hidden: SmallTier, tmp_path: Path
    ) -> None:
        (tmp_path / "key").write_bytes(b"k" * 32)
        call(FakeImage(writes(true_answers(hidden))), "--key", str(tmp_path / "key"))
        canonical = tmp_path / "out" / "organiser" / "run-1" / "canonical.h5"
        assert check_seal(canonical, b"k" * 32).sha256 == sha256_of(canonical)

    def test_a_runtime_that_is_not_there(self, call: Callable[..., object]) -> None:
        done = call(FakeImage(), "--runtime", "kata")
        assert done.code == ExitCode.INFRASTRUCTURE  # type: ignore[attr-defined]
        assert "RUNTIME_UNAVAILABLE" in done.err  # type: ignore[attr-defined]


def test_the_working_folder_is_not_used(hidden: SmallTier, tmp_path: Path) -> None:
    """Nothing depends on where the harness was started."""
    before = Path.cwd()
    os.chdir("/")
    try:
        engine = engine_for(tmp_path, FakeImage(writes(true_answers(hidden))))
        assert whole(Evaluation(plan_for(hidden, tmp_path), engine)).state is State.SCORED
    finally:
        os.chdir(before)
