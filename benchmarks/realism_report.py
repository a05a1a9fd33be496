"""Tables and picture of `benchmarks/realism.py`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

Row = dict[str, Any]

PARAMETERS = {
    "camera_length": ("dL [%]", 4),
    "center_offset": ("dc [px]", 4),
    "elliptical_distortion": ("eps", 5),
}
"""How each parameter is headed, and how many digits it is printed with."""

COLOURS = {"none": "0.6", "midpoint": "0.35", "pacbed": "tab:orange", "gradient": "tab:blue"}
FAMILY_STYLES = {"srtio3_001": "-", "gold_on_amorphous_carbon": "--"}
STUDIES = ("levels", "effects", "thickness")
NO_ERRORS = "-"


def study_table(rows: Sequence[Row], study: str) -> str:
    """Means over the scenes of one study, in Markdown."""
    chosen = [row for row in rows if row["study"] == study]
    if study == "thickness":  # what ends where depends on how strongly a specimen scatters
        chosen = [row | {"label": f"{row['label']}, {row['family']}"} for row in chosen]
    return _mean_table(chosen)


def tables(rows: Sequence[Row]) -> str:
    """All tables in Markdown: means over scenes, then every sample that was calibrated."""
    parts = [f"\n### {study}\n\n{study_table(rows, study)}" for study in STUDIES]
    chosen = [row for row in rows if row["calibrator"] in ("pacbed", "gradient")]
    parts.append(f"\n### every sample\n\n{_sample_table(chosen)}")
    return "\n".join(parts)


def _mean_table(rows: Sequence[Row]) -> str:
    names = [name for name, _ in PARAMETERS.values()]
    head = ["", "calibrator", "score", "PSNR [dB]", "SSIM", "consistency"]
    head += [f"{name} rms" for name in names] + [f"{name} rms error/se" for name in names]
    head += ["chi2 of the image", "chi2 of the calibration", "warned"]
    lines = [head, ["---"] * len(head)]
    for label, calibrator in _groups(rows, "label", "calibrator"):
        group = [r for r in rows if (r["label"], r["calibrator"]) == (label, calibrator)]
        line = [label, calibrator]
        for key, digits in (("score", 3), ("psnr_db", 2), ("ssim", 3), ("consistency", 3)):
            line.append(f"{_mean(r[key] for r in group):.{digits}f}")
        for name, (_, digits) in PARAMETERS.items():
            line.append(f"{_rms(r['spec_error'][name] for r in group):.{digits}f}")
        line += [_optional(_rms(_in_sigmas(group, name)), 1) for name in PARAMETERS]
        line.append(f"{_mean(r['chi_square'] for r in group):.3g}")
        line.append(_optional(_mean(_present(r["reduced_chi_square"] for r in group)), 3))
        line.append(f"{sum(r['warned'] for r in group)} of {len(group)}")
        lines.append(line)
    return _markdown(lines)


def _sample_table(rows: Sequence[Row]) -> str:
    head = ["", "scene", "phase [rad]", "calibrator", "score", "PSNR [dB]", "SSIM"]
    head += ["chi2 of the image", "chi2 of the calibration"]
    for name, _ in PARAMETERS.values():
        head.append(f"{name}: error (se)")
    lines = [head, ["---"] * len(head)]
    for row in rows:
        line = [f"{row['study']}: {row['label']}", row["scene"], f"{row['phase_scale_rad']:.2f}"]
        line += [row["calibrator"], f"{row['score']:.3f}", f"{row['psnr_db']:.2f}"]
        line += [f"{row['ssim']:.3f}", f"{row['chi_square']:.3g}"]
        calibrated = row["reduced_chi_square"]
        line.append(_optional(math.nan if calibrated is None else calibrated, 3))
        for name, (_, digits) in PARAMETERS.items():
            error = row["standard_error"].get(name)
            sigma = NO_ERRORS if error is None else f"{error:.{digits}f}"
            line.append(f"{row['spec_error'][name]:+.{digits}f} ({sigma})")
        lines.append(line)
    return _markdown(lines)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Score and spec errors by level and calibrator; and by thickness alone."""
    figure, axes = plt.subplots(2, 4, figsize=(15, 7), layout="constrained")
    levels = [row for row in rows if row["study"] == "levels"]
    _by_level(axes[0, 0], levels, lambda r: r["score"], _mean, "blind score")
    for axis, (name, (label, _)) in zip(axes[0, 1:], PARAMETERS.items(), strict=True):
        _by_level(axis, levels, _error_of(name), _rms, f"rms error of {label}")
        _reported(axis, levels, name)
        axis.set_yscale("log")
    axes[0, 0].legend(fontsize=8)
    axes[0, 1].legend(fontsize=8)
    thick = [row for row in rows if row["study"] == "thickness"]
    _by_thickness(axes[1, 0], thick, lambda r: r["score"], _mean, "blind score, thickness alone")
    for axis, (name, (label, _)) in zip(axes[1, 1:], PARAMETERS.items(), strict=True):
        _by_thickness(axis, thick, _error_of(name), _rms, f"rms error of {label}")
        axis.set_yscale("log")
    axes[1, 0].legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _by_level(
    axis: Axes,
    rows: Sequence[Row],
    value: Callable[[Row], float],
    combine: Callable[[Iterable[float]], float],
    title: str,
) -> None:
    labels = _labels(rows)
    for calibrator, colour in COLOURS.items():
        points = [
            combine(value(r) for r in rows if (r["label"], r["calibrator"]) == (label, calibrator))
            for label in labels
        ]
        axis.plot(labels, points, "o-", color=colour, label=calibrator)
    axis.set_title(title, fontsize=10)
    axis.tick_params(axis="x", labelsize=8)


