"""A file of another variant, the whole way: read, inspect, strip, run, validate, score."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from algorithms.base import LinearSample
from runner.container.run import RunOptions, run_challenge
from runner.files.arrays import ArraySample
from runner.files.challenge import open_challenge, write_challenge
from runner.scoring.formulas import blind_score
from runner.scoring.leaderboard import standing
from runner.scoring.metrics import psnr_db
from runner.scoring.score import score_result
from runner.scoring.validate import validate_result
from runner.tiers.strip import StripError, prove, strip
from schemas import ContractError, ExitCode, Finding, Track
from tests.helpers.commands import Command
from tests.helpers.damage import put
from tests.helpers.variants import NOTATION, TRUE_SPEC, blurred, noisy, scene, write_variant

SIDE = 16

QUICK = """
from dataclasses import dataclass
import numpy as np
import torch
from algorithms.base import Reconstruction
from schemas.spec import NamedSpec

class Method:
    def solve(self, sample):
        raise AssertionError("not for this sample")

    def solve_linear(self, sample):
        {body}
"""


COPY = """
from algorithms.base import Reconstruction

class Copy:
    def reconstruct(self, sample, spec):
        raise AssertionError("not for this sample")

    def reconstruct_linear(self, sample):
        return Reconstruction(sample.y)
"""


@pytest.fixture(scope="session")
def variant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A blurred and a noisy sample, with their truth."""
    path = tmp_path_factory.mktemp("variant") / "widefield_challenge_public.h5"
    return write_variant(path, {"sample_00": blurred(SIDE), "sample_01": noisy(SIDE)})


