"""The CI that `stem4d init` writes, run step by step on what it wrote; and the page that tells how.

Only the checkout and the installation from an index are left out: stem4d comes from its own wheel.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from tests.helpers.shop import ROOT, Machine, make_machine

pytestmark = pytest.mark.slow

INSTALL = re.compile(r"^python -m pip install .*\[host\].*$", re.MULTILINE)
PAGE = ROOT / "docs" / "get-started.md"


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return make_machine(tmp_path_factory.mktemp("machine"))


@pytest.fixture
def name() -> Iterator[str]:
    """A name of its own for the image; it is gone afterwards."""
    made = f"stem4d-ci-{os.getpid()}"
    yield made
    subprocess.run(["docker", "rmi", "-f", made], check=False, capture_output=True)


@pytest.fixture
def repository(machine: Machine, tmp_path: Path, name: str) -> Path:
    done = machine.shell(f"stem4d init {name} --template joint && git init -q {name}", tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path / name


def github_jobs(repository: Path) -> dict[str, Any]:
    text = (repository / ".github/workflows/check.yml").read_text()
    workflow = yaml.safe_load(text)
    assert set(workflow[True]) == {"push", "pull_request"}, "YAML reads `on` as a truth"
    return dict(workflow["jobs"])


def run_steps(machine: Machine, repository: Path, commands: list[str], **env: str) -> str:
    told = ""
    installed = 0
    for command in commands:
        script, count = INSTALL.subn("stem4d --version", command)
        installed += count
        done = machine.shell(script, repository, **env)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        told += done.stdout
    assert installed == 1
    return told


def commands_of(job: Mapping[str, Any]) -> list[str]:
    uses = [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step]
    assert set(uses) <= {"actions/checkout", "actions/setup-python", "actions/upload-artifact"}
    return [step["run"] for step in job["steps"] if "run" in step]


def test_github_check(machine: Machine, repository: Path) -> None:
    told = run_steps(machine, repository, commands_of(github_jobs(repository)["check"]))
    assert "2 passed" in told
    assert "::error" not in told
    assert (repository / f"dist/{repository.name}.tar.gz").is_file()
    assert (repository / "dist/score-report.json").is_file()


def test_github_tells_a_fault_on_its_line(machine: Machine, repository: Path) -> None:
    file = repository / "submission.toml"
    file.write_text(file.read_text().replace("gpu = false", "gpu = 3"))
    line = file.read_text().splitlines().index("gpu = 3") + 1
    (check,) = [c for c in commands_of(github_jobs(repository)["check"]) if "validate" in c]
    done = machine.shell(check, repository)
    assert done.returncode == 1
    assert f"::error file=submission.toml,line={line},title=SUBMISSION_MALFORMED::" in done.stdout


@pytest.mark.docker
def test_github_image(machine: Machine, repository: Path, image: str) -> None:
    job = github_jobs(repository)["image"]
    assert job["env"] == {"STEM4D_IMAGE": "${{ vars.STEM4D_IMAGE }}"}
    told = run_steps(machine, repository, commands_of(job), STEM4D_IMAGE=image)
    assert re.search(r"ok +image: sha256:", told)
    assert re.search(r"ok +public score: ", told)


def test_gitlab_check(machine: Machine, repository: Path) -> None:
    jobs = yaml.safe_load((repository / ".gitlab-ci.yml").read_text())
    run_steps(machine, repository, jobs["check"]["script"])
    suite = ElementTree.parse(repository / "junit.xml").getroot()
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "0")
    assert {case.get("name") for case in suite} >= {"submission.toml", "result", "public score"}


@pytest.mark.docker
def test_gitlab_image(machine: Machine, repository: Path, image: str) -> None:
    jobs = yaml.safe_load((repository / ".gitlab-ci.yml").read_text())
    run_steps(machine, repository, jobs["image"]["script"], STEM4D_IMAGE=image)


def blocks() -> list[tuple[str, str]]:
    """(language, text) of every code block of the page."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert {language for language, _ in found} == {"sh", "python", "text"}
    return found


@pytest.mark.docker
def test_every_block_of_the_page(machine: Machine, tmp_path: Path, image: str, name: str) -> None:
    """In its order, in one folder; a `text` block is what the last command says, in part."""
    folder, said = tmp_path, ""
    for language, block in blocks():
        text = block.replace("my-method", name)
        if language == "python":
            path, _, code = text.partition("\n")
            (folder / path.removeprefix("# ")).write_text(code)
        elif language == "text":
            for line in text.splitlines():
                assert re.search(r"\s+".join(map(re.escape, line.split())), said), f"{line}\n{said}"
        elif INSTALL.search(text) is None:  # that is `machine` and `image`
            text = text.replace("docker build", f"docker build --build-arg BASE={image}")
            text = text.replace("stem4d doctor", f"stem4d doctor --image {image}")
            begin = time.monotonic()
            done = machine.shell(f"{text}\npwd > {tmp_path}/here", folder)
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
            sys.stderr.write(f"{time.monotonic() - begin:6.1f} s  {block.strip()}\n")
            folder = Path((tmp_path / "here").read_text().strip())
            said = done.stdout + done.stderr
