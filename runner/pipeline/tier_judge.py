"""The judge of a queue: every submission on one tier, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from runner.harness.engine import Engine
from runner.pipeline.evaluate import Evaluation
from runner.pipeline.queue import Write
from runner.pipeline.stages import Plan
from runner.scoring.ledger import Claim
from schemas.evaluation import Outcome, Verdict


@dataclass(frozen=True)
class TierJudge:
    """Takes a submission through an `Evaluation`, and tells the ledger of each stage.

    Attributes:
        plan: what all evaluations have in common; its image, folder and seed are each submission's.
        store: folder in which each submission has one, named after its id. Workers on several
            machines share it: one that takes over finds what was done.
        open_engine: opens the engine of the machine that judges.
    """

    plan: Plan
    store: Path
    open_engine: Callable[[], AbstractContextManager[Engine]]

    def __call__(self, claim: Claim, write: Write) -> Verdict:
        """The verdict; both reports are in the submission's folder.

        Raises:
            ContractError: a fault of ours.
            ClaimLostError: the submission is another worker's now.
        """
        folder = self.store / claim.submission
        # A folder that is there was begun with the name; its pre-flight says what that meant.
        image = claim.entry.image if folder.exists() else claim.image
        plan = replace(self.plan, image=image, out=folder, seed=claim.entry.seed)
        with self.open_engine() as engine:
            evaluation = Evaluation(plan, engine)
            for record in evaluation:
                if record.outcome is not Outcome.FAULT:
                    write(record)
            return evaluation.verdict()
