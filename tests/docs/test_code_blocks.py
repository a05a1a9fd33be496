"""Every code block of README and docs is run, but for those that `NOT_RUN` gives a reason for.

Those are parsed: programs, options, modules and files must be there.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import h5py
import numpy as np
import pytest

from runner.cli import cli
from runner.container.run import RunOptions, run_challenge
from runner.tiers.build import build_tier
from runner.tiers.strip import strip
from schemas.challenge import Tier
from tests.helpers.recipes import small_recipe

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "runner" / "submission" / "templates"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
LANGUAGES = {"python", "sh", "text", "dockerfile", "toml", "json", "yaml", "yml"}
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[a-z]*)\n(?P<text>.*?)^(?P=indent)```", re.M | re.S
)
RUN_LIMIT_S = 900.0
"""Of a block: a machine with other work takes ten times as long as a free one."""

BENCHMARK = "a benchmark of minutes to hours; its parts have tests in tests/benchmarks"
TRAINING = "a training of hours; tests/runner/training runs small ones"
WORKFLOW = "run in its order by tests/runner/submission/test_workflows.py"
NOT_RUN: Mapping[tuple[str, str], str] = {
    ("README.md", "make demo"): "CI runs both; the second would run this test",
    ("docs/get-started.md", "python -m pip install"): "installs; CI does",
    ("docs/get-started.md", "stem4d doctor"): WORKFLOW,
    ("docs/get-started.md", "stem4d init"): WORKFLOW,
    ("docs/get-started.md", "python -m pytest"): WORKFLOW,
    ("docs/get-started.md", "stem4d dry-run --no-docker"): WORKFLOW,
    ("docs/get-started.md", "stem4d validate . --no-docker"): WORKFLOW,
    ("docs/get-started.md", "docker build"): WORKFLOW,
    ("docs/get-started.md", "stem4d dry-run --scenes 1 --print"): WORKFLOW,
    ("docs/get-started.md", "stem4d validate .\n"): WORKFLOW,
    ("docs/get-started.md", "stem4d pack"): WORKFLOW,
    ("docs/calibration.md", "python -m benchmarks.calibration "): BENCHMARK,
    ("docs/calibration.md", "stem4d tiers build public --realism"): "minutes of multislice;"
    " tests/runner/tiers/test_realism_build.py builds small ones",
    ("docs/calibration.md", "python -m benchmarks.realism"): BENCHMARK,
    ("docs/learned.md", "python -m benchmarks.learned errors"): BENCHMARK,
    ("docs/learned.md", "python -m benchmarks.learned plain"): BENCHMARK,
    ("docs/learned.md", "stem4d train data"): TRAINING,
    ("docs/learned.md", "stem4d train dncnn-ed"): TRAINING,
    ("docs/organisers.md", "stem4d evaluate"): "needs gVisor and a stranger's image;"
    " tests/runner/pipeline/test_evaluate.py and tests/runner/harness/test_runtime.py try each",
    ("docs/performance.md", "python -m benchmarks.scaling\n"): BENCHMARK,
    ("docs/performance.md", "python -m benchmarks.scaling --big"): BENCHMARK,
    ("docs/performance.md", "python -m benchmarks.micro"): BENCHMARK,
    ("docs/performance.md", "python benchmarks/peers/run.py"): BENCHMARK,
    ("docs/report.md", "python -m benchmarks.report_screenshots"): "draws docs/images anew",
    ("docs/scaling.md", "stem4d serve-queue"): "needs gVisor and strangers' images;"
    " tests/runner/pipeline/test_queue.py judges some without it",
    ("docs/scaling.md", "dask scheduler"): "needs a cluster;"
    " tests/runner/pipeline/test_workers.py starts one of its own",
    ("docs/security.md", "python -m tests.adversarial.fuzz"): "hours;"
    " tests/adversarial/test_fuzz.py tries fewer files",
}
"""(page, how the block begins) -> why it is only parsed here."""

SLOW_PAGES = {
    "README.md",
    "docs/algorithms/orientation.md",
    "docs/algorithms/strain.md",
    "docs/import.md",
    "docs/report.md",
    "docs/scenarios.md",
    "docs/write-an-algorithm.md",
}
"""Pages whose blocks take more than ten seconds."""


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


def not_run(block: Block) -> bool:
    """Whether the block is only parsed."""
    return any(block.page == page and block.text.startswith(begin) for page, begin in NOT_RUN)


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
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the pages speak of, small."""
    place = tmp_path_factory.mktemp("docs")
    tier = build_tier(small_recipe(Tier.PUBLIC), place / "data")
    for name in ("view.h5", "challenge.h5", "dev.h5", "input/challenge.h5"):
        (place / name).parent.mkdir(exist_ok=True)
        strip(tier.challenge, place / name)
    shutil.copy(tier.truth, place / "truth.h5")
    options = RunOptions("cpu-baseline+midpoint", quiet=True)
    run_challenge(place / "challenge.h5", place / "earlier", options)
    shutil.copy(place / "earlier" / "result.h5", place / "result.h5")
    write_scan(place / "rotavirus_4dstem.h5")
    shutil.copy(TEMPLATES / "minimal" / "my_method.py", place)
    (place / "output").mkdir()
    (place / "output").chmod(0o777)
    (place / "submissions").mkdir()
    return place


