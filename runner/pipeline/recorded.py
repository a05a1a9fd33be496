"""One evaluation in a folder of its own, entered in the ledger as a worker of the queue does it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runner.harness.owner import is_dead, this_process
from runner.pipeline.evaluate import ORGANISER, Evaluation
from runner.pipeline.queue import Write, judged
from runner.pipeline.stages import write_text
from runner.scoring.ledger import Claim, Ledger, new_id
from runner.scoring.ledger.ledger import ClaimLostError
from schemas.evaluation import Outcome, StageRecord, Verdict
from schemas.findings import refuse
from schemas.ledger import Entry, Submission, SubmissionState

NAME_FILE = "submission.txt"
"""Holds the submission's id. It is written before the ledger knows of it: whoever is killed in
between submits the same one, and not a second."""

Tell = Callable[[StageRecord], None]


@dataclass(frozen=True)
class _Judge:
    """An evaluation as the queue's workers want it: stages go to the ledger, and are told."""

    evaluation: Evaluation
    tell: Tell

    def __call__(self, claim: Claim, write: Write) -> Verdict:
        for record in self.evaluation:
            if record.outcome is not Outcome.FAULT:
                write(record)
            self.tell(record)
        return self.evaluation.verdict()


def evaluate_recorded(
    evaluation: Evaluation,
    out: Path,
    ledger: Ledger,
    entry: Entry,
    *,
    quota: int | None = None,
    tell: Tell,
) -> tuple[Submission, Verdict]:
    """Judge, and enter submission, attempts, stages, findings and verdict in a ledger.

    Done a second time in the same folder, it goes on where it stopped; when nothing is left to do
    it only tells again what came of it.

    Args:
        evaluation: what is judged, in the folder `out`.
        out: its folder.
        ledger: where it is entered.
        entry: what is submitted, and in whose name.
        quota: submissions that the participant may have charged on this tier; None: any number.
        tell: gets each stage as it ends.

    Raises:
        ContractError: USAGE, the folder holds another evaluation, or another process judges it;
            QUOTA_EXHAUSTED; ATTEMPTS_EXHAUSTED; CLAIM_LOST; a fault of ours, which is no attempt.
    """
    evaluation.open()
    submission = ledger.submit(entry, quota=quota, folder=str(out.resolve()), name=_name_in(out))
    _require_same(submission, entry, out)
    ledger.recover(is_dead)
    claim = ledger.claim(this_process().text(), only=submission.id)

    if claim is None:
        verdict = _earlier(ledger.show(submission.id), evaluation, out, tell)
    else:
        try:
            verdict = judged(ledger, claim, _Judge(evaluation, tell))
        except ClaimLostError as error:
            raise refuse(
                "CLAIM_LOST",
                submission.id,
                expected="signs of life in the ledger",
                found=str(error),
                hint="the machine slept, or could not reach the ledger: give the command again",
            ) from error
    return ledger.show(submission.id), verdict


def _name_in(out: Path) -> str:
    """The id of the folder's submission; a new one in a new folder."""
    path = out / ORGANISER / NAME_FILE
    found = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    if re.fullmatch("[0-9a-f]{12}", found):
        return found
    chosen = new_id()
    write_text(path, chosen + "\n")
    return chosen


def _require_same(submission: Submission, entry: Entry, out: Path) -> None:
    if submission.entry != entry:
        raise refuse(
            "USAGE",
            str(out),
            expected=f"participant {submission.entry.participant!r} and method"
            f" {submission.entry.method!r}, as submission {submission.id} was entered",
            found=f"participant {entry.participant!r} and method {entry.method!r}",
            hint="name another --out, or give the same --participant and --method",
        )


def _earlier(submission: Submission, evaluation: Evaluation, out: Path, tell: Tell) -> Verdict:
    """What came of a submission that nobody can take up any more."""
    if submission.state is SubmissionState.ABANDONED:
        raise refuse(
            "ATTEMPTS_EXHAUSTED",
            submission.id,
            expected="a verdict",
            found=f"{len(submission.attempts)} attempts that ended without one",
            hint="`stem4d ledger show` has the findings of each; another --out begins anew",
        )
    if not submission.state.is_final:
        raise refuse(
            "USAGE",
            str(out),
            expected="a folder in which nobody else is at work",
            found=f"submission {submission.id}, in the hands of {submission.attempts[-1].worker}",
            hint="wait for that process, or name another --out",
        )
    for record in evaluation:
        tell(record)
    return evaluation.verdict()
