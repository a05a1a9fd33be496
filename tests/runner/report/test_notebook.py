"""Displays in Jupyter, and the example notebook, run as a reader would."""

from __future__ import annotations

import base64
import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from algorithms.base import Reconstruction, Sample
from physics.ideal import ArrayPatterns
from runner.report.notebook import card_html, reconstruction_html, sample_html
from schemas.challenge import Track
from schemas.score import SampleScore, ScoreCard
from schemas.spec import MismatchSpec
from tests.runner.small import make_sample

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

NOTEBOOK = Path(__file__).parents[3] / "examples" / "first_look.ipynb"


def given() -> Sample:
    source = make_sample(0, MismatchSpec())
    return Sample(source.name, source.y, source.operator, source.ranges)


def pictures(html: str) -> list[tuple[int, int]]:
    """(width, height) of every PNG within."""
    found = []
    for data in re.findall(r'src="data:image/png;base64,([^"]+)"', html):
        raw = base64.b64decode(data)
        assert raw[:8] == b"\x89PNG\r\n\x1a\n"
        found.append(struct.unpack(">II", raw[16:24]))
    return found


def test_sample_shows_its_pattern_and_numbers() -> None:
    html = sample_html(given())
    assert pictures(html) == [(16, 16)]
    assert "8 x 8 positions" in html
    assert "camera_length" in html


def test_a_display_reads_few_patterns() -> None:
    class Counted(ArrayPatterns):
        read_patterns = 0

        def read(self, start: int, stop: int) -> np.ndarray:
            type(self).read_patterns += stop - start
            return super().read(start, stop)

    values = np.ones((40, 40, 16, 16), dtype=np.float32)
    sample_html(replace(given(), y=Counted(values)))
    assert Counted.read_patterns == 64


def test_reconstruction_shows_image_and_spec() -> None:
    x = np.linspace(0, 0.7, 32 * 20).reshape(32, 20)
    html = reconstruction_html(Reconstruction(x, MismatchSpec(camera_length=1.25)))
    assert pictures(html) == [(20, 32)]
    assert "0.000 to 0.700" in html
    assert "1.25000" in html


def test_names_are_no_markup() -> None:
    one = SampleScore(
        sample="<b>sample</b>",
        score=0.5,
        psnr_db=20.0,
        ssim=None,
        consistency=0.9,
        consistency_ceiling=None,
        consistency_ideal=None,
        chi_square=None,
        psnr_offset_free_db=None,
    )
    card = ScoreCard(
        tier="public",
        track=Track.BLIND,
        algorithm="<script>",
        score=0.5,
        psnr_db=20.0,
        ssim=None,
        consistency=0.9,
        spec_error={},
        samples=(one,),
    )
    html = card_html(card)
    assert "<script>" not in html
    assert "&lt;b&gt;sample" in html
    assert "20.00" in html


@pytest.mark.slow
def test_the_example_notebook_runs() -> None:
    book = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in book.cells), "commit it without outputs"
    nbclient.NotebookClient(
        book,
        timeout=240,
        kernel_name="python3",
        resources={"metadata": {"path": str(NOTEBOOK.parents[1])}},
    ).execute()
    shown = [
        output["data"]["text/html"]
        for cell in book.cells
        for output in cell.get("outputs", [])
        if "text/html" in output.get("data", {})
    ]
    assert len(shown) == 4
    assert all(pictures(html) for html in shown[:3])
    score = re.search(r"<td>mean</td><td>([0-9.]+)</td>", shown[3])
    assert score is not None
    assert float(score.group(1)) > 0.5
