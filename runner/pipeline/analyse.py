"""`stem4d analyse`: maps over the scan, for the samples that allow it, into a file of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, JsonValue

from algorithms.analysis.base import Analysis, Maps
from algorithms.base import Calibration, Calibrator, Sample, is_unsuited
from algorithms.registry import load_analysis, load_calibrator, parameters_of
from runner.container import environment, stamp
from runner.files.analysis import (
    ANALYSIS_NAME,
    AnalysedSample,
    AnalysisFile,
    StoredMap,
    read_analysis,
    write_analysis,
)
from runner.files.challenge import Challenge, ChallengeSample, open_challenge
from runner.files.hdf5 import make_folder
from schemas.analysis import AnalysedAttrs, AnalysisAttrs, MapAttrs
from schemas.base import CONTRACT_VERSION, VARIANT, Record, quantity
from schemas.findings import ContractError, Finding, refuse
from schemas.result import SampleRun
from schemas.spec import MismatchSpec

SEED = 0
"""Seed of calibrators that draw anything."""

Say = Callable[[str], None]
"""Told, one line at a time, what is being done."""


class MapError(Record):
    """A map against the truth, over the positions that are valid in both.

    What was measured against another reference than the truth's differs from it by a constant, so
    that is apart.
    """

    offset: float = Field(description="median of map minus truth")
    rms: float = Field(description="root mean square of map minus truth minus offset")
    typical: float = Field(description="median of its absolute value")
    equal: float = Field(description="share of positions with the same value")


class MapSummary(Record):
    """One map over the valid positions of a sample."""

    unit: str = Field(description="unit; empty for a pure number")
    description: str = Field(description="what it is")
    median: float = Field(description="median over the valid positions")
    low: float = Field(description="smallest")
    high: float = Field(description="largest")
    error: MapError | None = Field(default=None, description="against the truth, where given")


class AnalysedSummary(Record):
    """What was found in one sample."""

    sample: str = Field(description="sample name")
    scene: str = Field(description="scene, where the file tells it")
    valid: int = Field(description="positions with an answer")
    positions: int = Field(description="positions of the scan")
    seconds: float = quantity("s", "wall time of calibration and analysis")
    corrected_spec: dict[str, float] = Field(description="the detector that was used")
    maps: dict[str, MapSummary] = Field(description="by name")
    diagnostics: dict[str, JsonValue] = Field(description="of the method")


class AnalysisReport(Record):
    """What `stem4d analyse --json` prints."""

    file: str = Field(description="challenge file, as it was named")
    method: str = Field(description="analysis")
    calibrator: str = Field(description="what found the detector")
    output: str = Field(description="the analysis file")
    samples: tuple[AnalysedSummary, ...] = Field(description="those that could be analysed")
    findings: tuple[Finding, ...] = Field(description="why others could not")


@dataclass(frozen=True)
class AnalysisPlan:
    """What is to be done.

    Attributes:
        source: challenge file.
        method: name of an analysis, or `file.py:Class`.
        calibrator: name of a calibrator.
        folder: where `analysis.h5` goes; made when it is not there.
        parameters: of the analysis, in the place of their defaults.
        names: samples; empty: all.
        truth: an analysis file with what is to be found, or None.
    """

    source: Path
    method: str
    calibrator: str
    folder: Path
    parameters: Mapping[str, Any]
    names: tuple[str, ...] = ()
    truth: Path | None = None


def analyse(plan: AnalysisPlan, say: Say) -> tuple[AnalysisReport, AnalysisFile]:
    """Analyse the samples of a file, and write what was found.

    A sample that the method cannot serve becomes a finding; the others are analysed all the same.

    Raises:
        ContractError: bad input or usage, or no sample could be analysed: then nothing is written.
    """
    began, started = time.monotonic(), datetime.now(UTC)
    environment.prepare(SEED)
    method = load_analysis(plan.method, plan.parameters)
    calibrator = load_calibrator(plan.calibrator)
    truth = read_analysis(plan.truth) if plan.truth is not None else None
    setup = time.monotonic() - began
    found: dict[str, AnalysedSample] = {}
    summaries: list[AnalysedSummary] = []
    findings: list[Finding] = []
    with open_challenge(plan.source) as challenge:
        for source in _chosen(challenge, plan.names):
            say(f"{source.name}: {plan.calibrator}, then {plan.method}")
            begin = time.monotonic()
            try:
                maps, calibration = _analysed(source, method, calibrator)
            except ContractError as error:
                if not is_unsuited(error):
                    raise
                findings += error.findings
                continue
            stored = _stored(source, plan.calibrator, maps, calibration)
            found[source.name] = stored
            known = _known(truth, source, plan) if truth is not None else None
            seconds = time.monotonic() - begin
            summaries.append(_summary(source, stored, known, seconds))
        if not found:
            raise ContractError(findings)
        file = AnalysisFile(
            AnalysisAttrs(
                variant=VARIANT,
                tier=challenge.attrs.tier,
                submission_type="analysis",
                method=plan.method,
                contract_version=CONTRACT_VERSION,
            ),
            stamp.provenance(
                f"{plan.method}+{plan.calibrator}",
                {"analysis": parameters_of(method), "calibrator": parameters_of(calibrator)},
                SEED,
                plan.source,
            ),
            stamp.run_info(
                started,
                setup,
                {s.sample: SampleRun(seconds=round(s.seconds, 3)) for s in summaries},
            ),
            found,
        )
    make_folder(plan.folder)
    output = plan.folder / ANALYSIS_NAME
    write_analysis(output, file)
    report = AnalysisReport(
        file=str(plan.source),
        method=plan.method,
        calibrator=plan.calibrator,
        output=str(output),
        samples=tuple(summaries),
        findings=tuple(findings),
    )
    return report, file


def _chosen(challenge: Challenge, names: tuple[str, ...]) -> list[ChallengeSample]:
    for name in names:
        if name not in challenge.names:
            raise refuse(
                "USAGE",
                f"--sample {name}",
                expected=f"one of {', '.join(challenge.names)}",
                found=name,
                hint="leave --sample out for all of them",
            )
    return [challenge.sample(name) for name in names or challenge.names]


def _known(truth: AnalysisFile, source: ChallengeSample, plan: AnalysisPlan) -> AnalysedSample:
    """The truth of a sample, which must be of its scan."""
    known, shape = truth.samples.get(source.name), source.y.shape[:2]
    if known is None or known.valid.shape != shape:
        raise refuse(
            "INPUT_INCONSISTENT",
            str(plan.truth),
            expected=f"maps of {shape[0]} x {shape[1]} positions for {source.name}",
            found="no such sample" if known is None else f"maps of {known.valid.shape}",
            hint="give the truth that was made together with the challenge file",
        )
    return known


def _analysed(
    source: ChallengeSample, method: Analysis, calibrator: Calibrator
) -> tuple[Maps, Calibration]:
    sample = Sample(
        name=source.name,
        y=source.y,
        operator=source.operator,
        ranges=source.ranges,
        seed=SEED,
        device=environment.device(),
        true_spec=source.true_spec,
    )
    calibration = calibrator.estimate(sample)
    return method.analyse(sample, calibration.spec), calibration


def _stored(
    source: ChallengeSample, calibrator: str, maps: Maps, calibration: Calibration
) -> AnalysedSample:
    step_y, step_x = scan_step_A(source)
    return AnalysedSample(
        AnalysedAttrs(
            scan_step_y_A=step_y,
            scan_step_x_A=step_x,
            calibrator=calibrator,
            corrected_spec=calibration.spec.values(),
        ),
        {
            name: StoredMap(
                entry.values,
                MapAttrs(
                    unit=entry.unit,
                    description=entry.description,
                    signed=entry.signed,
                    labels=entry.labels,
                ),
            )
            for name, entry in maps.maps.items()
        },
        maps.valid,
        {
            **stamp.plain(maps.diagnostics),
            "calibration_standard_errors": stamp.plain(calibration.standard_errors),
        },
    )


def scan_step_A(source: ChallengeSample) -> tuple[float, float]:
    """Distance of neighbouring positions along rows and columns [A]; 0 where there is one row."""
    ny, nx, _, _ = source.y.shape
    places = source.operator.positions_px.reshape(ny, nx, 2) * source.operator.attrs.sampling_A
    step_y, step_x = (
        float(np.linalg.norm(np.diff(places, axis=axis), axis=-1).mean()) if count > 1 else 0.0
        for axis, count in ((0, ny), (1, nx))
    )
    return step_y, step_x


def _summary(
    source: ChallengeSample, stored: AnalysedSample, truth: AnalysedSample | None, seconds: float
) -> AnalysedSummary:
    return AnalysedSummary(
        sample=source.name,
        scene=source.metadata.scene,
        valid=int(stored.valid.sum()),
        positions=int(stored.valid.size),
        seconds=seconds,
        corrected_spec=MismatchSpec.from_values(stored.attrs.corrected_spec).values(),
        maps={name: _map_summary(name, stored, truth) for name in stored.maps},
        diagnostics=dict(stored.diagnostics),
    )


def _map_summary(name: str, stored: AnalysedSample, truth: AnalysedSample | None) -> MapSummary:
    """Figures of one map, and its error where the truth has the same map."""
    entry = stored.maps[name]
    values = entry.values[stored.valid].astype(np.float64)
    return MapSummary(
        unit=entry.attrs.unit,
        description=entry.attrs.description,
        median=float(np.median(values)),
        low=float(values.min()),
        high=float(values.max()),
        error=_error(name, stored, truth) if truth is not None else None,
    )


def _error(name: str, stored: AnalysedSample, truth: AnalysedSample) -> MapError | None:
    """The error of one map; None where the truth does not have it, or nothing is valid in both."""
    both = stored.valid & truth.valid
    if name not in truth.maps or not both.any():
        return None
    known = truth.maps[name].values[both].astype(np.float64)
    error = stored.maps[name].values[both].astype(np.float64) - known
    offset = float(np.median(error))
    return MapError(
        offset=offset,
        rms=float(np.sqrt(np.mean((error - offset) ** 2))),
        typical=float(np.median(np.abs(error - offset))),
        equal=float(np.mean(error == 0)),
    )
