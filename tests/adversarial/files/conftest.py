"""A workshop for all hostile files of a module."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adversarial.files.workshop import Workshop, furnish


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    """A workshop that the reader's own user could read, were it able to open anything."""
    folder = Path(tempfile.mkdtemp(prefix="stem4d-corpus-"))
    yield furnish(folder)
    shutil.rmtree(folder)


@pytest.fixture
def shop(workshop: Workshop) -> Iterator[Workshop]:
    """The same, without what the last test left in its output folder."""
    yield workshop
    shutil.rmtree(workshop.result.parent, ignore_errors=True)
