"""The page's data: what its scripts draw, and compute the modelled patterns from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np

from runner.report.drawing import OBJECT_MAP
from runner.report.figure import PATTERN_MAP, RESIDUAL_MAP
from runner.report.page.encode import exact, quantised
from runner.report.page.look import Look
from runner.report.page.records import Answer, Image, PageData, SampleView
from schemas.spec import MismatchSpec

POWER_MAP = "cividis"
MISFIT_MAP = "viridis"

SHOWN_RANGE = (-1.0, 2.0)
"""Values of x beyond this are drawn like its ends; the scale is from 0 to 1 in any case."""

POWER_DECADES = 6.0
"""Power below the peak that is drawn [decades]."""


RESIDUAL_SIGMA = 3.0
"""Half width of the normalised residual's scale [standard deviations]; also in picker.js."""


def payload(data: PageData, looks: Sequence[Look]) -> dict[str, Any]:
    """Everything that the scripts read, as plain JSON values."""
    return {
        "maps": {
            "object": _map(OBJECT_MAP),
            "pattern": _map(PATTERN_MAP),
            "difference": _map(RESIDUAL_MAP),
            "power": _map(POWER_MAP),
            "misfit": _map(MISFIT_MAP),
        },
        "samples": [
            _sample(sample, look) for sample, look in zip(data.samples, looks, strict=True)
        ],
    }


def _sample(sample: SampleView, look: Look) -> dict[str, Any]:
    operator, attrs = sample.operator, sample.operator.attrs
    crop = slice(look.first, look.first + look.side)
    images = {} if sample.x_true is None else {"truth": _x(sample.x_true)}
    images |= {name: _x(image) for name, image in sample.scenarios.items()}
    specs = {"nominal": _spec(MismatchSpec())}
    if sample.true_spec is not None:
        specs["true"] = _spec(sample.true_spec)
    held: dict[str, Any] = {
        "name": sample.name,
        "shape": list(attrs.object_shape),
        "window": operator.window,
        "scan": list(sample.scan_shape),
        "stride": sample.patterns.stride,
        "gain": attrs.gain,
        "readNoise": attrs.read_noise,
        "dose": attrs.dose_e,
        "phaseScale": attrs.phase_scale_rad,
        "periodic": attrs.periodic,
        "positions": exact(operator.positions_px),
        "probe": [exact(operator.probe.real), exact(operator.probe.imag)],
        "counts": quantised(sample.patterns.counts),
        "pacbed": quantised(sample.pacbed[crop, crop]),
        "brightest": look.brightest,
        "specs": specs,
        "images": images,
    }
    if sample.true_power is not None:
        held["truePower"] = _power(sample.true_power, _peak(sample))
    return held if sample.answer is None else held | _answer(sample, sample.answer, look, held)


def _answer(sample: SampleView, answer: Answer, look: Look, held: dict[str, Any]) -> dict[str, Any]:
    return {
        "specs": {"fitted": _spec(answer.spec), **held["specs"]},
        "x": exact(answer.x_hat),
        "images": held["images"] | {"III": _x(answer.x_hat)},
        "misfit": quantised(answer.misfit),
        "misfitRange": [float(answer.misfit.min()), float(answer.misfit.max())],
        "power": _power(answer.power, _peak(sample)),
        "differenceLimit": look.limit,
    }


def _x(image: Image) -> dict[str, Any]:
    return quantised(np.clip(image, *SHOWN_RANGE))


def _peak(sample: SampleView) -> float:
    """Largest power of truth, or of the reconstruction where there is none."""
    power = sample.true_power
    if power is None and sample.answer is not None:
        power = sample.answer.power
    return 1.0 if power is None else float(power.max()) or 1.0


def _power(power: Image, peak: float) -> dict[str, Any]:
    """log10 of power over the peak, of the decades that are drawn."""
    floor = 10.0**-POWER_DECADES
    return quantised(np.log10(np.maximum(power / peak, floor)))


def _spec(spec: MismatchSpec) -> list[float]:
    return list(spec.vector())


def _map(name: str) -> str:
    """256 colours as hexadecimal digits, six a colour."""
    colors = mpl.colormaps[name](np.arange(256) / 255, bytes=True)[:, :3]
    return bytes(np.ascontiguousarray(colors)).hex()
