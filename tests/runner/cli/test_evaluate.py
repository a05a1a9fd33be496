"""stem4d evaluate, on an engine that pretends: one image, many, with and without a ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.harness import engines
from runner.scoring.ledger import Ledger
from tests.helpers.commands import Command
from tests.runner.pipeline.test_workers import BAD, GOOD, Pretended
from tests.runner.small import SmallTier, write_small_tier


@pytest.fixture(scope="module")
def tier(tmp_path_factory: pytest.TempPathFactory) -> SmallTier:
    return write_small_tier(tmp_path_factory.mktemp("hidden"), "hidden")


@pytest.fixture
def words(tier: SmallTier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[object, ...]:
    """What every call says, in a folder of its own with an engine that pretends."""
    pretended = Pretended(tmp_path / "engine", tier)
    monkeypatch.setattr(engines, "open_engine", lambda _: pretended())
    monkeypatch.delenv("STEM4D_LEDGER", raising=False)
    monkeypatch.chdir(tmp_path)
    return "--challenge", tier.challenge, "--truth", tier.truth, "--staging", tmp_path / "staging"


def test_one_image_is_in_the_ledger(stem4d: Command, words: tuple[object, ...]) -> None:
    done = stem4d("evaluate", GOOD, *words, "--participant", "ada", "--json")
    assert done.code == 0
    (line,) = stem4d("ledger", "list", "--json").json()["submissions"]
    assert (line["participant"], line["method"], line["state"]) == ("ada", GOOD, "scored")
    assert line["score"] == done.json()["score"]
    assert f"submission {line['id']}, scored" in done.err
    assert "evaluation" in stem4d("ledger", "show", line["id"]).out


def test_without_a_ledger(stem4d: Command, words: tuple[object, ...], tmp_path: Path) -> None:
    assert stem4d("evaluate", BAD, *words, "--no-ledger").code == 1
    assert not (tmp_path / "ledger.sqlite").exists()
    assert (tmp_path / "evaluation" / "participant" / "report.json").is_file()


def test_many(stem4d: Command, words: tuple[object, ...], tmp_path: Path) -> None:
    folder = tmp_path / "submissions"
    folder.mkdir()
    for name, image in (("a", GOOD), ("b", BAD)):
        text = f'image = "{image}"\nparticipant = "{name}"\nmethod = "M"\n'
        (folder / f"{name}.toml").write_text(text)
    call = ("evaluate", "--many", folder, *words, "--json")
    done = stem4d(*call)
    assert done.code == 0
    found = done.json()["submissions"]
    assert [(s["participant"], s["state"]) for s in found] == [("a", "scored"), ("b", "refused")]
    assert {path.name for path in (tmp_path / "evaluations").iterdir()} == {s["id"] for s in found}
    history = Ledger.open("sqlite:///ledger.sqlite").history()
    assert stem4d(*call).json()["submissions"] == found
    assert Ledger.open("sqlite:///ledger.sqlite").history() == history


def test_a_name_that_the_ledger_does_not_take(
    stem4d: Command, words: tuple[object, ...], tmp_path: Path
) -> None:
    assert stem4d("evaluate", GOOD, *words, "--participant", 129 * "a").code == 2
    assert not (tmp_path / "evaluation").exists()


@pytest.mark.parametrize("given", [(), (GOOD, "--many", "."), ("--many", ".", "--no-ledger")])
def test_one_way_only(
    stem4d: Command, words: tuple[object, ...], given: tuple[object, ...]
) -> None:
    assert stem4d("evaluate", *given, *words).code == 2
