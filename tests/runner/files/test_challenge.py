"""Challenge and truth files: what is written is read, and what is wrong is named."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physics.ideal import ArrayPatterns, IdealOperator
from runner.files.challenge import (
    ArraySample,
    ChallengeSample,
    FilePatterns,
    open_challenge,
    write_challenge,
)
from runner.files.hdf5 import open_input, sha256_of
from schemas import (
    PARAMETERS,
    ChallengeAttrs,
    ContractError,
    ExitCode,
    MismatchSpec,
    OperatorAttrs,
    SampleMetadata,
    SpecRange,
    SpecRanges,
    Track,
)
from schemas.base import MAX_JSON_DEPTH
from schemas.operator import MODEL_NAME
from tests.helpers.damage import Damage, drop, garble_chunk, poke, put, put_bytes
from tests.helpers.strategies import published_specs
from tests.runner.small import SmallChallenge

BadChallenge = Callable[[Damage], Path]

ATTRS = ChallengeAttrs(
    variant="electron_diffraction", tier="public", version="1.0", contract_version="1.0"
)


def read_all(path: Path) -> list[ChallengeSample]:
    """Every sample, its patterns loaded; warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_challenge(path) as challenge:
            return [
                replace(sample, y=ArrayPatterns(sample.y.read(0, ny * nx).reshape(sample.y.shape)))
                for sample in challenge
                for ny, nx in [sample.y.shape[:2]]
            ]


def refusal(path: Path) -> ContractError:
    with pytest.raises(ContractError) as failure:
        read_all(path)
    assert failure.value.exit_code == ExitCode.INPUT
    assert all(not item.counts_against_quota for item in failure.value.findings)
    return failure.value


# --- round trip -----------------------------------------------------------------------------------


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, exclude_min=True, exclude_max=True)


