"""Result files: what is written is read; each fault is found, named, and costs its sample alone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.files.challenge import open_challenge
from runner.files.hdf5 import sha256_of
from runner.files.result import ResultFile, SampleResult, read_result, write_result
from schemas import (
    CONTRACT_VERSION,
    VARIANT,
    ContractError,
    ExitCode,
    Finding,
    Provenance,
    ResultAttrs,
    RunInfo,
    SampleRun,
)
from schemas.base import MAX_JSON_BYTES, json_text
from schemas.result import MAX_RESULT_BYTES
from tests.helpers.damage import Damage, drop, garble_chunk, poke, put, put_bytes
from tests.runner.small import SIDE, Answers, SmallChallenge

BadResult = Callable[[Damage], Path]


def read(path: Path, small_challenge: SmallChallenge) -> tuple[ResultFile | None, list[Finding]]:
    with open_challenge(small_challenge.path) as challenge:
        result, findings = read_result(path, challenge)
    return result, list(findings)


# --- round trip -----------------------------------------------------------------------------------

finite = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | finite | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(text, json_values, max_size=4)


@st.composite
def results(draw: st.DrawFn, small_challenge: SmallChallenge) -> ResultFile:
    names = draw(st.lists(st.sampled_from(["sample_00", "sample_01"]), unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    ranges = small_challenge.samples[0].ranges
    samples = {
        name: SampleResult(
            rng.normal(0.0, 1e3, (SIDE, SIDE)).astype(np.float32),
            {entry.name: draw(st.floats(entry.min, entry.max)) for entry in ranges.root},
            draw(objects),
        )
        for name in names
    }
    provenance = Provenance(
        runner_version="1",
        algorithm=draw(text),
        parameters=draw(objects),
        seed=draw(st.integers(0, 2**62)),
        libraries=draw(st.dictionaries(text, text, max_size=3)),
        input_sha256="0" * 64,
        nonce=draw(st.none() | text),
    )
    run_info = RunInfo(
        started_utc="2024-01-01T00:00:00Z",
        host=draw(text),
        device="cpu",
        threads=draw(st.integers(1, 64)),
        setup_seconds=draw(st.floats(0, 1e6)),
        peak_memory_mib=draw(st.floats(0, 1e6)),
        samples={name: SampleRun(seconds=draw(st.floats(0, 1e5))) for name in names},
    )
    attrs = ResultAttrs(
        variant=VARIANT,
        tier=draw(st.sampled_from(["public", "dev", "hidden", "blind"])),
        submission_type="reconstruction",
        contract_version=CONTRACT_VERSION,
    )
    return ResultFile(attrs, provenance, run_info, samples)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_is_written_is_read(small_challenge: SmallChallenge, data: st.DataObject) -> None:
    result = data.draw(results(small_challenge))
    with tempfile.TemporaryDirectory() as folder:
        path, again = Path(folder) / "a.h5", Path(folder) / "b.h5"
        for target in (path, again):
            write_result(target, result)
        assert sha256_of(path) == sha256_of(again), "same content, same bytes"
        found, findings = read(path, small_challenge)
    assert found is not None
    assert (found.attrs, found.provenance, found.run_info) == (
        result.attrs,
        result.provenance,
        result.run_info,
    )
    assert {entry.code for entry in findings} <= {"RESULT_SAMPLE_MISSING"}
    assert len(findings) == 2 - len(result.samples)
    assert sorted(found.samples) == sorted(result.samples)
    for name, sample in result.samples.items():
        assert found.samples[name].x_hat.tobytes() == sample.x_hat.tobytes()
        assert found.samples[name].corrected_spec == sample.corrected_spec
        assert found.samples[name].diagnostics == sample.diagnostics


def test_layout_is_the_contract_s(damaged_result: BadResult) -> None:
    with h5py.File(damaged_result(lambda _: None)) as file:
        assert set(file) == {"sample_00", "sample_01"}
        x_hat = file["sample_00/x_hat"]
        assert (x_hat.dtype, x_hat.compression, x_hat.shape) == (np.dtype("<f4"), "gzip", (32, 32))
        assert set(file["sample_00"]) == {"x_hat"}
        assert set(file["sample_00"].attrs) == {"corrected_spec"}
        assert file.attrs["submission_type"] == "reconstruction"


# --- faults of one sample -------------------------------------------------------------------------

X = "sample_00/x_hat"
SPEC = "sample_00@corrected_spec"
DIAGNOSTICS = "sample_00@diagnostics"
IMAGE = np.zeros((SIDE, SIDE), dtype=np.float32)
GOOD = {"camera_length": 1.0, "center_offset": 0.5, "elliptical_distortion": 0.0}


def spec_with(**changes: object) -> Damage:
    return put(SPEC, json_text({**GOOD, **changes}))


def stored_outside(file: h5py.File) -> None:
    """x_hat in another file, as HDF5's external storage."""
    drop(X)(file)
    outside = Path(file.filename).with_name("outside.bin")
    outside.write_bytes(IMAGE.tobytes())
    file["sample_00"].create_dataset(
        "x_hat", IMAGE.shape, IMAGE.dtype, external=[(str(outside), 0, IMAGE.nbytes)]
    )


