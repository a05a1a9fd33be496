"""Opening the ledger's database: what makes a commit survive, and what keeps writers apart."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from runner.scoring.ledger import tables
from schemas.findings import refuse

BUSY_S = 30.0
"""How long a writer waits for another one's transaction [s]; none takes longer than a blink."""

SQLITE = "sqlite"
LOCK_KEY = 0x57E44D
"""PostgreSQL's advisory lock under which tables are made; any number that others do not use."""


def open_database(url: str) -> Engine:
    """An engine for a ledger, whose tables are made when they are not there.

    Args:
        url: SQLAlchemy's, `sqlite:///ledger.sqlite` or `postgresql+psycopg://USER@HOST/NAME`.

    Raises:
        ContractError: LEDGER_UNREACHABLE, or EXTRA_MISSING where the driver is not installed.
    """
    try:
        engine = create_engine(url, **_options(url))
        if engine.dialect.name == SQLITE:
            event.listen(engine, "connect", _durable)
            event.listen(engine, "begin", _begin_at_once)
        with engine.begin() as connection:
            if engine.dialect.name != SQLITE:  # two that open a new ledger make its tables in turn
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
            tables.metadata.create_all(connection)
            _check_version(connection, url)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise refuse(
            "EXTRA_MISSING",
            _public(url),
            expected="the database's driver",
            found=str(error),
            hint='pip install "stem4d[postgres]", and a URL that begins with postgresql+psycopg://',
        ) from error
    except (SQLAlchemyError, ArgumentError, OSError) as error:
        raise refuse(
            "LEDGER_UNREACHABLE",
            _public(url),
            expected="a database that answers, or a file that can be written",
            found=" ".join(str(getattr(error, "orig", None) or error).split())[:500],
            hint="sqlite:///FOLDER/ledger.sqlite for a file; for PostgreSQL see that the server"
            " runs, and user, host and database name",
        ) from error
    return engine


def _options(url: str) -> dict[str, Any]:
    if make_url(url).get_backend_name() == SQLITE:
        return {"connect_args": {"timeout": BUSY_S, "isolation_level": None}}
    return {"pool_pre_ping": True}


def _durable(connection: Any, _: Any) -> None:
    """A commit is on the disk before it returns; readers do not wait for a writer."""
    cursor = connection.cursor()
    for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begin_at_once(connection: Connection) -> None:
    """A transaction takes SQLite's write lock at its start, so what it read is still so later."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _check_version(connection: Connection, url: str) -> None:
    found = connection.execute(select(tables.about.c.version)).scalars().all()
    if not found:
        connection.execute(insert(tables.about).values(version=tables.VERSION))
    elif found != [tables.VERSION]:
        raise refuse(
            "LEDGER_VERSION",
            _public(url),
            expected=f"tables of version {tables.VERSION}",
            found=", ".join(map(str, found)),
            hint="use the stem4d that made this ledger, or begin a new one",
        )


def _public(url: str) -> str:
    """The URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "ledger URL"