@st.composite
def samples(draw: st.DrawFn, name: str = "sample_00") -> ChallengeSample:
    """Any sample that the contract allows, a few pixels large."""
    ny, nx, n = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(2, 5))
    periodic = draw(st.booleans())
    smallest = 1 if periodic else n
    shape = (draw(st.integers(smallest, 9)), draw(st.integers(smallest, 9)))
    attrs = OperatorAttrs(
        energy_eV=draw(numbers(1e3, 1e7)),
        wavelength_A=draw(numbers(1e-4, 1.0)),
        semiangle_mrad=draw(numbers(0, 500)),
        C10_A=draw(numbers(-1e7, 1e7)),
        Cs_A=draw(numbers(-1e9, 1e9)),
        sampling_A=draw(numbers(0, 1e4)),
        phase_scale_rad=draw(numbers(0, 1e3)),
        dose_e=draw(numbers(0, 1e15)),
        gain=draw(numbers(0, 1e9)),
        read_noise=draw(st.floats(0, 1e8)),
        periodic=periodic,
        object_shape=shape,
        model=MODEL_NAME,
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    probe = rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n))
    low, high = (-3.0, np.add(shape, 3.0)) if periodic else (n // 2, np.subtract(shape, n - n // 2))
    positions = rng.uniform(low, high, (ny * nx, 2)).astype(np.float32)
    if not periodic:
        positions = np.clip(positions, low, high).astype(np.float32)
    chosen = draw(st.lists(st.sampled_from(PARAMETERS), unique=True))
    ranges = SpecRanges(
        tuple(
            SpecRange(name=entry, min=draw(numbers(-0.4, 0)), max=draw(numbers(0, 0.4)), unit="")
            for entry in chosen
        )
    )
    y = rng.normal(5.0, 3.0, (ny, nx, n, n)).astype(np.float32)
    metadata = SampleMetadata(
        scene=draw(st.text(max_size=12)),
        shape=y.shape,
        noise_model=draw(st.sampled_from(["poisson", "poisson-gaussian", "none", "measured"])),
        track=draw(st.sampled_from(Track)),
        description=draw(st.text(max_size=12)),
    )
    return ChallengeSample(
        name,
        ArrayPatterns(y),
        IdealOperator(attrs, (probe / np.linalg.norm(probe)).astype(np.complex64), positions),
        ranges,
        metadata,
        draw(st.none() | st.just(rng.uniform(0, 1, shape).astype(np.float32))),
        draw(st.none() | published_specs),
    )


def assert_same(found: ChallengeSample, written: ChallengeSample) -> None:
    for name in ("name", "ranges", "metadata", "true_spec"):
        assert getattr(found, name) == getattr(written, name)
    assert found.operator.attrs == written.operator.attrs
    assert found.operator.probe.tobytes() == written.operator.probe.tobytes()
    assert found.operator.positions_px.tobytes() == written.operator.positions_px.tobytes()
    assert isinstance(found.y, ArrayPatterns)
    np.testing.assert_array_equal(found.y.values, written.y.values)
    assert (found.x_true is None) == (written.x_true is None)
    if found.x_true is not None:
        assert found.x_true.tobytes() == written.x_true.tobytes()


@settings(max_examples=40)
@given(first=samples(), second=samples("sample_01"))
def test_what_is_written_is_read(first: ChallengeSample, second: ChallengeSample) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, again = Path(folder) / "a.h5", Path(folder) / "b.h5"
        for target in (path, again):
            write_challenge(target, ATTRS, [first, second])
        assert sha256_of(path) == sha256_of(again), "same content, same bytes"
        with open_challenge(path) as challenge:
            assert challenge.attrs == ATTRS
            assert challenge.names == ("sample_00", "sample_01")
        for found, written in zip(read_all(path), (first, second), strict=True):
            assert_same(found, written)


def test_a_chunk_is_inflated_once_for_reads_of_its_parts(
    damaged_challenge: BadChallenge,
) -> None:
    """The contract's largest chunk is a scan row, far above what HDF5 keeps unless it is told."""
    side, row = 64, 1024  # 16 MiB; HDF5's own choice is 1 MiB, or 8 from version 2 on
    values = (np.arange(row * side**2, dtype="f4") % 7).reshape(1, row, side, side)

    def one_chunk_a_row(file: h5py.File) -> None:
        group = file["sample_00"]
        del group["y"]
        group.create_dataset("y", data=values, chunks=values.shape, compression="gzip")

    path = damaged_challenge(one_chunk_a_row)
    with h5py.File(path, "r") as file:
        stored = file["sample_00/y"].id.get_chunk_info(0)
    with open_input(path, not_found="INPUT_NOT_FOUND", not_hdf5="INPUT_NOT_HDF5") as file:
        y = FilePatterns(file["sample_00/y"])
        first = y.read(0, 64)
        with path.open("r+b") as raw:  # from here on the chunk cannot be inflated again
            raw.seek(stored.byte_offset)
            raw.write(bytes(stored.size))
        rest = y.read(64, row)
    assert np.array_equal(np.concatenate([first, rest]), values[0])


@given(data=st.data())
@settings(max_examples=30)
def test_any_block_of_patterns_can_be_read(
    small_challenge: SmallChallenge, data: st.DataObject
) -> None:
    whole = small_challenge.samples[0].y.values.reshape(64, 16, 16)
    start = data.draw(st.integers(0, 63))
    stop = data.draw(st.integers(start + 1, 64))
    with open_challenge(small_challenge.path) as challenge:
        block = challenge.sample("sample_00").y.read(start, stop)
    assert block.dtype == np.float32
    np.testing.assert_array_equal(block, whole[start:stop])


def test_layout_is_the_contract_s(small_challenge: SmallChallenge) -> None:
    """gzip, float32, a chunk no more than a scan row: other programs read it by the same page."""
    with h5py.File(small_challenge.path) as file:
        y = file["sample_00/y"]
        assert (y.dtype, y.compression) == (np.dtype("f4"), "gzip")
        assert y.chunks[0] == 1
        assert file["sample_00/H_ideal/probe"].dtype == np.dtype("c8")
        assert file["sample_00/H_ideal"].attrs["dose_e"] == 2000.0
        assert isinstance(file["sample_00"].attrs["true_spec"], str)
        assert set(file.attrs) == {"variant", "tier", "version", "contract_version"}


# --- what is missing ------------------------------------------------------------------------------

MISSING = [
    "/@variant",
    "/@tier",
    "/@version",
    "/@contract_version",
    "sample_00/y",
    "sample_00/H_ideal",
    "sample_00/H_ideal/probe",
    "sample_00/H_ideal/positions_px",
    "sample_00@spec_ranges",
    "sample_00@metadata",
    *(f"sample_00/H_ideal@{name}" for name in OperatorAttrs.model_fields),
]


@pytest.mark.parametrize("item", MISSING)
def test_a_missing_item_is_named(damaged_challenge: BadChallenge, item: str) -> None:
    error = refusal(damaged_challenge(drop(item)))
    (entry,) = error.findings
    assert entry.code == "INPUT_MISSING_ITEM"
    assert item.replace("@", "/").rpartition("/")[2] in entry.where + entry.found
    if "sample" in item:
        assert "sample_00" in entry.where
    assert entry.hint


@pytest.mark.parametrize("item", ["sample_00/x_true", "sample_00@true_spec", "sample_00"], ids=str)
def test_what_need_not_be_there(damaged_challenge: BadChallenge, item: str) -> None:
    """The truth, and any number of samples."""
    found = read_all(damaged_challenge(drop(item)))
    assert len(found) == (1 if item == "sample_00" else 2)
    if item == "sample_00/x_true":
        assert found[0].x_true is None
    if item == "sample_00@true_spec":
        assert found[0].true_spec is None


def test_no_sample_at_all(damaged_challenge: BadChallenge) -> None:
    def empty(file: h5py.File) -> None:
        for name in list(file):
            del file[name]

    (entry,) = refusal(damaged_challenge(empty)).findings
    assert entry.code == "INPUT_MISSING_ITEM"
    assert "sample_00" in entry.expected


# --- what is malformed ----------------------------------------------------------------------------

NOWHERE = h5py.SoftLink("/nowhere")
RANGE = '[{"name": "camera_length", "min": %s, "max": %s, "unit": "%%"}]'
H = "sample_00/H_ideal"

MALFORMED: dict[str, tuple[str, Damage]] = {
    "y with NaN": ("INPUT_MALFORMED", poke("sample_00/y", (3, 2, 1, 0), np.nan)),
    "y with infinity": ("INPUT_MALFORMED", poke("sample_00/y", (3, 2, 1, 0), np.inf)),
    "y beyond float32": ("INPUT_MALFORMED", put("sample_00/y", np.full((8, 8, 16, 16), 1e300))),
    "y complex": ("INPUT_MALFORMED", put("sample_00/y", np.zeros((8, 8, 16, 16), complex))),
    "y of text": ("INPUT_MALFORMED", put("sample_00/y", np.full((8, 8, 16, 16), b"a"))),
    "y of three axes": ("INPUT_MALFORMED", put("sample_00/y", np.zeros((64, 16, 16)))),
    "y without a position": ("INPUT_MALFORMED", put("sample_00/y", np.zeros((0, 8, 16, 16)))),
    "y a group": (
        "INPUT_MALFORMED",
        lambda file: (drop("sample_00/y")(file), file.create_group("sample_00/y")),
    ),
    "y a link to nothing": ("INPUT_MISSING_ITEM", put("sample_00/y", NOWHERE)),
    "sample a link to nothing": ("INPUT_MISSING_ITEM", put("sample_00", NOWHERE)),
    "sample a dataset": ("INPUT_MISSING_ITEM", put("sample_00", np.zeros(3))),
    "H_ideal a link to nothing": ("INPUT_MISSING_ITEM", put(H, NOWHERE)),
    "detector not square": ("INPUT_INCONSISTENT", put("sample_00/y", np.zeros((8, 8, 16, 12)))),
    "detector of another size": ("INPUT_INCONSISTENT", put("sample_00/y", np.zeros((8, 8, 9, 9)))),
    "another number of positions": (
        "INPUT_INCONSISTENT",
        put("sample_00/y", np.zeros((8, 7, 16, 16))),
    ),
    "probe real": ("INPUT_MALFORMED", put(f"{H}/probe", np.eye(16) / 4)),
    "probe not normalised": ("INPUT_INCONSISTENT", put(f"{H}/probe", np.eye(16) * (1 + 0j))),
    "probe with NaN": ("INPUT_INCONSISTENT", poke(f"{H}/probe", (0, 0), np.nan)),
    "positions of three": ("INPUT_INCONSISTENT", put(f"{H}/positions_px", np.zeros((64, 3)))),
    "positions with NaN": ("INPUT_MALFORMED", poke(f"{H}/positions_px", (5, 1), np.nan)),
    "positions of text": ("INPUT_MALFORMED", put(f"{H}/positions_px", np.full((64, 2), b"a"))),
    "windows over the edge": ("INPUT_INCONSISTENT", put(f"{H}@periodic", False)),
    "dose NaN": ("INPUT_MALFORMED", put(f"{H}@dose_e", np.nan)),
    "dose zero": ("INPUT_MALFORMED", put(f"{H}@dose_e", 0.0)),
    "dose text": ("INPUT_MALFORMED", put(f"{H}@dose_e", "2000")),
    "dose a list": ("INPUT_MALFORMED", put(f"{H}@dose_e", np.array([1.0, 2.0]))),
    "dose nothing": ("INPUT_MALFORMED", put(f"{H}@dose_e", h5py.Empty("f4"))),
    "gain negative": ("INPUT_MALFORMED", put(f"{H}@gain", -1.0)),
    "periodic a number": ("INPUT_MALFORMED", put(f"{H}@periodic", 1)),
    "another model": ("INPUT_MALFORMED", put(f"{H}@model", "multislice")),
    "object of no pixel": ("INPUT_MALFORMED", put(f"{H}@object_shape", np.array([0, 32]))),
    "object of half pixels": ("INPUT_MALFORMED", put(f"{H}@object_shape", np.array([32.5, 32]))),
    "object of another shape than x_true": (
        "INPUT_INCONSISTENT",
        put(f"{H}@object_shape", np.array([32, 48])),
    ),
    "x_true with NaN": ("INPUT_MALFORMED", poke("sample_00/x_true", (0, 0), np.nan)),
    "x_true of another shape": ("INPUT_INCONSISTENT", put("sample_00/x_true", np.zeros((32, 31)))),
    "true_spec with a stranger": (
        "INPUT_MALFORMED",
        put("sample_00@true_spec", '{"camera_length": 1.0, "tilt": 0.1}'),
    ),
    "true_spec NaN": ("INPUT_MALFORMED", put("sample_00@true_spec", '{"camera_length": NaN}')),
    "metadata a number": ("INPUT_MALFORMED", put("sample_00@metadata", 3)),
    "metadata a list": ("INPUT_MALFORMED", put("sample_00@metadata", "[1, 2]")),
    "metadata not UTF-8": ("INPUT_MALFORMED", put_bytes("sample_00@metadata", b"\xff\xfe{}")),
    "metadata of another shape": (
        "INPUT_INCONSISTENT",
        put(
            "sample_00@metadata",
            '{"scene": "a", "shape": [8, 8, 16, 15], "noise_model": "poisson"}',
        ),
    ),
    "ranges no JSON": ("INPUT_MALFORMED", put("sample_00@spec_ranges", "camera_length: 1")),
    "ranges not text": ("INPUT_MALFORMED", put("sample_00@spec_ranges", np.arange(3))),
    "ranges not UTF-8": ("INPUT_MALFORMED", put_bytes("sample_00@spec_ranges", b"\xff[]")),
    "ranges with a key twice": (
        "INPUT_MALFORMED",
        put("sample_00@spec_ranges", RANGE.replace('"unit"', '"min": 1.0, "unit"') % (0.0, 2.0)),
    ),
    "ranges with NaN": ("INPUT_MALFORMED", put("sample_00@spec_ranges", RANGE % ("NaN", 1.0))),
    "ranges with infinity": (
        "INPUT_MALFORMED",
        put("sample_00@spec_ranges", RANGE % ("-1e999", 1.0)),
    ),
    "ranges with a huge integer": (
        "INPUT_MALFORMED",
        put("sample_00@spec_ranges", RANGE % ("1" * 5000, 1.0)),
    ),
    "ranges nested without end": (
        "INPUT_MALFORMED",
        put("sample_00@spec_ranges", "[" * (MAX_JSON_DEPTH + 1) + "]" * (MAX_JSON_DEPTH + 1)),
    ),
    "ranges upside down": ("INPUT_MALFORMED", put("sample_00@spec_ranges", RANGE % (1.0, -1.0))),
    "ranges beyond all physics": (
        "INPUT_MALFORMED",
        put("sample_00@spec_ranges", RANGE % (-100.0, 100.0)),
    ),
    "range of a parameter that the model lacks": (
        "INPUT_MALFORMED",
        put("sample_00@spec_ranges", (RANGE % (0.0, 1.0)).replace("camera_length", "tilt")),
    ),
    "another variant": ("INPUT_MALFORMED", put("/@variant", "xray")),
    "another tier": ("INPUT_MALFORMED", put("/@tier", "secret")),
    "a later contract": ("INPUT_VERSION", put("/@contract_version", "2.0")),
    "a contract without number": ("INPUT_VERSION", put("/@contract_version", "latest")),
}


@pytest.mark.parametrize("fault", sorted(MALFORMED))
def test_a_malformed_item_is_refused(damaged_challenge: BadChallenge, fault: str) -> None:
    code, damage = MALFORMED[fault]
    (entry,) = refusal(damaged_challenge(damage)).findings
    assert entry.code == code
    assert entry.where.startswith(str(damaged_challenge(lambda _: None)))
    for part in (entry.expected, entry.found, entry.hint):
        assert part


def test_a_minor_version_is_read(damaged_challenge: BadChallenge) -> None:
    assert len(read_all(damaged_challenge(put("/@contract_version", "1.7")))) == 2


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f8", ">f4"])
def test_counts_of_any_real_type_are_read(damaged_challenge: BadChallenge, dtype: str) -> None:
    values = np.arange(8 * 8 * 16 * 16).reshape(8, 8, 16, 16) % 200
    found = read_all(damaged_challenge(put("sample_00/y", values.astype(dtype))))
    np.testing.assert_array_equal(found[0].y.values, values.astype(np.float32))


@pytest.mark.parametrize(
    ("where", "damage"),
    [
        ("notes", put("notes", np.zeros(3))),
        ("author", put("/@author", "someone")),
        ("dark", put("sample_00/dark", np.zeros(3))),
        ("comment", put("sample_00@comment", "nice")),
        ("mask", put(f"{H}/mask", np.zeros(3))),
        (
            "author",
            put(
                "sample_00@metadata",
                '{"scene": "s", "shape": [8, 8, 16, 16], "noise_model": "poisson", "author": "?"}',
            ),
        ),
        (r"\\xff", lambda file: file.create_group(b"\xff\xfe")),
    ],
)
def test_unknown_items_are_warned_of_and_ignored(
    damaged_challenge: BadChallenge, where: str, damage: Damage
) -> None:
    path = damaged_challenge(damage)
    with pytest.warns(UserWarning, match=rf"unknown items.*{where}"), open_challenge(path) as file:
        assert [sample.name for sample in file] == ["sample_00", "sample_01"]


# --- no file, or a damaged one --------------------------------------------------------------------


def test_what_is_no_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.h5").findings[0].code == "INPUT_NOT_FOUND"
    (entry,) = refusal(tmp_path).findings
    assert (entry.code, entry.found) == ("INPUT_NOT_FOUND", "a folder")


@pytest.mark.parametrize("content", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n"])
def test_what_is_no_hdf5(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.h5"
    path.write_bytes(content)
    assert refusal(path).findings[0].code == "INPUT_NOT_HDF5"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file(damaged_challenge: BadChallenge, share: float) -> None:
    path = damaged_challenge(lambda _: None)
    os.truncate(path, int(share * path.stat().st_size))
    assert refusal(path).findings[0].code == "INPUT_NOT_HDF5"


@pytest.mark.parametrize("item", ["y", "x_true", "H_ideal/positions_px"])
def test_a_damaged_block_is_the_file_s_fault(damaged_challenge: BadChallenge, item: str) -> None:
    """Found only when it is read, perhaps inside an algorithm; still an error of the input."""
    path = damaged_challenge(lambda _: None)
    garble_chunk(path, f"sample_00/{item}")
    (entry,) = refusal(path).findings
    assert entry.code == "INPUT_NOT_HDF5"
    assert item in entry.where


# --- other variants of the benchmark --------------------------------------------------------------


def test_a_plain_array_as_operator(damaged_challenge: BadChallenge) -> None:
    """H as an array: read as it is, refused by name where the imaging model is needed."""

    def plain(file: h5py.File) -> None:
        put(H, np.eye(5, dtype=np.float32))(file)
        put("sample_00/y", np.ones((4, 5), dtype=np.float32))(file)
        put("sample_00@spec_ranges", '[{"name": "blur", "min": 0.0, "max": 2.0, "unit": "px"}]')(
            file
        )

    path = damaged_challenge(plain)
    with open_challenge(path) as challenge:
        sample = challenge.any_sample("sample_00")
        assert isinstance(sample, ArraySample)
        np.testing.assert_array_equal(sample.operator.values, np.eye(5))
        assert sample.y.shape == (4, 5)
        assert sample.ranges.names == ("blur",)
        with pytest.raises(ContractError) as failure:
            challenge.sample("sample_00")
    assert failure.value.findings[0].code == "INPUT_UNSUPPORTED"


def test_truth_is_a_spec(damaged_challenge: BadChallenge) -> None:
    """A value that is not named is nominal."""
    found = read_all(damaged_challenge(put("sample_00@true_spec", '{"center_offset": 0.5}')))
    assert found[0].true_spec == MismatchSpec(center_offset=0.5)
