"""The database: one engine for SQLite and PostgreSQL, and everything in which the two differ.

Owns `db`, the declarative base with named constraints, the column types (`utc`, JSON) and `raising()`, which turns a
violated constraint into the refusal it stands for. What a table means is for `models`; when a transaction begins
and ends is for `env`.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as FlaskSession
from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    Engine,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    event,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Session

from app import metrics, telemetry, traces
from app.config import Limits
from app.errors import Refusal

READONLY = "cognate_readonly"
"""Execution option of a connection that will not write: SQLite then begins without taking the one writer's place."""


BEGUN = "cognate_begun"
"""Execution option of a connection on which a transaction is open already (app.statements)."""

READ_ONLY = "25006"
"""SQLSTATE of a write to a standby."""

_FILE = "cognate_file"
"""Where a connection remembers which SQLite file it opened."""


class utc(TypeDecorator[datetime]):  # noqa: N801 - reads as a column type, like the ones of SQLAlchemy
    """A moment in UTC, aware on both engines (SQLite forgets the zone, PostgreSQL answers in the session's)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


document = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""A JSON document. Changes inside it are not noticed: assign a new one."""


def bytewise(length: int) -> String:
    """Text that is ordered by its bytes on both engines, which is by code point: whatever the database's language, an
    index of it finds all that begins with a prefix, and pages come in one order."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: utc, dict[str, Any]: document, list[Any]: document}


def table(model: type[Base]) -> Table:
    """The table below a model, for statements that the session need not follow: an INSERT of plain values costs a
    quarter of what the unit of work makes of it. Statements of hot requests are built once, at import."""
    found = model.__table__
    assert isinstance(found, Table)  # noqa: S101 - a model of ours is never mapped to a join
    return found


def inserting(session: Session, model: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that can say what is done ON CONFLICT, which both engines know and standard SQL does not."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    return insert(table(model))


class OurSession(FlaskSession):
    """A session that shares the transaction of hot statements (app.statements), where there is one."""

    def get_bind(self, *args: Any, **kwargs: Any) -> Engine | Connection:
        begun = self.info.get(TRANSACTION)
        found = begun.of_session() if begun is not None else None
        return found if found is not None else super().get_bind(*args, **kwargs)


TRANSACTION = "cognate_transaction"
"""Where a session has what is open (app.statements.Opened)."""

db = SQLAlchemy(metadata=Base.metadata, session_options={"expire_on_commit": False, "class_": OurSession})


FOREVER = 2**31 - 1
"""Milliseconds, as many as SQLite can be told to wait."""


def engine_options(
    url: str, pool_size: int, limits: Limits, *, synchronous: str = "full", connect_timeout: int | None = None
) -> dict[str, Any]:
    """Options of the engine, with a bounded pool: a worker that waits is better than a server that falls.

    `synchronous` is SQLite's pragma: `full`, or `normal`, with which a commit can be undone by a power cut. Of the
    limits SQLite has the one of a lock, for which it has one: its writer's place. `connect_timeout` is in seconds for
    each host, unless the URL says otherwise.
    """
    bounded = {
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": 5,
        # An error that is logged names its statement; the values in it are people's addresses and hashes.
        "hide_parameters": True,
        "json_serializer": _json,
        "json_deserializer": orjson.loads,
    }
    if url.startswith("sqlite"):
        return {**bounded, "pool_events": [(partial(_set_pragmas, synchronous, limits), "connect")]}
    from app import postgresql  # with the driver, which nobody else needs at the start

    return {
        **bounded,
        "pool_pre_ping": True,
        "creator": postgresql.creator(url, limits, connect_timeout, dumps=_json, loads=orjson.loads),
        "pool_events": postgresql.pool_events(limits),
    }


def _json(value: Any) -> str:
    return orjson.dumps(value).decode("utf-8")


def reading_options(url: str) -> dict[str, Any]:
    """Execution options of a connection that only reads: PostgreSQL in autocommit, SQLite as a reader."""
    return {READONLY: True} if url.startswith("sqlite") else {"isolation_level": "AUTOCOMMIT"}


@event.listens_for(Engine, "connect")
def _on_connect(connection: Any, record: Any) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    # The driver's own transaction handling begins late and loses updates silently; we begin ourselves, below.
    connection.isolation_level = None
    cursor = connection.cursor()
    # First to wait, because the change to WAL is itself something to wait for. With FULL each commit syncs the WAL to
    # the disk before it returns: what was acknowledged, such as a revocation, outlives a power cut.
    for pragma in ("busy_timeout=5000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    record.info[_FILE] = _identity(connection)


def _set_pragmas(synchronous: str, limits: Limits, connection: sqlite3.Connection, record: Any) -> None:
    """For an engine that was told so, after the above."""
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute(f"PRAGMA busy_timeout={round(limits.lock * 1000) or FOREVER}")


@event.listens_for(Engine, "handle_error")
def _on_error(context: ExceptionContext) -> None:
    """A connection to a server that has become a standby is given up, with all that are idle: behind one name, or one
    list of hosts, the new ones lead to the server that has taken over."""
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
        context.is_disconnect = True


def unhurried(connection: Connection) -> None:
    """Lift the limit of one statement from the transaction that is open on a connection, for what takes as long as
    there are rows. A lock is waited for no longer than ever."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.connection.dbapi_connection.patience = None  # type: ignore[union-attr]


