"""Result files: written sample by sample, so that a run that is stopped leaves a valid file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np
from h5py import h5t
from numpy.typing import NDArray
from pydantic import BaseModel, JsonValue, RootModel, ValidationError

from runner.files import hdf5
from runner.files.challenge import Challenge
from runner.files.rules import Expected, expected_of, image_fault, spec_fault, variant_fault
from runner.files.structure import (
    SUPERBLOCK_BYTES,
    check_superblock,
    damage_named,
    structure_findings,
    type_name,
)
from schemas.base import MAX_JSON_BYTES, StrictJSONError, json_text, record_from_json
from schemas.challenge import SAMPLE_NAME_PATTERN
from schemas.findings import ContractError, Finding, finding, refuse
from schemas.result import MAX_RESULT_BYTES, Provenance, ResultAttrs, RunInfo
from schemas.spec import NamedSpec, SpecRanges

RESULT_NAME = "result.h5"
PROGRESS_NAME = "progress.jsonl"

RecordT = TypeVar("RecordT", bound=BaseModel)

ROOT_ATTRS = {*ResultAttrs.model_fields, "provenance", "run_info"}
SAMPLE_ATTRS = {"corrected_spec", "diagnostics"}


class SpecValues(NamedSpec):
    """The `corrected_spec` attribute: {name: value}, finite."""


class DiagnosticsRecord(RootModel[dict[str, JsonValue]]):
    """The `diagnostics` attribute: any JSON object of at most 64 KiB."""

    model_config = {"strict": True, "frozen": True, "allow_inf_nan": False}


@dataclass(frozen=True)
class SampleResult:
    """What a submission returns for one sample.

    Attributes:
        x_hat: float32, the signal's shape: (H, W) of a 4D-STEM object.
        corrected_spec: {name: value} for every name of the sample's ranges.
        diagnostics: anything that JSON can hold, for people; at most 64 KiB.
    """

    x_hat: NDArray[np.float32]
    corrected_spec: Mapping[str, float]
    diagnostics: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True)
class ResultFile:
    """A whole result file in memory.

    Attributes:
        attrs: root attributes.
        provenance: what the result was made with.
        run_info: what varies from run to run; None where the file does not tell, as a canonical
            rewrite.
        samples: the answers, by name.
    """

    attrs: ResultAttrs
    provenance: Provenance
    run_info: RunInfo | None
    samples: Mapping[str, SampleResult]


def write_result(path: Path, result: ResultFile) -> None:
    """Write a result file atomically, samples in order of name.

    Raises:
        ContractError: the folder is not writable, or is full.
    """
    with hdf5.atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        hdf5.set_attributes(file, result.attrs)
        hdf5.set_json(file, "provenance", result.provenance)
        if result.run_info is not None:
            hdf5.set_json(file, "run_info", result.run_info)
        for name in sorted(result.samples):
            sample = result.samples[name]
            group = file.create_group(name)
            hdf5.write_array(group, "x_hat", np.ascontiguousarray(sample.x_hat, dtype=np.float32))
            hdf5.set_json(group, "corrected_spec", dict(sample.corrected_spec))
            if sample.diagnostics:
                hdf5.set_json(group, "diagnostics", dict(sample.diagnostics))


def read_result(path: Path, challenge: Challenge) -> tuple[ResultFile | None, tuple[Finding, ...]]:
    """Read a result file against the challenge that it answers, reporting every fault at once.

    A file whose structure is not harmless is not read. A faulty sample is left out of the returned
    file and named in the findings; the file is None only when nothing of it can be used.
    """
    return read_answers(path, expected_of(challenge))


def read_answers(
    path: Path, expected: Mapping[str, Expected]
) -> tuple[ResultFile | None, tuple[Finding, ...]]:
    """The same, against what each sample must be like."""
    try:
        with hdf5.open_input(
            path, not_found="RESULT_NOT_FOUND", not_hdf5="RESULT_NOT_HDF5"
        ) as file:
            size = path.stat().st_size
            with path.open("rb") as stream:
                check_superblock(stream.read(SUPERBLOCK_BYTES), size, path.name)
            return read_open_result(file, path.name, expected)
    except ContractError as error:
        return None, error.findings


def read_open_result(
    file: h5py.File, name: str, expected: Mapping[str, Expected]
) -> tuple[ResultFile | None, tuple[Finding, ...]]:
    """The same, of an open file whose size and superblock are known to be good.

    Args:
        file: the open file.
        name: how findings name it.
        expected: what each sample must be like.
    """
    reader = _Reader(name, expected)
    try:
        if faults := structure_findings(file, name, samples=len(expected)):
            return None, faults
        with damage_named(name):
            return reader.read(file), tuple(reader.findings)
    except ContractError as error:
        return None, (*reader.findings, *error.findings)


def run_info_missing(name: str) -> Finding:
    """A submission tells what it cost; only a canonical rewrite leaves that out."""
    return finding(
        "RESULT_MISSING_ITEM",
        f"{name}:/",
        expected="a JSON attribute `run_info`",
        found="nothing",
        hint="see the contract's table of items (docs/contract.md)",
    )


def too_large(name: str, size: int) -> Finding:
    """A file that is not opened for its size [bytes]."""
    return finding(
        "RESULT_TOO_LARGE",
        name,
        expected=f"at most {MAX_RESULT_BYTES} bytes",
        found=f"{size} bytes",
        hint="write x_hat as float32 with gzip, and nothing else",
    )


class _Reader:
    """Collects findings while it reads a file whose structure is known to be harmless."""

    def __init__(self, name: str, expected: Mapping[str, Expected]) -> None:
        self._name = name
        self._expected = expected
        self.findings: list[Finding] = []

    def read(self, file: h5py.File) -> ResultFile:
        attrs = hdf5.attributes_as(
            file, ResultAttrs, missing="RESULT_MISSING_ITEM", malformed="RESULT_MALFORMED"
        )
        fault = variant_fault(attrs.variant, self._expected, f"{self._name}:/@variant")
        if fault is not None:
            raise ContractError(fault)
        provenance = self._record(file, "provenance", Provenance)
        run_info = self._record(file, "run_info", RunInfo) if "run_info" in file.attrs else None
        self._unknown("/", "attribute", set(hdf5.names(file.attrs)) - ROOT_ATTRS)
        samples: dict[str, SampleResult] = {}
        for name in hdf5.names(file):
            if not re.fullmatch(SAMPLE_NAME_PATTERN, name):
                self._unknown("/", "item", {name})
            elif name not in self._expected:
                self._add(
                    "RESULT_SAMPLE_UNKNOWN",
                    f"/{name}",
                    f"samples {', '.join(self._expected)}",
                    name,
                    "answer only the samples of the challenge file",
                )
            elif self._is(file, name, h5py.Group):
                sample = self._sample(file[name], self._expected[name])
                if sample is not None:
                    samples[name] = sample
        for name in sorted(set(self._expected) - set(hdf5.names(file))):
            self._add(
                "RESULT_SAMPLE_MISSING",
                f"/{name}",
                "a group with x_hat and corrected_spec",
                "nothing",
                "let the run finish (`stem4d run --resume` goes on where it stopped)",
            )
        return ResultFile(attrs, provenance, run_info, samples)

    def _record(self, file: h5py.File, name: str, model: type[RecordT]) -> RecordT:
        record = hdf5.json_attribute(
            file,
            name,
            model,
            missing="RESULT_MISSING_ITEM",
            loose="RESULT_JSON",
            malformed="RESULT_MALFORMED",
        )
        length = len(json_text(record).encode())
        if length > MAX_JSON_BYTES:  # escapes are longer than what they stand for
            raise refuse(
                "RESULT_JSON",
                f"{self._name}:/@{name}",
                expected=f"at most {MAX_JSON_BYTES} bytes as canonical JSON",
                found=f"{length} bytes",
                hint="write less of it, or plain ASCII",
            )
        return record

    def _sample(self, group: h5py.Group, expected: Expected) -> SampleResult | None:
        before = len(self.findings)
        self._unknown(group.name, "item", set(hdf5.names(group)) - {"x_hat"})
        self._unknown(group.name, "attribute", set(hdf5.names(group.attrs)) - SAMPLE_ATTRS)
        x_hat = self._x_hat(group, expected.shape)
        spec = self._spec(group, expected.ranges)
        diagnostics = self._diagnostics(group)
        if len(self.findings) > before or x_hat is None or spec is None:
            return None
        return SampleResult(x_hat, spec, diagnostics)

    def _x_hat(self, group: h5py.Group, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
        where = f"{group.name}/x_hat"
        if "x_hat" not in group:
            self._add(
                "RESULT_MISSING_ITEM",
                where,
                "a float32 dataset",
                f"items {sorted(hdf5.names(group))}",
                "write the reconstructed image as dataset `x_hat`",
            )
            return None
        if not self._is(group, "x_hat", h5py.Dataset):
            return None
        dataset = group["x_hat"]
        self._unknown(where, "attribute", set(hdf5.names(dataset.attrs)))
        if dataset.shape != shape:
            self._add(
                "RESULT_SHAPE",
                where,
                f"shape {shape}",
                f"shape {dataset.shape}",
                "return x_hat with the shape of `sample.object_shape`",
            )
            return None
        # HDF5's own word: many of its types have no counterpart in numpy.
        kind = dataset.id.get_type()
        if kind != h5t.IEEE_F32LE:
            self._add(
                "RESULT_DTYPE",
                where,
                "float32, little-endian",
                f"{8 * kind.get_size()}-bit {type_name(kind)} of another form",
                "write x_hat.astype('float32')",
            )
            return None
        try:
            values = hdf5.read(dataset, damaged="RESULT_NOT_HDF5")
        except ContractError as error:
            self.findings += error.findings
            return None
        if (fault := image_fault(values, f"{self._name}:{where}")) is not None:
            self.findings.append(fault)
            return None
        return values

    def _spec(self, group: h5py.Group, ranges: SpecRanges) -> dict[str, float] | None:
        where = f"{group.name}@corrected_spec"
        if "corrected_spec" not in group.attrs:
            self._add(
                "RESULT_SPEC",
                where,
                f"JSON {{name: value}} with {', '.join(ranges.names)}",
                f"attributes {sorted(hdf5.names(group.attrs))}",
                "write the corrected spec as a JSON object of finite numbers",
            )
            return None
        try:
            values = record_from_json(SpecValues, group.attrs["corrected_spec"]).root
        except (StrictJSONError, ValidationError) as error:
            self._add(
                "RESULT_JSON" if isinstance(error, StrictJSONError) else "RESULT_SPEC",
                where,
                f"JSON {{name: value}} with {', '.join(ranges.names)}",
                hdf5.explain(error),
                "write the corrected spec as a JSON object of finite numbers",
            )
            return None
        if (fault := spec_fault(values, ranges, f"{self._name}:{where}")) is not None:
            self.findings.append(fault)
            return None
        return values

    def _diagnostics(self, group: h5py.Group) -> dict[str, JsonValue]:
        if "diagnostics" not in group.attrs:
            return {}
        try:
            return record_from_json(DiagnosticsRecord, group.attrs["diagnostics"]).root
        except (StrictJSONError, ValidationError) as error:
            self._add(
                "RESULT_JSON" if isinstance(error, StrictJSONError) else "RESULT_MALFORMED",
                f"{group.name}@diagnostics",
                "a JSON object of at most 64 KiB",
                hdf5.explain(error),
                "leave diagnostics out, or mend it",
            )
            return {}

    def _is(self, parent: h5py.Group, name: str, kind: type[h5py.Group | h5py.Dataset]) -> bool:
        item = parent[name]
        if isinstance(item, kind):
            return True
        self._add(
            "RESULT_UNKNOWN_ITEM",
            f"{parent.name.rstrip('/')}/{name}",
            f"a {kind.__name__.lower()}",
            f"a {type(item).__name__.lower()}",
            "write the items that the contract names",
        )
        return False

    def _unknown(self, where: str, kind: str, names: set[str]) -> None:
        for name in sorted(names):
            self._add(
                "RESULT_UNKNOWN_ITEM",
                where,
                f"no {kind} beyond the contract's",
                name,
                "leave it out; `diagnostics` is the place for anything else",
            )

    def _add(self, code: str, where: str, expected: str, found: str, hint: str) -> None:
        self.findings.append(
            finding(code, f"{self._name}:{where}", expected=expected, found=found, hint=hint)
        )
