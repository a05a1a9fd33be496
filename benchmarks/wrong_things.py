"""Twenty wrong things, done on purpose: what stem4d says to each, as the table docs/wrong.md.

    python -m benchmarks.wrong_things > docs/wrong.md

Cases that need a container engine, or root, are tried where those are; tests run the same cases.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from runner.cli import cli
from runner.container.command import run_command
from runner.harness.docker_engine import connect
from runner.submission.scaffold import make_submission

BASE = os.environ.get("STEM4D_TEST_IMAGE", "stem4d:latest")
TAG = f"stem4d-wrong-{os.getpid()}"  # two runs at a time do not meet
NOBODY = 65534

HEAD = """\
import numpy as np
from algorithms.base import Reconstruction
from schemas.spec import MismatchSpec


class MyMethod:
    def solve(self, sample):
"""
GOOD = "        return Reconstruction(np.zeros(sample.object_shape), MismatchSpec())\n"
BY_FILE = ("dry-run", "--no-docker", "--no-report", "--scenes", "1", "--algorithm")
BY_IMAGE = ("dry-run", "--no-report", "--limits", "limits.toml", "--image", TAG)
SMALL_LIMITS = "memory_mib = 1024\npatterns_mib = 256\nwall_s = 60.0\nsample_wall_s = 4.0\n"


@dataclass(frozen=True)
class Said:
    """What a command gave back."""

    code: int
    text: str


@dataclass(frozen=True)
class Case:
    """One wrong thing.

    Attributes:
        title: what is wrong.
        expect: what must be said: a finding's code, or words.
        exit_code: exit code of the command.
        body: lines of `solve`, or the whole file when it begins at the margin.
        words: the command.
        dockerfile: lines after FROM; None: no image is built.
        files: other files of the folder.
        platform: of the image.
        around: what is done around the command.
        needs: "", "docker" or "root".
        remark: what to add in the table.
    """

    title: str
    expect: str
    exit_code: int
    body: str = GOOD
    words: tuple[str, ...] = (*BY_FILE, "my_method.py:MyMethod")
    dockerfile: str | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    platform: str | None = None
    around: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    needs: str = ""
    remark: str = ""

    @property
    def key(self) -> str:
        """A short name."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


def from_ours(*lines: str) -> str:
    """A Dockerfile of a submission with the class of `body`."""
    start = f"FROM {BASE}\nCOPY --chown=1000:1000 my_method.py /app/\n"
    return start + "ENV STEM4D_ALGORITHM=/app/my_method.py:MyMethod\n" + "\n".join(lines)


@contextlib.contextmanager
def no_engine() -> Iterator[None]:
    """A machine where no engine listens."""
    with mock.patch.dict(os.environ, DOCKER_HOST="unix:///tmp/no-engine-listens.sock"):
        yield


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """`small`, a file system of 100 kB."""
    Path("small").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", "small"], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "small"], check=True)


@contextlib.contextmanager
def interrupted() -> Iterator[None]:
    """Ctrl-C as soon as one sample is done, here or in a container."""
    over = threading.Event()

    def wait() -> None:
        while not over.is_set():
            if any(_lines(path) for path in Path("dry-run").glob("**/progress.jsonl")):
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.05)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _lines(path: Path) -> bool:
    try:
        return ".smoke" not in str(path) and path.stat().st_size > 0
    except OSError:
        return False


SLOW_SECOND = """\
        import time
        if sample.name != "sample_00":
            time.sleep(600)
"""

