"""The optional packages that make new specimens, and what to say where they are absent."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from schemas.findings import refuse


def organizer_module(name: str) -> ModuleType:
    """Import a module of the `organizer` extra (abtem, ase).

    Raises:
        ContractError: EXTRA_MISSING, with the command that installs it.
    """
    package = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise refuse(
            "EXTRA_MISSING",
            f"package {package}",
            expected="the packages that make new specimens",
            found=f"{package} is not installed",
            hint="pip install 'stem4d[organizer]' (the public tier in its default size needs it "
            "not, without realism: its specimens ship with the package)",
        ) from error
