"""What was checked of a submission, and the forms in which that is told."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from schemas.base import printable
from schemas.findings import Finding

Format = Literal["text", "json", "junit", "github"]
FORMATS: tuple[Format, ...] = ("text", "json", "junit", "github")

PLACE = re.compile(r"^(?P<file>[^\s:]+):(?P<line>[0-9]+)\b")
"""Findings about a line of a file begin with FILE:LINE."""

MANIFEST = "submission.toml"


@dataclass(frozen=True)
class Checked:
    """One check.

    Attributes:
        name: what was checked.
        findings: what is wrong; empty when all is well.
        note: what was found, or why it was not checked.
        skipped: it was not checked.
        seconds: how long it took [s].
    """

    name: str
    findings: tuple[Finding, ...] = ()
    note: str = ""
    skipped: bool = False
    seconds: float = 0.0

    @property
    def mark(self) -> str:
        """ok, skipped or WRONG."""
        return "WRONG" if self.findings else "skipped" if self.skipped else "ok"


def told(checks: Sequence[Checked], style: Format) -> str:
    """Checks as text, JSON, a JUnit file, or GitHub's workflow commands."""
    return {"text": _text, "json": _json, "junit": _junit, "github": _github}[style](checks)


def _text(checks: Sequence[Checked]) -> str:
    lines = []
    for check in checks:
        lines.append(f"{check.mark:<8}{check.name}" + (f": {check.note}" if check.note else ""))
        lines += [item.text() for item in check.findings]
    return "\n".join(lines)


def _json(checks: Sequence[Checked]) -> str:
    return json.dumps(
        {
            "valid": not any(check.findings for check in checks),
            "checks": [
                {
                    "name": check.name,
                    "state": check.mark,
                    "note": check.note,
                    "seconds": round(check.seconds, 3),
                    "findings": [item.model_dump(mode="json") for item in check.findings],
                }
                for check in checks
            ],
        }
    )


def _junit(checks: Sequence[Checked]) -> str:
    """One test case a check, as GitLab, Jenkins and GitHub read them."""
    suite = ElementTree.Element(
        "testsuite",
        name="stem4d validate",
        tests=str(len(checks)),
        failures=str(sum(bool(check.findings) for check in checks)),
        skipped=str(sum(check.skipped for check in checks)),
        time=f"{sum(check.seconds for check in checks):.3f}",
    )
    for check in checks:
        case = ElementTree.SubElement(
            suite, "testcase", classname="stem4d", name=check.name, time=f"{check.seconds:.3f}"
        )
        if check.findings:
            first = check.findings[0]
            failure = ElementTree.SubElement(
                case,
                "failure",
                type=first.code,
                message=printable(f"{first.code} at {first.where}"),
            )
            failure.text = printable("\n".join(item.text() for item in check.findings))
        elif check.skipped:
            ElementTree.SubElement(case, "skipped", message=check.note)
        elif check.note:
            ElementTree.SubElement(case, "system-out").text = check.note
    text = ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)
    return text.strip()


def _github(checks: Sequence[Checked]) -> str:
    """`::error` for each finding, on the line of the file that it is about."""
    lines = []
    for check in checks:
        for item in check.findings:
            place = PLACE.match(item.where)
            file, line = place.group("file", "line") if place else (MANIFEST, "1")
            place_text = f"file={_property(file)},line={line}"
            text = _data(printable(item.text()))
            lines.append(f"::error {place_text},title={item.code}::{text}")
        if not check.findings:
            lines.append(f"{check.mark:<8}{check.name}" + (f": {check.note}" if check.note else ""))
    return "\n".join(lines)


def _data(text: str) -> str:
    """Text of a workflow command: its line breaks and per cent signs are escaped."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