CASES = (
    Case("Typo in the class name", "did you mean MyMethod?", 2,
         words=(*BY_FILE, "my_method.py:MyMehtod")),
    Case("Method missing or misspelt", "did you mean solve", 2,
         HEAD.replace("solve", "sovle") + GOOD),
    Case("Wrong shape", "ALGORITHM_OUTPUT", 1,
         "        return Reconstruction(np.zeros((32, 32)), MismatchSpec())\n"),
    Case("float64", "valid", 0, remark="nothing is wrong: it is stored as float32"),
    Case("NaN", "ALGORITHM_OUTPUT", 1,
         "        x = np.full(sample.object_shape, np.nan)\n"
         "        return Reconstruction(x, MismatchSpec())\n"),
    Case("Writes nothing", "RESULT_NOT_FOUND", 3, words=BY_IMAGE, needs="docker",
         dockerfile=from_ours('ENTRYPOINT ["true"]')),
    Case("Prints to stdout", "valid", 0, "        print('step 1')\n" + GOOD,
         remark="nothing is wrong: it goes to the log"),
    Case("Needs a package that is not there", "RUN pip install --no-cache-dir einops_", 2,
         "import einops_\n" + HEAD + GOOD),
    Case("Wants the network", "there is no network in a run", 1,
         "        from urllib.request import urlopen\n"
         "        urlopen('https://example.org/weights.npz')\n" + GOOD,
         words=BY_IMAGE, needs="docker", dockerfile=from_ours()),
    Case("Uses 20 GB", "OUT_OF_MEMORY", 1,
         "        x = bytearray(20 << 30)\n"
         "        x[::4096] = b'x' * len(x[::4096])\n" + GOOD,
         words=BY_IMAGE, needs="docker", dockerfile=from_ours(),
         remark="limit lowered to 1024 MiB for this table"),
    Case("Hangs", "RUN_TIMEOUT", 1, "        while True:\n            pass\n",
         words=BY_IMAGE, needs="docker", dockerfile=from_ours(),
         files={"limits.toml": SMALL_LIMITS.replace("wall_s = 60.0", "wall_s = 12.0").encode()},
         remark="limit lowered to 12 s for this table; with `--no-docker` press Ctrl-C"),
    Case("Wrong name in the spec", "camera_lenght", 1,
         "        spec = MismatchSpec(camera_lenght=1.0)\n"
         "        return Reconstruction(np.zeros(sample.object_shape), spec)\n"),
    Case("Spec out of range", "outside [-2, 4]", 1,
         "        spec = MismatchSpec(camera_length=9.0)\n"
         "        return Reconstruction(np.zeros(sample.object_shape), spec)\n"),
    Case("No Docker", "ENGINE_UNREACHABLE", 5, words=BY_IMAGE, around=no_engine),
    Case("Docker without permission", "usermod -aG docker", 5, words=BY_IMAGE, needs="root"),
    Case("No space", "NO_SPACE", 5,
         words=(*BY_FILE, "my_method.py:MyMethod", "--out", "small/out"),
         around=full_disk, needs="root"),
    Case("Old version of the contract", "IMAGE_VERSION", 1, words=BY_IMAGE, needs="docker",
         dockerfile=from_ours('LABEL org.stem4d.contract-version="0.9"')),
    Case("Script with Windows line ends", "Windows line ends", 1, words=BY_IMAGE, needs="docker",
         files={"start.sh": b"#!/bin/sh\r\npython -m runner.container\r\n"},
         dockerfile=from_ours("COPY start.sh /app/",
                              'ENTRYPOINT ["/app/start.sh"]'),
         remark="`stem4d validate .` says SCRIPT_CRLF before an image is built"),
    Case("Wrong architecture", "IMAGE_ARCHITECTURE", 1, words=BY_IMAGE, needs="docker",
         dockerfile='FROM scratch\nCOPY my_method.py /\nUSER 1000:1000\nENTRYPOINT ["/x"]\n'
         'LABEL org.stem4d.contract-version="1.0"\n', platform="linux/arm64"),
    Case("Ctrl-C", "STOPPED", 1, SLOW_SECOND + GOOD,
         words=("dry-run", "--no-docker", "--no-report", "--scenes", "2",
                "--algorithm", "my_method.py:MyMethod"),
         around=interrupted, remark="the samples that were done are judged and kept"),
    Case("Ctrl-C while a container runs", "STOPPED", 1, SLOW_SECOND + GOOD,
         words=("dry-run", "--no-report", "--scenes", "2", "--image", TAG),
         around=interrupted, needs="docker", dockerfile=from_ours(),
         remark="likewise"),
    Case("Weights that are not the declared ones", "WEIGHTS_CHANGED", 1,
         words=("validate", "torch-method", "--no-docker", "--no-run")),
    Case("Mistake in submission.toml", "submission.toml:16 limits.memory_mb", 1,
         words=("validate", "bad-method", "--no-docker", "--no-run")),
)  # fmt: skip


def try_it(case: Case, folder: Path) -> Said:
    """Do the wrong thing in an empty folder; returns what was said."""
    with contextlib.chdir(folder):
        body = case.body if not case.body.startswith(" ") else HEAD + case.body
        Path("my_method.py").write_text(body, encoding="utf-8")
        for name, content in {"limits.toml": SMALL_LIMITS.encode(), **case.files}.items():
            Path(name).write_bytes(content)
        for script in Path().glob("*.sh"):
            script.chmod(0o755)
        _submissions(case)
        with _image(case), case.around():
            return _as_nobody(case.words) if "permission" in case.title else _call(case.words)