def write_scan(path: Path) -> None:
    """A scan with the instrument's numbers of docs/import.md: a disk of counts, 8 x 8 positions."""
    center, radius_px = 64, 1.03 / 0.0330658
    axis = np.arange(2 * center) - center
    disk = np.hypot(axis[:, None], axis[None, :]) < radius_px
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file["data"] = rng.poisson(np.where(disk, 4.0, 0.5), (8, 8, *disk.shape)).astype(np.uint16)


@pytest.fixture
def folder(files: Path, tmp_path: Path) -> Path:
    """A folder of a page's own with copies of those files, and stem4d where README has it."""
    place = tmp_path / "page"
    shutil.copytree(files, place)
    (place / ".venv").mkdir()
    (place / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
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


def shell_pages() -> Iterator[object]:
    """(page, its blocks that are run) without and with the container engine, marked."""
    for page in sorted({block.page for block in BLOCKS if block.language == "sh"}):
        run = [b for b in BLOCKS if b.page == page and b.language == "sh" and not not_run(b)]
        in_engine = [block for block in run if "docker " in block.text]
        marks = [pytest.mark.slow] if page in SLOW_PAGES else []
        if plain := [block for block in run if block not in in_engine]:
            yield pytest.param(page, plain, marks=marks, id=page)
        if in_engine:
            marked = [pytest.mark.docker, pytest.mark.slow]
            yield pytest.param(page, in_engine, marks=marked, id=f"{page}-docker")


@pytest.mark.parametrize(("page", "run"), shell_pages())
def test_shell_runs(page: str, run: list[Block], folder: Path) -> None:
    """All blocks of a page in their order, in one folder, with the files that the page shows."""
    write_shown_files(page, folder)
    name = f"stem4d-docs-{os.getpid()}"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    try:
        for block in run:
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", in_the_test(block.text, name)],
                cwd=folder,
                env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
                timeout=RUN_LIMIT_S,
                check=False,
            )
            assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    finally:
        if "my-method" in "".join(block.text for block in run):
            subprocess.run(["docker", "rmi", "-f", name], check=False, capture_output=True)


def write_shown_files(page: str, folder: Path) -> None:
    """What a page shows of `my_method.py`, and its Dockerfile."""
    for block in BLOCKS:
        if block.page == page and block.text.startswith("# my_method.py"):
            (folder / "my_method.py").write_text(block.text, encoding="utf-8")
        if block.page == page and block.language == "dockerfile":
            (folder / "Dockerfile").write_text(block.text, encoding="utf-8")


def in_the_test(text: str, image: str) -> str:
    """A block with the names that stand for a reader's own replaced."""
    for theirs, ours in {
        "-t my-method": f"-t {image}",
        "--image my-method": f"--image {image}",
        "-v IN:": '-v "$PWD/input":',
        "-v OUT:": '-v "$PWD/output":',
    }.items():
        text = text.replace(theirs, ours)
    return text


def test_what_is_not_run_is_there() -> None:
    for page, begin in NOT_RUN:
        found = [b for b in BLOCKS if b.page == page and b.text.startswith(begin)]
        assert len(found) == 1, f"{page}: {begin}"


@pytest.mark.parametrize(("where", "words"), ALL_COMMANDS, ids=[name for name, _ in ALL_COMMANDS])
def test_commands_are_understood(
    where: str, words: list[str], files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options and arguments exist; modules and make's targets are there."""
    monkeypatch.chdir(files)
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