def _reported(axis: Axes, rows: Sequence[Row], name: str) -> None:
    """The standard errors that the calibrators report, dotted."""
    labels = _labels(rows)
    for calibrator in ("pacbed", "gradient"):
        points = [
            _rms(
                row["standard_error"].get(name, math.nan)
                for row in rows
                if (row["label"], row["calibrator"]) == (label, calibrator)
            )
            for label in labels
        ]
        told = f"{calibrator}, reported"
        axis.plot(labels, points, ":", color=COLOURS[calibrator], label=told)


def _by_thickness(
    axis: Axes,
    rows: Sequence[Row],
    value: Callable[[Row], float],
    combine: Callable[[Iterable[float]], float],
    title: str,
) -> None:
    for calibrator in ("pacbed", "gradient"):
        for family, style in FAMILY_STYLES.items():
            found: dict[float, list[float]] = {}
            for row in rows:
                if (row["calibrator"], row["family"]) == (calibrator, family):
                    found.setdefault(row["effects"]["thickness_A"] / 10, []).append(value(row))
            axis.plot(
                list(found),
                [combine(values) for values in found.values()],
                f"o{style}",
                color=COLOURS[calibrator],
                label=f"{calibrator}, {family}",
            )
    axis.set_title(title, fontsize=10)
    axis.set_xlabel("thickness [nm]")


def _error_of(name: str) -> Callable[[Row], float]:
    """The spec error of a parameter, as a function of the row."""
    return lambda row: float(row["spec_error"][name])


def _in_sigmas(rows: Iterable[Row], name: str) -> list[float]:
    """Errors in units of the standard errors that were reported with them."""
    return [
        row["spec_error"][name] / row["standard_error"][name]
        for row in rows
        if row["standard_error"].get(name)
    ]


def _groups(rows: Sequence[Row], *keys: str) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(tuple(row[key] for key in keys) for row in rows))


def _labels(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["label"] for row in rows))


def _present(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else math.nan


def _rms(values: Iterable[float]) -> float:
    return math.sqrt(_mean(value**2 for value in values))


def _optional(value: float, digits: int) -> str:
    return NO_ERRORS if math.isnan(value) else f"{value:.{digits}f}"


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