def virtual(file: h5py.File) -> None:
    """x_hat as a window on another dataset."""
    drop(X)(file)
    layout = h5py.VirtualLayout(IMAGE.shape, IMAGE.dtype)
    layout[...] = h5py.VirtualSource(".", "sample_01/x_hat", IMAGE.shape)
    file["sample_00"].create_virtual_dataset("x_hat", layout)


def emptied(path: str, child: str | None = None) -> Damage:
    def damage(file: h5py.File) -> None:
        drop(path)(file)
        file.create_group(path if child is None else f"{path}/{child}")

    return damage


SAMPLE_FAULTS: dict[str, tuple[str, Damage]] = {
    "no x_hat": ("RESULT_MISSING_ITEM", drop(X)),
    "x_hat a group": ("RESULT_UNKNOWN_ITEM", emptied(X)),
    "x_hat of another shape": ("RESULT_SHAPE", put(X, IMAGE[:-1])),
    "x_hat transposed into a list": ("RESULT_SHAPE", put(X, IMAGE.ravel())),
    "x_hat of no pixel": ("RESULT_SHAPE", put(X, h5py.Empty("f4"))),
    "x_hat float64": ("RESULT_DTYPE", put(X, IMAGE.astype("f8"))),
    "x_hat big-endian": ("RESULT_DTYPE", put(X, IMAGE.astype(">f4"))),
    "x_hat of integers": ("RESULT_DTYPE", put(X, IMAGE.astype("i4"))),
    "x_hat with NaN": ("RESULT_NOT_FINITE", poke(X, (3, 4), np.nan)),
    "x_hat huge": ("RESULT_MAGNITUDE", poke(X, (3, 4), -1.1e6)),
    "x_hat with an attribute": ("RESULT_UNKNOWN_ITEM", put(f"{X}@unit", "rad")),
    "x_hat with infinity": ("RESULT_NOT_FINITE", poke(X, (3, 4), -np.inf)),
    "sample a dataset": ("RESULT_UNKNOWN_ITEM", put("sample_00", IMAGE)),
    "sample missing": ("RESULT_SAMPLE_MISSING", drop("sample_00")),
    "another item": ("RESULT_UNKNOWN_ITEM", put("sample_00/probe", IMAGE)),
    "an item without a readable name": (
        "RESULT_UNKNOWN_ITEM",
        lambda file: file["sample_00"].create_group(b"\xff\xfe"),
    ),
    "another attribute": ("RESULT_UNKNOWN_ITEM", put("sample_00@seconds", "3.0")),
    "no spec": ("RESULT_SPEC", drop(SPEC)),
    "spec not UTF-8": ("RESULT_JSON", put_bytes(SPEC, b"\xff\xfe{}")),
    "spec no JSON": ("RESULT_JSON", put(SPEC, "camera_length = 1")),
    "spec a list": ("RESULT_SPEC", put(SPEC, "[1.0, 0.5, 0.0]")),
    "spec with a key twice": (
        "RESULT_JSON",
        put(SPEC, json_text(GOOD)[:-1] + ',"camera_length":1}'),
    ),
    "spec too deep": ("RESULT_JSON", put(SPEC, "[" * 99 + "]" * 99)),
    "spec with a huge integer": (
        "RESULT_JSON",
        put(SPEC, json_text(GOOD).replace("0.5", "1" * 5000)),
    ),
    "spec too long": ("RESULT_JSON", put(SPEC, json_text(GOOD) + " " * MAX_JSON_BYTES)),
    "spec NaN": ("RESULT_JSON", put(SPEC, json_text(GOOD).replace("0.5", "NaN"))),
    "spec infinite": ("RESULT_JSON", put(SPEC, json_text(GOOD).replace("0.5", "1e999"))),
    "spec of text": ("RESULT_SPEC", spec_with(camera_length="1.0")),
    "spec of a truth value": ("RESULT_SPEC", spec_with(camera_length=True)),
    "spec null": ("RESULT_SPEC", spec_with(camera_length=None)),
    "spec below its range": ("RESULT_SPEC", spec_with(camera_length=-2.001)),
    "spec above its range": ("RESULT_SPEC", spec_with(elliptical_distortion=0.0101)),
    "spec with a stranger": ("RESULT_SPEC", spec_with(tilt=0.0)),
    "spec incomplete": ("RESULT_SPEC", put(SPEC, '{"camera_length": 1.0}')),
    "diagnostics a list": ("RESULT_MALFORMED", put(DIAGNOSTICS, "[1]")),
    "diagnostics infinite": ("RESULT_JSON", put(DIAGNOSTICS, '{"a": 1e999}')),
    "diagnostics too long": (
        "RESULT_JSON",
        put(DIAGNOSTICS, json_text({"a": "b" * MAX_JSON_BYTES})),
    ),
}