@event.listens_for(Engine, "begin")
def _on_begin(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    # A plain BEGIN that reads first and writes later fails with "database is locked" as soon as two do it at once:
    # whoever is going to write takes the writer's place at the start and waits there, for busy_timeout at most.
    options = connection.get_execution_options()
    if not options.get(BEGUN):
        connection.exec_driver_sql("BEGIN" if options.get(READONLY) else "BEGIN IMMEDIATE")


def measure(engine: Engine) -> None:
    """Let each statement of this engine be measured. One that goes past SQLAlchemy calls telemetry.statement itself.

    What executes is wrapped; the events around it would take several times as long.
    """
    dialect: Any = engine.dialect
    for name in ("do_execute", "do_executemany", "do_execute_no_params"):
        setattr(dialect, name, _measured(getattr(dialect, name), dialect.name))


def _measured(execute: Callable[..., None], system: str) -> Callable[..., None]:
    clock, observe = time.perf_counter, metrics.STATEMENTS.observe

    def timed(cursor: Any, statement: str, *given: Any) -> None:
        # What telemetry.statement would do, without making an object for it.
        began = clock()
        try:
            execute(cursor, statement, *given)
        finally:
            observe(clock() - began)

    def traced(cursor: Any, statement: str, *given: Any) -> None:
        with telemetry.statement(statement, system):
            execute(cursor, statement, *given)

    return traced if traces.tracing() else timed


def replaced(connection: Connection) -> bool:
    """Whether the SQLite file of this connection is no longer the one that its name leads to.

    What is written to a file that was removed is lost with the process, and nothing else would tell.
    """
    opened = connection.info.get(_FILE)
    return opened is not None and opened != _identity(connection.connection.dbapi_connection)


def _identity(connection: Any) -> tuple[int, int] | None:
    (path,) = (row[2] for row in connection.execute("PRAGMA database_list") if row[1] == "main")
    return file_identity(Path(path))


def file_identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one that gets its name; None where there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def violated(error: IntegrityError) -> set[str]:
    """The name of the violated constraint: PostgreSQL tells it, SQLite tells the columns. Empty if neither does."""
    diag = getattr(error.orig, "diag", None)
    if diag is not None:
        return {diag.constraint_name} if diag.constraint_name else set()
    text = str(error.orig)
    if not text.startswith("UNIQUE constraint failed: "):  # NOT NULL tells its column in the same form
        return set()
    found = [part.strip().partition(".") for part in text.split(": ", 1)[1].split(",")]
    table = Base.metadata.tables.get(found[0][0])
    columns = {column for _, _, column in found}
    return {
        str(constraint.name)
        for constraint in (table.constraints if table is not None else ())
        if isinstance(constraint, UniqueConstraint | PrimaryKeyConstraint) and set(constraint.columns.keys()) == columns
    }


@contextmanager
def raising(session: Session, **refusals: Refusal) -> Iterator[None]:
    """Flush what is added in this block, and let a violated constraint of the given name be the refusal.

    Two requests for one name both pass any check made beforehand; the unique constraint is the check. The block runs
    in a savepoint, so that the transaction around it survives the refusal.
    """
    try:
        with session.begin_nested():
            yield
    except IntegrityError as error:
        for name in violated(error) & refusals.keys():
            raise refusals[name] from None
        raise


@contextmanager
def orphaned(refusal: Refusal) -> Iterator[None]:
    """Let the refusal be said where a row that is inserted in this block belongs to something that was deleted since it
    was read. Not one with `keep`: of the transaction nothing stands. What is inserted elsewhere, and belongs to
    nothing, is a bug."""
    try:
        yield
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) == "23503" or str(error.orig) == "FOREIGN KEY constraint failed":
            raise refusal from None
        raise
