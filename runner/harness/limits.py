"""Reading `limits.toml`, the one file from which local, CI and server runs are all made."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import ValidationError

from schemas.findings import refuse
from schemas.limits import ResourceLimits


def load_limits(path: Path | None = None) -> ResourceLimits:
    """Limits of a TOML file; without one, the contract's own.

    Raises:
        ContractError: USAGE, the file is missing or malformed.
    """
    if path is None:
        return ResourceLimits()
    try:
        return ResourceLimits.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise refuse(
            "USAGE",
            str(path),
            expected="a TOML file of ResourceLimits (`stem4d schema` prints its keys and bounds)",
            found=f"{type(error).__name__}: {error}",
            hint="start from the limits.toml that comes with stem4d",
        ) from error
