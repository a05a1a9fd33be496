"""`stem4d inspect`: what a file of the contract holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from runner.report.inspection import (
        AnswerSummary,
        ArraySummary,
        ChallengeSummary,
        ModelSummary,
        ResultSummary,
        SampleSummary,
    )
    from schemas.spec import SpecRange

Properties = dict[str, str]

MATERIALS = ("protein", "organic", "mof", "halide-perovskite", "inorganic")
"""Keys of `runner.report.checks.TOLERANCES`, here so that the help imports no torch."""

MARKS = {"ok": "+", "warning": "!", "not judged": "."}


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--checks/--no-checks", default=True, help="Look for what is often wrong with such data."
)
@click.option(
    "--fit", is_flag=True, help="Fit a phase object to a part of each scan as well (seconds)."
)
@click.option(
    "--material",
    type=click.Choice(MATERIALS),
    help="What the specimen is made of: the dose is judged by what that bears.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(file: Path, checks: bool, fit: bool, material: str | None, as_json: bool) -> None:
    """Show what a challenge, truth or result FILE holds, and what is often wrong with such data.

    Shapes, dose, measured electrons per pattern, disk and probe, spec ranges, and which truth;
    then scan step, dose, detector and disk, counts, thickness and grains, each with figures and
    what to do. docs/inspect.md has the formulas.
    """
    from runner.cli.output import print_record, print_tables
    from runner.report.inspection import Looking, inspect_file

    summary = inspect_file(file, Looking(checks, fit, material))
    if as_json:
        print_record(summary)
    else:
        print_tables(*_tables(summary), *_check_tables(summary))


def _tables(summary: ChallengeSummary | ResultSummary) -> list[Table]:
    from runner.cli.output import make_table

    head = _head(summary)
    samples = {sample.name: _properties(sample) for sample in summary.samples}
    shared = _shared(list(samples.values()))
    title = f"{summary.path}: {summary.kind}, contract {summary.contract_version}"
    tables = [make_table(title, ["in the file", ""], [*(head | shared).items()], left=2)]
    varying = [key for key in _first(samples) if key not in shared]
    if varying:
        rows = [
            [name, *(found.get(key, "-") for key in varying)] for name, found in samples.items()
        ]
        spec = "corrected" if summary.kind == "result" else "true"
        title = f"where the samples differ (spec: the {spec} values)"
        tables.append(make_table(title, ["sample", *varying], rows, left=1))
    return tables


def _check_tables(summary: ChallengeSummary | ResultSummary) -> list[Table]:
    """What the checks say, a table for each sample, warnings first and with what to do."""
    from runner.cli.output import make_table
    from runner.report.inspection import SampleSummary

    tables = []
    for sample in summary.samples:
        if not isinstance(sample, SampleSummary) or not sample.checks:
            continue
        rows = [
            [
                MARKS[check.level.value],
                check.name,
                check.found
                + (f"\nexpected: {check.expected}" if check.level.value == "warning" else "")
                + (f"\ndo: {check.hint}" if check.hint else ""),
            ]
            for check in sorted(sample.checks, key=lambda check: check.level.value != "warning")
        ]
        count = sum(check.level.value == "warning" for check in sample.checks)
        told = f"{count or 'no'} warning{'' if count == 1 else 's'}"
        title = f"{sample.name}: {told} (! warning, . not judged)"
        tables.append(make_table(title, ["", "check", "found"], rows, left=3))
    return tables


def _head(summary: ChallengeSummary | ResultSummary) -> Properties:
    head = {
        **({"variant": summary.variant} if summary.kind == "challenge" else {}),
        "tier": summary.tier,
        "size": _size(summary.bytes),
        "sha256": summary.sha256,
        "samples": str(len(summary.samples)),
    }
    if summary.kind == "result":
        run = summary.run_info
        head |= {
            "algorithm": summary.algorithm,
            "seed": str(summary.seed),
            "made from input": summary.input_sha256,
            "run": "not told (a canonical rewrite)"
            if run is None
            else f"{run.device}, {run.threads} threads, set up in {run.setup_seconds:.1f} s,"
            f" peak memory {run.peak_memory_mib:.0f} MiB",
        }
    return head


def _properties(sample: SampleSummary | ArraySummary | AnswerSummary) -> Properties:
    from runner.report.inspection import AnswerSummary, ArraySummary

    if isinstance(sample, AnswerSummary):
        return _answer_properties(sample)
    if isinstance(sample, ArraySummary):
        return _array_properties(sample)
    return _sample_properties(sample)


def _array_properties(sample: ArraySummary) -> Properties:
    truth = sample.truth
    check = {}
    if sample.residual is not None:
        check["|y - H x_true| / |y|"] = f"{sample.residual:.4f}"
    if sample.residual_of_h is not None:
        check["|y - H| / |y|"] = f"{sample.residual_of_h:.4f}"
    return {
        "scene": sample.scene or "-",
        "track": sample.track,
        **_model(sample.notation),
        "y": f"{_shape(sample.y_shape)}, {sample.y_range[0]:g} to {sample.y_range[1]:g}",
        "H, a plain array": f"{_shape(sample.h_shape)}, acts as `{sample.action}`",
        "x": _shape(sample.signal_shape),
        **_ranges(sample.spec_ranges),
        "x_true": _interval(truth.x_range) if truth else "none",
        **(_spec(truth.spec) if truth and truth.spec else {"true_spec": "none"}),
        **check,
    }


def _model(model: ModelSummary | None) -> Properties:
    """The notation and what its stages mean, or why it cannot be read."""
    if model is None:
        return {}
    if model.fault is not None:
        return {"model": f"{model.text} (unreadable: {model.fault})"}
    return {"model": model.text, "stages": "\n".join(model.stages)}


def _sample_properties(sample: SampleSummary) -> Properties:
    attrs = sample.operator
    ny, nx, ky, kx = sample.y_shape
    slow, fast = sample.scan_step_A
    height, width = attrs.object_shape
    truth = sample.truth
    return {
        "scene": sample.scene,
        "track": sample.track,
        **_model(sample.notation),
        "scan": f"{ny} x {nx} positions, step {slow:.3g} x {fast:.3g} A",
        "detector": f"{ky} x {kx} pixels of {sample.detector_pixel_mrad:.3g} mrad",
        "object": f"{height} x {width} pixels of {attrs.sampling_A:g} A"
        + (", periodic" if attrs.periodic else ""),
        "beam": f"{attrs.energy_eV / 1e3:g} keV, wavelength {attrs.wavelength_A:.5f} A",
        "probe": f"{attrs.semiangle_mrad:g} mrad, C10 {attrs.C10_A:g} A, Cs {attrs.Cs_A:g} A",
        "probe diameter": f"{sample.probe_diameter_A:.2f} A (90 % of the beam)",
        "probe overlap": f"{100 * sample.probe_overlap:.0f} %",
        "bright-field disk": f"radius {sample.disk_radius_px:.2f} px",
        "noise": f"{sample.noise_model}, gain {attrs.gain:g} counts/e, read noise"
        f" {attrs.read_noise:g} counts",
        "phase of x = 1": f"{attrs.phase_scale_rad:.3f} rad",
        "dose": f"{attrs.dose_e:g} e",
        "measured": f"{sample.electrons_per_pattern:.1f} e",
        "e/A^2": f"{sample.electrons_per_A2:.3g}",
        "counts": f"{sample.counts_range[0]:g} to {sample.counts_range[1]:g}",
        **_ranges(sample.spec_ranges),
        "x_true": _interval(truth.x_range) if truth else "none",
        **(_spec(truth.spec) if truth and truth.spec else {"true_spec": "none"}),
    }


def _answer_properties(answer: AnswerSummary) -> Properties:
    return {
        "x_hat": f"{_shape(answer.shape)} {answer.dtype}",
        "finite": "yes" if answer.finite else "NO",
        "values": _interval(answer.value_range),
        **_spec(answer.corrected_spec),
        "seconds": "-" if answer.seconds is None else f"{answer.seconds:.1f}",
    }


def _shared(samples: Sequence[Properties]) -> Properties:
    """What every sample has in common."""
    first, *others = samples or [{}]
    return {k: v for k, v in first.items() if all(other.get(k) == v for other in others)}


def _first(samples: dict[str, Properties]) -> Properties:
    return next(iter(samples.values()), {})


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape)


def _interval(bounds: tuple[float, float] | None) -> str:
    return "none" if bounds is None else f"{bounds[0]:.3f} to {bounds[1]:.3f}"


def _ranges(ranges: Sequence[SpecRange]) -> Properties:
    return {f"range of {r.name}": f"{r.min:g} to {r.max:g} {r.unit}".rstrip() for r in ranges}


def _spec(values: dict[str, float]) -> Properties:
    return {name: f"{value:.5f}" for name, value in values.items()}


def _size(size: int) -> str:
    return f"{size / 1024:.0f} KiB" if size < 1024**2 else f"{size / 1024**2:.1f} MiB"
