"""Tables and pictures of `calibration.py`'s figures.

python benchmarks/calibration_report.py [RESULT.json] > table.md
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from benchmarks import page

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "calibration.json"
PICTURES = ROOT / "docs" / "images"
LABELS = ("camera length", "centre", "ellipticity")
UNITS = ("%", "px", "")
COLOURS = ("tab:blue", "tab:orange", "tab:green")

Rows = list[dict[str, Any]]


def column(rows: Rows, name: str) -> np.ndarray[Any, Any]:
    """(samples, 3) of a figure."""
    return np.array([row[name] for row in rows])


def bounds_of(rows: Rows) -> np.ndarray[Any, Any]:
    """(samples, 3) joint bounds."""
    return np.array([row["bound"]["joint"] for row in rows])


def rms(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Root mean square over the samples."""
    return np.sqrt(np.mean(np.square(values), axis=0))


def triple(values: np.ndarray[Any, Any], form: str = ".2f") -> str:
    """Three figures, as a cell."""
    return " / ".join(format(float(value), form) for value in values)


def conditions(rows: Rows) -> dict[str, Rows]:
    """The samples of each condition, in order."""
    grouped: dict[str, Rows] = {}
    for row in rows:
        grouped.setdefault(row["condition"]["name"], []).append(row)
    return grouped


def accuracy(rows: Rows) -> str:
    """Errors over the joint bound."""
    lines = [
        "| condition | samples | `gradient`: rms error / bound | largest | `pacbed`: the same |",
        "|---|---|---|---|---|",
    ]
    for name, group in conditions(rows).items():
        ours = column(group, "gradient") / bounds_of(group)
        start = column(group, "pacbed") / bounds_of(group)
        worst = triple(np.abs(ours).max(axis=0), ".1f")
        lines.append(
            f"| {name} | {len(group)} | {triple(rms(ours))} | {worst}"
            f" | {triple(rms(start), '.1f')} |"
        )
    return "\n".join(lines)


def honesty(rows: Rows) -> str:
    """Errors over the errors that the calibrator states."""
    lines = [
        "| condition | rms error / stated | within 1 sigma | within 2 sigma | warned |",
        "|---|---|---|---|---|",
    ]
    for name, group in [*conditions(rows).items(), ("all", rows)]:
        z = np.abs(column(group, "gradient") / column(group, "stated"))
        count = z.size
        one, two = float((z < 1).mean()), float((z < 2).mean())
        error_one, error_two = (math.sqrt(p * (1 - p) / count) for p in (0.683, 0.954))
        warned = sum(row["warned"] for row in group)
        lines.append(
            f"| {name} | {triple(rms(z))} | {100 * one:.0f} % (68 +- {100 * error_one:.0f})"
            f" | {100 * two:.0f} % (95 +- {100 * error_two:.0f}) | {warned} of {len(group)} |"
        )
    return "\n".join(lines)


def bias(rows: Rows) -> str:
    """What the specimen alone does to `pacbed`: electrons without number."""
    lines = [
        "| specimen | dL [%] | dc [px] | eps | the same in bounds at 8000 electrons |",
        "|---|---|---|---|---|",
    ]
    families: dict[str, Rows] = {}
    for row in rows:
        name = row["sample"].rpartition("_")[0]
        if row["condition"]["phase"] != 1.0:
            name += f", {row['condition']['phase']:g} times the phase"
        if row["condition"]["broken"] == 0:
            families.setdefault(name, []).append(row)
    for name, group in sorted(families.items()):
        size = rms(column(group, "pacbed_bias"))
        dose = np.array([row["dose_e"] for row in group])[:, None]
        at_8000 = bounds_of(group) * np.sqrt(dose / 8000.0)
        over = rms(column(group, "pacbed_bias") / at_8000)
        lines.append(
            f"| {name} | {size[0]:.4f} | {size[1]:.5f} | {size[2]:.5f} | {triple(over, '.1f')} |"
        )
    return "\n".join(lines)


def draw_dose(rows: Rows, path: Path) -> None:
    """Error over bound against dose, one panel for each parameter."""
    names = ("public profile", "500 electrons")
    normal = [row for row in rows if row["condition"]["name"] in names]
    doses = sorted({row["dose_e"] for row in normal})
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    for part, axis in enumerate(axes):
        for name, colour, shift in (("gradient", "tab:blue", 0.96), ("pacbed", "tab:red", 1.04)):
            levels = []
            for dose in doses:
                group = [row for row in normal if row["dose_e"] == dose]
                values = np.abs(column(group, name)[:, part])
                axis.plot(np.full(len(values), dose * shift), values, ".", color=colour, alpha=0.35)
                levels.append(float(np.sqrt(np.mean(values**2))))
            axis.plot(np.array(doses) * shift, levels, "o-", color=colour, label=f"{name}, rms")
        limit = [
            float(np.mean([r["bound"]["joint"][part] for r in normal if r["dose_e"] == dose]))
            for dose in doses
        ]
        axis.plot(doses, limit, "k--", label="joint Cramer-Rao bound")
        axis.set(xscale="log", yscale="log", xlabel="electrons a pattern", title=LABELS[part])
        axis.set_ylabel(f"error [{UNITS[part]}]" if UNITS[part] else "error")
        axis.grid(alpha=0.3, which="both")
        axis.set_xticks(doses, [f"{dose:.0f}" for dose in doses])
        axis.minorticks_off()
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_cost(costs: Rows, path: Path) -> None:
    """Blind score against the error of one parameter."""
    names = list(dict.fromkeys(cost["parameter"] for cost in costs))
    best = {cost["scene"]: cost["score"] for cost in costs if cost["bounds"] == 0}
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained", sharey=True)
    for part, (axis, name) in enumerate(zip(axes, names, strict=True)):
        mine = [cost for cost in costs if cost["parameter"] == name and cost["bounds"] > 0]
        for scene in best:
            points = [(c["error"], c["score"]) for c in mine if c["scene"] == scene]
            axis.plot(*zip(*points, strict=True), "o-", ms=3, label=scene.rpartition("_")[0])
        bound = float(np.mean([cost["error"] / cost["bounds"] for cost in mine]))
        axis.axvline(bound, color="k", ls="--", lw=1)
        axis.set(xscale="log", title=LABELS[part])
        axis.set_xlabel(f"error [{UNITS[part]}]" if UNITS[part] else "error")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("blind score")
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> None:
    """Print the tables, draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", nargs="?", type=Path, default=RESULT)
    parser.add_argument("--pictures", type=Path, default=PICTURES)
    options = parser.parse_args()
    result = json.loads(options.result.read_text())
    rows = result["rows"]
    seconds = np.median([row["cpu_s"] for row in rows])
    found = f"{accuracy(rows)}\n\n`gradient` takes {seconds:.1f} s of one core a sample (median)."
    for name, text in (("accuracy", found), ("honesty", honesty(rows)), ("bias", bias(rows))):
        page.put(name, text, page.CALIBRATION)
    draw_dose(rows, options.pictures / "calibration_dose.png")
    draw_cost(result["cost_of_error"], options.pictures / "calibration_cost.png")


if __name__ == "__main__":
    main()
