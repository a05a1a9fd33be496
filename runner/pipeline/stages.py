"""The stages of an evaluation, each one function: what it is given, and what it found.

None of them knows what came before but by its arguments, and none keeps anything but the files that
it is told to write. What is wrong with a submission is found, or raised as a `ContractError`; a
fault of ours is raised.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from runner.files.challenge import open_challenge
from runner.files.hdf5 import atomic_path, make_folder, sha256_of
from runner.files.result import PROGRESS_NAME, RESULT_NAME, ResultFile, read_result
from runner.harness.engine import Engine
from runner.harness.log import LogSink
from runner.harness.options import Job
from runner.harness.preflight import preflight
from runner.harness.sandbox import Timing, as_a_failure, run_container
from runner.harness.sanitise import sanitise
from runner.pipeline.repeat import differences
from runner.pipeline.views import require_truth
from runner.scoring.score import score_result
from runner.tiers.strip import strip
from schemas.evaluation import (
    Facts,
    PreflightFacts,
    RepeatFacts,
    RunFacts,
    SampleDifference,
    SanitiseFacts,
    ScoreFacts,
    StripFacts,
)
from schemas.findings import Blame, ContractError, Finding, finding, refuse
from schemas.limits import MIB, ResourceLimits

DEFAULT_STAGING = Path("/var/tmp")  # noqa: S108 - mkdtemp makes the run's folder below it
"""Where a run's own folder is made. A container can read its path, so it names no tier; and it is
no memory, which /tmp may be."""

NONCE_BYTES = 16
"""128 bits: not to be guessed."""

CANONICAL_NAME, LOG_NAME = "canonical.h5", "log.txt"

SUBMISSIONS = (Blame.SUBMISSION, Blame.LIMITS, Blame.RESULT)
"""Blames that are the participant's; every other one is a fault of ours."""


@dataclass(frozen=True)
class Plan:
    """What is to be judged, and how.

    Attributes:
        image: name of an image that the engine has.
        challenge: the tier's challenge file.
        truth: the tier's truth file.
        out: folder of this evaluation alone.
        limits: what a run may use.
        repeat: how often it is run, to see whether the result is the same.
        seed: random seed of every run.
        staging: where each run's own folder is made; the container can read this path.
        hmac_key: key of a seal beside each canonical result, or None.
        timing: how a run is watched.
    """

    image: str
    challenge: Path
    truth: Path
    out: Path
    limits: ResourceLimits = ResourceLimits()
    repeat: int = 1
    seed: int = 0
    staging: Path = DEFAULT_STAGING
    hmac_key: bytes | None = field(default=None, repr=False)
    timing: Timing = Timing()


@dataclass(frozen=True)
class Found:
    """What a stage found; `refused` ends the evaluation."""

    facts: Facts
    findings: tuple[Finding, ...] = ()
    refused: bool = False


def look(plan: Plan, engine: Engine) -> Found:
    """Pre-flight: the image, the engine, and whether challenge and truth belong together.

    Raises:
        ContractError: the files do not belong together, no engine answers, there is no image.
    """
    require_truth(plan.challenge, plan.truth)
    with open_challenge(plan.challenge) as challenge:
        _require_neutral_names(challenge.names)
    seen = preflight(engine, plan.image, plan.limits)
    facts = PreflightFacts(
        engine=f"{seen.engine.name} {seen.engine.version}",
        runtime=seen.runtime,
        not_held=seen.not_held,
        image_id=seen.image.id,
        image_digest=seen.image.digest,
        image_mib=round(seen.image.size_bytes / MIB, 1),
    )
    return Found(facts, seen.findings, refused=bool(seen.findings))


def make_view(plan: Plan, view: Path) -> Found:
    """Strip: the blind view, proved.

    Raises:
        StripError: it would disclose the truth.
    """
    make_folder(view.parent)
    strip(plan.challenge, view)
    with open_challenge(view) as challenge:
        return Found(StripFacts(view_sha256=sha256_of(view), samples=challenge.names))


