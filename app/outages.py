"""What the database says when it cannot serve just now, told from what it says of a mistake of ours.

A connection that is refused or cut, a pool with none to spare, a lock or a statement that took too long, a full disk:
none of these is a bug, and each passes. They become errors.ServiceUnavailable, in one place (env), and one line of the
log; everything else stays the exception that it is.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app import metrics
from app.errors import ServiceUnavailable

log = logging.getLogger(__name__)

PAUSE = 10.0
"""Seconds between two lines of the log about outages of one kind."""
CLASSES = ("08", "53", "57", "58")
"""Of SQLSTATE: connection exceptions, insufficient resources, operator intervention, system errors."""
STATES = {"40001", "55P03", "25006", "25P03", "25P04"}
"""SQLSTATE: serialization failure, lock not available, a write to a standby, as a failover has it for a moment, and
transactions that the server ended because they did nothing, or lasted, for too long.
(40P01, a deadlock, is errors.TooManyRequests: see env.)"""
SQLITE = {
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_IOERR: "I/O error",
    sqlite3.SQLITE_FULL: "disk full",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
}
"""Primary result codes, which are the low byte of the extended ones."""


class Outages:
    def __init__(self, ticks: Callable[[], float]) -> None:
        """`ticks` is a monotonic clock in seconds."""
        self._ticks = ticks
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Let an error of the database that is none of ours be errors.ServiceUnavailable."""
        try:
            yield
        except (DBAPIError, PoolTimeout) as error:
            found = kind(error)
            if found is None:
                raise
            metrics.OUTAGES.add(found)
            self._tell(found, reason(error))
            raise ServiceUnavailable from error

    def refuse(self, kind: str, said: str) -> ServiceUnavailable:
        """What to raise instead of asking a database that would not answer in time."""
        metrics.OUTAGES.add(kind)
        self._tell(kind, said)
        return ServiceUnavailable()

    def _tell(self, kind: str, said: str) -> None:
        """One line, without a stack: when a database goes, each request of each second would write the same."""
        now = self._ticks()
        with self._lock:
            if now - self._told.get(kind, float("-inf")) < PAUSE:
                self._untold[kind] = self._untold.get(kind, 0) + 1
                return
            self._told[kind] = now
            untold = self._untold.pop(kind, 0)
        more = f" ({untold} more of this kind since the last line about it)" if untold else ""
        log.error("the database is not available (%s): %s%s", kind, said, more)


def kind(error: DBAPIError | PoolTimeout) -> str | None:
    """A short name of the outage; None for an error that is a mistake of ours."""
    if isinstance(error, PoolTimeout):
        return "pool exhausted"
    if isinstance(error.orig, sqlite3.Error):
        return SQLITE.get(getattr(error.orig, "sqlite_errorcode", 0) & 0xFF)
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state if state in STATES or state.startswith(CLASSES) else None
    # Nobody answered, so that there is no SQLSTATE: the driver could not connect, or its connection was cut.
    return "no connection" if error.connection_invalidated or isinstance(error, OperationalError) else None


def reason(error: BaseException) -> str:
    """The driver's first line, or what each of several hosts said. (SQLAlchemy's own text quotes statements, and a URL
    with its password.)"""
    said = str(error.orig if isinstance(error, DBAPIError) else error.args[0] if error.args else "")
    lines = said.strip().splitlines()
    hosts = [line.removeprefix("- ") for line in lines if line.startswith("- host: ")]
    return "; ".join(hosts or lines[:1] or [type(error).__name__]).rstrip(".")
