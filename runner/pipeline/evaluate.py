"""The organiser's way: pre-flight, strip, run, sanitise, score. Truth only in the last.

    evaluation = Evaluation(plan, engine)
    for record in evaluation:        # each stage as it comes to an end
        ...                          # write it down, show it
    verdict = evaluation.verdict()

Each stage (`stages`) ends with a record, written into the evaluation's folder as its last act. An
evaluation that was killed is made anew with the same plan: stages whose record is there are taken
from it, the one that was under way is done again from its beginning. A fault of ours leaves no
record, so that stage is done again as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError

from runner.files.challenge import open_challenge
from runner.files.hdf5 import make_folder, sha256_of
from runner.harness.engine import Engine
from runner.harness.log import LogSink
from runner.pipeline import stages
from runner.pipeline.stages import CANONICAL_NAME, LOG_NAME, SUBMISSIONS, Found, Plan, write_text
from runner.report.verdict import organiser_text, participant_report, participant_text
from runner.tiers.strip import StripError
from schemas.base import Record
from schemas.evaluation import (
    Facts,
    Outcome,
    PreflightFacts,
    RunFacts,
    SanitiseFacts,
    ScoreFacts,
    Stage,
    StageRecord,
    State,
    Verdict,
    stage_key,
)
from schemas.findings import ContractError, Finding, finding, refuse
from schemas.limits import ResourceLimits
from schemas.version import __version__

ORGANISER, PARTICIPANT = "organiser", "participant"
"""Folders of an evaluation: the second holds what may be handed out, and nothing else."""

VIEW_NAME, PLAN_NAME = "challenge.h5", "plan.json"
REPORT_JSON, REPORT_TEXT = "report.json", "report.md"
FIRST_RUN = 1

STATE_OF = {
    Outcome.DONE: State.SCORED,
    Outcome.REFUSED: State.REFUSED,
    Outcome.FAULT: State.FAULT,
}

FactsT = TypeVar("FactsT", bound=Record)


class PlanRecord(Record):
    """What must be the same for an evaluation to be taken up again."""

    version: str = Field(description="version of stem4d")
    image: str = Field(description="image, as the organiser named it")
    challenge_sha256: str = Field(description="sha256 of the challenge file")
    truth_sha256: str = Field(description="sha256 of the truth file")
    limits: ResourceLimits = Field(description="limits of a run")
    repeat: int = Field(ge=1, description="number of runs")
    seed: int = Field(ge=0, description="random seed")


@dataclass(frozen=True)
class Step:
    """One stage, ready to be done."""

    stage: Stage
    do: Callable[[], Found]
    run: int = 0

    @property
    def key(self) -> str:
        """Name of the stage within its evaluation."""
        return stage_key(self.stage, self.run)


class Evaluation:
    """One submission on one tier; iterate to make it go on, one stage at a time."""

    def __init__(self, plan: Plan, engine: Engine, *, on_log: LogSink | None = None) -> None:
        """Look at the challenge file, and nothing else yet.

        Args:
            plan: what is to be judged, and how.
            engine: where the container runs.
            on_log: gets what it writes to stderr, while it runs.

        Raises:
            ContractError: the challenge file cannot be read.
        """
        self._plan, self._engine, self._on_log = plan, engine, on_log
        self._private = plan.out / ORGANISER
        self._records: list[StageRecord] = []
        with open_challenge(plan.challenge) as challenge:
            self._tier = challenge.attrs.tier

    @property
    def tier(self) -> str:
        """The tier, as the challenge file names it."""
        return self._tier

    def __iter__(self) -> Iterator[StageRecord]:
        """Do the stages in turn, from the first; those that were done are only told again.

        Raises:
            ContractError: USAGE, the folder holds another evaluation; or it cannot be written to.
        """
        self.open()
        self._records = []
        for step in self._steps():
            record = self._earlier(step) or self._done(step)
            self._records.append(record)
            yield record
            if record.outcome is not Outcome.DONE:
                return

    def verdict(self) -> Verdict:
        """What came of it; writes the organiser's and the participant's report.

        Raises:
            ValueError: it has not come to an end.
        """
        last = self._records[-1] if self._records else None
        if last is None or (last.outcome is Outcome.DONE and last.stage is not Stage.SCORE):
            raise ValueError("the evaluation has not come to an end")
        verdict = self._judged(STATE_OF[last.outcome])
        log = self._folder(FIRST_RUN) / LOG_NAME
        told = participant_report(verdict, log.read_text(encoding="utf-8") if log.is_file() else "")
        self._write_report(ORGANISER, verdict, organiser_text(verdict))
        self._write_report(PARTICIPANT, told, participant_text(told))
        return verdict

    def _steps(self) -> Iterator[Step]:
        """The stages in their order, each made when those before it are done."""
        plan, engine, view = self._plan, self._engine, self._private / "view" / VIEW_NAME
        yield Step(Stage.PREFLIGHT, partial(stages.look, plan, engine))
        yield Step(Stage.STRIP, partial(stages.make_view, plan, view))
        image = self._facts(Stage.PREFLIGHT, PreflightFacts).image_id
        folders: list[Path] = []
        for number in range(FIRST_RUN, FIRST_RUN + plan.repeat):
            folder = self._folder(number)
            run = partial(stages.run, plan, engine, image, view, folder, self._on_log)
            yield Step(Stage.RUN, run, number)
            stopped = self._records[-1].findings
            nonce = self._facts(Stage.RUN, RunFacts, number).nonce
            yield Step(Stage.SANITISE, partial(stages.clean, plan, view, folder, nonce), number)
            folders.append(folder)
            if stopped:
                break  # at a limit: the next run would be stopped elsewhere, and differ for that
        if len(folders) > 1:
            yield Step(Stage.REPEAT, partial(stages.compare, view, tuple(folders)))
        known = self._facts(Stage.SANITISE, SanitiseFacts, FIRST_RUN).sha256
        canonical = folders[0] / CANONICAL_NAME
        yield Step(Stage.SCORE, partial(stages.judge, plan, canonical, known))

    def _done(self, step: Step) -> StageRecord:
        """Do a stage, and write its record down unless the fault is ours."""
        begun, started = time.monotonic(), datetime.now(UTC)
        facts: Facts | None = None
        try:
            found = step.do()
        except ContractError as error:
            findings, outcome = error.findings, _outcome(error.findings)
        except StripError as error:
            findings, outcome = (_strip_failed(error),), Outcome.FAULT
        else:
            facts, findings = found.facts, found.findings
            outcome = _outcome(findings) if found.refused else Outcome.DONE
        record = StageRecord(
            stage=step.stage,
            run=step.run,
            outcome=outcome,
            begun_utc=started.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - begun, 3),
            facts=facts,
            findings=findings,
        )
        if outcome is not Outcome.FAULT:
            _write_record(self._record_path(step), record)
        return record

    def _earlier(self, step: Step) -> StageRecord | None:
        """A stage's record from before this evaluation was taken up again."""
        path = self._record_path(step)
        if not path.is_file():
            return None
        return StageRecord.model_validate_json(path.read_text(encoding="utf-8"))

    def _facts(self, stage: Stage, kind: type[FactsT], run: int = 0) -> FactsT:
        for record in self._records:
            if (record.stage, record.run) == (stage, run) and isinstance(record.facts, kind):
                return record.facts
        raise AssertionError(f"{stage} comes before what needs it")

    def _judged(self, state: State) -> Verdict:
        findings = tuple(entry for record in self._records for entry in record.findings)
        canonical = [r.facts.sha256 for r in self._records if isinstance(r.facts, SanitiseFacts)]
        scores = [r.facts.card.score for r in self._records if isinstance(r.facts, ScoreFacts)]
        counts = state is State.SCORED or any(entry.counts_against_quota for entry in findings)
        return Verdict(
            state=state,
            tier=self._tier,
            image=self._plan.image,
            score=scores[0] if scores else None,
            counts_against_quota=counts and state is not State.FAULT,
            identity=canonical[0] if canonical else None,
            findings=findings,
            stages=tuple(self._records),
        )

    # --- files ------------------------------------------------------------------------------------

    def _folder(self, run: int) -> Path:
        return self._private / stage_key(Stage.RUN, run)

    def _record_path(self, step: Step) -> Path:
        return self._private / "stages" / f"{step.key}.json"

    def open(self) -> None:
        """Make the evaluation's folder, or take up the evaluation that it holds.

        Raises:
            ContractError: USAGE, it holds another one; or it cannot be written to.
        """
        make_folder(self._private / "stages")
        self._private.chmod(0o700)
        make_folder(self._plan.out / PARTICIPANT)
        path, stated = self._private / PLAN_NAME, _stated(self._plan)
        if not path.is_file():
            _write_record(path, stated)
        elif _earlier_plan(path) != stated:
            raise refuse(
                "USAGE",
                str(self._plan.out),
                expected="a new folder, or that of the same evaluation",
                found="an evaluation of another image, tier, version or limits",
                hint="name another --out",
            )

    def _write_report(self, reader: str, record: Record, text: str) -> None:
        _write_record(self._plan.out / reader / REPORT_JSON, record)
        write_text(self._plan.out / reader / REPORT_TEXT, text)


def _stated(plan: Plan) -> PlanRecord:
    return PlanRecord(
        version=__version__,
        image=plan.image,
        challenge_sha256=sha256_of(plan.challenge),
        truth_sha256=sha256_of(plan.truth),
        limits=plan.limits,
        repeat=plan.repeat,
        seed=plan.seed,
    )


def _earlier_plan(path: Path) -> PlanRecord | None:
    try:
        return PlanRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError):
        return None


def _outcome(findings: tuple[Finding, ...]) -> Outcome:
    """Refused as soon as one finding is the submission's; else the fault is ours."""
    theirs = any(entry.blame in SUBMISSIONS for entry in findings)
    return Outcome.REFUSED if theirs else Outcome.FAULT


def _strip_failed(error: StripError) -> Finding:
    return finding(
        "INTERNAL",
        "strip",
        expected="a view without a byte of the truth",
        found=str(error),
        hint="nothing was run; please report this as an issue of stem4d",
    )


def _write_record(path: Path, record: Record) -> None:
    write_text(path, record.model_dump_json(indent=2) + "\n")
