"""Each wrong thing of docs/wrong.md, done here: told in a sentence, with its exit code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.wrong_things import CASES, Case, can_try, try_it

PAGE = Path(__file__).parents[2] / "docs" / "wrong.md"
LONG = {"Wants the network", "Uses 20 GB", "Hangs", "Ctrl-C", "Ctrl-C while a container runs"}


def marked(case: Case) -> object:
    marks = [pytest.mark.docker] if case.needs == "docker" else []
    marks += [pytest.mark.slow] if case.title in LONG else []
    return pytest.param(case, marks=marks, id=case.key)


@pytest.mark.parametrize("case", [marked(case) for case in CASES])
def test_it_is_told_in_a_sentence(case: Case, tmp_path: Path) -> None:
    if why := can_try(case):
        pytest.skip(why)
    said = try_it(case, tmp_path)
    assert case.expect in said.text
    assert "Traceback" not in said.text
    assert said.code == case.exit_code


def test_the_page_has_every_case() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.*?) \| (\d+) \|", page, re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, len(CASES) + 1))
    for (_, title, code), case in zip(rows, CASES, strict=True):
        assert title.startswith(case.title)
        assert int(code) == case.exit_code


def test_the_list_of_the_issue_is_complete() -> None:
    assert len(CASES) >= 20
    assert len({case.key for case in CASES}) == len(CASES)
