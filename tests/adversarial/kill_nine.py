"""`kill -9` at random moments of real evaluations: `python -m tests.adversarial.kill_nine`.

The command itself (`stem4d evaluate`), a real engine, a small hidden tier, and two images of the
corpus: an honest one, and one that fails. A harness is killed at a random moment; the same
command is given again, and may be killed again. Looked at in the end: one submission a folder and
one verdict each, the same as undisturbed; one charge; no container, folder, mount or process left.
Prints during which stage each blow fell. By hand, with an engine and the image stem4d:latest.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from runner.cli import cli
from runner.container.command import run_command
from runner.harness.reader import ROOT
from runner.scoring.ledger import Ledger
from schemas.evaluation import Verdict
from schemas.ledger import AttemptState, Submission
from tests.runner.small import SmallTier, write_small_tier

MOST_BLOWS = 8
"""Blows that one submission gets: the ledger abandons it at the tenth attempt."""

BEFORE = "before it was claimed"
IN_THE_LEDGER = "at the verdict"
STAGES = ("preflight", "strip", "run-1", "sanitise-1", "score")
ATTACKS = {"good": "honest_half", "bad": "raises"}
"""Programs of the corpus, by the names that the images have here."""

PROGRAM = Path(__file__).parent / "containers" / "attack.py"
NEEDED = (
    "runner.cli.cards",
    "runner.cli.evaluate",
    "runner.cli.output",
    "runner.harness.docker_engine",
    "runner.harness.engines",
    "runner.pipeline.many",
    "runner.pipeline.recorded",
    "runner.pipeline.workers",
    "skimage.metrics",
)
FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Bench:
    """Where it all happens.

    Attributes:
        folder: of everything.
        tier: what is judged on.
        images: ids by name.
    """

    folder: Path
    tier: SmallTier
    images: dict[str, str]

    @property
    def staging(self) -> Path:
        return self.folder / "staging"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'ledger.sqlite'}"

    def start(self, image: str, out: Path) -> BaseProcess:
        """The command, as an organiser gives it, in a process that has its modules loaded."""
        options = {
            "--challenge": self.tier.challenge,
            "--truth": self.tier.truth,
            "--staging": self.staging,
            "--out": out,
            "--ledger": self.url,
            "--method": out.name,
        }
        words = [str(word) for option in options.items() for word in option]
        log = self.folder / "commands.log"
        process = FORK.Process(target=command, args=(["evaluate", self.images[image], *words], log))
        process.start()
        return process

    def whole(self, image: str, out: Path) -> float:
        """Let it come to its end; returns how long it took [s]."""
        begun = time.monotonic()
        self.start(image, out).join()
        return time.monotonic() - begun

    def left(self) -> list[str]:
        """What lies about that should be gone."""
        call = ["docker", "ps", "--all", "--quiet", "--no-trunc"]
        found = []
        for image in self.images.values():
            listed = subprocess.run(
                [*call, "--filter", f"ancestor={image}"], check=True, capture_output=True, text=True
            )
            found += [f"container {line}" for line in listed.stdout.split()]
        found += [f"folder {path}" for path in self.staging.glob("*")]
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
        return found + [
            f"mount {line}" for line in mounts.splitlines() if str(self.staging) in line
        ]


def load() -> None:
    """Everything that the command imports on its way: time that tells nothing of the harness."""
    for name in NEEDED:
        importlib.import_module(name)


def command(words: Sequence[str], log: Path) -> None:
    """What `stem4d WORDS` does; this process is the harness that is killed."""
    os.setsid()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.exit(run_command(cli, words))


@contextmanager
def bench(base: str) -> Iterator[Bench]:
    """Images and files, removed afterwards."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        images = {image: _build(base, image, attack) for image, attack in ATTACKS.items()}
        try:
            yield Bench(folder, write_small_tier(folder, "hidden"), images)
        finally:
            subprocess.run(
                ["docker", "rmi", "--force", *images.values()], check=False, capture_output=True
            )


def _build(base: str, image: str, attack: str) -> str:
    """An image of the corpus's; returns its id."""
    lines = (
        f"FROM {base}",
        f"LABEL kill={image}",
        "COPY attack.py truth.json /app/",
        f"ENV ATTACK={attack}",
        'ENTRYPOINT ["python", "/app/attack.py"]',
    )
    with tempfile.TemporaryDirectory() as context:
        (Path(context) / "Dockerfile").write_text("\n".join(lines), encoding="utf-8")
        (Path(context) / "truth.json").write_text("{}", encoding="utf-8")
        shutil.copyfile(PROGRAM, Path(context) / PROGRAM.name)
        for path in Path(context).iterdir():
            path.chmod(0o644)
        built = subprocess.run(
            ["docker", "build", "--quiet", context], check=True, capture_output=True, text=True
        )
    return built.stdout.strip()


