"""Tables of the ledger, the same in SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

VERSION = 2
"""Version of these tables; a ledger of another one is refused, not guessed at."""

metadata = MetaData()

about = Table("about", metadata, Column("version", Integer, primary_key=True))

participants = Table(
    "participants",
    metadata,
    Column("name", String(128), primary_key=True),
)
"""One row each, which is locked while somebody's quota is counted."""

submissions = Table(
    "submissions",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(12), nullable=False, unique=True),
    Column("participant", ForeignKey("participants.name"), nullable=False, index=True),
    Column("tier", String(16), nullable=False),
    Column("challenge", String(64), nullable=False),
    Column("entry", Text, nullable=False),
    Column("folder", Text),
    Column("image_digest", String(256)),
    Column("state", String(16), nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
)
"""`number` is the order of the queue; `attempt` the last try, 0 before the first; `challenge` the
sha256 of the challenge file. What has a `folder` is judged there, by no worker of the queue."""

attempts = Table(
    "attempts",
    metadata,
    Column("submission", ForeignKey("submissions.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("worker", String(512), nullable=False),
    Column("started", Float, nullable=False),
    Column("ended", Float),
    Column("lease_until", Float, nullable=False),
    PrimaryKeyConstraint("submission", "number"),
)

stages = Table(
    "stages",
    metadata,
    Column("submission", ForeignKey("submissions.id"), nullable=False),
    Column("key", String(32), nullable=False),
    Column("place", Integer, nullable=False),
    Column("record", Text, nullable=False),
    PrimaryKeyConstraint("submission", "key"),
)

findings = Table(
    "findings",
    metadata,
    Column("submission", ForeignKey("submissions.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("finding", Text, nullable=False),
    PrimaryKeyConstraint("submission", "attempt", "place"),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("submission", ForeignKey("submissions.id"), primary_key=True),
    Column("verdict", Text),
    Column("charged", Boolean, nullable=False),
)
"""The primary key is the promise: one verdict a submission, and no more than one charge."""

events = Table(
    "events",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("submission", String(12), nullable=False, index=True),
    Column("attempt", Integer),
    Column("name", String(32), nullable=False),
    Column("detail", Text, nullable=False),
)
