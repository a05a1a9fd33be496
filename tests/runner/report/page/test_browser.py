"""The page in headless Chromium: it opens, computes what it says, and serves everybody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.browser import browser_path, launched
from physics.operator import ForwardOperator
from runner.pipeline.report import ReportPlan, gather
from runner.report.page.page import render
from runner.report.page.pictures import normalised_residual
from runner.report.page.records import PageData
from tests.conftest import IN_CI

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}
WAIT_MS = 120_000
"""Time for anything on a busy machine."""


@pytest.fixture(scope="module")
def browser() -> Iterator:
    program = browser_path()
    if program is None and IN_CI:
        pytest.fail("the page must be tried in a browser in CI (apt-get install chromium)")
    if program is None:
        pytest.skip("no chromium here (apt-get install chromium)")
    with launched(program) as running:
        yield running


@pytest.fixture(scope="module")
def data(run_folder: Path) -> PageData:
    return gather(ReportPlan(run_folder, bounds=False), lambda _: None)


@pytest.fixture
def opened(browser, run_folder: Path) -> Iterator[Callable]:
    """Open a page; at the end nothing may have gone to the console."""
    contexts, said = [], []

    def call(path: Path | None = None, *, size=DESK, scheme: str = "light", touch: bool = False):
        context = browser.new_context(viewport=size, color_scheme=scheme, has_touch=touch)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if "http" in request.url else 0)
        page.goto((path or run_folder / "report.html").as_uri())
        page.wait_for_selector("html[data-ready]")
        return page

    yield call
    for context in contexts:
        context.close()
    assert not said


def modelled(page, sample: int, spec: str, row: int, col: int) -> np.ndarray:
    call = f"Array.from(stem4dReport.pickers[{sample}].modelAt('{spec}', {row}, {col}))"
    return np.array(page.evaluate(call))


def test_every_image_is_drawn(opened) -> None:
    page = opened()
    blank = page.evaluate(
        """[...document.querySelectorAll("canvas:not(.lens)")].filter((canvas) => {
            const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return new Set(new Uint32Array(data.buffer)).size < 8;
        }).map((canvas) => canvas.outerHTML)"""
    )
    assert blank == []
    assert not page.is_visible("#failed")


@pytest.mark.parametrize("spec", ["fitted", "nominal", "true"])
def test_the_browser_s_model_is_the_operator_s(opened, data: PageData, spec: str) -> None:
    page = opened()
    for index, sample in enumerate(data.samples):
        model = ForwardOperator(sample.operator, dtype=torch.float64)
        phi = model.tensor(sample.operator.attrs.phase_scale_rad * sample.answer.x_hat)
        specs = {"fitted": sample.answer.spec, "true": sample.true_spec}
        chosen = specs.get(spec) or replace_with_nominal(sample)
        expected = model.expected(phi, chosen, torch.tensor([3 * 8 + 5]))[0].numpy()
        found = modelled(page, index, spec, 3, 5).reshape(expected.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * expected.max())


def replace_with_nominal(sample):
    return type(sample.true_spec)()


def test_positions_between_pixels(opened, data: PageData, tmp_path: Path) -> None:
    """The probe is moved by the fraction of a pixel, as the operator does."""
    sample = data.samples[0]
    moved = sample.operator.positions_px + np.float32([0.3, -0.45])
    operator = replace(sample.operator, positions_px=moved.astype(np.float32))
    path = tmp_path / "moved.html"
    path.write_text(render(replace(data, samples=(replace(sample, operator=operator),))))
    model = ForwardOperator(operator, dtype=torch.float64)
    phi = model.tensor(operator.attrs.phase_scale_rad * sample.answer.x_hat)
    expected = model.expected(phi, sample.answer.spec, torch.tensor([2 * 8 + 1]))[0].numpy()
    found = modelled(opened(path), 0, "fitted", 2, 1).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * expected.max())


def test_the_picker_by_keyboard(opened, data: PageData) -> None:
    page = opened()
    picker = page.locator(".picker").first
    target = picker.locator(".target")
    at = lambda: (int(picker.get_attribute("data-row")), int(picker.get_attribute("data-col")))  # noqa: E731
    assert at() == (4, 4)
    target.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert at() == (5, 6)
    page.keyboard.press("Shift+ArrowUp")
    assert at() == (0, 6), "it ends at the scan's edge"
    electrons = data.samples[0].patterns.counts[0, 6].sum()
    said = picker.locator("output").inner_text()
    assert f"scan row 0, column 6; {electrons:.0f} electrons measured" in said
    nominal_before = said
    picker.locator("select").select_option("nominal")
    assert picker.locator("output").inner_text() != nominal_before


def test_the_picker_by_mouse_and_touch(opened) -> None:
    page = opened(size=PHONE, touch=True)
    picker = page.locator(".picker").first
    view = picker.locator(".view").first
    view.scroll_into_view_if_needed()
    box = view.bounding_box()
    page.mouse.move(box["x"] + 0.02 * box["width"], box["y"] + 0.98 * box["height"])
    assert picker.get_attribute("data-row") == "7"
    assert picker.get_attribute("data-col") == "0"
    page.touchscreen.tap(box["x"] + 0.63 * box["width"], box["y"] + 0.02 * box["height"])
    assert (picker.get_attribute("data-row"), picker.get_attribute("data-col")) == ("0", "5")
    scan = picker.locator(".view").nth(1).bounding_box()
    page.mouse.move(scan["x"] + 0.99 * scan["width"], scan["y"] + 0.5 * scan["height"])
    assert (picker.get_attribute("data-row"), picker.get_attribute("data-col")) == ("4", "7")


def test_the_lens_shows_the_same_place_in_all(opened, data: PageData) -> None:
    page = opened()
    group = page.locator(".magnify").first
    group.locator("[tabindex]").focus()
    page.keyboard.press("ArrowLeft")
    places = group.locator(".lens").evaluate_all(
        "lenses => lenses.map(l => [l.style.left, l.style.top, getComputedStyle(l).visibility])"
    )
    assert len(places) == 3
    assert len({tuple(place) for place in places}) == 1
    assert places[0][2] == "visible"
    sample = data.samples[0]
    truth, found = sample.x_true[16, 15], sample.answer.x_hat[16, 15]
    said = group.locator("output").inner_text()
    assert said.startswith("row 16, column 15: ")
    for name, value in (("truth", truth), ("reconstruction", found), ("difference", found - truth)):
        shown = float(said.split(f"{name} ")[1].split(",")[0])
        assert shown == pytest.approx(value, abs=6e-4)


def test_the_residual_is_the_figure_s(opened) -> None:
    """The page's formula and that of the PNG are one: where little is expected, and where much."""
    counts, electrons = np.array([0.0, 1.0, 7.0, 400.0]), np.array([0.001, 0.01, 5.0, 380.0])
    for gain, noise in ((1.0, 0.0), (3.5, 2.0)):
        wanted = normalised_residual(counts * gain, electrons, gain, noise)
        deviation = (counts - electrons) / np.sqrt(electrons + (noise / gain) ** 2)
        assert wanted[3] == pytest.approx(deviation[3], rel=0.05)
        assert np.abs(wanted[:2]).max() < 1.2


