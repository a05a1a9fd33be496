"""What a challenge, truth or result file holds, measured from the file itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, JsonValue

from physics.ideal import IdealOperator
from physics.primitives.array import ArrayMap
from runner.files import hdf5
from runner.files.arrays import ArraySample
from runner.files.challenge import AnySample, ChallengeSample, open_challenge
from runner.files.result import SpecValues
from runner.report.checks import Check, check_sample
from schemas.base import Record, quantity
from schemas.findings import ContractError, refuse
from schemas.notation import parse, to_text
from schemas.notation.dag import MEANING
from schemas.operator import OperatorAttrs
from schemas.result import Provenance, ResultAttrs, RunInfo
from schemas.spec import SpecRange

PROBE_ENERGY = 0.9
"""Share of the beam inside the circle whose diameter is called the probe's."""

BLOCK_PATTERNS = 64
"""Patterns read at a time, so that memory does not grow with the scan."""


class TruthSummary(Record):
    """The truth that a sample holds."""

    x_range: tuple[float, float] | None = Field(description="smallest and largest x_true")
    spec: dict[str, float] | None = Field(description="true mismatch")


class SampleSummary(Record):
    """One 4D-STEM sample."""

    name: str
    scene: str
    track: str
    notation: ModelSummary | None
    noise_model: str
    y_shape: tuple[int, int, int, int] = Field(description="(Ny, Nx, Ky, Kx)")
    counts_range: tuple[float, float] = Field(description="smallest and largest count")
    electrons_per_pattern: float = quantity("electrons", "mean sum of a pattern over the gain")
    electrons_per_A2: float = quantity("electrons/A^2", "measured, over the scanned area")
    operator: OperatorAttrs
    scan_step_A: tuple[float, float] = Field(description="(slow, fast) scan step [A]")
    detector_pixel_mrad: float = quantity("mrad", "nominal detector pixel")
    disk_radius_px: float = quantity("pixels", "bright-field disk on the nominal detector")
    probe_diameter_A: float = quantity("A", "circle that holds 90 % of the beam")
    probe_overlap: float = quantity("", "1 - scan step / probe diameter; below 0: gaps")
    spec_ranges: tuple[SpecRange, ...]
    truth: TruthSummary | None = Field(description="none: a blind sample")
    checks: tuple[Check, ...] = Field(description="what may be wrong with the measurement")


class ModelSummary(Record):
    """A forward model's notation, as the metadata state it."""

    text: str = Field(description="in plain letters where it can be read, else as it is")
    stages: tuple[str, ...] = Field(description="what each primitive stands for")
    fault: str | None = Field(description="why it cannot be read")


class ArraySummary(Record):
    """A sample of another variant, whose H is a plain array."""

    name: str
    scene: str
    track: str
    y_shape: tuple[int, ...]
    y_range: tuple[float, float]
    h_shape: tuple[int, ...]
    action: str = Field(description="how H acts: map, flat, first, last")
    signal_shape: tuple[int, ...] = Field(description="shape of x")
    notation: ModelSummary | None
    spec_ranges: tuple[SpecRange, ...]
    residual: float | None = quantity("", "|y - H x_true| / |y|; none: no truth here")
    residual_of_h: float | None = quantity(
        "", "|y - H| / |y|, for an H of y's shape: small where it is no operator but the data"
    )
    truth: TruthSummary | None = Field(description="none: a blind sample")


class ChallengeSummary(Record):
    """A challenge or truth file."""

    kind: Literal["challenge"] = "challenge"
    path: str
    bytes: int
    sha256: str
    variant: str
    tier: str
    contract_version: str
    samples: tuple[SampleSummary | ArraySummary, ...]


