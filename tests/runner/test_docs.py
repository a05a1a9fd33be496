"""Every algorithm that the README and the guide print is run as printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.container.run import RunOptions, run_challenge
from runner.files.challenge import open_challenge
from runner.files.result import read_result
from tests.runner.small import SmallChallenge

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/write-an-algorithm.md")


def printed_classes() -> list[tuple[str, str, str]]:
    """(page, class name, code) of each Python block that defines a class."""
    found = []
    for page in PAGES:
        for code in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL):
            name = re.search(r"^class (\w+)", code, re.MULTILINE)
            assert name is not None, f"{page}: a Python block without a class"
            found.append((page, name.group(1), code))
    return found


def test_both_pages_print_an_algorithm() -> None:
    assert {page for page, _, _ in printed_classes()} == set(PAGES)


@pytest.mark.parametrize(("page", "name", "code"), printed_classes(), ids=lambda v: v[:24])
def test_printed_algorithm_runs(
    page: str, name: str, code: str, small_challenge: SmallChallenge, tmp_path: Path
) -> None:
    file = tmp_path / "my_method.py"
    file.write_text(code)
    options = RunOptions(algorithm=f"{file}:{name}+midpoint", quiet=True)
    result = run_challenge(small_challenge.path, tmp_path / "out", options)
    with open_challenge(small_challenge.path) as challenge:
        read, findings = read_result(result, challenge)
    assert not findings, page
    assert read is not None
    assert all(sample.x_hat.std() > 0.0 for sample in read.samples.values())


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    missing = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not missing