@pytest.fixture(scope="session")
def answered(variant: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of least-squares on the blind view, as a container makes it."""
    folder = tmp_path_factory.mktemp("answered")
    view = strip(variant, folder / "challenge.h5")
    options = RunOptions(algorithm="least-squares", quiet=True)
    return run_challenge(view, folder / "out", options)


@pytest.fixture
def method(tmp_path: Path) -> Callable[[str], str]:
    """An algorithm for linear samples, its body given."""

    def write(body: str) -> str:
        path = tmp_path / "method.py"
        path.write_text(QUICK.format(body=body))
        return f"{path}:Method"

    return write


def run(path: Path, folder: Path, algorithm: str) -> Path:
    return run_challenge(path, folder, RunOptions(algorithm=algorithm, quiet=True))


def refusal(path: Path) -> Finding:
    with pytest.raises(ContractError) as failure, open_challenge(path) as challenge:
        list(challenge.any_samples())
    (entry,) = failure.value.findings
    assert failure.value.exit_code == ExitCode.INPUT
    assert entry.hint
    return entry


# --- reading --------------------------------------------------------------------------------------


def test_what_is_read(variant: Path) -> None:
    with open_challenge(variant) as challenge:
        assert challenge.attrs.variant == "widefield"
        first, second = challenge.any_samples()
    assert isinstance(first, ArraySample)
    assert isinstance(second, ArraySample)
    assert first.signal_shape == second.signal_shape == (SIDE, SIDE)
    assert first.ranges.names == ("blur_error", "gain_error")
    assert first.ranges["blur_error"].unit == "px"
    assert second.ranges.names == ()
    assert first.true_spec.values() == TRUE_SPEC
    assert first.metadata.notation == NOTATION
    np.testing.assert_array_equal(first.x_true, scene(SIDE).astype(np.float32))


def test_written_and_read_again(variant: Path, tmp_path: Path) -> None:
    with open_challenge(variant) as challenge:
        samples = tuple(challenge.any_samples())
        write_challenge(tmp_path / "copy.h5", challenge.attrs, samples)
    with open_challenge(tmp_path / "copy.h5") as challenge:
        for before, after in zip(samples, challenge.any_samples(), strict=True):
            assert after.operator.action is before.operator.action
            assert after.ranges == before.ranges
            assert after.true_spec == before.true_spec
            assert after.metadata.signal_shape == before.signal_shape
            for item in ("y", "x_true"):
                np.testing.assert_array_equal(getattr(after, item), getattr(before, item))


SHAPES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "map": ({"y": np.ones((5, 6)), "H_ideal": np.ones((5, 6))}, (5, 6)),
    "flat, no shape": ({"y": np.ones((5, 6)), "H_ideal": np.ones((30, 12))}, (12,)),
    "flat, shape of x stated": (
        {
            "y": np.ones((5, 6)),
            "H_ideal": np.ones((30, 12)),
            "metadata": {"signal_shape": [3, 4]},
        },
        (3, 4),
    ),
    "flat, the benchmark's shape": (
        {"y": np.ones(30), "H_ideal": np.ones((30, 30)), "metadata": {"shape": [5, 6]}},
        (5, 6),
    ),
    "flat, shape of y": (
        {"y": np.ones((5, 6)), "H_ideal": np.ones((30, 12)), "metadata": {"shape": [5, 6]}},
        (12,),
    ),
    "flat, shape of the truth": (
        {"y": np.ones(30), "H_ideal": np.ones((30, 12)), "x_true": np.ones((4, 3))},
        (4, 3),
    ),
    "no metadata": ({"y": np.ones((5, 6)), "H_ideal": np.eye(6)}, (5, 6)),
    "cube": ({"y": np.ones((2, 5, 6)), "H_ideal": np.ones((5, 6))}, (2, 5, 6)),
    "counts": ({"y": np.ones(6, "u2"), "H_ideal": np.eye(6, dtype="i4")}, (6,)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_signal_s_shape(name: str, tmp_path: Path) -> None:
    items, expected = SHAPES[name]
    path = write_variant(tmp_path / "a.h5", {"sample_00": {"spec_ranges": [], **items}})
    with open_challenge(path) as challenge:
        assert challenge.any_sample("sample_00").signal_shape == expected


def test_how_h_acts_can_be_stated(tmp_path: Path) -> None:
    items = {"y": np.ones((5, 5)), "H_ideal": np.ones((5, 5)), "spec_ranges": []}
    path = write_variant(tmp_path / "a.h5", {"sample_00": items})
    entry = refusal(path)
    assert entry.code == "INPUT_INCONSISTENT"
    assert "map or first or last" in entry.found
    assert "acts_as" in entry.hint
    with h5py.File(path, "r+") as file:
        file["sample_00/H_ideal"].attrs["acts_as"] = "map"
    with open_challenge(path) as challenge:
        assert challenge.any_sample("sample_00").operator.action == "map"


FAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "no ranges": ("INPUT_MISSING_ITEM", {"spec_ranges": None}),
    "no y": ("INPUT_MISSING_ITEM", {"y": None}),
    "ranges of text": ("INPUT_MALFORMED", {"spec_ranges": "blur"}),
    "ranges without an end": ("INPUT_MALFORMED", {"spec_ranges": {"blur": {"min": 0.0}}}),
    "ranges of numbers": ("INPUT_MALFORMED", {"spec_ranges": {"blur": 1.0}}),
    "ranges upside down": (
        "INPUT_MALFORMED",
        {"spec_ranges": [{"name": "a", "min": 1.0, "max": 0.0, "unit": ""}]},
    ),
    "y with NaN": ("INPUT_MALFORMED", {"y": np.full((4, 4), np.nan)}),
    "y complex": ("INPUT_MALFORMED", {"y": np.zeros((4, 4), complex)}),
    "y empty": ("INPUT_MALFORMED", {"y": np.zeros((0, 4))}),
    "y one number": ("INPUT_MALFORMED", {"y": np.array(1.0)}),
    "H infinite": ("INPUT_MALFORMED", {"H_ideal": np.full((4, 4), np.inf)}),
    "H does not fit": ("INPUT_INCONSISTENT", {"H_ideal": np.ones((3, 3))}),
    "x of another size": ("INPUT_INCONSISTENT", {"metadata": {"signal_shape": [3, 3]}}),
    "metadata a list": ("INPUT_MALFORMED", {"metadata": [1]}),
    "metadata of numbers": ("INPUT_MALFORMED", {"metadata": {"scene": 3}}),
    "metadata no JSON": ("INPUT_MALFORMED", {"metadata": "{scene}"}),
    "true_spec of text": ("INPUT_MALFORMED", {"true_spec": {"blur": "much"}}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(fault: str, tmp_path: Path) -> None:
    code, change = FAULTS[fault]
    good = {"y": np.ones((4, 4)), "H_ideal": np.eye(4), "spec_ranges": []}
    items = {key: value for key, value in {**good, **change}.items() if value is not None}
    entry = refusal(write_variant(tmp_path / "a.h5", {"sample_00": items}))
    assert entry.code == code
    assert "sample_00" in entry.where


def test_a_truth_that_h_does_not_act_on_is_left_aside(tmp_path: Path) -> None:
    items = {**noisy(SIDE), "x_true": np.ones((3, SIDE, SIDE))}
    path = write_variant(tmp_path / "a.h5", {"sample_00": items})
    with open_challenge(path) as challenge, pytest.warns(UserWarning, match=r"x_true: ignored"):
        assert challenge.any_sample("sample_00").x_true is None


def test_a_damaged_root(tmp_path: Path) -> None:
    for attrs, code in (
        ({"tier": "public"}, "INPUT_MISSING_ITEM"),
        ({"variant": "widefield"}, "INPUT_MISSING_ITEM"),
        ({"variant": "Wide Field", "tier": "public"}, "INPUT_MALFORMED"),
        ({"variant": "widefield", "tier": "secret"}, "INPUT_MALFORMED"),
        ({"variant": "widefield", "tier": "public", "contract_version": "2.0"}, "INPUT_VERSION"),
        (
            {
                "variant": "electron_diffraction",
                "tier": "public",
                "version": "2.0",
                "contract_version": "1.0",
            },
            "INPUT_MALFORMED",
        ),
    ):
        path = write_variant(tmp_path / "a.h5", {"sample_00": noisy(SIDE)}, attrs=attrs)
        assert [entry.code for entry in _faults(path)] == [code], attrs


def _faults(path: Path) -> tuple[Finding, ...]:
    with pytest.raises(ContractError) as failure, open_challenge(path) as challenge:
        list(challenge.any_samples())
    return failure.value.findings


# --- the blind view -------------------------------------------------------------------------------


def test_the_blind_view_has_what_is_needed_and_no_truth(variant: Path, tmp_path: Path) -> None:
    view = strip(variant, tmp_path / "view.h5")
    with open_challenge(view) as blind, open_challenge(variant) as whole:
        assert blind.attrs.tier == "blind"
        for seen, full in zip(blind.any_samples(), whole.any_samples(), strict=True):
            assert seen.x_true is None
            assert seen.true_spec is None
            assert seen.metadata.scene == seen.name
            assert seen.signal_shape == full.signal_shape
            assert seen.metadata.notation == full.metadata.notation
            np.testing.assert_array_equal(seen.y, full.y)
            np.testing.assert_array_equal(seen.operator.values, full.operator.values)


def test_a_view_that_tells_is_caught(variant: Path, tmp_path: Path) -> None:
    view = strip(variant, tmp_path / "view.h5")
    with open_challenge(variant) as whole:
        samples = tuple(whole.any_samples())
    prove(view, samples)
    with h5py.File(view, "r+") as file:
        put("sample_00/x_true", samples[0].x_true)(file)
    with pytest.raises(StripError):
        prove(view, samples)


# --- run, validate, score -------------------------------------------------------------------------


def test_the_whole_way(variant: Path, answered: Path) -> None:
    result, findings = validate_result(answered, variant)
    assert findings == ()
    assert result is not None
    assert result.attrs.variant == "widefield"
    assert dict(result.samples["sample_00"].corrected_spec) == {
        "blur_error": 0.0,
        "gain_error": 0.5,  # 0 is not in its range: the nearest is
    }
    assert result.samples["sample_01"].corrected_spec == {}
    card = score_result(answered, variant)
    assert (card.variant, card.track) == ("widefield", Track.BLIND)
    with open_challenge(variant) as challenge:
        for sample, score in zip(challenge.any_samples(), card.samples, strict=True):
            x = result.samples[sample.name].x_hat.astype(np.float64)
            assert x.shape == sample.signal_shape
            h = sample.operator.values.astype(np.float64)
            modelled = (h @ x.ravel()).reshape(x.shape) if h.shape[0] > SIDE else x
            misfit = np.linalg.norm(sample.y - modelled) / np.linalg.norm(sample.y)
            assert score.consistency == pytest.approx(1 - misfit, abs=1e-6)
            assert score.psnr_db == pytest.approx(psnr_db(x, sample.x_true))
            assert score.psnr_db > psnr_db(sample.y, sample.x_true)
            assert score.score == pytest.approx(
                blind_score(score.psnr_db, score.ssim, score.consistency)
            )
            assert score.chi_square is None
    assert card.score == pytest.approx(sum(s.score for s in card.samples) / 2)
    assert card.spec_error == {"blur_error": pytest.approx(0.1), "gain_error": pytest.approx(0.5)}
    assert standing(card) is None


def test_without_truth_there_is_a_residual_and_no_score(
    variant: Path, answered: Path, tmp_path: Path
) -> None:
    whole = score_result(answered, variant)
    card = score_result(answered, strip(variant, tmp_path / "view.h5"))
    assert card.score is None
    assert card.psnr_db is None
    assert [s.consistency for s in card.samples] == [s.consistency for s in whole.samples]
    assert {s.score for s in card.samples} == {None}


def test_a_signal_that_is_no_image_has_no_ssim_and_no_score(tmp_path: Path) -> None:
    x = np.linspace(0, 1, 12)
    items = {"y": x, "H_ideal": np.eye(12), "x_true": x, "spec_ranges": []}
    path = write_variant(tmp_path / "a.h5", {"sample_00": items})
    card = score_result(run(path, tmp_path / "out", "least-squares"), path)
    (sample,) = card.samples
    assert sample.psnr_db > 20.0
    assert (sample.ssim, sample.score, card.score) == (None, None, None)


def test_a_stack_is_judged_image_by_image(tmp_path: Path, method) -> None:
    x = np.stack([scene(SIDE), 1 - scene(SIDE)])[:, :, 1:-2]
    items = {"y": x, "H_ideal": np.ones((SIDE, SIDE - 3)), "x_true": x, "spec_ranges": []}
    path = write_variant(tmp_path / "a.h5", {"sample_00": items})
    body = "return Reconstruction(sample.y, NamedSpec({}))"
    card = score_result(run(path, tmp_path / "out", method(body)), path)
    assert card.score == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("calibrator", "spec"),
    [
        ("none", {"blur_error": 0.0, "gain_error": 0.5}),
        ("midpoint", {"blur_error": 0.05, "gain_error": 1.0}),
        ("oracle", {"blur_error": 0.1, "gain_error": 1.0}),
    ],
)
def test_calibrators_that_measure_nothing_serve_any_names(
    calibrator: str, spec: dict[str, float], tmp_path: Path
) -> None:
    path = write_variant(tmp_path / "a.h5", {"sample_00": blurred(8)})
    file = tmp_path / "copy.py"
    file.write_text(COPY)
    result, findings = validate_result(
        run(path, tmp_path / "out", f"{file}:Copy+{calibrator}"), path
    )
    assert findings == ()
    assert result is not None
    assert dict(result.samples["sample_00"].corrected_spec) == pytest.approx(spec)


@pytest.mark.parametrize(
    "algorithm", ["ptychography+gradient", "cpu-baseline+none", "least-squares+gradient"]
)
def test_what_needs_the_imaging_model_says_so_before_it_runs(
    algorithm: str, variant: Path, tmp_path: Path
) -> None:
    with pytest.raises(ContractError) as failure:
        run(variant, tmp_path / "out", algorithm)
    (entry,) = failure.value.findings
    assert entry.code == "INPUT_UNSUPPORTED"
    assert failure.value.exit_code == ExitCode.INPUT
    assert algorithm in entry.expected
    assert "widefield" in entry.found
    assert "least-squares" in entry.hint
    assert not (tmp_path / "out").exists()


def test_least_squares_does_not_serve_4d_stem(small_challenge, tmp_path: Path) -> None:
    with pytest.raises(ContractError) as failure:
        run(small_challenge.path, tmp_path / "out", "least-squares")
    found = [(entry.code, entry.where) for entry in failure.value.findings]
    assert found == [("SAMPLE_UNSUITED", "sample_00"), ("SAMPLE_UNSUITED", "sample_01")]
    assert failure.value.exit_code == ExitCode.ALGORITHM


def test_a_method_of_one_s_own(variant: Path, tmp_path: Path, method) -> None:
    """`solve_linear` is given H as an operator, and answers with a spec of the file's names."""
    body = (
        "x = sample.operator.adjoint(torch.as_tensor(sample.y))\n"
        "        return Reconstruction(x.numpy(), NamedSpec(sample.ranges.midpoint()))"
    )
    result, findings = validate_result(run(variant, tmp_path / "out", method(body)), variant)
    assert findings == ()
    with open_challenge(variant) as challenge:
        sample = challenge.any_sample("sample_00")
    expected = sample.operator.values.T @ sample.y.ravel()
    np.testing.assert_allclose(result.samples["sample_00"].x_hat.ravel(), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return Reconstruction(sample.y[1:], NamedSpec({}))", "shape"),
        ("return Reconstruction(sample.y)", "NamedSpec"),
        ("return Reconstruction(sample.y, NamedSpec({}))", "no blur_error"),
        (
            "return Reconstruction(sample.y, NamedSpec({'blur_error': 9.0, 'gain_error': 1.0}))",
            "blur_error = 9 outside",
        ),
        ("return 3", "int"),
        ("return sample.nothing", "AttributeError"),
    ],
)
def test_a_bad_answer_is_named(
    body: str, words: str, variant: Path, tmp_path: Path, method
) -> None:
    with pytest.raises(ContractError) as failure:
        run(variant, tmp_path / "out", method(body))
    assert failure.value.exit_code == ExitCode.ALGORITHM
    assert words in str(failure.value)


