"""Tables of results, put into the documentation."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PERFORMANCE = DOCS / "performance.md"
CALIBRATION = DOCS / "calibration.md"


def put(name: str, text: str, page: Path = PERFORMANCE) -> None:
    """Replace what stands between the marks `<!-- NAME: begin -->` and `<!-- NAME: end -->`."""
    begin, end = (f"<!-- {name}: {mark} -->" for mark in ("begin", "end"))
    before, opened, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise SystemExit(f"{page}: expected the marks {begin} and {end}, found no such pair")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
