"""Analysis files: maps over the scan, in a file of their own beside the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from runner.files import hdf5
from runner.files.result import DiagnosticsRecord
from schemas.analysis import AnalysedAttrs, AnalysisAttrs, MapAttrs
from schemas.findings import refuse
from schemas.result import Provenance, RunInfo

ANALYSIS_NAME = "analysis.h5"
VALID = "valid"
CODES = {"missing": "RESULT_MISSING_ITEM", "malformed": "RESULT_MALFORMED"}


@dataclass(frozen=True, eq=False)
class StoredMap:
    """One map of a file.

    Attributes:
        values: (Ny, Nx), float32 or int32, finite.
        attrs: unit and meaning.
    """

    values: NDArray[Any]
    attrs: MapAttrs


@dataclass(frozen=True, eq=False)
class AnalysedSample:
    """The maps of one sample.

    Attributes:
        attrs: scan step and detector.
        maps: by name.
        valid: (Ny, Nx), where they mean something.
        diagnostics: anything that JSON can hold, for people; at most 64 KiB.
    """

    attrs: AnalysedAttrs
    maps: Mapping[str, StoredMap]
    valid: NDArray[np.bool_]
    diagnostics: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class AnalysisFile:
    """A whole analysis file in memory."""

    attrs: AnalysisAttrs
    provenance: Provenance
    run_info: RunInfo
    samples: Mapping[str, AnalysedSample]


def write_analysis(path: Path, analysis: AnalysisFile) -> None:
    """Write an analysis file atomically, samples and maps in order of name.

    Raises:
        ContractError: the folder is not writable, or is full.
    """
    with hdf5.atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        hdf5.set_attributes(file, analysis.attrs)
        hdf5.set_json(file, "provenance", analysis.provenance)
        hdf5.set_json(file, "run_info", analysis.run_info)
        for name in sorted(analysis.samples):
            sample = analysis.samples[name]
            group = file.create_group(name)
            hdf5.set_json(group, "attrs", sample.attrs)
            if sample.diagnostics:
                hdf5.set_json(group, "diagnostics", dict(sample.diagnostics))
            hdf5.write_array(group, VALID, sample.valid.astype(np.bool_))
            for title in sorted(sample.maps):
                entry = sample.maps[title]
                whole = entry.values.dtype.kind in "iu"
                values = entry.values.astype(np.int32 if whole else np.float32)
                hdf5.write_array(group, title, values)
                group[title].attrs["unit"] = entry.attrs.unit
                hdf5.set_json(group[title], "attrs", entry.attrs)


def read_analysis(path: Path) -> AnalysisFile:
    """Read an analysis file.

    Raises:
        ContractError: not there, not HDF5, or an item is missing or malformed.
    """
    with hdf5.open_input(path, not_found="RESULT_NOT_FOUND", not_hdf5="RESULT_NOT_HDF5") as file:
        return AnalysisFile(
            hdf5.attributes_as(file, AnalysisAttrs, **CODES),
            hdf5.json_attribute(file, "provenance", Provenance, **CODES),
            hdf5.json_attribute(file, "run_info", RunInfo, **CODES),
            {name: _sample(file[name]) for name in hdf5.names(file)},
        )


def _sample(group: h5py.Group) -> AnalysedSample:
    where = f"{group.file.filename}:{group.name}"
    maps: dict[str, StoredMap] = {}
    if not isinstance(group, h5py.Group) or VALID not in group:
        raise refuse(
            "RESULT_MISSING_ITEM",
            where,
            expected="a group with maps and `valid`",
            found="nothing of that kind",
            hint="make the file again: `stem4d analyse`",
        )
    valid = np.asarray(group[VALID][...], dtype=np.bool_)
    for name in hdf5.names(group):
        if name == VALID:
            continue
        values = np.asarray(group[name][...])
        if values.shape != valid.shape or not np.isfinite(values).all():
            raise refuse(
                "RESULT_MALFORMED",
                f"{where}/{name}",
                expected=f"finite values of shape {valid.shape}",
                found=f"shape {values.shape}, {int((~np.isfinite(values)).sum())} not finite",
                hint="make the file again: `stem4d analyse`",
            )
        maps[name] = StoredMap(values, hdf5.json_attribute(group[name], "attrs", MapAttrs, **CODES))
    diagnostics: Mapping[str, JsonValue] = {}
    if "diagnostics" in group.attrs:
        diagnostics = hdf5.json_attribute(group, "diagnostics", DiagnosticsRecord, **CODES).root
    attrs = hdf5.json_attribute(group, "attrs", AnalysedAttrs, **CODES)
    return AnalysedSample(attrs, maps, valid, diagnostics)