def test_a_result_of_another_variant(variant: Path, answered: Path, small_challenge) -> None:
    result, findings = validate_result(answered, small_challenge.path)
    assert result is None
    assert [entry.code for entry in findings] == ["RESULT_OTHER_INPUT"]


def test_a_sample_that_is_all_zero_cannot_be_judged(tmp_path: Path) -> None:
    items = {"y": np.zeros((8, 8)), "H_ideal": np.eye(8), "x_true": np.zeros((8, 8))}
    path = write_variant(tmp_path / "a.h5", {"sample_00": {"spec_ranges": [], **items}})
    result = run(path, tmp_path / "out", "least-squares")
    with pytest.raises(ContractError) as failure:
        score_result(result, path)
    assert failure.value.findings[0].code == "INPUT_INCONSISTENT"


def test_a_linear_sample_has_a_deadline() -> None:
    assert LinearSample("a", np.zeros(3), None).seconds_left == float("inf")  # type: ignore[arg-type]


# --- commands -------------------------------------------------------------------------------------


def test_inspect_checks_h_against_the_truth(variant: Path, tmp_path: Path, stem4d: Command) -> None:
    done = stem4d("inspect", variant, "--json")
    assert done.code == 0
    told = done.json()
    assert told["variant"] == "widefield"
    first, second = told["samples"]
    with open_challenge(variant) as challenge:
        sample = challenge.any_sample("sample_00")
    modelled = (sample.operator.values @ sample.x_true.ravel()).reshape(SIDE, SIDE)
    expected = np.linalg.norm(sample.y - modelled) / np.linalg.norm(sample.y)
    assert first["residual"] == pytest.approx(expected, rel=1e-4)
    assert 0.01 < first["residual"] < 0.2
    assert first["action"] == "flat"
    assert first["notation"]["text"] == "C(psf) -> D(g, eta_1)"
    assert [stage.partition(":")[0] for stage in first["notation"]["stages"]] == ["C", "D"]
    assert second["notation"] is None
    assert second["residual_of_h"] == pytest.approx(
        np.linalg.norm(noisy(SIDE)["y"] - np.eye(SIDE)) / np.linalg.norm(noisy(SIDE)["y"])
    )
    alone = write_variant(tmp_path / "alone.h5", {"sample_00": blurred(SIDE)})
    people = stem4d("inspect", alone)
    assert people.code == 0
    for text in ("widefield", "C(psf) -> D(g, eta_1)", "x_true| / |y|", "blur_error"):
        assert text in people.out


