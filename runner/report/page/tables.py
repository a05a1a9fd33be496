"""The page's tables, as text."""

from __future__ import annotations

from dataclasses import dataclass

from runner.report.page.curves import SYMBOLS, spec_text
from runner.report.page.records import PageData, SampleView
from runner.report.text import MISSING, number
from schemas.base import json_text, printable
from schemas.limits import MIB
from schemas.result import MAX_RESULT_BYTES


@dataclass(frozen=True)
class LimitRow:
    """One resource.

    Attributes:
        name: what it is.
        used: with its unit.
        limit: likewise; a dash where it is not known.
        share: used over limit, at most 1; None where one is not known.
    """

    name: str
    used: str
    limit: str
    share: float | None


def sample_rows(data: PageData) -> list[list[str]]:
    """One line a sample: scene, score, PSNR, SSIM, consistency, ceiling, chi-square, seconds."""
    if data.card is None:
        return []
    names = {sample.name: sample.title for sample in data.samples}
    return [
        [
            names.get(entry.sample, entry.scene.replace("_", " ") or entry.sample),
            number(entry.score, 3),
            number(entry.psnr_db, 2),
            number(entry.ssim, 3),
            number(entry.consistency, 3),
            number(entry.consistency_ceiling, 3),
            number(entry.chi_square, 3),
            number(entry.seconds, 1),
        ]
        for entry in data.card.samples
    ]


def parameter_rows(sample: SampleView) -> list[list[str]]:
    """One line a parameter: name, range, estimate, its error, truth, estimate - truth, bound."""
    answer = sample.answer
    if answer is None:
        return []
    rows = []
    for entry in sample.ranges.root:
        name = entry.name
        value = answer.spec.values()[name]
        error = answer.standard_errors.get(name)
        true = None if sample.true_spec is None else sample.true_spec.values()[name]
        bound = None if answer.bound is None else answer.bound.sigma[name]
        symbol, unit, words = SYMBOLS[name]
        rows.append(
            [
                f"{words} {symbol}",
                f"{entry.min:g} to {entry.max:g}" + (f" {unit}" if unit else ""),
                spec_text(name, value),
                MISSING if error is None else spec_text(name, error).lstrip("+"),
                MISSING if true is None else spec_text(name, true),
                MISSING if true is None else spec_text(name, value - true),
                MISSING if bound is None else spec_text(name, bound).lstrip("+"),
                MISSING if true is None or not bound else f"{abs(value - true) / bound:.1f}",
            ]
        )
    return rows


def limit_rows(data: PageData) -> list[LimitRow]:
    """What the run used beside what it was allowed."""
    info, limits = data.run_info, data.resources.limits
    longest = (
        None
        if info is None
        else max((entry.seconds for entry in info.samples.values()), default=None)
    )
    memory = None if info is None else info.peak_memory_mib
    threads = None if info is None else float(info.threads)
    wall = sample_wall = memory_limit = cpus = None
    if limits is not None:
        wall, sample_wall = limits.wall_s, limits.sample_wall_s
        memory_limit, cpus = float(limits.memory_mib), limits.cpus
    return [
        _row("wall time of the run", data.resources.wall_s, wall, "s"),
        _row("longest sample", longest, sample_wall, "s"),
        _row("peak memory", memory, memory_limit, "MiB"),
        _row("CPU threads", threads, cpus, ""),
        _row("result file", data.resources.result_mib, MAX_RESULT_BYTES / MIB, "MiB"),
    ]


def _row(name: str, used: float | None, limit: float | None, unit: str) -> LimitRow:
    share = None if used is None or limit is None else min(used / limit, 1.0)
    return LimitRow(name, _quantity(used, unit), _quantity(limit, unit), share)


def _quantity(value: float | None, unit: str) -> str:
    if value is None:
        return MISSING
    digits = 2 if value < 1 else 1 if value < 1000 and value != round(value) else 0
    return f"{value:.{digits}f} {unit}".strip()


def provenance_rows(data: PageData) -> list[tuple[str, str]]:
    """What the result says of its making."""
    made, info = data.provenance, data.run_info
    rows = [
        ("algorithm", printable(made.algorithm)),
        ("parameters", printable(json_text(made.parameters))),
        ("seed", str(made.seed)),
        ("stem4d", printable(made.runner_version)),
        ("libraries", printable(", ".join(f"{k} {v}" for k, v in sorted(made.libraries.items())))),
        ("input, sha256", made.input_sha256),
    ]
    if data.resources.backend is not None:
        rows.append(("run in a", data.resources.backend))
    if info is not None:
        rows += [
            ("started, UTC", printable(info.started_utc)),
            ("device", f"{printable(info.device)}, {info.threads} threads"),
            ("set-up", f"{info.setup_seconds:.1f} s"),
        ]
    return rows