class AnswerSummary(Record):
    """One sample of a result file."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    finite: bool
    value_range: tuple[float, float] | None = Field(description="over the finite pixels")
    corrected_spec: dict[str, float]
    seconds: float | None


class ResultSummary(Record):
    """A result file."""

    kind: Literal["result"] = "result"
    path: str
    bytes: int
    sha256: str
    tier: str
    contract_version: str
    algorithm: str
    seed: int
    input_sha256: str
    parameters: dict[str, JsonValue]
    run_info: RunInfo | None
    samples: tuple[AnswerSummary, ...]


@dataclass(frozen=True)
class Looking:
    """How closely a challenge file is looked at.

    Attributes:
        checks: look for what may be wrong with the measurement: two passes over each scan more.
        fit: fit a phase object to a part of each scan as well.
        material: what the specimens are made of, a key of `TOLERANCES`; None: not known.
    """

    checks: bool = True
    fit: bool = False
    material: str | None = None


def inspect_file(path: Path, looking: Looking | None = None) -> ChallengeSummary | ResultSummary:
    """Summarise a file of the contract; which kind it is, its root attributes tell.

    Args:
        path: challenge, truth or result file.
        looking: how closely a challenge is looked at.

    Raises:
        ContractError: not there, not HDF5, or not a file of the contract.
    """
    with hdf5.open_input(path, not_found="INPUT_NOT_FOUND", not_hdf5="INPUT_NOT_HDF5") as file:
        if "submission_type" in file.attrs:
            return _result(path, file)
    return _challenge(path, looking or Looking())


def _challenge(path: Path, looking: Looking) -> ChallengeSummary:
    with open_challenge(path) as file:
        return ChallengeSummary(
            path=str(path),
            bytes=path.stat().st_size,
            sha256=hdf5.sha256_of(path),
            variant=file.attrs.variant,
            tier=file.attrs.tier,
            contract_version=file.attrs.contract_version,
            samples=tuple(_sample(sample, looking) for sample in file.any_samples()),
        )


def _array_sample(sample: ArraySample) -> ArraySummary:
    operator, truth = sample.operator, sample.x_true
    norm = float(np.linalg.norm(sample.y.astype(np.float64)))
    residual = of_h = None
    if norm > 0 and truth is not None:
        modelled = ArrayMap(operator).forward(torch.as_tensor(truth.astype(np.float64))).numpy()
        residual = float(np.linalg.norm(sample.y - modelled)) / norm
    if norm > 0 and operator.values.shape == sample.y.shape:
        of_h = float(np.linalg.norm(sample.y.astype(np.float64) - operator.values)) / norm
    return ArraySummary(
        name=sample.name,
        scene=sample.metadata.scene,
        track=sample.metadata.track.value,
        y_shape=sample.y.shape,
        y_range=_range(sample.y),
        h_shape=operator.values.shape,
        action=operator.action.value,
        signal_shape=operator.signal_shape,
        notation=_notation(sample.metadata.notation),
        spec_ranges=sample.ranges.root,
        residual=residual,
        residual_of_h=of_h,
        truth=_truth(sample),
    )


def _notation(text: str) -> ModelSummary | None:
    if not text:
        return None
    try:
        model = parse(text, where="metadata.notation")
    except ContractError as error:
        fault = error.findings[0]
        return ModelSummary(
            text=text,
            stages=(),
            fault=f"{fault.where}: expected {fault.expected}, found {fault.found}",
        )
    stages = tuple(f"{s.symbol.value}: {MEANING[s.symbol]}" for s in model.stages)
    return ModelSummary(text=to_text(model), stages=stages, fault=None)


def _sample(sample: AnySample, looking: Looking) -> SampleSummary | ArraySummary:
    if isinstance(sample, ArraySample):
        return _array_sample(sample)
    operator, attrs = sample.operator, sample.operator.attrs
    low, high, total = _count_statistics(sample)
    ny, nx, *_ = sample.y.shape
    electrons = total / attrs.gain / (ny * nx)
    step = scan_step_A(operator, (ny, nx))
    diameter = probe_diameter_A(operator)
    return SampleSummary(
        name=sample.name,
        scene=sample.metadata.scene,
        track=sample.metadata.track.value,
        notation=_notation(sample.metadata.notation),
        noise_model=sample.metadata.noise_model,
        y_shape=sample.y.shape,
        counts_range=(low, high),
        electrons_per_pattern=electrons,
        electrons_per_A2=electrons / (step[0] * step[1]),
        operator=attrs,
        scan_step_A=step,
        detector_pixel_mrad=1e3 * operator.detector_pixel_invA * attrs.wavelength_A,
        disk_radius_px=operator.disk_radius_px,
        probe_diameter_A=diameter,
        probe_overlap=1.0 - max(step) / diameter,
        spec_ranges=sample.ranges.root,
        truth=_truth(sample),
        checks=check_sample(
            sample,
            step_A=step,
            diameter_A=diameter,
            material=looking.material,
            fit=looking.fit,
        )
        if looking.checks
        else (),
    )


def _truth(sample: AnySample) -> TruthSummary | None:
    if sample.x_true is None and sample.true_spec is None:
        return None
    return TruthSummary(
        x_range=None if sample.x_true is None else _range(sample.x_true),
        spec=None if sample.true_spec is None else sample.true_spec.values(),
    )


def _count_statistics(sample: ChallengeSample) -> tuple[float, float, float]:
    """(smallest count, largest count, sum of all counts)."""
    ny, nx, *_ = sample.y.shape
    low, high, total = np.inf, -np.inf, 0.0
    for start in range(0, ny * nx, BLOCK_PATTERNS):
        block = sample.y.read(start, min(start + BLOCK_PATTERNS, ny * nx))
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        total += float(block.sum(dtype=np.float64))
    return low, high, total


def scan_step_A(operator: IdealOperator, scan_shape: tuple[int, int]) -> tuple[float, float]:
    """Mean distance [A] between neighbouring positions along the (slow, fast) scan axis.

    A scan of a single row or column has the other axis' step; a single position the object pixel.
    """
    grid = operator.positions_px.astype(np.float64).reshape(*scan_shape, 2)
    sampling = operator.attrs.sampling_A
    steps = [
        float(np.linalg.norm(np.diff(grid, axis=axis), axis=-1).mean()) * sampling
        for axis in (0, 1)
        if scan_shape[axis] > 1
    ] or [sampling]
    return steps[0], steps[-1]


def probe_diameter_A(operator: IdealOperator) -> float:
    """Diameter [A] of the circle around the probe's centre that holds 90 % of the beam."""
    n = operator.window
    axis = np.arange(n) - n // 2
    radius = np.hypot(axis[:, None], axis[None, :]).ravel()
    order = np.argsort(radius, kind="stable")
    intensity = np.abs(operator.probe.astype(np.complex128).ravel()[order]) ** 2
    held = np.cumsum(intensity) / intensity.sum()
    return float(2 * radius[order][np.searchsorted(held, PROBE_ENERGY)] * operator.attrs.sampling_A)


