"""Tables of a result, in markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.peers.measure import seconds_to_reach
from benchmarks.peers.problems import MISMATCHED, NOMINAL

Result = dict[str, Any]
Curve = dict[str, Any]

OURS = "ptychography+none"
"""Ours on nominal data, the sample as it is: what peers are compared with."""

NEAR_DB = 0.1
"""What is this close to its final PSNR has converged [dB]."""

TARGETS_DB = (18.0, 20.0, 22.0, 25.0, 30.0, 35.0)
"""PSNR whose time is told [dB]."""


def curves_of(result: Result, name: str, data: str) -> list[Curve]:
    """The curves of that name, one a scene."""
    return [c for c in result["curves"] if c["name"] == name and c["data"] == data]


def names_on(result: Result, data: str) -> list[str]:
    """Names of all curves on that data, in the order of the run."""
    return list(dict.fromkeys(c["name"] for c in result["curves"] if c["data"] == data))


def peers_on(result: Result, data: str) -> list[str]:
    """The same, without ours."""
    found = (c["name"] for c in result["curves"] if c["data"] == data and c["package"])
    return list(dict.fromkeys(found))


def ratio_to_peer(result: Result, peer: str, data: str = NOMINAL, ours: str = OURS) -> list[float]:
    """Per scene: our time to the peer's final PSNR, over the peer's time to the same."""
    ratios = []
    for theirs in curves_of(result, peer, data):
        mine = next(c for c in curves_of(result, ours, data) if c["scene"] == theirs["scene"])
        when = seconds_to_reach(mine["seconds"], mine["psnr_db"], theirs["psnr_db"][-1])
        ratios.append(float("inf") if when is None else when / theirs["seconds"][-1])
    return ratios


def converged_ratio(result: Result, peer: str, ours: str = OURS) -> list[float]:
    """Per scene: our time to the peer's final PSNR less a little, over the peer's first time."""
    ratios = []
    for theirs in curves_of(result, peer, NOMINAL):
        mine = next(c for c in curves_of(result, ours, NOMINAL) if c["scene"] == theirs["scene"])
        target = theirs["psnr_db"][-1] - NEAR_DB
        first = seconds_to_reach(theirs["seconds"], theirs["psnr_db"], target)
        when = seconds_to_reach(mine["seconds"], mine["psnr_db"], target)
        assert first is not None
        ratios.append(float("inf") if when is None else when / first)
    return ratios


def tables(result: Result) -> str:
    """Everything, as one block of markdown."""
    parts = (_speed(result), _targets(result), _mismatch(result), _checks(result), _made(result))
    return "\n\n".join(part for part in parts if part)


def _speed(result: Result) -> str:
    head = (
        "Nominal data, mean over scenes; ratios are of the scene that is worst for us.\n\n"
        "| | iterations | PSNR at the end [dB] | best [dB] | seconds in all | converged after [s] |"
        " ms per pattern and iteration | our time to its final PSNR / its time |"
        " / its time to converge | peak memory [MiB] |\n"
        "|---|---|---|---|---|---|---|---|---|---|"
    )
    rows = []
    for name in names_on(result, NOMINAL):
        curves = curves_of(result, name, NOMINAL)
        is_peer = curves[0]["package"] is not None
        count = len(curves[0]["seconds"])
        whole = _mean(curves, lambda c: c["seconds"][-1])
        ratios = (
            (f"{max(ratio_to_peer(result, name)):.3f}", f"{max(converged_ratio(result, name)):.3f}")
            if is_peer and curves_of(result, OURS, NOMINAL)
            else ("", "")
        )
        cells = (
            name,
            str(count),
            f"{_mean(curves, lambda c: c['psnr_db'][-1]):.2f}",
            f"{_mean(curves, lambda c: max(c['psnr_db'])):.2f}",
            f"{whole:.2f}",
            f"{_mean(curves, _converged):.2f}",
            f"{1e3 * whole / count / result['patterns']:.2f}",
            *ratios,
            f"{max(c['peak_mib'] for c in curves):.0f}",
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join((head, *rows))


def _targets(result: Result) -> str:
    head = "Seconds to reach a PSNR, nominal data, mean over scenes; - if a scene never does.\n\n"
    head += "| | " + " | ".join(f"{target:.0f} dB" for target in TARGETS_DB) + " |\n|---"
    rows = []
    for name in names_on(result, NOMINAL):
        cells = [name]
        for target in TARGETS_DB:
            times = [
                seconds_to_reach(c["seconds"], c["psnr_db"], target)
                for c in curves_of(result, name, NOMINAL)
            ]
            known = [time for time in times if time is not None]
            cells.append(f"{np.mean(known):.2f}" if len(known) == len(times) else "-")
        rows.append("| " + " | ".join(cells) + " |")
    return head + "|---" * len(TARGETS_DB) + "|\n" + "\n".join(rows)


def _mismatch(result: Result) -> str:
    head = (
        "What a mismatched detector costs: best PSNR [dB], mean over scenes.\n\n"
        "| | nominal data | mismatched data | lost |\n|---|---|---|---|"
    )
    rows = []
    for name in names_on(result, MISMATCHED):
        found = curves_of(result, name, MISMATCHED)
        reference = curves_of(result, name if found[0]["package"] else OURS, NOMINAL)
        if not reference:
            continue
        before, after = (_mean(part, lambda c: max(c["psnr_db"])) for part in (reference, found))
        rows.append(f"| {name} | {before:.2f} | {after:.2f} | {before - after:.2f} |")
    return "\n".join((head, *rows)) if rows else ""


def _checks(result: Result) -> str:
    head = (
        "Each package's own forward model on the true object, against ours: relative error.\n\n"
        "| | version | error | |\n|---|---|---|---|"
    )
    rows = []
    for name, peer in result["peers"].items():
        errors = peer["forward_error"].values()
        worst = f"{max(errors):.1e}" if errors else "-"
        failed = [f["reason"] for f in result["failures"] if f["package"] == name]
        problem = peer["reason"] or (failed[0] if failed else "")
        last_line = problem.strip().splitlines()[-1] if problem.strip() else ""
        rows.append(f"| {name} | {peer['version']} | {worst} | {last_line} |")
    return "\n".join((head, *rows))


def _made(result: Result) -> str:
    made = result["machine"]
    changed = ", with changes that were not committed" if made["changed_since"] else ""
    return (
        f"{made['cpu']}, {made['cores_used']} cores for every process, Python {made['python']},"
        f" torch {made['torch']}; commit {made['commit']}{changed}; {len(result['scenes'])} scenes,"
        f" {result['patterns']} patterns each; turns of all packages: {result['repeats']}"
        " (seconds are medians)."
    )


def _converged(curve: Curve) -> float:
    when = seconds_to_reach(curve["seconds"], curve["psnr_db"], curve["psnr_db"][-1] - NEAR_DB)
    return curve["seconds"][-1] if when is None else when


def _mean(curves: Sequence[Curve], value: Callable[[Curve], float]) -> float:
    return float(np.mean([value(curve) for curve in curves]))
