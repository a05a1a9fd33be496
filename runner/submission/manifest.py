"""Reading `submission.toml`: the record, and on which line of the file each key stands."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from runner.files.hdf5 import atomic_path
from schemas.findings import ContractError, Finding, finding, refuse
from schemas.submission import Submission

MANIFEST_NAME = "submission.toml"
PUBLIC = "public"

Key = tuple[str | int, ...]
"""Where a value stands: ("limits", "memory_mib"), ("weights", 0, "file")."""

TABLE = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_-]+)\s*\]\]?\s*(#.*)?$")
VALUE = re.compile(r"^\s*([A-Za-z0-9_-]+)\s*=")
SYNTAX_LINE = re.compile(r"\(at line (\d+)")


@dataclass(frozen=True)
class Manifest:
    """A submission's folder, and what it says of itself.

    Attributes:
        folder: the folder.
        submission: the record.
        lines: line of each table and key, counted from 1.
    """

    folder: Path
    submission: Submission
    lines: Mapping[Key, int] = field(repr=False)

    def where(self, *key: str | int) -> str:
        """`submission.toml:LINE key`: the line of a key, or that of the table it would stand in."""
        return _where(self.lines, key)


def has_manifest(folder: Path) -> bool:
    """Whether a folder is a submission's."""
    return (folder / MANIFEST_NAME).is_file()


def load_manifest(folder: Path) -> Manifest:
    """Read a folder's `submission.toml`.

    Raises:
        ContractError: SUBMISSION_NOT_FOUND; SUBMISSION_MALFORMED for everything that is wrong.
    """
    path = folder / MANIFEST_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise refuse(
            "SUBMISSION_NOT_FOUND",
            str(path),
            expected=f"a folder with {MANIFEST_NAME}",
            found=error.strerror or str(error),
            hint="`stem4d init my-method` makes a folder that has one",
        ) from error
    except UnicodeDecodeError as error:
        raise _malformed(f"{MANIFEST_NAME}:1", "text in UTF-8", str(error)) from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = SYNTAX_LINE.search(str(error))
        line = int(at.group(1)) if at else len(text.splitlines())
        raise _malformed(f"{MANIFEST_NAME}:{line}", "TOML", str(error)) from error
    lines = lines_of(text)
    try:
        # As JSON, so that the strict record takes an array for its tuples.
        submission = Submission.model_validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        raise ContractError(tuple(_faults(error, lines))) from error
    return Manifest(folder, submission, lines)


def lines_of(text: str) -> dict[Key, int]:
    """Line of each table and key of a TOML text, for tables and keys on lines of their own."""
    lines: dict[Key, int] = {}
    table: Key = ()
    count: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if head := TABLE.match(line):
            name = head.group(2)
            table = (name,)
            if head.group(1) == "[[":
                table = (name, count.get(name, 0))
                count[name] = count.get(name, 0) + 1
            lines.setdefault((name,), number)
            lines.setdefault(table, number)
        elif value := VALUE.match(line):
            lines.setdefault((*table, value.group(1)), number)
    return lines


def _where(lines: Mapping[Key, int], key: Key) -> str:
    name = ".".join(str(part) for part in key)
    for length in range(len(key), 0, -1):
        if key[:length] in lines:
            return f"{MANIFEST_NAME}:{lines[key[:length]]} {name}"
    return f"{MANIFEST_NAME}:1 {name}".rstrip()


def _faults(error: ValidationError, lines: Mapping[Key, int]) -> Iterator[Finding]:
    for fault in error.errors(include_url=False):
        key = tuple(fault["loc"])
        expected, found = fault["msg"], repr(fault["input"])[:200]
        if fault["type"] == "missing":
            expected, found = f"a key {key[-1]}", "none"
        elif fault["type"] == "extra_forbidden":
            expected, found = "only keys that the record has", f"{key[-1]} = {found}"
        yield _malformed(_where(lines, key), expected, found).findings[0]


def _malformed(where: str, expected: str, found: str) -> ContractError:
    return ContractError(
        finding(
            "SUBMISSION_MALFORMED",
            where,
            expected=expected,
            found=found,
            hint="docs/schema.md#submission lists every key with its unit and bounds",
        )
    )


def declare(manifest: Manifest, values: Mapping[str, str]) -> None:
    """Write values into the table `[public]`, in place of those that stand there.

    Comments and everything else of the file stay as they are.

    Args:
        manifest: as it was read from its folder.
        values: text of each value, by its key.

    Raises:
        ContractError: the file cannot be written.
    """
    path = manifest.folder / MANIFEST_NAME
    lines = path.read_text(encoding="utf-8").splitlines()
    wanting = []
    for key, value in values.items():
        at = manifest.lines.get((PUBLIC, key))
        if at is None:
            wanting.append(f"{key} = {value}")
        else:
            lines[at - 1] = f"{key} = {value}"
    table = manifest.lines.get((PUBLIC,))
    if table is None:
        lines += ["", f"[{PUBLIC}]", *wanting]
    else:
        lines[table:table] = wanting
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