def test_light_and_dark(opened) -> None:
    page = opened(scheme="dark")
    paper = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")  # noqa: E731
    dark = paper()
    assert page.get_attribute("#theme", "aria-pressed") == "true"
    page.click("#theme")
    light = paper()
    assert (dark, light) == ("rgb(15, 19, 24)", "rgb(255, 255, 255)")
    assert page.get_attribute("#theme", "aria-pressed") == "false"
    page.emulate_media(media="print", color_scheme="dark")
    assert paper() == light, "paper is white"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = opened(scheme=scheme)
    page.evaluate("document.querySelector('details').open = true")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    checked = {entry["id"] for entry in found.response["passes"]}
    assert {"color-contrast", "aria-allowed-attr", "document-title"} <= checked


def test_a_phone_needs_no_scrolling_sideways(opened) -> None:
    page = opened(size=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_navigation_never_scrolls_sideways_on_a_desk(opened) -> None:
    page = opened()
    page.evaluate(
        """for (const link of [...document.querySelectorAll("nav a")])
            for (let again = 0; again < 5; again++) link.after(link.cloneNode(true));"""
    )
    size = "[...['scrollWidth', 'clientWidth', 'offsetHeight'].map((name) => nav[name])]"
    wide, room, height = page.evaluate(f"(nav => {size})(document.querySelector('nav'))")
    assert wide <= room
    padding = page.evaluate("getComputedStyle(document.documentElement).scrollPaddingTop")
    assert height <= float(padding.removesuffix("px")), "it would cover what a link leads to"


def test_an_old_browser_is_told(browser, run_folder: Path) -> None:
    page = browser.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto((run_folder / "report.html").as_uri())
    page.wait_for_selector("#failed:not([hidden])", timeout=WAIT_MS)
    assert "could not be drawn" in page.inner_text("#failed")
    page.close()


def test_the_data_are_strict_json(run_folder: Path) -> None:
    text = (run_folder / "report.html").read_text()
    block = text.split('id="data">')[1].split("</script>")[0]
    json.loads(block, parse_constant=pytest.fail)