def test_inspect_shows_a_notation_that_cannot_be_read(tmp_path: Path, stem4d: Command) -> None:
    items = {**noisy(SIDE), "metadata": {"notation": "C(psf) -> Z"}}
    done = stem4d("inspect", write_variant(tmp_path / "a.h5", {"sample_00": items}), "--json")
    (sample,) = done.json()["samples"]
    assert "column 11" in sample["notation"]["fault"]


def test_inspect_of_a_blind_file_has_no_residual(
    variant: Path, tmp_path: Path, stem4d: Command
) -> None:
    done = stem4d("inspect", strip(variant, tmp_path / "view.h5"), "--json")
    assert {sample["residual"] for sample in done.json()["samples"]} == {None}
    assert {sample["truth"] for sample in done.json()["samples"]} == {None}


def test_the_commands_in_a_row(variant: Path, tmp_path: Path, stem4d: Command) -> None:
    """As a person types them."""
    out, file = tmp_path / "out", tmp_path / "copy.py"
    file.write_text(COPY)
    assert stem4d("run", variant, out, "--algorithm", f"{file}:Copy+none", "--quiet").code == 0
    assert stem4d("validate", out / "result.h5", "--against", variant).code == 0
    done = stem4d("score", out / "result.h5", "--truth", variant)
    assert done.code == 0
    assert "gain_error err" in done.out
    assert "no published rows" in done.err
    card = json.loads(stem4d("score", out / "result.h5", "--truth", variant, "--json").out)
    assert 0.5 < card["score"] <= 1.0
    assert stem4d("inspect", out / "result.h5").code == 0
    blind = strip(variant, tmp_path / "view.h5")
    unscored = stem4d("score", out / "result.h5", "--truth", blind)
    assert unscored.code == 0
