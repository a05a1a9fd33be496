"""Result files: written sample by sample, so that a run that is stopped leaves a valid file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue, RootModel, ValidationError

from runner.files import hdf5
from runner.files.challenge import Challenge
from schemas.base import StrictJSONError, record_from_json
from schemas.challenge import SAMPLE_NAME_PATTERN
from schemas.findings import ContractError, Finding, finding
from schemas.result import MAX_RESULT_BYTES, Provenance, ResultAttrs, RunInfo
from schemas.spec import NamedSpec

RESULT_NAME = "result.h5"
PROGRESS_NAME = "progress.jsonl"

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
    """A whole result file in memory."""

    attrs: ResultAttrs
    provenance: Provenance
    run_info: RunInfo
    samples: Mapping[str, SampleResult]


def write_result(path: Path, result: ResultFile) -> None:
    """Write a result file atomically, samples in order of name.

    Raises:
        ContractError: the folder is not writable, or is full.
    """
    with hdf5.atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        hdf5.set_attributes(file, result.attrs)
        hdf5.set_json(file, "provenance", result.provenance)
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

    A faulty sample is left out of the returned file and named in the findings; the file is None
    only when nothing of it can be used.
    """
    reader = _Reader(path, challenge)
    try:
        with hdf5.open_input(
            path, not_found="RESULT_NOT_FOUND", not_hdf5="RESULT_NOT_HDF5"
        ) as file:
            return reader.read(file), tuple(reader.findings)
    except ContractError as error:
        return None, (*reader.findings, *error.findings)