@pytest.mark.parametrize("fault", sorted(SAMPLE_FAULTS))
def test_a_fault_costs_its_sample_alone(
    damaged_result: BadResult, small_challenge: SmallChallenge, fault: str
) -> None:
    code, damage = SAMPLE_FAULTS[fault]
    result, findings = read(damaged_result(damage), small_challenge)
    (entry,) = findings
    assert entry.code == code
    assert "sample_00" in entry.where
    for part in (entry.expected, entry.found, entry.hint):
        assert part
    assert result is not None
    assert sorted(result.samples) == ["sample_01"]


def test_a_damaged_block(damaged_result: BadResult, small_challenge: SmallChallenge) -> None:
    path = damaged_result(lambda _: None)
    garble_chunk(path, X)
    result, findings = read(path, small_challenge)
    assert [entry.code for entry in findings] == ["RESULT_NOT_HDF5"]
    assert result is not None
    assert sorted(result.samples) == ["sample_01"]


@pytest.mark.parametrize("end", ["min", "max"])
def test_the_ends_of_a_range_are_within_it(
    damaged_result: BadResult, small_challenge: SmallChallenge, end: str
) -> None:
    ends = {r.name: getattr(r, end) for r in small_challenge.samples[0].ranges.root}
    result, findings = read(damaged_result(put(SPEC, json_text(ends))), small_challenge)
    assert findings == []
    assert result is not None
    assert result.samples["sample_00"].corrected_spec == ends


def test_diagnostics_up_to_the_limit(
    damaged_result: BadResult, small_challenge: SmallChallenge
) -> None:
    """64 KiB exactly: HDF5 itself stores no attribute larger than that in its header."""
    frame = len(json_text({"a": ""}))
    text = json_text({"a": "b" * (MAX_JSON_BYTES - frame)})
    assert len(text) == MAX_JSON_BYTES
    result, findings = read(damaged_result(put(DIAGNOSTICS, text)), small_challenge)
    assert findings == []
    assert result is not None
    assert len(result.samples["sample_00"].diagnostics["a"]) == MAX_JSON_BYTES - frame


# --- faults of the whole file ---------------------------------------------------------------------

STRUCTURE_FAULTS: dict[str, tuple[str, Damage]] = {
    "x_hat complex": ("RESULT_TYPE", put(X, IMAGE.astype("c8"))),
    "x_hat of text": ("RESULT_TYPE", put(X, np.full(IMAGE.shape, b"a"))),
    "x_hat a soft link": ("RESULT_LINK", put(X, h5py.SoftLink("/sample_01/x_hat"))),
    "x_hat a link to nothing": ("RESULT_LINK", put(X, h5py.SoftLink("/nowhere"))),
    "x_hat an external link": (
        "RESULT_LINK",
        put(X, h5py.ExternalLink("challenge.h5", "/sample_00/x_true")),
    ),
    "x_hat stored outside": ("RESULT_STORAGE", stored_outside),
    "x_hat virtual": ("RESULT_STORAGE", virtual),
    "sample a soft link": ("RESULT_LINK", put("sample_00", h5py.SoftLink("/sample_01"))),
    "sample an external link": (
        "RESULT_LINK",
        put("sample_00", h5py.ExternalLink("challenge.h5", "/sample_00")),
    ),
    "spec not text": ("RESULT_ATTRIBUTE", put(SPEC, np.arange(3.0))),
    "spec nothing": ("RESULT_ATTRIBUTE", put(SPEC, h5py.Empty("f4"))),
}
"""Faults of one sample for which nothing of the file is read; tests/adversarial has more."""


