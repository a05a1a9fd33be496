"""One page, whole in itself, that shows what the run's files hold and no more."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import h5py
import pytest

from runner.files.challenge import open_challenge
from runner.pipeline.report import ReportPlan, gather
from runner.report.page.figures import figures
from runner.report.page.page import render
from runner.report.page.records import PageData
from runner.scoring.metrics import residual
from schemas import ContractError, finding
from tests.runner.small import SmallChallenge, write_small_tier

VILE = '</script><img src=x onerror="alert(1)">$\\frac{'


class Elements(HTMLParser):
    """(tag, attributes) of everything on a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def silent(_: str) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def data(run_folder: Path) -> PageData:
    return gather(ReportPlan(run_folder), silent)


@pytest.fixture(scope="module")
def page(data: PageData) -> str:
    return render(data)


def test_dry_run_leaves_the_same_page(run_folder: Path, page: str) -> None:
    assert (run_folder / "report.html").read_text() == page


def test_nothing_is_fetched(page: str) -> None:
    for tag, attributes in Elements(page).found:
        assert "src" not in attributes, tag
        target = attributes.get("href") or attributes.get("xlink:href") or "#"
        assert target.startswith(("#", "data:")), target
    assert "@import" not in page
    assert set(re.findall(r"url\((.)", page)) <= {"#"}


def test_only_its_own_script_may_run(page: str) -> None:
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page


def test_every_id_is_given_once_and_every_link_leads_somewhere(page: str) -> None:
    elements = Elements(page).found
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {a["href"] for tag, a in elements if tag in ("a", "use") and "href" in a}
    assert {link[1:] for link in links} <= set(ids)
    named = {
        name
        for _, a in elements
        for key in ("aria-labelledby", "aria-describedby")
        for name in (a.get(key) or "").split()
    }
    assert named <= set(ids)


def test_the_figures_of_the_card_are_on_it(page: str, data: PageData) -> None:
    text = re.sub(r"<[^>]+>", " ", page)
    assert data.card is not None
    assert data.standing is not None
    assert f"{data.card.score:.3f}" in text
    assert f"of {data.standing.published + 1}" in text
    for entry in data.card.samples:
        assert f"{entry.psnr_db:.2f}" in text
    for sample in data.samples:
        assert sample.answer is not None
        assert f"{sample.answer.spec.center_offset:+.5f} px" in text
        assert sample.answer.bound is not None
        assert sample.answer.bound.point == "truth"
        assert set(sample.answer.standard_errors) == set(sample.answer.bound.sigma)
        assert [stage.name for stage in sample.answer.trace] == [
            "calibration, likelihood",
            "calibration, likelihood and prior",
            "reconstruction, likelihood",
            "reconstruction, likelihood and prior",
        ]
        assert all((stage.seconds[1:] >= stage.seconds[:-1]).all() for stage in sample.answer.trace)
        starts = [stage.seconds[0] for stage in sample.answer.trace]
        assert starts == sorted(starts)


def test_the_misfit_is_that_of_the_score(data: PageData, small_challenge: SmallChallenge) -> None:
    """Weighted by what was expected, the patterns' chi-squares give the sample's."""
    for view, source in zip(data.samples, small_challenge.samples, strict=True):
        assert view.answer is not None
        whole = residual(source.y, source.operator, view.answer.x_hat, view.answer.spec)
        assert view.answer.misfit.shape == source.y.shape[:2]
        assert view.answer.misfit.mean() == pytest.approx(whole.chi_square, rel=0.01)


def test_a_stranger_s_text_is_text(data: PageData) -> None:
    assert data.samples[0].answer is not None
    trace = tuple(replace(stage, name=VILE) for stage in data.samples[0].answer.trace)
    answer = replace(data.samples[0].answer, trace=trace)
    vile = replace(
        data,
        algorithm=VILE,
        samples=(replace(data.samples[0], scene=VILE, answer=answer), *data.samples[1:]),
        findings=(finding("ALGORITHM_FAILED", VILE, expected=VILE, found=VILE, hint=VILE),),
        provenance=data.provenance.model_copy(
            update={"algorithm": VILE, "parameters": {"a": VILE}}
        ),
    )
    text = render(vile)
    assert "onerror" in text, "it is shown"
    tags = [tag for tag, _ in Elements(text).found]
    assert tags.count("script") == 2
    assert "img" not in tags
    assert not any("onerror" in attributes for _, attributes in Elements(text).found)


