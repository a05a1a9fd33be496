"""A ledger in each database: SQLite always, PostgreSQL where its server is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from runner.scoring.ledger import Ledger

DEBIAN_SERVERS = Path("/usr/lib/postgresql")
SERVER_USER = "postgres"
"""PostgreSQL refuses to run as root; Debian's package makes this user for it."""


def server_folder() -> Path | None:
    """Folder with PostgreSQL's initdb and pg_ctl, the newest one; None: not installed."""
    for folder in [*sorted(DEBIAN_SERVERS.glob("*/bin"), reverse=True), *map(Path, _path())]:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    return None


def _path() -> list[str]:
    return [p for p in os.environ.get("PATH", "").split(os.pathsep) if p]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL server that exists for these tests alone."""
    programs = server_folder()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: apt install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="stem4d-postgres-", dir="/tmp"))
    as_user: list[str] = []
    if os.getuid() == 0:
        shutil.chown(folder, SERVER_USER)
        as_user = ["runuser", "-u", SERVER_USER, "--"]
    data = folder / "data"

    def call(*arguments: str) -> None:
        # The server inherits what it is given: a pipe would never be closed.
        subprocess.run(
            [*as_user, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )

    call(str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "judge")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    call(str(programs / "pg_ctl"), "-D", str(data), "-w", "-o", options, "start")
    try:
        yield f"postgresql+psycopg://judge@/postgres?host={folder}"
    finally:
        call(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    server: str = request.getfixturevalue("postgres")
    name = f"test_{abs(hash(tmp_path))}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?")


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(url: str, clock: Callable[[], float]) -> Iterator[Ledger]:
    made = Ledger.open(url, clock=clock)
    yield made
    made.engine.dispose()
