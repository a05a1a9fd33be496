"""docs/schema.md is the models, printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.report.schema_page import json_schemas, markdown
from schemas import CONTRACT_MODELS

PAGE = Path(__file__).parents[2] / "docs" / "schema.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), (
        "docs/schema.md differs from the models: run `stem4d schema > docs/schema.md`"
    )


@pytest.mark.parametrize("model", CONTRACT_MODELS, ids=lambda model: model.__name__)
def test_every_field_is_explained(model) -> None:
    """A key without a meaning is a key that somebody has to guess."""
    section = markdown().partition(f"## {model.__name__}\n")[2].partition("\n## ")[0]
    for name in model.model_fields:
        row = next(line for line in section.splitlines() if line.startswith(f"| `{name}` |"))
        assert row.rstrip("| ").rpartition("|")[2].strip()


def test_links_lead_to_sections() -> None:
    page = markdown()
    sections = {line[3:].lower() for line in page.splitlines() if line.startswith("## ")}
    assert set(re.findall(r"\]\(#([a-z]+)\)", page)) <= sections


def test_json_schemas_forbid_unknown_keys() -> None:
    records = json_schemas()["records"]
    assert set(records) == {model.__name__ for model in CONTRACT_MODELS}
    assert all(record["additionalProperties"] is False for record in records.values())
