"""Whether this process can do what every request needs: write to the database, and open its secrets.

`checks` may be called from any thread, and as often as one likes: it asks once a second at most, on a connection of its
own and with limits of its own, so that it answers also when no connection of the pool is free. `demand` is the same
before a start.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app import installation
from app.config import Limits, Settings, SettingsError
from app.crypto.seal import Seal
from app.db import db, engine_options, file_identity, reading_options
from app.outages import kind, reason

log = logging.getLogger(__name__)

KEPT = 1.0
"""Seconds for which an answer is given again."""
LIMITS = Limits(lock=1, statement=2, idle_in_transaction=5)
BESIDE_THE_POOL = 2
"""Connections of a worker: one listens (app.cache.listener), one asks here."""
CONNECT = 2
"""Seconds for a connection to a host."""
SHOWN = ("not reachable", "read-only", "disk full", "locked", "I/O error")
"""What may be wrong with the database, as everybody may read it."""
_EXTENSION = "cognate_readiness"
_READ_ONLY = text("SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'")
_WRITE = text("UPDATE alembic_version SET version_num = version_num")
_ROOM = text(
    "SELECT current_setting('max_connections')::int, current_setting('superuser_reserved_connections')::int"
    " + coalesce(current_setting('reserved_connections', true), '0')::int"
)


@dataclass(frozen=True)
class Found:
    database: str = "ok"
    """`ok`, or in a word or two what is wrong: it is shown to everybody."""
    migrations: str = "unknown"
    key: str = "unknown"
    why: str = ""
    """What is wrong with the database, for the log: it names hosts and files."""


class Readiness:
    def __init__(
        self, app: Flask, settings: Settings, seal: Seal, ticks: Callable[[], float], *, serving: bool
    ) -> None:
        """`serving`: whether to keep the connection, as a process does that is asked again and again; and that has all
        its forks behind it when it is asked first."""
        self._app, self._settings, self._seal, self._ticks, self._serving = app, settings, seal, ticks, serving
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._file = Path(make_url(settings.database_url).database or "") if settings.sqlite else None
        self._opened = file_identity(self._file) if self._file else None
        self._found = Found()
        self._asked = float("-inf")
        self._locked_since: float | None = None

    def found(self) -> Found:
        """Of several threads that ask at once, one asks the database and the others wait for what it finds."""
        with self._lock:
            if self._ticks() - self._asked >= KEPT:
                before, self._found = self._found, self.look()
                self._asked = self._ticks()
                if self._found.why and self._found.why != before.why:
                    log.error("the database is %s: %s", self._found.database, self._found.why)
            return self._found

    def look(self) -> Found:
        """What there is to find now."""
        if self._file and self._opened != file_identity(self._file):
            # What is written to a file that was removed is lost with the process, and nothing else would tell.
            return Found("not reachable", why="its file was removed or replaced")
        if self._engine is None:
            self._engine = create_engine(
                self._settings.database_url,
                **engine_options(
                    self._settings.database_url,
                    1,
                    LIMITS,
                    synchronous=self._settings.sqlite_synchronous,
                    connect_timeout=CONNECT,
                ),
            )
        try:
            return self._ask(self._engine)
        except SQLAlchemyError as error:
            named = (kind(error) if isinstance(error, DBAPIError) else None) or "not reachable"
            shown = {"25006": "read-only", "53100": "disk full"}.get(named, named)
            return Found(shown if shown in SHOWN else "not reachable", why=reason(error))
        finally:
            if not self._serving:
                self._engine.dispose()

    def _ask(self, engine: Engine) -> Found:
        with engine.connect().execution_options(**reading_options(self._settings.database_url)) as connection:
            if engine.dialect.name == "postgresql":
                recovering, read_only = connection.execute(_READ_ONLY).one()
                if recovering or read_only:
                    why = "it is a standby" if recovering else "its transactions are read-only by default"
                    return Found("read-only", why=why)
            behind = installation.behind(connection)
            key = "unknown" if behind else self._key(connection)
        if behind != installation.EMPTY and engine.dialect.name == "sqlite":
            self._write(engine)
        return Found("ok", behind or "ok", key)

    def _write(self, engine: Engine) -> None:
        """A page to the disk, which may be full. That others are writing is no reason to take no requests, which wait
        for them too; that nobody else could write for longer than requests wait is one."""
        try:
            with engine.begin() as connection:
                connection.execute(_WRITE)
            self._locked_since = None
        except DBAPIError as error:
            if kind(error) != "locked":
                raise
            now = self._ticks()
            self._locked_since = now if self._locked_since is None else self._locked_since
            if now - self._locked_since > (self._settings.database_lock_timeout or 0):
                raise

    def _key(self, connection: Connection) -> str:
        try:
            opened = installation.secrets_in(connection, self._seal)
        except SettingsError:
            return "wrong"
        if opened is None:
            return "missing"
        # The database may have been migrated, or have become another one, since this process began.
        return "ok" if opened.cookies == self._app.secret_key else "another since the start"


def of(app: Flask, settings: Settings, seal: Seal, ticks: Callable[[], float], *, serving: bool) -> None:
    """Give an application what `checks` looks with."""
    app.extensions[_EXTENSION] = Readiness(app, settings, seal, ticks, serving=serving)


def checks(app: Flask) -> dict[str, str]:
    """`database`, `migrations` and `key`, each `ok` or what is wrong. From any thread, also without a context."""
    found: Found = app.extensions[_EXTENSION].found()
    return {"database": found.database, "migrations": found.migrations, "key": found.key}


def demand(app: Flask) -> None:
    """Refuse to serve what would fail every request. Raises SettingsError."""
    installation.demand_ready(app)
    found: Found = app.extensions[_EXTENSION].look()
    if found.database == "read-only" and not app.extensions["cognate"].settings.sqlite:
        raise SettingsError(
            f"COGNATE_DATABASE_URL leads to a server that cannot be written to ({found.why}): name the primary, or all "
            "hosts with ?target_session_attrs=read-write."
        )
    if found.database != "ok":
        raise SettingsError(f"The database cannot be written to ({found.database}): {found.why}.")


def shortage(app: Flask) -> str | None:
    """Says that PostgreSQL has fewer connections than the workers of this host may take; None where it has enough."""
    settings = app.extensions["cognate"].settings
    if settings.sqlite:
        return None
    with app.app_context(), db.engine.connect() as connection:
        most, reserved = connection.execute(_ROOM).one()
    workers, each = settings.workers_or_cores, settings.connections + BESIDE_THE_POOL
    if workers * each <= most - reserved:
        return None
    return (
        f"{workers} workers with {each} connections each (COGNATE_DATABASE_POOL {settings.connections}, one to "
        f"listen on and one for /readyz) may take {workers * each} connections, and PostgreSQL has {most - reserved} "
        f"(max_connections {most}, {reserved} of them reserved): under load, requests will be refused. Set "
        f"max_connections to {workers * each + reserved} at least, or lower COGNATE_WORKERS or COGNATE_DATABASE_POOL."
    )
