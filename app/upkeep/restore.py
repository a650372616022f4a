"""A backup becomes the database again: everything or nothing, in one transaction.

First the whole file is read, so that one that was altered or cut changes nothing. Then the tables are made as the
backup's version had them, filled, and migrated to this version's.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, MetaData, create_engine, func, inspect, select, text, update
from sqlalchemy.pool import NullPool

from app import installation
from app.cache import CHANNEL
from app.config import Limits, Settings
from app.crypto.seal import Seal, SealBroken
from app.db import Base, engine_options, table
from app.models import InstallationSecret, Restoration, Revision, seals
from app.upkeep.archive import Archive, BackupRefused

BATCH = 1000
LOCK = 30.0
"""Seconds that a table is waited for which somebody uses."""
OF_EACH = {
    InstallationSecret.__tablename__,
    Revision.__tablename__,
    Restoration.__tablename__,
    "alembic_version",
}
"""What a database has that was migrated and in which nothing has been made yet."""


@dataclass(frozen=True)
class Restored:
    made_at: datetime
    revision: str
    """Of the backup."""
    rows: dict[str, int]
    key_ids: list[str]
    accept_older_until: datetime | None
    number: int
    """Of the configuration, which has moved on (app.cache)."""


def check(archive: Archive) -> dict[str, Any]:
    """Read the whole of it, and return what its end says: `rows` by table and `key_ids`. Raises BackupRefused."""
    known = installation.revisions()
    if archive.header["revision"] not in known:
        raise BackupRefused(
            f"The backup is of revision {archive.header['revision']}, made by Cognate {archive.header['version']}; "
            f"this version knows {known[-1]} at most: restore it with the version that made it, or a newer one."
        )
    counted: dict[str, int] = {}
    end: dict[str, Any] | None = None
    name = ""
    for record in archive.records():
        if isinstance(record, list):
            counted[name] += 1
        elif "table" in record:
            name = record["table"]
            counted[name] = 0
        else:
            end = record["end"]
    if end is None or end["rows"] != counted:
        raise BackupRefused(f"The backup {archive.path} does not have what its end says: it was not written whole.")
    return end


def restore(
    settings: Settings,
    seal: Seal,
    archive: Archive,
    *,
    now: datetime,
    replace: bool = False,
    accept_older: timedelta | None = None,
    tell: Callable[[int], None] = lambda rows: None,
) -> Restored:
    """Make the database what the archive, which is unlocked, has. `replace`: what is in it now goes. `accept_older`:
    for how long refresh tokens are accepted that are newer than the backup. Raises BackupRefused,
    config.SettingsError."""
    end = check(archive)
    installation.make_database_file(settings)
    # A table is filled by one statement, however many rows it has; a lock that a server holds is soon free.
    options = engine_options(settings.database_url, 1, Limits(lock=LOCK), synchronous=settings.sqlite_synchronous)
    kept = {name: options[name] for name in options if not name.startswith(("pool_size", "max_overflow", "pool_time"))}
    engine = create_engine(settings.database_url, **{**kept, "poolclass": NullPool, "pool_pre_ping": False})
    until = now + accept_older if accept_older else None
    made_at = datetime.fromisoformat(archive.header["made_at"])
    with _exclusively(engine) as connection:
        number = _number(connection)
        _empty(connection, replace=replace)
        _migrate(connection, archive.header["revision"])
        _fill(connection, archive, tell)
        _migrate(connection, "head")
        _demand_openable(connection, seal)
        found = connection.scalar(select(Revision.number)) or 0
        number = max(number, found) + 1
        connection.execute(update(table(Revision)).values(number=number))
        connection.execute(table(Restoration).delete())
        connection.execute(
            table(Restoration).insert().values(id=1, made_at=made_at, restored_at=now, accept_older_until=until)
        )
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_notify(CHANNEL, str(number))))
    engine.dispose()
    return Restored(made_at, archive.header["revision"], end["rows"], end["key_ids"], until, number)


@contextmanager
def _exclusively(engine: Engine) -> Iterator[Connection]:
    """One transaction on a connection of its own, with nobody else who migrates."""
    with engine.connect() as connection:
        on_sqlite = connection.dialect.name == "sqlite"
        driver: Any = connection.connection.dbapi_connection
        if on_sqlite:
            # As in migrations/env.py: the pragma does nothing inside a transaction. That nothing points nowhere is
            # looked at in the end.
            driver.execute("PRAGMA foreign_keys=OFF")
        with connection.begin():
            if not on_sqlite:
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7262673)")
            yield connection
            if on_sqlite and driver.execute("PRAGMA foreign_key_check").fetchone():
                raise BackupRefused("The backup has rows that belong to nothing: it cannot be restored.")
        if on_sqlite:
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _number(connection: Connection) -> int:
    """Of the configuration of the database as it is: servers that use it know no greater one."""
    there = inspect(connection).has_table(Revision.__tablename__)
    return (connection.scalar(select(Revision.number)) or 0) if there else 0


def _empty(connection: Connection, *, replace: bool) -> None:
    """Take away the tables of Cognate. Raises BackupRefused where something is in them and shall not be replaced, and
    where they are a newer version's."""
    there = set(inspect(connection).get_table_names())
    ours = there & (Base.metadata.tables.keys() | {"alembic_version"})
    if not ours:
        return
    found = connection.scalar(text("SELECT version_num FROM alembic_version")) if "alembic_version" in ours else None
    if found is None:
        raise BackupRefused(f"The database has tables of another application ({', '.join(sorted(ours))}).")
    if found not in installation.revisions():
        raise BackupRefused(f"The database is at revision {found}: a newer version of Cognate has migrated it.")
    if not replace:
        for name in sorted(ours - OF_EACH):
            if connection.scalar(select(1).select_from(Base.metadata.tables[name]).limit(1)) is not None:
                raise BackupRefused(
                    f"The database is not empty (there are rows in {name}), and restoring replaces all that is in it: "
                    "name an empty database, or say --replace."
                )
    metadata = MetaData()
    metadata.reflect(connection, only=sorted(ours))
    metadata.drop_all(connection, checkfirst=False)


