"""docs/errors.md is the code, printed."""

from __future__ import annotations

from pathlib import Path

from runner.report.errors_page import markdown
from schemas.findings import CODES, ContractError, ExitCode, finding

PAGE = Path(__file__).parents[3] / "docs" / "errors.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), (
        "docs/errors.md differs from the code: run `stem4d errors > docs/errors.md`"
    )


def test_every_code_is_listed_once() -> None:
    page = markdown()
    assert all(page.count(f"| `{code}` |") == 1 for code in CODES)
    assert all(f"| {int(code)} |" in page for code in ExitCode)


def test_one_code_is_explained(stem4d) -> None:
    done = stem4d("errors", "run_timeout")
    assert done.code == 0
    for word in ("RUN_TIMEOUT", "limits", "exit code: 1", "counts as an attempt: yes"):
        assert word in done.out
    assert stem4d("errors", "RUN_TIMEOUT", "--format", "json").json()["RUN_TIMEOUT"]["counts"]
    assert set(stem4d("errors", "--format", "json").json()) == set(CODES)


def test_a_code_that_does_not_exist(stem4d) -> None:
    done = stem4d("errors", "RESULT_NONE")
    assert done.code == ExitCode.USAGE
    assert "RESULT_SHAPE" in done.err


def test_infrastructure_never_costs_an_attempt() -> None:
    for code in CODES:
        error = ContractError(finding(code, "", expected="", found="", hint=""))
        if error.exit_code is ExitCode.INFRASTRUCTURE:
            assert not error.findings[0].counts_against_quota
