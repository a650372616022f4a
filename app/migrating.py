"""How revisions run on PostgreSQL while servers use its tables: one process at a time, and in nobody's way for long.

A statement that alters a table waits for every transaction that has used it, and whoever comes later waits behind the
statement. So it gives up after LOCK_TIMEOUT, sooner than a request would, and the revision begins again after a pause
in which the others go on. Each revision is a transaction, so those before it stay.

SQLite has one writer, and a revision is quick there or takes its place: nothing of this is needed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

log = logging.getLogger(__name__)

LOCK_TIMEOUT = 1.0
"""Seconds that a statement of a revision waits for a lock."""
ATTEMPTS = 40
PAUSE, LONGEST_PAUSE = 1.0, 10.0
"""Seconds between two attempts; each failure doubles them. All together some six minutes."""
_KEY = 7262673
"""Of the advisory lock."""
LOCKED = "55P03"
_OLDEST = text(
    "SELECT pid, coalesce(nullif(application_name, ''), usename) AS who,"
    " extract(epoch FROM clock_timestamp() - xact_start)::int AS seconds FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
    " ORDER BY xact_start LIMIT 1"
)
_VALID = text(
    "SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
    " WHERE relname = :name AND relnamespace = current_schema()::regnamespace"
)

sleep = time.sleep


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """No other process migrates in this block: of hosts that start at once one does, and the others find nothing to do.

    The lock is the session's, because a revision may consist of several transactions. It is asked for again and again
    and not waited for: an index that is built concurrently waits for whoever waits in a statement.
    """
    while not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_KEY})").scalar():
        connection.commit()
        sleep(PAUSE / 2)
    driver: Any = connection.connection.dbapi_connection
    try:
        # Of the session; a revision that fills a column takes as long as there are rows.
        for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.exec_driver_sql(f"SET {name} = 0")
        _wait_for_locks(connection, LOCK_TIMEOUT)
        connection.commit()
        driver.patience = None
        yield
    finally:
        # With the connection go the settings, and the lock.
        connection.invalidate()


def _wait_for_locks(connection: Connection, seconds: float) -> None:
    connection.exec_driver_sql(f"SET lock_timeout = {round(seconds * 1000)}")


def patiently(connection: Connection, act: Callable[[], None]) -> None:
    """Migrate; begin again where a lock was not to be had."""
    pause = PAUSE
    for attempt in range(1, ATTEMPTS + 1):
        try:
            act()
            return
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != LOCKED or attempt == ATTEMPTS:
                raise
        connection.rollback()
        oldest = connection.execute(_OLDEST).first()
        connection.commit()
        log.warning(
            "a table is in use, and others must not wait behind the migration: it begins again in %g s%s",
            pause,
            f" (the oldest transaction is of {oldest.who}, pid {oldest.pid}, {oldest.seconds} s)" if oldest else "",
        )
        sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def create_index(name: str, table: str, columns: list[Any], *, unique: bool = False, where: str | None = None) -> None:
    """What a revision calls for an index of a table that is there already: PostgreSQL builds it CONCURRENTLY, while
    others write.

    It commits what the revision has done before: a revision with an index does nothing but make indexes, so that it can
    be begun again. An index that an interrupted attempt has left behind is not valid, and is made anew.
    """
    from alembic import op  # here only, as everything of it: see installation.migratable

    condition = text(where) if where else None
    if op.get_bind().dialect.name != "postgresql":
        op.create_index(name, table, columns, unique=unique, sqlite_where=condition, if_not_exists=True)
        return
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        # It waits for all transactions that are open, and nobody waits for it.
        _wait_for_locks(connection, 0)
        try:
            valid = connection.scalar(_VALID, {"name": name})
            if valid is False:
                op.drop_index(name, table_name=table, postgresql_concurrently=True)
            if not valid:
                op.create_index(
                    name, table, columns, unique=unique, postgresql_where=condition, postgresql_concurrently=True
                )
        finally:
            _wait_for_locks(connection, LOCK_TIMEOUT)
