"""What a check of a measurement says."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from schemas.base import Record


class Level(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    NOT_JUDGED = "not judged"


class Check(Record):
    """One question that is asked of a sample's data, and its answer."""

    name: str = Field(description="what was looked at; docs/inspect.md explains each")
    level: Level = Field(description="ok, warning, or not judged where the data do not tell")
    found: str = Field(description="what was measured, with figures")
    expected: str = Field(description="what would be right")
    hint: str = Field(default="", description="what to do; empty where nothing is to be done")
    figures: dict[str, float] = Field(default_factory=dict, description="the figures by name")


def judged(
    name: str, *, good: bool, found: str, expected: str, hint: str, figures: dict[str, float]
) -> Check:
    """A check that is ok or a warning; the hint is for the warning."""
    return Check(
        name=name,
        level=Level.OK if good else Level.WARNING,
        found=found,
        expected=expected,
        hint="" if good else hint,
        figures=figures,
    )


def not_judged(
    name: str, *, found: str, expected: str, hint: str = "", figures: dict[str, float] | None = None
) -> Check:
    """A check that these data cannot answer, and why."""
    return Check(
        name=name,
        level=Level.NOT_JUDGED,
        found=found,
        expected=expected,
        hint=hint,
        figures=figures or {},
    )
