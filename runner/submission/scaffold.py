"""A new submission's folder, from files that are themselves a working submission."""

from __future__ import annotations

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

from runner.files.hdf5 import make_folder, output_error
from schemas.findings import refuse

Template = Literal["minimal", "torch", "joint"]
TEMPLATES: dict[Template, str] = {
    "minimal": "one class of ten lines, on a detector that is calibrated for you",
    "torch": "a small trained network, its weights, and the script that trained it",
    "joint": "detector and image by yourself: solve()",
}

COMMON = "common"
"""What every template has beside its own files, which take the place of those of the same name."""

OWN_NAME = "my-method"
"""The name that the templates' files have; a new folder's own takes its place."""

NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
"""What an image may be called."""

SKIPPED = "__pycache__"


def make_submission(folder: Path, template: Template) -> tuple[Path, ...]:
    """Write a template's files into a new folder; returns them, relative to it, in order.

    Raises:
        ContractError: USAGE, a name that no image can have; FOLDER_NOT_EMPTY; the folder cannot be
            written to.
    """
    name = folder.resolve().name
    if NAME.fullmatch(name) is None:
        raise refuse(
            "USAGE",
            str(folder),
            expected="a name of small letters, digits, and single . _ - between them",
            found=name,
            hint="the folder's name becomes that of the image, and Docker takes no other",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise refuse(
            "FOLDER_NOT_EMPTY",
            str(folder),
            expected="a new or an empty folder",
            found="a folder with files" if folder.is_dir() else "a file",
            hint="choose another name; nothing was written",
        )
    make_folder(folder)
    written = []
    for path, source in sorted((_template_files(COMMON) | _template_files(template)).items()):
        target = folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_renamed(source.read_bytes(), name))
        except OSError as error:
            raise output_error(target, error) from error
        written.append(path)
    return tuple(written)


def _template_files(name: str) -> dict[Path, Traversable]:
    root = files("runner.submission") / "templates" / name
    return dict(_walk(root, Path()))


def _walk(folder: Traversable, at: Path) -> list[tuple[Path, Traversable]]:
    found = []
    for entry in folder.iterdir():
        if entry.name == SKIPPED:
            continue
        if entry.is_dir():
            found += _walk(entry, at / entry.name)
        else:
            found.append((at / entry.name, entry))
    return found


def _renamed(content: bytes, name: str) -> bytes:
    try:
        return content.decode("utf-8").replace(OWN_NAME, name).encode()
    except UnicodeDecodeError:
        return content  # weights