def _result(path: Path, file: h5py.File) -> ResultSummary:
    codes = {"missing": "RESULT_MISSING_ITEM", "malformed": "RESULT_MALFORMED"}
    attrs = hdf5.attributes_as(file, ResultAttrs, **codes)
    provenance = hdf5.json_attribute(file, "provenance", Provenance, **codes, loose="RESULT_JSON")
    run_info = None
    if "run_info" in file.attrs:
        run_info = hdf5.json_attribute(file, "run_info", RunInfo, **codes, loose="RESULT_JSON")
    return ResultSummary(
        path=str(path),
        bytes=path.stat().st_size,
        sha256=hdf5.sha256_of(path),
        tier=attrs.tier,
        contract_version=attrs.contract_version,
        algorithm=provenance.algorithm,
        seed=provenance.seed,
        input_sha256=provenance.input_sha256,
        parameters=provenance.parameters,
        run_info=run_info,
        samples=tuple(_answer(file[name], run_info) for name in sorted(file)),
    )


def _answer(group: h5py.Group, run_info: RunInfo | None) -> AnswerSummary:
    if not isinstance(group, h5py.Group) or not isinstance(group.get("x_hat"), h5py.Dataset):
        raise refuse(
            "RESULT_MISSING_ITEM",
            f"{group.file.filename}:{group.name}",
            expected="a group with the dataset x_hat",
            found=type(group).__name__.lower(),
            hint="`stem4d validate` lists everything that is wrong with a result",
        )
    dataset = group["x_hat"]
    values = np.asarray(dataset[...])
    finite = values[np.isfinite(values)]
    spec = hdf5.json_attribute(
        group,
        "corrected_spec",
        SpecValues,
        missing="RESULT_MISSING_ITEM",
        loose="RESULT_JSON",
        malformed="RESULT_MALFORMED",
    )
    run = None if run_info is None else run_info.samples.get(Path(group.name).name)
    return AnswerSummary(
        name=Path(group.name).name,
        shape=values.shape,
        dtype=str(dataset.dtype),
        finite=finite.size == values.size,
        value_range=_range(finite) if finite.size else None,
        corrected_spec=spec.root,
        seconds=None if run is None else run.seconds,
    )


def _range(values: NDArray[np.floating[Any]]) -> tuple[float, float]:
    return float(values.min()), float(values.max())
