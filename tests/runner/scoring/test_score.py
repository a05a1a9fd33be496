"""A result file against the truth: what is judged, and what scores nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.files.challenge import open_challenge, write_challenge
from runner.scoring.formulas import blind_score, standard_score
from runner.scoring.score import score_result
from schemas import ContractError, MismatchSpec, ScoreCard, Track, json_text, record_from_json

any_number = st.floats(-1e6, 1e6)


def test_the_true_answer_reaches_the_ceiling(small_challenge, answers, write_result_file) -> None:
    card = score_result(write_result_file(answers), small_challenge.path)
    assert card.tier == "public"
    assert card.track is Track.BLIND
    assert card.algorithm == "test+truth"
    assert card.findings == ()
    assert card.spec_error == dict.fromkeys(MismatchSpec().values(), 0.0)
    for sample in card.samples:
        assert sample.ssim == pytest.approx(1.0)
        assert sample.consistency == sample.consistency_ceiling
        assert sample.score == pytest.approx(0.8 + 0.2 * sample.consistency)
        assert sample.consistency_ideal < sample.consistency
        assert sample.seconds == 1.25
    assert card.seconds == pytest.approx(0.5 + 2 * 1.25)


def test_standard_track_leaves_consistency_out(small_challenge, answers, write_result_file) -> None:
    card = score_result(write_result_file(answers), small_challenge.path, Track.STANDARD)
    assert card.track is Track.STANDARD
    assert card.score == pytest.approx(1.0)
    assert card.consistency < 1


def test_a_missing_sample_scores_zero_and_is_named(
    small_challenge, answers, write_result_file
) -> None:
    whole = score_result(write_result_file(answers), small_challenge.path)
    del answers["sample_01"]
    card = score_result(write_result_file(answers), small_challenge.path)
    assert card.score == pytest.approx(whole.samples[0].score / 2)
    assert [entry.score for entry in card.samples][1] == 0.0
    assert card.samples[1].psnr_db is None
    assert card.psnr_db == card.samples[0].psnr_db
    assert [entry.code for entry in card.findings] == ["RESULT_SAMPLE_MISSING"]


def test_an_invalid_sample_scores_zero_and_is_named(
    small_challenge, answers, write_result_file
) -> None:
    broken = answers["sample_00"][0].copy()
    broken[3, 4] = np.nan
    answers["sample_00"] = (broken, MismatchSpec())
    card = score_result(write_result_file(answers), small_challenge.path)
    assert card.samples[0].score == 0.0
    assert card.samples[1].score > 0.8
    assert [entry.code for entry in card.findings] == ["RESULT_NOT_FINITE"]


def test_no_sample_at_all_is_an_error(small_challenge, write_result_file) -> None:
    with pytest.raises(ContractError) as failure:
        score_result(write_result_file({}), small_challenge.path)
    assert {entry.code for entry in failure.value.findings} == {"RESULT_SAMPLE_MISSING"}
    assert failure.value.exit_code == 3


def test_a_file_without_truth_cannot_judge(
    small_challenge, answers, write_result_file, tmp_path: Path
) -> None:
    from dataclasses import replace

    blind = tmp_path / "blind.h5"
    with open_challenge(small_challenge.path) as full:
        stripped = [replace(sample, x_true=None, true_spec=None) for sample in full]
        write_challenge(blind, full.attrs, stripped)
    with pytest.raises(ContractError) as failure:
        score_result(write_result_file(answers), blind)
    assert failure.value.findings[0].code == "TRUTH_MISSING"
    assert failure.value.exit_code == 4


def test_spec_error_is_estimate_minus_truth(small_challenge, answers, write_result_file) -> None:
    true = answers["sample_00"][1]
    off = MismatchSpec(
        camera_length=true.camera_length + 0.5,
        center_offset=true.center_offset - 0.25,
        elliptical_distortion=true.elliptical_distortion,
    )
    answers["sample_00"] = (answers["sample_00"][0], off)
    card = score_result(write_result_file(answers), small_challenge.path)
    assert card.samples[0].spec_error["camera_length"] == pytest.approx(0.5)
    assert card.samples[0].spec_error["center_offset"] == pytest.approx(-0.25)
    assert card.spec_error["camera_length"] == pytest.approx(0.5 / np.sqrt(2))
    assert card.samples[0].consistency < card.samples[0].consistency_ceiling


def test_a_wrong_spec_costs_consistency_only(small_challenge, answers, write_result_file) -> None:
    true = score_result(write_result_file(answers), small_challenge.path)
    nominal = {name: (x, MismatchSpec()) for name, (x, _) in answers.items()}
    card = score_result(write_result_file(nominal), small_challenge.path)
    assert card.psnr_db == true.psnr_db
    assert card.ssim == true.ssim
    assert card.score < true.score
    for sample in card.samples:
        assert sample.consistency == sample.consistency_ideal


def test_a_card_survives_json(small_challenge, answers, write_result_file) -> None:
    card = score_result(write_result_file(answers), small_challenge.path)
    assert record_from_json(ScoreCard, json_text(card)) == card


@given(any_number, any_number, any_number)
def test_scores_stay_in_the_unit_interval(psnr: float, ssim: float, consistency: float) -> None:
    assert 0.0 <= standard_score(psnr, ssim) <= 1.0
    assert 0.0 <= blind_score(psnr, ssim, consistency) <= 1.0


@given(st.floats(0, 60), st.floats(0, 60), st.floats(-1, 1), st.floats(-2, 1))
def test_a_better_image_never_scores_less(
    psnr: float, more: float, ssim: float, consistency: float
) -> None:
    low, high = sorted((psnr, more))
    assert standard_score(low, ssim) <= standard_score(high, ssim)
    assert blind_score(low, ssim, consistency) <= blind_score(high, ssim, consistency)
    assert blind_score(psnr, ssim, consistency) <= blind_score(psnr, 1.0, 1.0)


def test_what_the_scores_are_made_of() -> None:
    assert standard_score(30.0, 0.5) == pytest.approx(0.5 * 0.5 + 0.5 * 0.5)
    assert standard_score(10.0, 0.5) == pytest.approx(0.25)
    assert blind_score(30.0, 0.5, 0.5) == pytest.approx(0.4 * 0.5 + 0.4 * 0.5 + 0.2 * 0.5)
    assert blind_score(30.0, 0.5, -3.0) == blind_score(30.0, 0.5, 0.0)
    assert blind_score(30.0, 0.5, float("nan")) == blind_score(30.0, 0.5, 0.0)
