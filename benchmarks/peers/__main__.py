"""What is made from a result: `python -m benchmarks.peers table|plot|page RESULT.json`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks import page
from benchmarks.peers.report import tables

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "images" / "peers.png"


def main() -> None:
    """Print the tables, draw the plot, or do both into the documentation."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("what", choices=("table", "plot", "page"))
    parser.add_argument("result", type=Path)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args()
    result = json.loads(options.result.read_text())
    if options.what == "table":
        print(tables(result))
    if options.what == "page":
        page.put("peers", tables(result))
    if options.what in {"plot", "page"}:
        from benchmarks.peers.plot import draw  # noqa: PLC0415  # the table needs no matplotlib

        draw(result, options.picture)


if __name__ == "__main__":
    main()
