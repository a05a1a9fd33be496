"""Challenge and truth files: one reader and one writer for all of the runner."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from physics.ideal import IdealOperator, Patterns
from runner.files import arrays, hdf5
from runner.files.arrays import ArraySample
from schemas.base import VARIANT, StrictJSONError, strict_json
from schemas.challenge import (
    SAMPLE_NAME_PATTERN,
    ChallengeAttrs,
    OtherVariantAttrs,
    SampleMetadata,
)
from schemas.findings import refuse
from schemas.operator import OperatorAttrs
from schemas.spec import PARAMETERS, MismatchSpec, SpecRanges

CHUNK_BYTES = 1 << 20
"""Target size of one chunk of y [bytes]: never more than one scan row."""

SAMPLE_ITEMS = {"y", "H_ideal", "x_true"}
SAMPLE_ATTRS = {"spec_ranges", "metadata", "true_spec"}
OPERATOR_ITEMS = {"probe", "positions_px"}

READ_VERSION = "1"
"""Major version of the contract that is read, whatever follows the dot."""

PROBE_NORM_TOLERANCE = 1e-3
"""Largest deviation of sum |probe|^2 from 1."""


@dataclass(frozen=True)
class FilePatterns:
    """Patterns read from an open HDF5 dataset; cheapest by whole scan rows, or a part of one."""

    dataset: h5py.Dataset

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(Ny, Nx, Ky, Kx)."""
        ny, nx, ky, kx = self.dataset.shape
        return int(ny), int(nx), int(ky), int(kx)

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Patterns `start` to `stop - 1` of the flattened scan, (B, Ky, Kx) float32 counts.

        Raises:
            ContractError: the file is damaged, or holds NaN or infinity.
        """
        _, nx, ky, kx = self.shape
        first, last = start // nx, -(-stop // nx)
        part = slice(start - first * nx, stop - first * nx)
        within = (first, part) if last - first == 1 else slice(first, last)
        counts = hdf5.read(self.dataset, within, damaged="INPUT_NOT_HDF5").reshape(-1, ky, kx)
        hdf5.require_finite(counts, f"{self.dataset.file.filename}:{self.dataset.name}")
        return counts if last - first == 1 else counts[part]


@dataclass(frozen=True)
class ChallengeSample:
    """One sample of a challenge or truth file.

    Attributes:
        name: group name, `sample_NN`.
        y: lazily read patterns (Ny, Nx, Ky, Kx) [counts].
        operator: the ideal operator H.
        ranges: published ranges of the mismatch parameters.
        metadata: scene, shape, noise model.
        x_true: (H, W) float32 in [0, 1]; only where the file holds the truth.
        true_spec: the mismatch that y was made with; likewise.
    """

    name: str
    y: Patterns
    operator: IdealOperator
    ranges: SpecRanges
    metadata: SampleMetadata
    x_true: NDArray[np.float32] | None = None
    true_spec: MismatchSpec | None = None

    @property
    def signal_shape(self) -> tuple[int, ...]:
        """Shape that x_hat must have."""
        return self.operator.attrs.object_shape


AnySample = ChallengeSample | ArraySample


class Challenge:
    """An open challenge or truth file; samples are read when they are asked for."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self.path = Path(file.filename)
        self._check_version()
        other = file.attrs.get("variant", VARIANT) != VARIANT
        self.attrs: ChallengeAttrs = hdf5.attributes_as(
            file,
            OtherVariantAttrs if other else ChallengeAttrs,
            missing="INPUT_MISSING_ITEM",
            malformed="INPUT_MALFORMED",
        )
        self.names: tuple[str, ...] = tuple(
            sorted(n for n in hdf5.names(file) if re.fullmatch(SAMPLE_NAME_PATTERN, n))
        )
        hdf5.warn_of_unknown(file, "", set(hdf5.names(file)) - set(self.names))
        hdf5.warn_of_unknown(
            file, " (attributes)", set(hdf5.names(file.attrs)) - {*ChallengeAttrs.model_fields}
        )
        if not self.names:
            found = ", ".join(sorted(hdf5.names(file)))
            self._missing(
                "/", "at least one group `sample_00`, `sample_01`, ...", found or "nothing"
            )

    def sample(self, name: str) -> ChallengeSample:
        """One sample with the 4D-STEM operator.

        Raises:
            ContractError: an item is missing or malformed, or H is a plain array.
        """
        sample = self.any_sample(name)
        if isinstance(sample, ArraySample):
            raise refuse(
                "INPUT_UNSUPPORTED",
                f"{self.path}:/{name}/H_ideal",
                expected="a group with the 4D-STEM operator",
                found=f"a plain array of shape {sample.operator.values.shape}",
                hint="only what works on any linear H takes such a file: `stem4d inspect`,"
                " `stem4d run --algorithm least-squares`, `validate` and `score`",
            )
        return sample

    def any_sample(self, name: str) -> AnySample:
        """One sample, whatever form its H has.

        Raises:
            ContractError: an item is missing or malformed.
        """
        group = self._file.get(name)
        if not isinstance(group, h5py.Group):
            self._missing(f"/{name}", "a group with y and H_ideal", "no group")
        self._need(group, "y", "H_ideal")
        hdf5.warn_of_unknown(group, "", set(hdf5.names(group)) - SAMPLE_ITEMS)
        hdf5.warn_of_unknown(group, " (attributes)", set(hdf5.names(group.attrs)) - SAMPLE_ATTRS)
        if isinstance(group["H_ideal"], h5py.Dataset):
            return arrays.read_array_sample(group)
        self._require_own_variant(name)
        ranges = hdf5.json_attribute(
            group,
            "spec_ranges",
            SpecRanges,
            missing="INPUT_MISSING_ITEM",
            malformed="INPUT_MALFORMED",
        )
        self._check_ranges(name, ranges)
        y = FilePatterns(self._dataset(f"/{name}/y", ndim=4, kinds="fiu"))
        operator = self._operator(group["H_ideal"], y.shape)
        x_true = None
        if "x_true" in group:
            x_true = self._array(f"/{name}/x_true", shape=operator.attrs.object_shape)
        true_spec = None
        if "true_spec" in group.attrs:
            true_spec = hdf5.json_attribute(
                group,
                "true_spec",
                MismatchSpec,
                missing="TRUTH_MISSING",
                malformed="INPUT_MALFORMED",
            )
        return ChallengeSample(
            name, y, operator, ranges, self._metadata(group, y.shape), x_true, true_spec
        )

    def __iter__(self) -> Iterator[ChallengeSample]:
        return (self.sample(name) for name in self.names)

    def any_samples(self) -> Iterator[AnySample]:
        """Every sample, whatever form its H has."""
        return (self.any_sample(name) for name in self.names)

    def _operator(self, group: h5py.Group, shape: tuple[int, int, int, int]) -> IdealOperator:
        where = f"{self.path}:{group.name}"
        self._need(group, *sorted(OPERATOR_ITEMS))
        hdf5.warn_of_unknown(group, "", set(hdf5.names(group)) - OPERATOR_ITEMS)
        attrs = hdf5.attributes_as(
            group, OperatorAttrs, missing="INPUT_MISSING_ITEM", malformed="INPUT_MALFORMED"
        )
        ny, nx, ky, kx = shape
        n = ky
        if ky != kx:
            self._inconsistent(where, "a square detector", f"{ky} x {kx} pixels")
        probe = self._dataset(f"{group.name}/probe", ndim=2, kinds="c")
        if probe.shape != (n, n):
            self._inconsistent(
                where + "/probe",
                f"the detector's shape ({n}, {n})",
                f"shape {probe.shape}",
            )
        values = np.asarray(probe[...], dtype=np.complex64)
        norm = float(np.sum(np.abs(values.astype(np.complex128)) ** 2))
        if not math.isfinite(norm) or abs(norm - 1.0) > PROBE_NORM_TOLERANCE:
            self._inconsistent(where + "/probe", "sum of |probe|^2 = 1", f"{norm:.6g}")
        positions = self._array(f"{group.name}/positions_px", shape=(ny * nx, 2))
        height, width = attrs.object_shape
        if not attrs.periodic:
            low, high = positions.min(axis=0), positions.max(axis=0)
            fits = low.min() >= n // 2 and (
                high[0] <= height - (n - n // 2) and high[1] <= width - (n - n // 2)
            )
            if not fits:
                self._inconsistent(
                    where + "/positions_px",
                    f"windows of {n} pixels inside the {height} x {width} object",
                    f"positions from {low.tolist()} to {high.tolist()}",
                )
        return IdealOperator(attrs, values, positions)

    def _metadata(self, group: h5py.Group, shape: tuple[int, int, int, int]) -> SampleMetadata:
        """Known keys of `metadata`; others of the benchmark's files are warned of, not refused."""
        text = group.attrs.get("metadata")
        where = f"{self.path}:{group.name}@metadata"
        if text is None:
            found = f"only {', '.join(sorted(hdf5.names(group.attrs)))}"
            self._missing(f"{group.name}@metadata", "a JSON attribute", found)
        try:
            raw: Any = strict_json(text)
            if not isinstance(raw, dict):
                raise StrictJSONError("not an object")
            known = {k: v for k, v in raw.items() if k in SampleMetadata.model_fields}
            hdf5.warn_of_unknown(group, "@metadata", set(raw) - set(known))
            if isinstance(known.get("shape"), list):
                known["shape"] = tuple(known["shape"])
            metadata = SampleMetadata.model_validate(known)
        except ValueError as error:
            raise refuse(
                "INPUT_MALFORMED",
                where,
                expected="JSON with scene, shape, noise_model",
                found=hdf5.explain(error),
                hint="mend the attribute; docs/schema.md lists its keys",
            ) from error
        if metadata.shape != shape:
            self._inconsistent(where, f"the shape of y, {shape}", str(metadata.shape))
        return metadata

    def _check_version(self) -> None:
        """A newer contract is named as such before anything of it is read."""
        version = self._file.attrs.get("contract_version")
        if isinstance(version, str) and version.partition(".")[0] != READ_VERSION:
            raise refuse(
                "INPUT_VERSION",
                f"{self.path}:/@contract_version",
                expected=f"version {READ_VERSION}.x",
                found=version,
                hint="install the stem4d of that version, or build the file with this one",
            )

    def _require_own_variant(self, name: str) -> None:
        """A 4D-STEM operator in a file that calls itself something else is no good file."""
        if self.attrs.variant != VARIANT:
            raise refuse(
                "INPUT_MALFORMED",
                f"{self.path}:/@variant",
                expected=f"{VARIANT}, for /{name}/H_ideal is a group with the 4D-STEM operator",
                found=self.attrs.variant,
                hint="mend the attribute; in other variants' files H_ideal is a dataset",
            )

    def _check_ranges(self, name: str, ranges: SpecRanges) -> None:
        """The imaging model has three parameters, and bounds beyond which it means nothing."""
        try:
            for end in ("min", "max"):
                MismatchSpec.from_values({r.name: getattr(r, end) for r in ranges.root})
        except ValidationError as error:
            raise refuse(
                "INPUT_MALFORMED",
                f"{self.path}:/{name}@spec_ranges",
                expected=f"ranges of {', '.join(PARAMETERS)}, within a MismatchSpec's bounds",
                found=hdf5.explain(error),
                hint="mend the attribute; every key, type and bound is in docs/schema.md",
            ) from error

    def _need(self, group: h5py.Group, *needed: str) -> None:
        """Refuse a group in which a name is missing, or is a link to nothing."""
        if missing := [n for n in needed if group.get(n) is None]:
            self._missing(group.name, f"items {', '.join(needed)}", f"no {', '.join(missing)}")

    def _dataset(self, name: str, *, ndim: int, kinds: str) -> h5py.Dataset:
        """A dataset that is not empty, by its dimensions and numpy's letters of its kinds."""
        dataset = self._file[name]
        good = (
            isinstance(dataset, h5py.Dataset)
            and dataset.ndim == ndim
            and 0 not in dataset.shape
            and dataset.dtype.kind in kinds
        )
        if not good:
            is_dataset = isinstance(dataset, h5py.Dataset)
            raise refuse(
                "INPUT_MALFORMED",
                f"{self.path}:{name}",
                expected=f"{'complex' if kinds == 'c' else 'real'} numbers in {ndim} dimensions",
                found=f"{dataset.dtype} of shape {dataset.shape}" if is_dataset else "a group",
                hint="see the contract's table of items (docs/contract.md)",
            )
        return dataset

    def _array(self, name: str, *, shape: tuple[int, ...] | None = None) -> NDArray[np.float32]:
        dataset = self._file[name]
        if shape is not None and isinstance(dataset, h5py.Dataset) and dataset.shape != shape:
            self._inconsistent(f"{self.path}:{name}", f"shape {shape}", f"shape {dataset.shape}")
        return hdf5.real_array(self._file, name)

    def _missing(self, where: str, expected: str, found: object) -> NoReturn:
        raise refuse(
            "INPUT_MISSING_ITEM",
            f"{self.path}:{where}",
            expected=expected,
            found=str(found),
            hint="see the contract's table of items (docs/contract.md)",
        )

    def _inconsistent(self, where: str, expected: str, found: str) -> NoReturn:
        raise refuse(
            "INPUT_INCONSISTENT",
            where,
            expected=expected,
            found=found,
            hint="the file contradicts itself: build or copy it again",
        )