def test_without_truth_it_says_what_is_missing(own_folder: Path) -> None:
    for name in ("run.json", "score.json", "scenarios.json", "scenario-I.h5", "scenario-II.h5"):
        (own_folder / name).unlink()
    found = gather(ReportPlan(own_folder, bounds=False), silent)
    assert found.card is None
    assert all(sample.x_true is None for sample in found.samples)
    text = render(found)
    assert "No truth file is known" in text
    assert "Without truth there is no Fourier ring correlation" in text
    assert "Gallery" not in text
    payload = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert payload is not None
    assert all("truth" not in sample["images"] for sample in json.loads(payload[1])["samples"])


def test_truth_that_is_given_is_judged_by(own_folder: Path, small_challenge) -> None:
    for name in ("run.json", "score.json"):
        (own_folder / name).unlink()
    plan = ReportPlan(own_folder, truth=small_challenge.path, bounds=False)
    found = gather(plan, silent)
    assert found.card is not None
    assert found.card.score is not None
    assert found.card.score > 0.3


def test_a_sample_that_is_missing_is_named(own_folder: Path) -> None:
    with h5py.File(own_folder / "result.h5", "r+") as file:
        del file["sample_01"]
    found = gather(ReportPlan(own_folder, bounds=False), silent)
    assert found.samples[1].answer is None
    assert "no valid answer" in render(found)
    drawn = [name for name, _ in figures(found) if name.startswith("sample_01")]
    assert drawn == ["sample_01-pacbed"], "what was measured, and nothing more"


def test_the_hidden_tier_has_no_page(own_folder: Path, tmp_path: Path) -> None:
    tier = write_small_tier(tmp_path, "hidden")
    for plan in (
        ReportPlan(own_folder, truth=tier.truth),
        ReportPlan(own_folder, challenge=tier.challenge),
    ):
        with pytest.raises(ContractError, match="hidden"):
            gather(plan, silent)
    card = json.loads((own_folder / "score.json").read_text()) | {"tier": "hidden"}
    (own_folder / "score.json").write_text(json.dumps(card))
    with pytest.raises(ContractError, match="hidden"):
        gather(ReportPlan(own_folder), silent)


def test_files_that_are_damaged_or_missing_are_named(own_folder: Path, tmp_path: Path) -> None:
    (own_folder / "score.json").write_text('{"score": NaN}')
    with pytest.raises(ContractError, match=r"score\.json"):
        gather(ReportPlan(own_folder), silent)
    with pytest.raises(ContractError, match="INPUT_NOT_FOUND"):
        gather(ReportPlan(tmp_path), silent)


def test_the_command_prints_the_page_s_path(stem4d, own_folder: Path) -> None:
    (own_folder / "report.html").unlink()
    done = stem4d("report", own_folder, "--no-bounds", "--no-figures")
    assert done.code == 0, done.err
    assert done.out.strip() == str(own_folder / "report.html")
    assert "bound" in (own_folder / "report.html").read_text()
    missing = stem4d("report", own_folder.parent / "nowhere")
    assert missing.code == 4
    assert "challenge.h5" in missing.err


def test_every_figure_is_there_twice(run_folder: Path) -> None:
    folder = run_folder / "figures"
    names = {path.stem for path in folder.iterdir()}
    kinds = [
        "pacbed",
        "image",
        "patterns",
        "spectrum",
        "power",
        "ranges",
        "errors",
        "correlation",
        "convergence",
    ]
    expected = {"gallery"} | {f"sample_0{i}-{kind}" for i in (0, 1) for kind in kinds}
    assert names == expected
    for name in names:
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert ET.parse(folder / f"{name}.svg").getroot().tag.endswith("svg")


def test_patterns_are_those_of_the_file(data: PageData, run_folder: Path) -> None:
    with open_challenge(run_folder / "challenge.h5") as file:
        for view, sample in zip(data.samples, file, strict=True):
            assert view.patterns.stride == 1
            ny, nx, _, _ = sample.y.shape
            assert (
                view.patterns.counts.reshape(ny * nx, -1)
                == sample.y.read(0, ny * nx).reshape(ny * nx, -1)
            ).all()