def _migrate(connection: Connection, revision: str) -> None:
    from alembic import command  # here only: a server that starts does not need it
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(installation.MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _fill(connection: Connection, archive: Archive, tell: Callable[[int], None]) -> None:
    into = _copy if connection.dialect.name == "postgresql" else _insert
    driver: Any = connection.dialect.dbapi
    done = 0
    for name, columns, rows in archive.tables():
        try:
            for count in into(connection, name, columns, rows):
                done += count
                tell(done)
        except driver.Error as failed:
            raise BackupRefused(
                f"The database does not take what the backup has in {name}, and is what it was: "
                f"{type(failed).__name__}, {str(failed).partition(chr(10))[0]}."
            ) from None


def _insert(
    connection: Connection, name: str, columns: Sequence[Sequence[str]], rows: Iterator[list[Any]]
) -> Iterator[int]:
    """Into SQLite; how many at a time."""
    quoted = connection.dialect.identifier_preparer.quote
    names, marks = ", ".join(quoted(column) for column, _ in columns), ", ".join("?" * len(columns))
    statement = f"INSERT INTO {quoted(name)} ({names}) VALUES ({marks})"  # noqa: S608 - names of our tables, quoted
    put = [_TO_SQLITE.get(kind) for _, kind in columns]
    driver: Any = connection.connection.dbapi_connection
    while batch := [_converted(row, put) for row in itertools.islice(rows, BATCH)]:
        driver.executemany(statement, batch)
        yield len(batch)


def _copy(
    connection: Connection, name: str, columns: Sequence[Sequence[str]], rows: Iterator[list[Any]]
) -> Iterator[int]:
    """Into PostgreSQL, by COPY; how many at a time."""
    quoted = connection.dialect.identifier_preparer.quote
    put = [_TO_POSTGRESQL.get(kind) for _, kind in columns]
    driver: Any = connection.connection.dbapi_connection
    with driver.cursor() as cursor:
        with cursor.copy(
            f"COPY {quoted(name)} ({', '.join(quoted(column) for column, _ in columns)}) FROM STDIN"
        ) as copy:
            while batch := [_converted(row, put) for row in itertools.islice(rows, BATCH)]:
                for row in batch:
                    copy.write_row(row)
                yield len(batch)
    counter = Base.metadata.tables[name].autoincrement_column if name in Base.metadata.tables else None
    if counter is not None:
        sequence = connection.scalar(select(func.pg_get_serial_sequence(quoted(name), counter.name)))
        if sequence is not None:
            connection.execute(
                select(func.setval(sequence, select(func.coalesce(func.max(counter), 0) + 1).scalar_subquery(), False))
            )


Convert = Callable[[Any], Any]


def _converted(row: list[Any], put: Sequence[Convert | None]) -> list[Any]:
    return [value if value is None or one is None else one(value) for value, one in zip(row, put, strict=True)]


def _moment_of_sqlite(value: str) -> str:
    """As SQLAlchemy stores it."""
    return datetime.fromisoformat(value).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _document(value: Any) -> str:
    return orjson.dumps(value).decode("utf-8")


_TO_SQLITE: Mapping[str, Convert] = {
    "time": _moment_of_sqlite,
    "json": _document,
    "bytes": base64.b64decode,
    "bool": int,
}
_TO_POSTGRESQL: Mapping[str, Convert] = {"json": _document, "bytes": base64.b64decode}


def _demand_openable(connection: Connection, seal: Seal) -> None:
    """Without its secrets an installation is none."""
    for name, sealed in connection.execute(select(InstallationSecret.name, InstallationSecret.sealed)):
        try:
            seal.open(sealed, about=seals.installation_secret(name))
        except SealBroken as broken:
            raise BackupRefused(f"The keys that were given do not open what the backup has: {broken}.") from None
