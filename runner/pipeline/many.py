"""A folder of submissions, put into the queue: one TOML file each."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field, ValidationError

from runner.files.challenge import open_challenge
from runner.files.hdf5 import explain, sha256_of
from runner.scoring.ledger import Ledger
from schemas.base import Record
from schemas.challenge import Tier
from schemas.findings import ContractError, Finding, finding, refuse
from schemas.ledger import Entry, Submission


class SubmissionFile(Record):
    """What a file of the folder says."""

    image: str = Field(min_length=1, max_length=512)
    participant: str = Field(min_length=1, max_length=128)
    method: str = Field(min_length=1, max_length=128)
    seed: int = Field(default=0, ge=0)


def submit_folder(
    ledger: Ledger, folder: Path, challenge: Path, *, quota: int | None = None
) -> Iterator[Submission]:
    """Put every file of a folder into the queue, in order of name; a second time changes nothing.

    Raises:
        ContractError: USAGE with every file that is malformed, before anything is queued;
            QUOTA_EXHAUSTED.
    """
    files = [(path, _read(path)) for path in sorted(folder.glob("*.toml"))]
    if faults := [found for _, found in files if isinstance(found, Finding)]:
        raise ContractError(faults)
    if not files:
        raise refuse(
            "USAGE",
            str(folder),
            expected="files NAME.toml with image, participant and method",
            found="no such file",
            hint='NAME.toml: image = "ada/method:1", participant = "ada", method = "Method"',
        )
    tier, digest = tier_of(challenge), sha256_of(challenge)
    known = {found.entry: found for found in ledger.submissions(challenge=digest)}
    for _, found in files:
        assert isinstance(found, SubmissionFile)
        entry = Entry(**found.model_dump(), tier=tier, challenge_sha256=digest)
        yield known.get(entry) or ledger.submit(entry, quota=quota)


def tier_of(challenge: Path) -> Tier:
    """The tier of a challenge file.

    Raises:
        ContractError: USAGE, it is of none; INPUT_..., it cannot be read.
    """
    with open_challenge(challenge) as file:
        tier = file.attrs.tier
    if tier not in {entry.value for entry in Tier}:
        raise refuse(
            "USAGE",
            str(challenge),
            expected="the challenge file of a tier",
            found=f"tier {tier!r}",
            hint="give the file that `stem4d tiers build` made, not its blind view",
        )
    return Tier(tier)


def _read(path: Path) -> SubmissionFile | Finding:
    try:
        return SubmissionFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        return finding(
            "USAGE",
            str(path),
            expected="TOML with image, participant, method, and if need be seed",
            found=explain(error),
            hint='image = "ada/method:1", participant = "ada", method = "Method"',
        )
