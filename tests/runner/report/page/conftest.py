"""A small run, and its page, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runner.pipeline.backend import ProcessBackend
from runner.pipeline.dry_run import Plan, report, run_and_judge
from schemas.limits import ResourceLimits
from tests.runner.small import SmallChallenge


def silent(_: str) -> None:
    """Nobody listens."""


@pytest.fixture(scope="session")
def run_folder(small_challenge: SmallChallenge, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `stem4d dry-run` leaves of two small samples; read-only for the tests."""
    folder = tmp_path_factory.mktemp("run")
    data = folder / "data"
    data.mkdir()
    for kind in ("challenge", "truth"):
        shutil.copy(small_challenge.path, data / f"electron_diffraction_{kind}_public.h5")
    plan = Plan("ptychography+gradient", data, folder / "out", smoke=False)
    backend = ProcessBackend(ResourceLimits())
    report(plan, run_and_judge(plan, backend, silent), backend, silent)
    return plan.out


@pytest.fixture
def own_folder(run_folder: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change, the truth beside it."""
    shutil.copytree(run_folder.parent, tmp_path / "run")
    return tmp_path / "run" / "out"
