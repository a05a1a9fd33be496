"""Analysis files: written whole, read back the same, and refused when they are not right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from runner.files.analysis import (
    AnalysedSample,
    AnalysisFile,
    StoredMap,
    read_analysis,
    write_analysis,
)
from schemas import ContractError, Provenance, RunInfo
from schemas.analysis import AnalysedAttrs, AnalysisAttrs, MapAttrs

VALID = np.array([[True, False, True], [True, True, True]])
STRAIN = StoredMap(
    np.where(VALID, np.linspace(-0.01, 0.01, 6).reshape(2, 3), 0).astype(np.float32),
    MapAttrs(unit="", description="strain along x", signed=True),
)
ZONE = StoredMap(
    np.arange(6, dtype=np.int32).reshape(2, 3) % 2,
    MapAttrs(unit="", description="zone", labels=("one", "two")),
)
SAMPLE = AnalysedSample(
    AnalysedAttrs(
        scan_step_y_A=20.0,
        scan_step_x_A=10.0,
        calibrator="pacbed",
        corrected_spec={"camera_length": 1.5},
    ),
    {"e_xx": STRAIN, "zone": ZONE},
    VALID,
    {"disks": 12},
)
FILE = AnalysisFile(
    AnalysisAttrs(
        variant="electron_diffraction",
        tier="public",
        submission_type="analysis",
        method="strain",
        contract_version="1.0",
    ),
    Provenance(
        runner_version="1",
        algorithm="strain+pacbed",
        parameters={},
        seed=0,
        libraries={},
        input_sha256="0" * 64,
    ),
    RunInfo(
        started_utc="2024-01-01T00:00:00+00:00",
        host="h",
        device="cpu",
        threads=1,
        setup_seconds=0.0,
        peak_memory_mib=1.0,
        samples={},
    ),
    {"sample_00": SAMPLE},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_analysis(tmp_path / "analysis.h5", FILE)
    return tmp_path / "analysis.h5"


def test_what_is_written_is_read(path: Path) -> None:
    found = read_analysis(path)
    assert found.attrs == FILE.attrs
    assert found.provenance == FILE.provenance
    assert found.run_info == FILE.run_info
    sample = found.samples["sample_00"]
    assert sample.attrs == SAMPLE.attrs
    assert sample.diagnostics == SAMPLE.diagnostics
    np.testing.assert_array_equal(sample.valid, VALID)
    for name, entry in SAMPLE.maps.items():
        np.testing.assert_array_equal(sample.maps[name].values, entry.values)
        assert sample.maps[name].values.dtype == entry.values.dtype
        assert sample.maps[name].attrs == entry.attrs


def test_units_can_be_read_by_any_hdf5_viewer(path: Path) -> None:
    turned = replace(STRAIN, attrs=MapAttrs(unit="deg", description="rotation"))
    write_analysis(path, replace(FILE, samples={"s": replace(SAMPLE, maps={"theta": turned})}))
    with h5py.File(path) as file:
        assert file["s/theta"].attrs["unit"] == "deg"
        assert file["s/valid"].dtype == np.bool_


def test_the_same_content_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    write_analysis(tmp_path / "again.h5", FILE)
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


def test_a_write_that_fails_leaves_the_old_file(path: Path) -> None:
    before = path.read_bytes()
    bad = replace(SAMPLE, diagnostics={"long": "x" * 70000})
    with pytest.raises(ValueError, match="diagnostics"):
        write_analysis(path, replace(FILE, samples={"sample_00": bad}))
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["analysis.h5"]


def _nan(file: h5py.File) -> None:
    file["sample_00/e_xx"][0, 0] = np.nan


def _other_shape(file: h5py.File) -> None:
    attrs = file["sample_00/e_xx"].attrs["attrs"]
    del file["sample_00/e_xx"]
    file["sample_00/e_xx"] = np.zeros((3, 3))
    file["sample_00/e_xx"].attrs["attrs"] = attrs


def _no_valid(file: h5py.File) -> None:
    del file["sample_00/valid"]


def _no_unit(file: h5py.File) -> None:
    file["sample_00/e_xx"].attrs["attrs"] = '{"description": "no unit"}'


def _reconstruction(file: h5py.File) -> None:
    file.attrs["submission_type"] = "reconstruction"


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (_nan, "RESULT_MALFORMED"),
        (_other_shape, "RESULT_MALFORMED"),
        (_no_valid, "RESULT_MISSING_ITEM"),
        (_no_unit, "RESULT_MALFORMED"),
        (_reconstruction, "RESULT_MALFORMED"),
    ],
)
def test_what_is_wrong_is_named(path: Path, damage, code: str) -> None:
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(ContractError) as caught:
        read_analysis(path)
    assert caught.value.findings[0].code == code


def test_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ContractError) as caught:
        read_analysis(tmp_path / "none.h5")
    assert caught.value.findings[0].code == "RESULT_NOT_FOUND"
