"""Is a result file valid for a challenge file? Every fault at once."""

from __future__ import annotations

import tempfile
from pathlib import Path

from runner.files.challenge import open_challenge
from runner.files.hdf5 import sha256_of
from runner.files.result import ResultFile, read_result, run_info_missing, too_large
from runner.tiers.strip import strip
from schemas.findings import Finding, finding
from schemas.result import MAX_RESULT_BYTES


def validate_result(
    result_path: Path, challenge_path: Path
) -> tuple[ResultFile | None, tuple[Finding, ...]]:
    """Read a result against the challenge that it claims to answer.

    Returns:
        What can be used of the result (None: nothing), and every finding; none means valid.

    Raises:
        ContractError: the challenge file itself cannot be read.
    """
    with open_challenge(challenge_path) as challenge:
        if result_path.is_file() and (size := result_path.stat().st_size) > MAX_RESULT_BYTES:
            return None, (too_large(result_path.name, size),)
        result, findings = read_result(result_path, challenge)
    if result is not None and not _made_from(result.provenance.input_sha256, challenge_path):
        other = finding(
            "RESULT_OTHER_INPUT",
            f"{result_path.name}@provenance",
            expected=f"input_sha256 of {challenge_path.name}, or of its blind view",
            found=result.provenance.input_sha256,
            hint="run the algorithm on this challenge file, or validate against the one it ran on",
        )
        findings = (other, *findings)
    if result is not None and result.run_info is None:
        findings = (run_info_missing(result_path.name), *findings)
    return result, findings


def _made_from(digest: str, challenge: Path) -> bool:
    """Whether `digest` is that of the challenge file, or of the view that a container gets."""
    if digest == sha256_of(challenge):
        return True
    with tempfile.TemporaryDirectory() as folder:
        return digest == sha256_of(strip(challenge, Path(folder) / "blind.h5"))
