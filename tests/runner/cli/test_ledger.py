"""ledger list, show, export, and the leaderboard made from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.scoring.ledger import Ledger
from schemas.challenge import Tier
from schemas.evaluation import Stage, State
from schemas.ledger import Submission, SubmissionState
from tests.runner.scoring.ledger.entries import claimed, entry, fault, scored, stage, verdict


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A ledger with one submission scored, one refused, one waiting."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    books = Ledger.open(url)
    for name in ("ada", "bob", "eve"):
        books.submit(entry(name, method=f"{name}'s"))
    first = claimed(books)
    books.record(first, stage(Stage.RUN, 1))
    books.finish(first, scored(0.625))
    late = verdict(State.REFUSED, findings=[fault("RUN_TIMEOUT")])
    books.finish(claimed(books), late)
    books.engine.dispose()
    return url


def test_list(stem4d, url: str) -> None:
    done = stem4d("ledger", "list", "--ledger", url)
    assert done.code == 0
    assert [word in done.out for word in ("ada", "bob", "eve", "0.625", "queued")] == [True] * 5
    found = stem4d("ledger", "list", "--ledger", url, "--json").json()["submissions"]
    assert [(s["participant"], s["state"], s["score"]) for s in found] == [
        ("ada", "scored", 0.625),
        ("bob", "refused", None),
        ("eve", "queued", None),
    ]
    only = stem4d("ledger", "list", "--ledger", url, "--state", "refused", "--json").json()
    assert [s["participant"] for s in only["submissions"]] == ["bob"]


def test_show(stem4d, url: str) -> None:
    refused = Ledger.open(url).submissions(states=[SubmissionState.REFUSED])[0]
    done = stem4d("ledger", "show", refused.id, "--ledger", url)
    for word in ("bob", "RUN_TIMEOUT", "claimed", "refused", "yes"):
        assert word in done.out
    told = stem4d("ledger", "show", refused.id, "--ledger", url, "--json").out
    assert Submission.model_validate_json(told) == refused
    unknown = stem4d("ledger", "show", "000000000000", "--ledger", url)
    assert unknown.code == 2
    assert "SUBMISSION_UNKNOWN" in unknown.err


def test_export_holds_everything(stem4d, url: str) -> None:
    lines = stem4d("ledger", "export", "--ledger", url).out.splitlines()
    assert tuple(Submission.model_validate_json(line) for line in lines) == (
        Ledger.open(url).submissions()
    )


def test_leaderboard_of_a_ledger(stem4d, url: str) -> None:
    command = ("leaderboard", "--ledger", url, "--tier", Tier.HIDDEN.value, "--json")
    rows = json.loads(stem4d(*command).out)["rows"]
    assert [(r["method"], r["score"]) for r in rows if r["local"]] == [("ada's", 0.625)]
    ranks = [r["rank"] for r in rows]
    assert ranks == sorted(ranks)
    assert rows[3]["method"] == "ada's"  # after three published rows of 0.68 and more


def test_a_ledger_that_is_not_there(stem4d, tmp_path: Path) -> None:
    done = stem4d("ledger", "list", "--ledger", f"sqlite:///{tmp_path}/none/ledger.sqlite")
    assert done.code == 5
    assert "LEDGER_UNREACHABLE" in done.err
