"""A plug-in of pytest's for `mutations`: the test that noticed a break last time comes first."""

from __future__ import annotations

import os

import pytest

WITNESS = "STEM4D_WITNESS"
"""Environment variable with the test's name, its case in brackets; empty: the order stays."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move that test to the front; all others stay where they are."""
    items.sort(key=lambda item: item.name != os.environ[WITNESS])