def _submissions(case: Case) -> None:
    if "torch-method" in case.words:
        make_submission(Path("torch-method"), "torch")
        weights = Path("torch-method/weights.npz")
        weights.write_bytes(weights.read_bytes() + b"\0")
    if "bad-method" in case.words:
        make_submission(Path("bad-method"), "minimal")
        file = Path("bad-method/submission.toml")
        file.write_text(file.read_text().replace("memory_mib", "memory_mb"), encoding="utf-8")


@contextlib.contextmanager
def _image(case: Case) -> Iterator[None]:
    if case.dockerfile is None:
        yield
        return
    Path("Dockerfile").write_text(case.dockerfile, encoding="utf-8")
    with connect() as engine:
        engine.client.images.build(path=".", tag=TAG, rm=True, platform=case.platform)
        try:
            yield
        finally:
            engine.client.images.remove(TAG, force=True)


def _call(words: tuple[str, ...]) -> Said:
    """A command in this process, as a terminal would show it."""
    told = io.StringIO()
    with (
        contextlib.redirect_stdout(told),
        contextlib.redirect_stderr(told),
        mock.patch.object(sys, "argv", ["stem4d", *words]),
    ):
        code = run_command(cli, words)
    return Said(code, told.getvalue())


def _as_nobody(words: tuple[str, ...]) -> Said:
    """The same in a child of this process, as a user who is in no group."""
    Path().resolve().chmod(0o777)
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        said = _call(words)
        os.write(write, said.text.encode()[:60000])
        os._exit(said.code)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        text = stream.read().decode()
    return Said(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text)


def can_try(case: Case) -> str | None:
    """Why a case cannot be tried here; None when it can."""
    if case.needs == "root" and os.getuid() != 0:
        return "needs root"
    if case.needs == "docker" or "permission" in case.title:
        from runner.pipeline.backend import image_or_reason  # noqa: PLC0415

        return image_or_reason(BASE)
    return None


def row(number: int, case: Case, said: Said) -> str:
    """A line of the table: what was said of it, first finding first."""
    found = re.search(
        r"^([A-Z_]+) at (.*?)\n  expected: (.*?)\n  found:    (.*?)\n  do:       (.*?)$",
        said.text,
        re.DOTALL | re.MULTILINE,
    )
    if found is None:
        what = "-"
    else:
        code, where, expected, seen, do = (_short(text) for text in found.groups())
        what = f"**{code}** at {where}. *Expected:* {expected}. *Found:* {seen}. *Do:* {do}"
    remark = f" ({case.remark})" if case.remark else ""
    return f"| {number} | {case.title}{remark} | {said.code} | {what} |"


def _short(text: str, most: int = 300) -> str:
    text = (
        " ".join(text.replace(TAG, "my-method").split())
        .replace("|", "\\|")
        .replace("<", "&lt;")
        .replace("*", "\\*")
    )
    text = re.sub(rf"{re.escape(tempfile.gettempdir())}/[^ ,;)]*/", "", text)
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"


PREAMBLE = """\
# Wrong things, and what stem4d says to each

Made by `python -m benchmarks.wrong_things > docs/wrong.md`, which does each of these on purpose; a
test does the same. Every code is explained in [errors.md](errors.md), and by `stem4d errors CODE`.
The algorithm is tried on one small sample before anything long begins, so most of these are told
within seconds. None of them shows a stack trace.

| | what was wrong | exit | what is said |
|---|---|---|---|
"""


def main() -> None:
    """Try every case, and print the page."""
    rows = []
    for number, case in enumerate(CASES, start=1):
        if why := can_try(case):
            rows.append(f"| {number} | {case.title} | | not tried here: {why.split(':')[0]} |")
            continue
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            said = try_it(case, Path(folder))
        good = case.expect in said.text and "Traceback" not in said.text
        mark = "ok" if good and said.code == case.exit_code else f"NOT AS EXPECTED\n{said.text}"
        print(f"{case.title}: {time.monotonic() - begin:.1f} s, {mark}", file=sys.stderr)
        rows.append(row(number, case, said))
    print(PREAMBLE + "\n".join(rows))


if __name__ == "__main__":
    main()
