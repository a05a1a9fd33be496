"""The screenshots of docs/report.md and of the README, from the page of a dry run.

stem4d dry-run --no-docker
python -m benchmarks.report_screenshots dry-run/report.html
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from benchmarks.browser import browser_path, launched

IMAGES = Path(__file__).parents[1] / "docs" / "images"
DESK = {"width": 1200, "height": 900}
PHONE = {"width": 390, "height": 844}
WAIT_MS = 120_000
MARGIN = 10
"""Above and below [pixels]."""


def main() -> None:
    """Shoot every picture."""
    path = Path(sys.argv[1]).resolve()
    program = browser_path()
    if program is None:
        raise SystemExit("needs Chromium: apt-get install chromium")
    with launched(program) as browser:
        page = opened(browser, path, DESK, "light")
        shoot(page, "report_summary", "header", "#summary .scroll")
        shoot(page, "report_gallery", "#gallery", "#gallery")
        shoot(page, "report_patterns", ".sample .picker", ".sample .parameters")
        shoot(page, "report_spectra", ".sample .spectra", ".sample .spectra")
        page.locator(".magnify [tabindex]").first.focus()
        shoot(page, "report_image", ".sample .magnify", ".sample .magnify")
        page = opened(browser, path, DESK, "dark")
        shoot(page, "report_dark", ".sample .picker", ".sample .spectra")
        page = opened(browser, path, PHONE, "light")
        shoot(page, "report_phone", "header", "#summary .scroll")


def opened(browser: Browser, path: Path, size: dict[str, int], scheme: str) -> Page:
    """The page, drawn."""
    page = browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=True).new_page()  # type: ignore[arg-type]
    page.goto(path.as_uri())
    page.add_style_tag(content=".sample { content-visibility: visible !important; }")
    page.wait_for_selector("html[data-ready]", timeout=WAIT_MS)
    return page


def shoot(page: Page, name: str, first: str, last: str) -> None:
    """A picture of everything from the first element's top to the last one's bottom."""
    page.evaluate("document.querySelector('nav').style.position = 'static'")
    page.evaluate("scrollTo(0, 0)")
    top, bottom = (page.locator(part).first.bounding_box() for part in (first, last))
    assert top is not None
    assert bottom is not None
    clip = {
        "x": 0,
        "y": max(0, top["y"] - MARGIN),
        "width": page.evaluate("innerWidth"),
        "height": bottom["y"] + bottom["height"] - top["y"] + 2 * MARGIN,
    }
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path, full_page=True, clip=clip)  # type: ignore[arg-type]
    with Image.open(path) as picture:
        opaque = picture.convert("RGB")
    opaque.save(path, optimize=True)
    print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