class _Reader:
    """Collects findings while it reads; items are looked at one link at a time."""

    def __init__(self, path: Path, challenge: Challenge) -> None:
        self.path = path
        self.challenge = challenge
        self.findings: list[Finding] = []

    def read(self, file: h5py.File) -> ResultFile | None:
        size = self.path.stat().st_size
        if size > MAX_RESULT_BYTES:
            self._add(
                "RESULT_TOO_LARGE",
                "/",
                f"at most {MAX_RESULT_BYTES} bytes",
                f"{size} bytes",
                "write x_hat as float32 with gzip, and nothing else",
            )
            return None
        attrs = hdf5.attributes_as(
            file, ResultAttrs, missing="RESULT_MISSING_ITEM", malformed="RESULT_MALFORMED"
        )
        if attrs.variant != self.challenge.attrs.variant:
            self._add(
                "RESULT_OTHER_INPUT",
                "/@variant",
                self.challenge.attrs.variant,
                attrs.variant,
                "validate against the challenge file that the result answers",
            )
            return None
        provenance = hdf5.json_attribute(
            file,
            "provenance",
            Provenance,
            missing="RESULT_MISSING_ITEM",
            malformed="RESULT_MALFORMED",
        )
        run_info = hdf5.json_attribute(
            file, "run_info", RunInfo, missing="RESULT_MISSING_ITEM", malformed="RESULT_MALFORMED"
        )
        self._unknown("/", "attribute", set(hdf5.names(file.attrs)) - ROOT_ATTRS)
        samples: dict[str, SampleResult] = {}
        for name in hdf5.names(file):
            if not re.fullmatch(SAMPLE_NAME_PATTERN, name):
                self._unknown("/", "item", {name})
            elif name not in self.challenge.names:
                self._add(
                    "RESULT_SAMPLE_UNKNOWN",
                    f"/{name}",
                    f"samples {', '.join(self.challenge.names)}",
                    name,
                    "answer only the samples of the challenge file",
                )
            elif self._plain_link(file, name, h5py.Group):
                sample = self._sample(file[name])
                if sample is not None:
                    samples[name] = sample
        for name in sorted(set(self.challenge.names) - set(hdf5.names(file))):
            self._add(
                "RESULT_SAMPLE_MISSING",
                f"/{name}",
                "a group with x_hat and corrected_spec",
                "nothing",
                "let the run finish (`stem4d run --resume` goes on where it stopped)",
            )
        return ResultFile(attrs, provenance, run_info, samples)

    def _sample(self, group: h5py.Group) -> SampleResult | None:
        before = len(self.findings)
        self._unknown(group.name, "item", set(hdf5.names(group)) - {"x_hat"})
        self._unknown(group.name, "attribute", set(hdf5.names(group.attrs)) - SAMPLE_ATTRS)
        x_hat = self._x_hat(group)
        spec = self._spec(group)
        diagnostics = self._diagnostics(group)
        if len(self.findings) > before or x_hat is None or spec is None:
            return None
        return SampleResult(x_hat, spec, diagnostics)

    def _x_hat(self, group: h5py.Group) -> NDArray[np.float32] | None:
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
        if not self._plain_link(group, "x_hat", h5py.Dataset):
            return None
        dataset = group["x_hat"]
        expected = self.challenge.any_sample(group.name.strip("/")).signal_shape
        if dataset.shape != expected:
            self._add(
                "RESULT_SHAPE",
                where,
                f"shape {expected}",
                f"shape {dataset.shape}",
                "return x_hat with the shape of `sample.object_shape`",
            )
            return None
        if dataset.dtype != np.dtype("<f4"):
            self._add(
                "RESULT_DTYPE",
                where,
                "float32, little-endian",
                str(dataset.dtype),
                "write x_hat.astype('float32')",
            )
            return None
        values = self._values(dataset)
        if values is None:
            return None
        bad = int(np.count_nonzero(~np.isfinite(values)))
        if bad:
            self._add(
                "RESULT_NOT_FINITE",
                where,
                "finite values",
                f"{bad} of {values.size} pixels are NaN or infinite",
                "check for divisions by zero and diverging iterations",
            )
            return None
        return values

    def _values(self, dataset: h5py.Dataset) -> NDArray[np.float32] | None:
        try:
            return hdf5.read(dataset, damaged="RESULT_NOT_HDF5")
        except ContractError as error:
            self.findings += error.findings
            return None

    def _spec(self, group: h5py.Group) -> dict[str, float] | None:
        where = f"{group.name}@corrected_spec"
        ranges = self.challenge.any_sample(group.name.strip("/")).ranges
        try:
            if "corrected_spec" not in group.attrs:
                raise StrictJSONError("nothing")
            values = record_from_json(SpecValues, group.attrs["corrected_spec"]).root
        except (StrictJSONError, ValidationError) as error:
            self._add(
                "RESULT_SPEC",
                where,
                f"JSON {{name: value}} with {', '.join(ranges.names)}",
                hdf5.explain(error),
                "write the corrected spec as a JSON object of finite numbers",
            )
            return None
        faults = [
            *(f"no {name}" for name in ranges.names if name not in values),
            *(f"unknown name {name}" for name in values if name not in ranges.names),
            *(
                f"{entry.name} = {values[entry.name]:g} outside [{entry.min:g}, {entry.max:g}]"
                for entry in ranges.root
                if entry.name in values and not entry.min <= values[entry.name] <= entry.max
            ),
        ]
        if faults:
            self._add(
                "RESULT_SPEC",
                where,
                "every parameter of spec_ranges, within its range",
                "; ".join(faults),
                "return a spec clipped to `sample.ranges`",
            )
            return None
        return values

    def _diagnostics(self, group: h5py.Group) -> dict[str, JsonValue]:
        if "diagnostics" not in group.attrs:
            return {}
        try:
            return record_from_json(DiagnosticsRecord, group.attrs["diagnostics"]).root
        except (StrictJSONError, ValidationError) as error:
            self._add(
                "RESULT_MALFORMED",
                f"{group.name}@diagnostics",
                "a JSON object of at most 64 KiB",
                hdf5.explain(error),
                "leave diagnostics out, or mend it",
            )
            return {}

    def _plain_link(self, parent: h5py.Group, name: str, kind: type) -> bool:
        """Whether `name` is an own, plain item: a link elsewhere is never followed."""
        where = f"{parent.name.rstrip('/')}/{name}"
        if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
            self._add(
                "RESULT_UNKNOWN_ITEM",
                where,
                "an item of this very file",
                "a soft or external link",
                "write the data itself",
            )
            return False
        item = parent[name]
        plain = isinstance(item, kind)
        if plain and isinstance(item, h5py.Dataset):
            creation = item.id.get_create_plist()
            plain = creation.get_external_count() == 0 and not item.is_virtual
        if not plain:
            self._add(
                "RESULT_UNKNOWN_ITEM",
                where,
                f"a plain {kind.__name__.lower()} stored in this file",
                f"{type(item).__name__.lower()} of another kind or storage",
                "write the data itself",
            )
        return plain

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
            finding(code, f"{self.path.name}:{where}", expected=expected, found=found, hint=hint)
        )