def run(
    plan: Plan, engine: Engine, image_id: str, view: Path, folder: Path, on_log: LogSink | None
) -> Found:
    """Run: the container on the view, with a token of its own; its files end up in `folder`.

    A run that was stopped at a limit and left a result is not refused: what it finished counts.

    Raises:
        ContractError: the run could not be made, or not as it was asked for.
    """
    make_folder(folder)
    for name in (RESULT_NAME, PROGRESS_NAME, LOG_NAME):
        (folder / name).unlink(missing_ok=True)
    nonce = secrets.token_hex(NONCE_BYTES)
    job = Job(
        image=image_id,
        challenge=view,
        output=folder,
        limits=plan.limits,
        seed=plan.seed,
        nonce=nonce,
        staging=plan.staging,
    )
    ended = run_container(engine, job, on_log=on_log, read_exit=as_a_failure, timing=plan.timing)
    write_text(folder / LOG_NAME, ended.log)
    there = folder / RESULT_NAME in ended.outputs
    findings = ended.findings or (() if there else (_no_result(),))
    if any(entry.blame not in SUBMISSIONS for entry in findings):
        raise ContractError(findings)
    facts = RunFacts(
        image_id=ended.image_id,
        nonce=nonce,
        exit_code=ended.exit_code,
        run_seconds=round(ended.seconds, 3),
        oom=ended.oom,
        log_bytes=ended.log_bytes,
        output_bytes=ended.output.bytes,
        output_files=ended.output.files,
        applied=ended.applied,
        not_enforced=ended.not_enforced,
    )
    return Found(facts, findings, refused=not there)


def clean(plan: Plan, view: Path, folder: Path, nonce: str) -> Found:
    """Sanitise: the canonical result, written from the numbers alone.

    Raises:
        ContractError: nothing of the result can be accepted.
    """
    cleaned = sanitise(
        folder / RESULT_NAME,
        view,
        folder / CANONICAL_NAME,
        nonce=nonce,
        hmac_key=plan.hmac_key,
    )
    if cleaned.sha256 is None:
        raise ContractError(cleaned.findings)
    facts = SanitiseFacts(
        sha256=cleaned.sha256,
        samples=cleaned.samples,
        child_peak_mib=round(cleaned.child_peak_mib, 1),
    )
    return Found(facts, cleaned.findings)


def compare(view: Path, folders: tuple[Path, ...]) -> Found:
    """Repeat: whether every run's canonical result is that of the first."""
    first, *others = (_answers(view, folder / CANONICAL_NAME) for folder in folders)
    for other in others:
        if found := differences(first, other):
            facts = RepeatFacts(identical=False, differences=found)
            return Found(facts, (_not_deterministic(found),))
    return Found(RepeatFacts(identical=True, differences=()))


def judge(plan: Plan, canonical: Path, known_sha256: str) -> Found:
    """Score: a canonical result against the truth.

    Raises:
        ContractError: INTERNAL, it is not the file that the sanitiser wrote.
    """
    if (found := sha256_of(canonical)) != known_sha256:
        raise refuse(
            "INTERNAL",
            canonical.name,
            expected=f"the file that the sanitiser wrote, sha256 {known_sha256}",
            found=found,
            hint="find out who writes into the evaluation's folder, and evaluate anew",
        )
    card = score_result(canonical, plan.truth)
    # Samples that are missing were told by the sanitiser; a canonical file has no other fault.
    assert {entry.code for entry in card.findings} <= {"RESULT_SAMPLE_MISSING"}, card.findings
    return Found(ScoreFacts(card=card.model_copy(update={"findings": ()})))


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _require_neutral_names(names: tuple[str, ...]) -> None:
    """Refuse names of samples that would tell a container which tier it is given."""
    if names != tuple(f"sample_{index:02d}" for index in range(len(names))):
        raise refuse(
            "INPUT_INCONSISTENT",
            "challenge file",
            expected="samples that are numbered from sample_00 on, in every tier",
            found=", ".join(names),
            hint="rename the groups of challenge and truth file: a container sees these names",
        )


def _answers(view: Path, canonical: Path) -> ResultFile:
    with open_challenge(view) as challenge:
        answers, _ = read_result(canonical, challenge)
    assert answers is not None, "the sanitiser has written it"
    return answers


def _no_result() -> Finding:
    return finding(
        "RESULT_NOT_FOUND",
        f"/output/{RESULT_NAME}",
        expected="a result file from a run that ended with exit code 0",
        found="nothing",
        hint="write /output/result.h5; `stem4d dry-run` does the same on the public tier",
    )


def _not_deterministic(found: tuple[SampleDifference, ...]) -> Finding:
    first = found[0]
    return finding(
        "NOT_DETERMINISTIC",
        first.sample,
        expected="the same x_hat and corrected_spec from every run with one seed",
        found=f"{len(found)} samples differ; the first in {first.pixels} pixels, by at most"
        f" {first.x_hat:.3g}, and in its spec by {first.spec or 'nothing'}",
        hint="seed every generator from STEM4D_SEED, fix the number of threads, sum in one order",
    )