def kill_at_random(
    bench: Bench, kills: int, seconds: Mapping[str, float], dice: random.Random
) -> tuple[dict[str, str], Counter[str]]:
    """Evaluations one after the other; returns which image each was of, and when the blows fell."""
    of: dict[str, str] = {}
    blows: Counter[str] = Counter()
    while blows.total() < kills:
        image = ("good", "good", "bad")[len(of) % 3]
        out = bench.folder / f"e{len(of):03d}"
        of[out.name] = image
        for _ in range(MOST_BLOWS):
            process = bench.start(image, out)
            # Short ones more often: what is taken up goes on, so they fall in late stages as well.
            process.join(timeout=dice.uniform(0.0, dice.uniform(0.0, seconds[image])))
            if process.exitcode is not None:
                break
            process.kill()
            process.join()
            blows[moment(bench, out)] += 1
            if blows.total() == kills:
                break
        bench.whole(image, out)
        if left := bench.left():
            raise SystemExit(f"{out.name}: left behind: {left}")
        print(f"{out.name} {image}: {blows.total()} blows", flush=True)
    return of, blows


def moment(bench: Bench, out: Path) -> str:
    """What the harness was at when it was killed."""
    claimed = [
        submission
        for submission in Ledger.open(bench.url).submissions()
        if submission.entry.method == out.name and submission.attempts
    ]
    if not claimed or claimed[0].attempts[-1].state is not AttemptState.RUNNING:
        return BEFORE
    done = {path.stem for path in (out / "organiser" / "stages").glob("*.json")}
    return next((stage for stage in STAGES if stage not in done), IN_THE_LEDGER)


def essence(verdict: Verdict | None) -> tuple[object, ...]:
    """What must not depend on how often it was disturbed."""
    assert verdict is not None
    codes = tuple(entry.code for entry in verdict.findings)
    return verdict.state, verdict.score, verdict.identity, codes, verdict.counts_against_quota


def faults(bench: Bench, of: dict[str, str], whole: dict[str, Submission]) -> Iterator[str]:
    """Everything in the ledger that is not as it must be."""
    ledger = Ledger.open(bench.url)
    found = {submission.entry.method: submission for submission in ledger.submissions()}
    if len(ledger.submissions()) != len(found) or set(found) != {*of, *whole}:
        yield f"{len(ledger.submissions())} submissions, {len(of) + len(whole)} were made"
    for name, image in of.items():
        submission = found[name]
        if not submission.state.is_final:
            yield f"{name}: {submission.state}"
            continue
        if essence(submission.verdict) != essence(whole[f"whole-{image}"].verdict):
            yield f"{name}: another verdict than undisturbed: {essence(submission.verdict)}"
        ends = [e for e in ledger.history(submission.id) if e.name == submission.state]
        if len(ends) != 1 or ends[0].detail != "charged":
            yield f"{name}: {len(ends)} verdicts"
        running = [a for a in submission.attempts if a.state is AttemptState.RUNNING]
        if running:
            yield f"{name}: still runs"


def processes_left(folder: Path) -> list[str]:
    """Harnesses in a folder, and readers of results that this code has started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        reader = "runner.harness.expendable" in line and f" {ROOT} " in line
        if reader or str(folder) in line:
            found.append(f"process {entry.name}: {line[:200]}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill, and look."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--image", default="stem4d:latest")
    chosen = parser.parse_args(arguments)
    if shutil.which("docker") is None:
        parser.error("no docker")
    begun = time.monotonic()
    load()
    with bench(chosen.image) as made:
        seconds = {
            image: made.whole(image, made.folder / f"whole-{image}") for image in made.images
        }
        whole = {s.entry.method: s for s in Ledger.open(made.url).submissions()}
        if [s.state.value for s in whole.values()] != ["scored", "refused"]:
            raise SystemExit((made.folder / "commands.log").read_text(encoding="utf-8"))
        for name, submission in whole.items():
            print(f"{name}: {essence(submission.verdict)}")
        print("undisturbed [s]:", {name: round(value, 1) for name, value in seconds.items()})
        of, blows = kill_at_random(made, chosen.kills, seconds, random.Random(chosen.seed))
        wrong = [*faults(made, of, whole), *made.left(), *processes_left(made.folder)]
    print(f"\n{blows.total()} kills of {len(of)} evaluations in {time.monotonic() - begun:.0f} s")
    for name in (BEFORE, *STAGES, IN_THE_LEDGER):
        print(f"| {name} | {blows[name]} |")
    print("\n".join(wrong) or "nothing lost, nothing charged twice, nothing left")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
