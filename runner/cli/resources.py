"""The server's limits before a run, and what the run used of them after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from runner.cli.output import make_table

if TYPE_CHECKING:
    from runner.pipeline.backend import Used
    from schemas.limits import ResourceLimits


def limits_text(limits: ResourceLimits) -> str:
    """All limits of a run, in one line."""
    return (
        f"{limits.memory_mib} MiB memory, {limits.cpus:g} CPUs, {limits.pids} processes,"
        f" {limits.wall_s:g} s a run, {limits.sample_wall_s:g} s a sample,"
        f" /tmp {limits.tmp_mib} MiB, /dev/shm {limits.shm_mib} MiB,"
        f" /output {limits.output_mib} MiB, log {limits.log_mib:g} MiB,"
        f" {'a GPU' if limits.gpu else 'no GPU'}"
    )


def used_table(limits: ResourceLimits, used: Used) -> Table:
    """Peak use beside each limit; a dash where nobody measured."""
    rows = [
        ("wall time of the run [s]", limits.wall_s, used.wall_s),
        ("longest sample [s]", limits.sample_wall_s, used.sample_wall_s),
        ("peak memory [MiB]", limits.memory_mib, used.memory_mib),
        ("result file [MiB]", limits.output_mib, used.output_mib),
        ("log [MiB]", limits.log_mib, used.log_mib),
    ]
    return make_table(
        "used of the limits",
        ["", "limit", "used", "%"],
        [
            [
                name,
                f"{limit:g}",
                "-" if value is None else f"{value:.3g}" if value < 1 else f"{value:.1f}",
                "-" if value is None else f"{100 * value / limit:.0f}",
            ]
            for name, limit, value in rows
        ],
    )