@contextmanager
def open_challenge(path: Path | str) -> Iterator[Challenge]:
    """Open a challenge or truth file.

    Raises:
        ContractError: not there, not HDF5, or not a challenge file.
    """
    found = hdf5.open_input(Path(path), not_found="INPUT_NOT_FOUND", not_hdf5="INPUT_NOT_HDF5")
    with found as file:
        yield Challenge(file)


def write_challenge(path: Path, attrs: ChallengeAttrs, samples: Iterable[AnySample]) -> None:
    """Write a challenge or truth file atomically; the same content gives the same bytes.

    Patterns are copied block by block, so memory stays bounded whatever the scan.

    Raises:
        ContractError: the folder is not writable, or is full.
    """
    with hdf5.atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        hdf5.set_attributes(file, attrs)
        for sample in samples:
            group = file.create_group(sample.name)
            if isinstance(sample, ArraySample):
                arrays.write_array_sample(group, sample)
            else:
                _write_sample(group, sample)


def _write_sample(group: h5py.Group, sample: ChallengeSample) -> None:
    ny, nx, ky, kx = sample.y.shape
    per_chunk = max(1, min(nx, CHUNK_BYTES // (4 * ky * kx)))
    y = group.create_dataset(
        "y",
        shape=(ny, nx, ky, kx),
        dtype="f4",
        chunks=(1, per_chunk, ky, kx),
        compression="gzip",
        compression_opts=hdf5.GZIP_LEVEL,
        shuffle=True,
    )
    for row in range(ny):
        y[row] = sample.y.read(row * nx, (row + 1) * nx)
    operator = group.create_group("H_ideal")
    hdf5.write_array(operator, "probe", sample.operator.probe.astype(np.complex64))
    hdf5.write_array(operator, "positions_px", sample.operator.positions_px.astype(np.float32))
    hdf5.set_attributes(operator, sample.operator.attrs)
    hdf5.set_json(group, "spec_ranges", sample.ranges)
    hdf5.set_json(group, "metadata", sample.metadata)
    if sample.x_true is not None:
        hdf5.write_array(group, "x_true", sample.x_true.astype(np.float32))
    if sample.true_spec is not None:
        hdf5.set_json(group, "true_spec", sample.true_spec)
