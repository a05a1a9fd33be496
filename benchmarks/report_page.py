"""How large a report page is, and how soon it is open, in headless Chromium.

    stem4d dry-run --no-docker
    python -m benchmarks.report_page dry-run/report.html

Each opening is a fresh browser context. Told are the wall time until every image is drawn, counted
from the start of the navigation, and the processor time of the page's own thread: on a busy machine
the second says more.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

from benchmarks.browser import browser_path, launched
from benchmarks.peers.machine import machine

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "report_page.json"
OPENINGS = 7
CORES = 2


def main() -> None:
    """Open the page several times, and write what it took."""
    path = Path(sys.argv[1]).resolve()
    program = browser_path()
    if program is None:
        raise SystemExit("needs Chromium: apt-get install chromium")
    wall, busy = [], []
    with launched(program) as browser:
        version = browser.version
        for _ in range(OPENINGS):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
            session = context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            page.goto(path.as_uri())
            page.wait_for_selector("html[data-ready]", timeout=120_000)
            wall.append(int(page.get_attribute("html", "data-ready") or 0))
            found = {
                m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]
            }
            busy.append(round(1000 * found["TaskDuration"]))
            context.close()
    told = {
        "machine": machine(ROOT, CORES),
        "chromium": version,
        "samples": path.read_text(encoding="utf-8").count('class="sample"'),
        "bytes": path.stat().st_size,
        "ready_ms": {"median": statistics.median(wall), "all": wall},
        "processor_ms": {"median": statistics.median(busy), "all": busy},
    }
    RESULT.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