@pytest.mark.parametrize("fault", sorted(STRUCTURE_FAULTS))
def test_a_file_that_is_not_harmless_is_not_read(
    damaged_result: BadResult, small_challenge: SmallChallenge, fault: str
) -> None:
    code, damage = STRUCTURE_FAULTS[fault]
    result, findings = read(damaged_result(damage), small_challenge)
    assert result is None
    assert {entry.code for entry in findings} == {code}
    assert all("sample_00" in entry.where for entry in findings)


def test_all_faults_at_once(damaged_result: BadResult, small_challenge: SmallChallenge) -> None:
    def damage(file: h5py.File) -> None:
        poke(X, (0, 0), np.nan)(file)
        spec_with(camera_length=9.0)(file)
        drop("sample_01@corrected_spec")(file)
        put("notes", IMAGE)(file)
        put("/@author", "someone")(file)
        file.create_group("sample_07")

    result, findings = read(damaged_result(damage), small_challenge)
    assert sorted(entry.code for entry in findings) == [
        "RESULT_NOT_FINITE",
        "RESULT_SAMPLE_UNKNOWN",
        "RESULT_SPEC",
        "RESULT_SPEC",
        "RESULT_UNKNOWN_ITEM",
        "RESULT_UNKNOWN_ITEM",
    ]
    assert result is not None
    assert not result.samples


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (drop("/@variant"), "RESULT_MISSING_ITEM"),
        (drop("/@contract_version"), "RESULT_MISSING_ITEM"),
        (drop("/@provenance"), "RESULT_MISSING_ITEM"),
        (put("/@submission_type", "guess"), "RESULT_MALFORMED"),
        (put("/@contract_version", "2.0"), "RESULT_MALFORMED"),
        (put("/@provenance", "{}"), "RESULT_MALFORMED"),
        (put("/@provenance", '{"seed": %s}' % ("1" * 5000)), "RESULT_JSON"),
        (put_bytes("/@run_info", b"\xff"), "RESULT_JSON"),
    ],
)
def test_a_file_that_is_no_result(
    damaged_result: BadResult, small_challenge: SmallChallenge, damage: Damage, code: str
) -> None:
    result, findings = read(damaged_result(damage), small_challenge)
    assert result is None
    assert [entry.code for entry in findings] == [code]


def test_what_is_no_hdf5(
    damaged_result: BadResult, small_challenge: SmallChallenge, tmp_path: Path
) -> None:
    path = damaged_result(lambda _: None)
    os.truncate(path, path.stat().st_size // 2)
    for place, code in (
        (path, "RESULT_NOT_HDF5"),
        (tmp_path / "none.h5", "RESULT_NOT_FOUND"),
        (tmp_path, "RESULT_NOT_FOUND"),
    ):
        result, findings = read(place, small_challenge)
        assert result is None
        assert [entry.code for entry in findings] == [code]


def test_a_file_too_large_is_not_read(
    damaged_result: BadResult, small_challenge: SmallChallenge
) -> None:
    path = damaged_result(lambda _: None)
    os.truncate(path, MAX_RESULT_BYTES + 1)
    result, findings = read(path, small_challenge)
    assert result is None
    assert [entry.code for entry in findings] == ["RESULT_TOO_LARGE"]


def test_a_result_s_findings_are_the_result_s(
    write_result_file: Callable[[Answers], Path], small_challenge: SmallChallenge
) -> None:
    """Exit code 3 for each of them."""
    _, findings = read(write_result_file({}), small_challenge)
    assert len(findings) == 2
    assert ContractError(findings).exit_code == ExitCode.RESULT
