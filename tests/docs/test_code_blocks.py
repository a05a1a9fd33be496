"""Every code block of README and docs: Python is run, commands are run or at least understood."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from runner.cli import cli
from runner.tiers.build import build_tier
from schemas.challenge import Tier
from tests.helpers.recipes import small_recipe

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
LANGUAGES = {"python", "sh", "text", "dockerfile", "toml", "json", "yaml", "yml"}
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[a-z]*)\n(?P<text>.*?)^(?P=indent)```", re.M | re.S
)
RUN_LIMIT_S = 240.0


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> Iterator[Block]:
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for found in FENCE.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            name = str(path.relative_to(ROOT))
            yield Block(name, line, found["language"], found["text"])


BLOCKS = tuple(blocks())


def commands(block: Block) -> list[list[str]]:
    """The command lines of a block, comments off, continued lines joined, `a && b` parted."""
    lines = block.text.replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    parted: list[list[str]] = []
    for line in filter(None, words):
        parted.append([])
        for word in line:
            if word == "&&":
                parted.append([])
            else:
                parted[-1].append(word)
    return parted


ALL_COMMANDS = [
    (f"{block} {' '.join(words[:3])}", words)
    for block in BLOCKS
    if block.language == "sh"
    for words in commands(block)
]
PYTHON_PAGES = sorted({block.page for block in BLOCKS if block.language == "python"})


def has_bare_code(text: str) -> bool:
    """Whether a paragraph follows that begins with four spaces, and belongs to no list."""
    in_list = False
    for paragraph in re.split(r"\n{2,}", text):
        if paragraph.startswith("    ") and not in_list:
            return True
        if not paragraph.startswith(" "):
            in_list = bool(re.search(r"^(\d+\.|[-*]) ", paragraph, re.M))
    return False


def test_every_block_says_what_it_is() -> None:
    unknown = [str(block) for block in BLOCKS if block.language not in LANGUAGES]
    assert not unknown
    prose = {path: FENCE.sub("", path.read_text(encoding="utf-8")) for path in PAGES}
    bare = [str(path.relative_to(ROOT)) for path, text in prose.items() if has_bare_code(text)]
    assert not bare, "blocks that are merely indented: fence them, and name the language"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the pages speak of."""
    place = tmp_path_factory.mktemp("docs")
    build_tier(small_recipe(Tier.PUBLIC), place / "data")
    (place / "submissions").mkdir()
    return place


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_python_runs(page: str, folder: Path) -> None:
    """All blocks of a page, in their order, as one program."""
    program = "\n".join(b.text for b in BLOCKS if b.page == page and b.language == "python")
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("where", "words"), ALL_COMMANDS, ids=[name for name, _ in ALL_COMMANDS])
def test_commands_are_understood(
    where: str, words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options and arguments exist; modules and make's targets are there."""
    monkeypatch.chdir(folder)
    program, *rest = words
    if Path(program).name == "stem4d":
        _parsed(rest)
    elif Path(program).name == "python":
        _module_there(rest)
    elif program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
        named = [word for word in rest if "=" not in word]
        assert set(named) <= set(targets)
    else:
        assert program in {"docker", "dask", "git", "cd", "pip", "apt", "sudo"}, where


def _parsed(words: list[str]) -> None:
    """Parse a line of ours, to the last subcommand, and check its values; nothing is run."""
    command: click.Command = cli
    context = click.Context(command, info_name="stem4d")
    while isinstance(command, click.Group) and words:
        name, *words = words
        found = command.get_command(context, name)
        assert found is not None, f"no command {name}"
        command, context = found, click.Context(found, parent=context, info_name=name)
    if "..." not in words:
        command.make_context(context.info_name, list(words), parent=context.parent)


def _module_there(words: list[str]) -> None:
    if words[:1] == ["-m"]:
        assert importlib.util.find_spec(words[1]) is not None, f"no module {words[1]}"
    else:
        assert (ROOT / words[0]).is_file(), f"no file {words[0]}"
