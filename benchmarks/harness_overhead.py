"""What the harness adds to a bare `docker run` of the same job.

    python -m benchmarks.harness_overhead [--image IMAGE] [--algorithm NAME] [--repeats N]
                                          [--runtimes runc,runsc]

The job is the public tier in data/ with a fast algorithm. In turn, N times over: the bare command,
as the harness itself prints it; then an evaluation of the same image, stage by stage. Prints
medians; `--write` puts them into docs/organisers.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks import page
from runner.harness.docker_engine import DockerEngine, connect
from runner.harness.options import Job, docker_arguments, options_of
from runner.pipeline.evaluate import Evaluation
from runner.pipeline.stages import Plan
from runner.tiers.build import tier_files
from runner.tiers.strip import strip
from schemas.challenge import Tier
from schemas.evaluation import RunFacts, Stage, State, Verdict
from schemas.limits import ResourceLimits

ORGANISERS = Path(__file__).parents[1] / "docs" / "organisers.md"
DATA = Path("data")
AIM_S = 2.0
"""Largest overhead [s] that is aimed at: pre-flight, sandbox and sanitiser together."""

HARNESS_STAGES = (Stage.PREFLIGHT, Stage.RUN, Stage.SANITISE)
"""Stages that a bare run lacks, or has in another form. Strip and score take what the data take."""


def bare_seconds(image: str, view: Path, folder: Path, limits: ResourceLimits) -> float:
    """Wall time [s] of `docker run` with the sandbox's options."""
    output = folder / "bare"
    output.mkdir()
    output.chmod(0o777)
    arguments = docker_arguments(options_of(Job(image, view, output, limits), runtime=""))
    begun = time.monotonic()
    subprocess.run(["docker", "run", "--rm", *arguments], check=True, capture_output=True)
    return time.monotonic() - begun


def evaluated(engine: DockerEngine, image: str, folder: Path, limits: ResourceLimits) -> Verdict:
    """An evaluation of the same job."""
    files = tier_files(Tier.PUBLIC, DATA)
    evaluation = Evaluation(
        Plan(image, files.challenge, files.truth, folder / "out", limits), engine
    )
    for _ in evaluation:
        pass
    verdict = evaluation.verdict()
    assert verdict.state is State.SCORED, verdict.findings
    return verdict


def stage_seconds(verdict: Verdict) -> dict[str, float]:
    """Wall time [s] of each stage, and of the container in the middle of it all."""
    seconds = {str(record.stage): record.seconds for record in verdict.stages}
    run = next(r.facts for r in verdict.stages if isinstance(r.facts, RunFacts))
    return {**seconds, "container": run.run_seconds}


def measure(image: str, runtime: str, repeats: int) -> dict[str, float]:
    """Medians [s] of the bare run, of each stage, of the overhead and what is around the run."""
    limits = ResourceLimits(runtime=runtime)
    rows: list[dict[str, float]] = []
    with connect() as engine:
        identifier = engine.image(image).id
        for _ in range(repeats):
            with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
                folder = Path(name)
                folder.chmod(0o755)
                view = strip(tier_files(Tier.PUBLIC, DATA).challenge, folder / "challenge.h5")
                bare = bare_seconds(identifier, view, folder, limits)
                row = stage_seconds(evaluated(engine, identifier, folder, limits))
            row["bare"] = bare
            harness = sum(row[stage] for stage in HARNESS_STAGES)
            row["overhead"] = harness - bare
            row["around"] = harness - row["container"]
            rows.append(row)
    return {name: median(row[name] for row in rows) for name in rows[0]}


def table(found: dict[str, dict[str, float]], repeats: int) -> str:
    """The medians as Markdown."""
    lines = [
        f"Medians of {repeats}, in seconds; load of the machine meanwhile"
        f" {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
        "",
        "| runtime | bare `docker run` | pre-flight | strip | run | sanitise | score | overhead"
        " | around the container |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    columns = ("bare", "preflight", "strip", "run", "sanitise", "score", "overhead", "around")
    for runtime, row in found.items():
        lines.append(f"| {runtime} | " + " | ".join(f"{row[c]:.2f}" for c in columns) + " |")
    lines += [
        "",
        "Overhead: pre-flight, run and sanitise, less the bare run of the same turn. Around the"
        " container: the same less the time from its start to its end, which a busy machine"
        " disturbs less; a bare run has some of it too.",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", default="stem4d:latest")
    parser.add_argument("--algorithm", default="cpu-baseline+midpoint")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--runtimes", default="runc,runsc")
    parser.add_argument("--write", action="store_true", help="into docs/organisers.md")
    chosen = parser.parse_args(arguments)
    lines = f"FROM {chosen.image}\nENV STEM4D_ALGORITHM={chosen.algorithm}\n"
    built = subprocess.run(
        ["docker", "build", "--quiet", "-"],
        input=lines,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    try:
        found = {
            runtime: measure(built, runtime, chosen.repeats)
            for runtime in chosen.runtimes.split(",")
        }
    finally:
        subprocess.run(["docker", "rmi", "--force", built], check=False, capture_output=True)
    text = table(found, chosen.repeats)
    print(text)
    worst = found[next(iter(found))]["overhead"]
    print(f"\naim: below {AIM_S:g} s; found {worst:.2f} s")
    if chosen.write:
        page.put("overhead", text, ORGANISERS)


if __name__ == "__main__":
    main()
