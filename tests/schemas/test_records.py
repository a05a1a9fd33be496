"""What every record of the contract promises, whatever its fields are."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas import (
    CONTRACT_MODELS,
    PARAMETERS,
    ContractError,
    ExitCode,
    Finding,
    MismatchSpec,
    OperatorAttrs,
    ResourceLimits,
    SampleScore,
    ScoreCard,
    SpecRange,
    SpecRanges,
    Tier,
    Track,
    finding,
    json_text,
    record_from_json,
    refuse,
)
from schemas.base import MAX_JSON_BYTES, MAX_JSON_DEPTH, StrictJSONError, strict_json
from schemas.findings import CODES
from schemas.recipes import SPEC_RANGES

finite = st.floats(allow_nan=False, allow_infinity=False)
lengths = st.floats(-49, 49)
offsets = st.floats(-4000, 4000)
ellipses = st.floats(-0.49, 0.49)
specs = st.builds(
    MismatchSpec,
    camera_length=lengths,
    center_offset=offsets,
    elliptical_distortion=ellipses,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | finite | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)

SAMPLE_SCORE = {
    "sample": "sample_00",
    "score": 0.5,
    "psnr_db": 20.0,
    "ssim": 0.5,
    "consistency": 0.8,
    "consistency_ceiling": 0.9,
    "consistency_ideal": 0.4,
    "chi_square": 1.1,
    "psnr_offset_free_db": 21.0,
}

OPERATOR = {
    "energy_eV": 80e3,
    "wavelength_A": 0.0418,
    "semiangle_mrad": 21.4,
    "C10_A": -100.0,
    "Cs_A": 0.0,
    "sampling_A": 0.2,
    "phase_scale_rad": 1.0,
    "dose_e": 8000.0,
    "gain": 1.0,
    "read_noise": 0.0,
    "periodic": True,
    "object_shape": (128, 128),
    "model": "phase-object/far-field",
}


def ranges() -> st.SearchStrategy[SpecRange]:
    return (
        st.tuples(st.floats(-10, 10), st.floats(-10, 10))
        .filter(lambda b: b[0] < b[1])
        .map(lambda b: SpecRange(name="camera_length", min=b[0], max=b[1], unit="%"))
    )


@pytest.mark.parametrize("model", CONTRACT_MODELS, ids=lambda model: model.__name__)
def test_every_record_is_strict_and_frozen(model) -> None:
    config = model.model_config
    assert config["strict"]
    assert config["frozen"]
    assert config["extra"] == "forbid"
    assert config["allow_inf_nan"] is False


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "80000", True, None])
def test_numbers_are_numbers(value: Any) -> None:
    with pytest.raises(ValidationError):
        OperatorAttrs.model_validate({**OPERATOR, "energy_eV": value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dose_e", 0.0),
        ("gain", -1.0),
        ("read_noise", -1e-9),
        ("sampling_A", 0.0),
        ("model", "multislice"),
        ("periodic", 1),
        ("object_shape", (128,)),
        ("object_shape", (128.0, 128.0)),
        ("dosis", 1.0),
    ],
)
def test_an_operator_out_of_bounds_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=key):
        OperatorAttrs.model_validate({**OPERATOR, key: value})


@given(specs)
def test_a_spec_survives_json_and_vector(spec: MismatchSpec) -> None:
    assert record_from_json(MismatchSpec, json_text(spec)) == spec
    assert MismatchSpec.from_vector(spec.vector()) == spec
    assert MismatchSpec.from_values(spec.values()) == spec
    assert tuple(spec.values()) == PARAMETERS


@given(specs, st.sampled_from(list(Tier)))
def test_clipping_moves_a_spec_into_its_ranges_once(spec: MismatchSpec, tier: Tier) -> None:
    bounds = SPEC_RANGES[tier]
    clipped = spec.clipped(bounds)
    for name, value in clipped.values().items():
        assert bounds[name].min <= value <= bounds[name].max
        if bounds[name].min <= spec.values()[name] <= bounds[name].max:
            assert value == spec.values()[name]
    assert clipped.clipped(bounds) == clipped


@given(ranges(), finite)
def test_a_range_clips_and_has_its_middle_inside(entry: SpecRange, value: float) -> None:
    assert entry.min <= entry.clip(value) <= entry.max
    assert entry.min <= entry.midpoint <= entry.max


def test_ranges_are_ordered_and_named_once() -> None:
    with pytest.raises(ValidationError, match="below"):
        SpecRange(name="camera_length", min=1.0, max=1.0, unit="%")
    entry = SpecRange(name="camera_length", min=0.0, max=1.0, unit="%")
    with pytest.raises(ValidationError, match="unique"):
        SpecRanges((entry, entry))


@pytest.mark.parametrize("tier", list(Tier))
def test_nominal_lies_within_every_published_range(tier: Tier) -> None:
    assert MismatchSpec().clipped(SPEC_RANGES[tier]) == MismatchSpec()


@given(json_values)
def test_canonical_json_is_read_back_and_stable(value: Any) -> None:
    text = json_text(value)
    assert strict_json(text) == value
    assert json_text(strict_json(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        "NaN",
        '{"a": Infinity}',
        "[-Infinity]",
        "[" * (MAX_JSON_DEPTH + 1) + "]" * (MAX_JSON_DEPTH + 1),
        "{" + " " * MAX_JSON_BYTES + "}",
        b'{"a": "\xff"}',
        '{"a": "\ud800"}',
        "[1e999]",
        "1" * 5000,
        3,
        None,
        "",
        "{",
        "{'a': 1}",
    ],
)
def test_loose_json_is_refused(text: Any) -> None:
    with pytest.raises(StrictJSONError):
        strict_json(text)


def test_brackets_inside_text_are_not_nesting() -> None:
    assert strict_json(json.dumps("[" * 100 + '\\"{')) == "[" * 100 + '\\"{'


@given(st.sampled_from(list(CODES)), st.text(max_size=6000))
def test_a_finding_holds_whatever_text_it_meets(code: str, text: str) -> None:
    made = finding(code, text, expected=text, found=text, hint=text)
    assert made.blame is CODES[code].blame
    assert record_from_json(Finding, made.model_dump_json()) == made


def test_an_error_leaves_with_the_code_of_its_first_finding() -> None:
    error = refuse("RESULT_SHAPE", "x", expected="(2, 2)", found="(3, 3)", hint="reshape")
    assert error.exit_code is ExitCode.RESULT
    for part in ("RESULT_SHAPE", "(2, 2)", "(3, 3)", "reshape"):
        assert part in str(error)
    with pytest.raises(ValueError, match="at least one"):
        ContractError([])


def test_exit_codes_are_disjoint_by_blame() -> None:
    codes = {
        code: ContractError(finding(code, "", expected="", found="", hint="")).exit_code
        for code in CODES
    }
    assert set(codes.values()) == set(ExitCode) - {ExitCode.DONE}


@pytest.mark.parametrize("score", [-0.01, 1.01])
def test_a_score_lies_in_the_unit_interval(score: float) -> None:
    with pytest.raises(ValidationError):
        SampleScore.model_validate({**SAMPLE_SCORE, "score": score})


def test_a_card_survives_json() -> None:
    card = ScoreCard(
        tier="public",
        track=Track.BLIND,
        algorithm="a+b",
        score=0.5,
        psnr_db=20.0,
        ssim=0.5,
        consistency=0.8,
        spec_error={"camera_length": 0.1},
        samples=(SampleScore.model_validate(SAMPLE_SCORE),),
        findings=(finding("STOPPED", "x", expected="a", found="b", hint="c"),),
    )
    assert record_from_json(ScoreCard, json_text(card)) == card


def test_the_shipped_limits_are_the_contract_s() -> None:
    import tomllib
    from pathlib import Path

    text = (Path(__file__).parents[2] / "limits.toml").read_text(encoding="utf-8")
    assert ResourceLimits.model_validate(tomllib.loads(text)) == ResourceLimits()
