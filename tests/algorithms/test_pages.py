"""Every algorithm that is listed is also described: a page, its picture, its figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from algorithms.registry import (
    ANALYSES,
    CALIBRATORS,
    RECONSTRUCTORS,
    load_analysis,
    parameters_of,
)

PAGES = Path(__file__).parents[2] / "docs" / "algorithms"


@pytest.mark.parametrize("name", RECONSTRUCTORS)
def test_a_reconstructor_has_a_page_with_figures(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text()
    assert f"images/{name}.png" in text
    begin, end = (text.index(f"<!-- {name}: {mark} -->") for mark in ("begin", "end"))
    assert "PSNR" in text[begin:end], "run `python -m benchmarks.zoo run` and `... tables`"


@pytest.mark.parametrize("name", ANALYSES)
def test_an_analysis_has_a_page_with_every_parameter(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text()
    assert f"images/{name}.png" in text
    for parameter in parameters_of(load_analysis(name)):
        assert f"| `{parameter}` |" in text


@pytest.mark.parametrize("name", [*RECONSTRUCTORS, *ANALYSES])
def test_the_index_names_it(name: str) -> None:
    assert f"]({name}.md)" in (PAGES / "README.md").read_text()


@pytest.mark.parametrize("name", CALIBRATORS)
def test_a_calibrator_is_described(name: str) -> None:
    assert f"**{name}**" in (PAGES / "calibrators.md").read_text()
