"""What the report shows of one sample: everything that has to be computed for it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray

from algorithms.pixels import PixelStatistics
from algorithms.trace import KEY
from physics.ideal import Patterns
from physics.operator import ForwardOperator, batches
from runner.files.challenge import ChallengeSample
from runner.files.result import SampleResult
from runner.pipeline.bounds import Point, bounds_at
from runner.pipeline.scenarios import Say
from runner.report.page.encode import pack
from runner.report.page.records import (
    Answer,
    Bound,
    Image,
    SampleView,
    ScanPatterns,
    TraceStage,
)
from runner.scoring.fourier import (
    Curve,
    power_spectrum,
    radial_power,
    ring_correlation,
    where_filled,
)
from schemas.base import printable
from schemas.score import SampleScore
from schemas.spec import PARAMETERS, MismatchSpec

MOST_POINTS = 1000
"""Points of a trace that are drawn at most."""

PARTS = ("calibration", "reconstruction")
"""Parts of a composed algorithm, in their order, as its diagnostics name them."""


@dataclass(frozen=True)
class Asked:
    """What is shown beside the submission's own answer.

    Attributes:
        scenarios: x_hat of scenarios I and II.
        score: as judged; None without truth.
        bound: whether the Cramer-Rao bound is computed.
        bytes: room for the patterns, packed.
    """

    scenarios: Mapping[str, Image] = field(default_factory=dict)
    score: SampleScore | None = None
    bound: bool = True
    bytes: int = 1 << 20


def sample_view(
    source: ChallengeSample, found: SampleResult | None, asked: Asked, say: Say
) -> SampleView:
    """One sample, ready to be drawn.

    Args:
        source: with its truth, where that is known.
        found: the submission's valid answer; None where there is none.
        asked: what else is shown.
        say: told what is being done.
    """
    say(f"{source.name}: patterns and spectra")
    attrs, x_true = source.operator.attrs, source.x_true
    power = radial = None
    if x_true is not None:
        power = power_spectrum(x_true, periodic=attrs.periodic)
        radial = radial_power(x_true, attrs.sampling_A, periodic=attrs.periodic)
    ny, nx, _, _ = source.y.shape
    return SampleView(
        name=source.name,
        scene=printable(source.metadata.scene),
        operator=source.operator,
        scan_shape=(ny, nx),
        ranges=source.ranges,
        pacbed=PixelStatistics.of(source.y).mean / attrs.gain,
        patterns=scan_patterns(source.y, asked.bytes),
        answer=None if found is None else _answer(source, found, asked, say),
        x_true=x_true,
        true_spec=source.true_spec,
        true_power=power,
        true_radial=radial,
        scenarios=asked.scenarios,
        score=asked.score,
    )


def scan_patterns(y: Patterns, room: int) -> ScanPatterns:
    """The patterns that fit: of every row and column, or of every second, third, ...

    Args:
        y: all patterns.
        room: how much they may take, packed [bytes].
    """
    ny, nx, ky, kx = y.shape
    row = y.read(0, nx).astype(np.float32)
    packed = len(zlib.compress(pack(row).codes.tobytes(), 6)) * ny
    stride = max(1, math.ceil(math.sqrt(packed / room)))
    rows, columns = range(0, ny, stride), slice(None, None, stride)
    counts = np.stack([y.read(r * nx, (r + 1) * nx)[columns] for r in rows])
    assert counts.shape[2:] == (ky, kx)
    return ScanPatterns(counts.astype(np.float32), stride)


def _answer(source: ChallengeSample, found: SampleResult, asked: Asked, say: Say) -> Answer:
    attrs, x_true = source.operator.attrs, source.x_true
    spec = MismatchSpec.from_values(found.corrected_spec).clipped(source.ranges)
    shape = {"periodic": attrs.periodic}
    bound = None
    if asked.bound:
        point = Point("estimate", found.x_hat, spec)
        if x_true is not None and source.true_spec is not None:
            point = Point("truth", x_true, source.true_spec)
        bound = Bound(point.kind, bounds_at(source, point, say).joint)
    return Answer(
        x_hat=found.x_hat,
        spec=spec,
        standard_errors=_standard_errors(found.diagnostics),
        misfit=misfit(source, found.x_hat, spec),
        power=power_spectrum(found.x_hat, **shape),
        radial=radial_power(found.x_hat, attrs.sampling_A, **shape),
        correlation=None if x_true is None else _correlation(source, found.x_hat, x_true),
        trace=trace_stages(found.diagnostics),
        bound=bound,
    )


def _correlation(source: ChallengeSample, x_hat: Image, x_true: Image) -> Curve:
    """With the truth, in the rings in which that holds something."""
    attrs = source.operator.attrs
    curve = ring_correlation(x_hat, x_true, attrs.sampling_A, periodic=attrs.periodic)
    return where_filled(curve, radial_power(x_true, attrs.sampling_A, periodic=attrs.periodic))


def misfit(source: ChallengeSample, x: Image, spec: MismatchSpec) -> NDArray[np.float64]:
    """Reduced chi-square of each pattern, (Ny, Nx): squared residual over its expected value."""
    model = ForwardOperator(source.operator)
    attrs = source.operator.attrs
    phi = model.tensor(attrs.phase_scale_rad * x)
    parts = []
    with torch.inference_mode():
        for index in batches(model.count, model.batch):
            electrons = model.expected(phi, spec, index)
            counts = model.tensor(source.y.read(index.start, index.stop))
            squared = (counts - attrs.gain * electrons).square().sum((1, 2))
            variance = attrs.gain**2 * electrons + attrs.read_noise**2
            parts.append((squared / variance.sum((1, 2))).double().cpu().numpy())
    ny, nx, _, _ = source.y.shape
    return np.concatenate(parts).reshape(ny, nx)


def _standard_errors(diagnostics: Mapping[str, Any]) -> dict[str, float]:
    """What a calibrator states; a submission may write anything there, or nothing."""
    part = diagnostics.get("calibration")
    stated = part.get("standard_errors") if isinstance(part, Mapping) else None
    if not isinstance(stated, Mapping):
        return {}
    return {
        name: float(value)
        for name in PARAMETERS
        if _is_number(value := stated.get(name)) and value > 0
    }


def trace_stages(diagnostics: Mapping[str, Any]) -> tuple[TraceStage, ...]:
    """The traces of a submission's diagnostics: its own, or those of calibrator and reconstructor.

    A reconstructor's clock begins when the calibrator is done. What is no trace is left out.
    """
    own = _stages(diagnostics.get(KEY), "", 0.0)
    if own:
        return own
    stages: list[TraceStage] = []
    begin = 0.0
    for name in PARTS:
        part = diagnostics.get(name)
        if not isinstance(part, Mapping):
            continue
        stages += _stages(part.get(KEY), f"{name}, ", begin)
        seconds = part.get("seconds")
        begin += float(seconds) if _is_number(seconds) else 0.0
    return tuple(stages)


def _stages(trace: object, prefix: str, begin: float) -> tuple[TraceStage, ...]:
    if not isinstance(trace, Mapping):
        return ()
    seconds, objective = trace.get("seconds"), trace.get("objective")
    if not (_are_numbers(seconds) and _are_numbers(objective)) or len(seconds) != len(objective):
        return ()
    names = trace.get("stage")
    if not isinstance(names, Sequence) or len(names) != len(seconds):
        names = ["objective"] * len(seconds)
    found = []
    for name in dict.fromkeys(map(str, names)):
        chosen = [i for i, other in enumerate(names) if str(other) == name][:MOST_POINTS]
        found.append(
            TraceStage(
                prefix + printable(name)[:60],
                begin + np.array([float(seconds[i]) for i in chosen]),
                np.array([float(objective[i]) for i in chosen]),
            )
        )
    return tuple(found)


def _are_numbers(values: object) -> TypeGuard[list[float]]:
    return isinstance(values, list) and bool(values) and all(map(_is_number, values))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
