"""What a dry run notes of itself beside its result, so that a report can be made again later."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from schemas.base import Record
from schemas.limits import ResourceLimits

RECORD_NAME = "run.json"
SCENARIO_NAMES = {"I": "scenario-I.h5", "II": "scenario-II.h5"}
"""Where a dry run keeps the answers of the scenarios that nothing is corrected in."""


class RunRecord(Record):
    """How a dry run was made."""

    truth: str = Field(description="truth file, as seen from the run's folder")
    limits: ResourceLimits = Field(description="limits that the run was made under")

    @classmethod
    def of(cls, folder: Path, truth: Path, limits: ResourceLimits) -> RunRecord:
        """The record of a run in `folder`: both may be moved together."""
        return cls(truth=os.path.relpath(truth.resolve(), folder.resolve()), limits=limits)

    def truth_path(self, folder: Path) -> Path:
        """The truth file, whether it is still there or not."""
        return folder / self.truth
