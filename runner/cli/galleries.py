"""Scenes and scenarios as cells of a table."""

from __future__ import annotations

from collections.abc import Sequence

from runner.report.text import number
from runner.scoring.leaderboard import GalleryRow


def scenario_columns(names: Sequence[str]) -> list[str]:
    """Two headings for each scenario."""
    return [f"{name} {what}" for name in names for what in ("dB", "SSIM")]


def scenario_cells(row: GalleryRow, names: Sequence[str]) -> list[str]:
    """PSNR and SSIM in each scenario; a dash where there is no result."""
    cells = []
    for name in names:
        found = row.scenarios.get(name)
        cells += [number(found.psnr_db, 2), number(found.ssim, 3)] if found else ["-", "-"]
    return cells
