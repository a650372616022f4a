"""The database: whether it answers, whether it is this version's, and whether its settings lose anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError

from app import installation, readiness
from app.config import Settings, SettingsError
from app.db import engine_options, reading_options
from app.doctor.finding import Finding, Group
from app.doctor.subject import Subject
from app.outages import reason

tell = Group("database")

OLDEST = 150000
"""server_version_num of the oldest major version that the PostgreSQL project maintains at the end of 2026."""
HASTY = 1000
"""Milliseconds below which a time-out ends what only waits for its turn."""


def check(subject: Subject) -> list[Finding]:
    settings = subject.settings
    try:
        with connected(settings) as connection:
            if connection.dialect.name == "sqlite":
                found = sqlite(_pragmas(connection))
            else:
                found = postgresql(_served(connection), settings)
    except SettingsError:
        return [tell.skipped("database", "There is no database to look at.")]
    except DBAPIError as failed:
        fix = "start the database, or correct COGNATE_DATABASE_URL"
        return [tell.problem("connection", f"The database cannot be reached: {reason(failed)}.", fix)]
    return [*found, *_migrations(subject)]


@contextmanager
def connected(settings: Settings) -> Iterator[Connection]:
    """A connection that only reads, as the server would have it. Raises SettingsError for a file that is not there;
    DBAPIError."""
    installation.demand_database(settings)
    options = engine_options(
        settings.database_url, 1, settings.database_limits, synchronous=settings.sqlite_synchronous
    )
    engine = create_engine(settings.database_url, **options)
    try:
        with engine.connect().execution_options(**reading_options(settings.database_url)) as connection:
            yield connection
    finally:
        engine.dispose()


def _migrations(subject: Subject) -> Iterator[Finding]:
    if subject.app is None:
        return
    behind = installation.pending_migrations(subject.app)
    if behind is None and subject.app.secret_key is None:
        behind = "without its secrets"
    if behind:
        yield tell.problem("migrations", f"The database is {behind}.", "cognate migrate")
    else:
        yield tell.fine("migrations", f"The database is at revision {installation.revisions()[-1]} or a newer one.")


# -- SQLite ----------------------------------------------------------------------------------------------------


def _pragmas(connection: Connection) -> dict[str, Any]:
    return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")}


def sqlite(pragmas: dict[str, Any]) -> list[Finding]:
    """What is to be said of these pragmas, as a connection of ours has them."""
    found = []
    if pragmas["journal_mode"] != "wal":
        what = f"SQLite's journal mode is {pragmas['journal_mode']} and not WAL: whoever reads waits for whoever writes"
        fix = "put the database on a disk of this host, and let the user of the server write to its directory"
        found.append(tell.problem("wal", f"{what}.", fix))
    if int(pragmas["synchronous"]) < 2:
        what = "A power cut can undo what was acknowledged: revocations, used codes, sign-ups"
        found.append(tell.advice("synchronous", f"{what}.", "unset COGNATE_SQLITE_SYNCHRONOUS"))
    return found or [tell.fine("sqlite", "SQLite writes ahead, and syncs each commit.")]


# -- PostgreSQL ------------------------------------------------------------------------------------------------

_SETTINGS = text("SELECT name, setting FROM pg_settings")
_FACTS = text(
    "SELECT pg_is_in_recovery() AS standby, "
    "(SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS role_limit, "
    "(SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS database_limit, "
    "coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted, "
    "inet_server_addr() IS NOT NULL AND NOT inet_server_addr() <<= '127.0.0.0/8' "
    "AND inet_server_addr() <> '::1' AS remote"
)


@dataclass(frozen=True)
class Served:
    """What a PostgreSQL server says of itself to a connection of ours."""

    settings: dict[str, str]
    standby: bool
    role_limit: int
    """Connections that the role may have; -1: any number. So for the database, below."""
    database_limit: int
    encrypted: bool
    remote: bool


def _served(connection: Connection) -> Served:
    settings = {row.name: str(row.setting) for row in connection.execute(_SETTINGS)}
    return Served(settings=settings, **connection.execute(_FACTS).one()._asdict())


def postgresql(served: Served, settings: Settings) -> list[Finding]:
    """What is to be said of a server that says this of itself."""
    found = [
        *_version(served),
        *_connections(served, settings),
        *_durability(served),
        *_timeouts(served),
    ]
    if served.remote and not served.encrypted:
        what = "The connection to the database is not encrypted, and leaves this host"
        found.append(tell.advice("encryption", f"{what}.", "?sslmode=verify-full in COGNATE_DATABASE_URL"))
    return found


def _version(served: Served) -> Iterator[Finding]:
    number = int(served.settings["server_version_num"])
    if number < OLDEST:
        what = f"PostgreSQL {served.settings['server_version']} is no longer maintained"
        yield tell.advice("version", f"{what}.", f"upgrade it to PostgreSQL {OLDEST // 10000} or newer")
    else:
        yield tell.fine("version", f"PostgreSQL {served.settings['server_version']}.")
    if served.settings["server_encoding"] != "UTF8":
        what = f"The database's encoding is {served.settings['server_encoding']}: most names cannot be stored"
        fix = "make a database with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`, and restore into it"
        yield tell.problem("encoding", f"{what}.", fix)


def _connections(served: Served, settings: Settings) -> Iterator[Finding]:
    reserved = ("superuser_reserved_connections", "reserved_connections")
    room = int(served.settings["max_connections"]) - sum(int(served.settings.get(name, 0)) for name in reserved)
    limits = [room, *(limit for limit in (served.role_limit, served.database_limit) if limit >= 0)]
    room, workers = min(limits), settings.workers_or_cores
    need = workers * (settings.connections + readiness.BESIDE_THE_POOL)
    more = readiness.BESIDE_THE_POOL
    each = f"{workers} workers with COGNATE_DATABASE_POOL={settings.connections}, and {more} more each"
    if need > room:
        fix = (
            f"max_connections above {need + int(served.settings['max_connections']) - limits[0]} in postgresql.conf "
            "(and no lower limit of the role or the database), or less COGNATE_WORKERS or COGNATE_DATABASE_POOL"
        )
        yield tell.problem("connections", f"{need} connections may be wanted ({each}), and {room} may be had.", fix)
    else:
        yield tell.fine(
            "connections", f"{need} connections at most ({each}) of {room}: enough for {room // need} such hosts."
        )


def _durability(served: Served) -> Iterator[Finding]:
    if served.standby:
        what = "The database is a standby, which takes no writes"
        fix = "name the primary in COGNATE_DATABASE_URL, or several hosts and target_session_attrs=read-write"
        yield tell.problem("standby", f"{what}.", fix)
    elif served.settings["default_transaction_read_only"] == "on":
        fix = "ALTER ROLE … RESET default_transaction_read_only, and the same of the database"
        yield tell.problem("read-only", "Transactions of this role are read-only.", fix)
    for name in ("fsync", "full_page_writes"):
        if served.settings[name] == "off":
            what = f"{name} is off: a power cut can destroy the database"
            yield tell.problem(name, f"{what}.", f"{name} = on in postgresql.conf")
    if served.settings["synchronous_commit"] == "off":
        what = "synchronous_commit is off: a crash of the database can undo revocations and used codes"
        yield tell.advice("synchronous_commit", f"{what}.", "ALTER ROLE … SET synchronous_commit = on")


def _timeouts(served: Served) -> Iterator[Finding]:
    wanted = {
        "statement_timeout": "a statement that hangs holds a thread for as long",
        "lock_timeout": "a lock that is never released holds a thread for as long",
        "idle_in_transaction_session_timeout": "a host that vanishes keeps its locks until TCP gives up",
    }
    for name, danger in wanted.items():
        milliseconds = int(served.settings[name])
        if milliseconds == 0:
            yield tell.advice(name, f"{name} is not set: {danger}.", f"ALTER ROLE … SET {name} = '30s'")
        elif milliseconds < HASTY:
            what = f"{name} is {milliseconds} ms, which ends what only waits for its turn on a busy day"
            yield tell.advice(name, f"{what}.", f"ALTER ROLE … SET {name} = '30s'")
