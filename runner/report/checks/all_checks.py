"""Every check of a sample, from two passes over its scan."""

from __future__ import annotations

from algorithms.base import Sample
from algorithms.pixels import fill
from runner.files.challenge import ChallengeSample
from runner.report.checks import counting, detector, exposure, lattices, sampling, thickness
from runner.report.checks.record import Check
from runner.report.checks.statistics import ScanStatistics, isolated_bright


def check_sample(
    sample: ChallengeSample,
    *,
    step_A: tuple[float, float],
    diameter_A: float,
    material: str | None = None,
    fit: bool = False,
) -> tuple[Check, ...]:
    """What may be wrong with a sample, each with figures and the mend.

    Args:
        sample: the sample; its patterns are read block by block.
        step_A: (slow, fast) scan step.
        diameter_A: the probe's, 90 % of the beam.
        material: a key of `TOLERANCES`, or None.
        fit: fit a phase object to a part of the scan as well, which takes some seconds.
    """
    operator, attrs = sample.operator, sample.operator.attrs
    statistics = ScanStatistics.of(sample.y, attrs.gain)
    raw = statistics.pixels.mean
    usable = statistics.pixels.usable(attrs.gain) & ~isolated_bright(raw)
    mean = fill(raw[None], usable)[0]
    electrons = float(raw.sum()) / attrs.gain
    checks = (
        sampling.scan_step(operator, step_A, diameter_A),
        sampling.probe_window(operator),
        exposure.dose(electrons / (step_A[0] * step_A[1]), material),
        detector.field_of_view(mean, operator),
        detector.disk(mean, operator, sample.ranges),
        detector.saturation(statistics, attrs),
        counting.poisson(statistics, attrs),
        counting.hot_pixels(statistics, attrs, operator.disk_radius_px),
        thickness.wide_angle(mean, operator),
        lattices.overlap(sample.y, operator, usable),
    )
    if not fit:
        return checks
    return (*checks, thickness.phase_object(_as_given(sample)))


def _as_given(sample: ChallengeSample) -> Sample:
    """As an algorithm gets it, without the truth."""
    return Sample(sample.name, sample.y, sample.operator, sample.ranges)
