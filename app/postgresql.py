"""Connections to PostgreSQL whose waiting ends: for a lock, for a statement, for a host that went away or froze.

The server ends statements that wait or run for too long; TCP gives up a host that no longer acknowledges. Neither helps
where a host freezes and its kernel goes on acknowledging: so the driver itself gives up an answer that is overdue, and
closes the connection. That holds for whatever uses the driver's connection, with or without SQLAlchemy.

Of a process only a few threads wait for one row: whoever asks for one that somebody has locked gets no thread more
(`Rows`).

Imported only where PostgreSQL is used: SQLite needs no driver of it.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar, cast

import psycopg
from psycopg.abc import PQGen
from psycopg.adapt import AdaptersMap
from psycopg.errors import _WaitTimeout
from psycopg.types.json import set_json_dumps, set_json_loads
from sqlalchemy.engine import make_url

from app.config import Limits

RV = TypeVar("RV")

GRACE = 1.0
"""Seconds after which an answer is overdue that the server should have given: it ends the statement itself first."""
PING = 2.0
"""Seconds for the first answer on a connection that was idle. It costs the server nothing but the round trip."""
TCP = {
    # A host that vanishes says nothing: an idle connection would look well for two hours, and one with unacknowledged
    # data for a quarter of an hour.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
AT_ONE_ROW = 2
"""Threads of a process that go on waiting for one row: fewer than there are threads for any kind of work."""
NOTICED_AFTER = 0.3
"""Seconds that somebody has to have waited for a row before others are refused it: two requests for one user are usual,
and done with each other in milliseconds."""
REMEMBERED = 2.0
"""Seconds for which it is remembered that a row was waited for in vain."""
MOST_STATEMENTS = 4000
"""Statements of which it is remembered whether they lock rows."""
ONE_HOST, SEVERAL_HOSTS = 5, 3
"""Seconds for a connection to one host. Of several, those that do not answer are waited for one after the other."""


def _patience(limits: Limits) -> float | None:
    return limits.statement + GRACE if limits.statement else None


def _options(limits: Limits) -> str:
    """As the server takes them when a session begins."""
    given = {
        "lock_timeout": limits.lock,
        "statement_timeout": limits.statement,
        "idle_in_transaction_session_timeout": limits.idle_in_transaction,
    }
    return " ".join(f"-c {name}={round(seconds * 1000)}" for name, seconds in given.items() if seconds)


_LOCKING = re.compile(r"\bFOR (NO KEY )?UPDATE\b|\bFOR (KEY )?SHARE\b|^\s*UPDATE\b|\bON CONFLICT\b", re.IGNORECASE)
_NOT_WAITING = re.compile(r"\b(SKIP LOCKED|NOWAIT)\b", re.IGNORECASE)
_NAMING = frozenset((str, bytes, int))
"""Types of parameters that name rows. Moments and documents are others with each request."""


class RowTaken(psycopg.errors.LockNotAvailable):
    """Enough threads wait for this row. It is what the server says after lock_timeout (55P03), only sooner."""


class Rows:
    """Which rows are being waited for: one user's row that stays locked would otherwise take every thread, as long as
    somebody goes on asking for that user.

    A row is known by the statement that locks it and the parameters that name it. To know that a statement waits, it is
    enough that it has not ended for so long.
    """

    def __init__(self, ticks: Callable[[], float]) -> None:
        """`ticks` is a monotonic clock in seconds."""
        self._ticks = ticks
        self._lock = threading.Lock()
        self._began: dict[tuple[Any, ...], list[float]] = {}
        self._taken: dict[tuple[Any, ...], float] = {}
        """Until when a row is taken for one that is locked."""
        self._locking: dict[str, bool] = {}

    def locked_by(self, statement: str) -> bool:
        """Whether a statement waits for rows that others have locked."""
        known = self._locking.get(statement)
        if known is None:
            if len(self._locking) >= MOST_STATEMENTS:
                self._locking.clear()
            known = bool(_LOCKING.search(statement)) and not _NOT_WAITING.search(statement)
            self._locking[statement] = known
        return known

    def enter(self, statement: str, given: Iterable[Any]) -> tuple[tuple[Any, ...], float]:
        """Begin with a statement. Returns what to leave with. Raises RowTaken."""
        row = (statement, *[value for value in given if type(value) in _NAMING])
        now = self._ticks()
        with self._lock:
            waiting = self._began.setdefault(row, [])
            if len(waiting) >= AT_ONE_ROW and (now - waiting[0] > NOTICED_AFTER or self._taken.get(row, now) > now):
                raise RowTaken(f"{len(waiting)} threads of this process are waiting for this row already")
            waiting.append(now)
        return row, now

    def leave(self, row: tuple[Any, ...], began: float) -> None:
        """The statement has ended."""
        now = self._ticks()
        with self._lock:
            waiting = self._began[row]
            waiting.remove(began)
            if not waiting:
                del self._began[row]
            if now - began > NOTICED_AFTER:
                self._taken = {one: until for one, until in self._taken.items() if until > now}
                self._taken[row] = now + REMEMBERED
            elif self._taken:
                self._taken.pop(row, None)


_rows = Rows(time.monotonic)


class Cursor(psycopg.Cursor[Any]):
    def execute(
        self, query: Any, params: Any = None, *, prepare: bool | None = None, binary: bool | None = None
    ) -> Self:
        if type(query) is not str or not params or not _rows.locked_by(query):
            return super().execute(query, params, prepare=prepare, binary=binary)
        given = cast(Mapping[str, Any], params).values() if isinstance(params, Mapping) else cast(Sequence[Any], params)
        entered = _rows.enter(query, given)
        try:
            return super().execute(query, params, prepare=prepare, binary=binary)
        finally:
            _rows.leave(*entered)


class Connection(psycopg.Connection[Any]):
    patience: float | None = None
    """Seconds for each answer of the server; None: as long as it takes."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """All that this connection sends waits here for its answer."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.patience)
        except _WaitTimeout:
            # What the server makes of the statement is unknown, and its answer may still come: nobody may take it for
            # that of the next one. (To close sends nothing that has to be waited for.)
            self.pgconn.finish()
            raise psycopg.OperationalError(
                f"the server has not answered within {self.patience:g} s; the connection was closed"
            ) from None

    @classmethod
    def open(cls, patience: float | None, parameters: dict[str, Any]) -> Self:
        connection = cls.connect(cursor_factory=Cursor, **parameters)
        connection.patience = patience
        return connection


def parameters(url: str, limits: Limits, connect_timeout: int | None = None) -> dict[str, Any]:
    """What the driver connects with. What the URL says goes before what is usual here."""
    parsed = make_url(url)
    _, given = parsed.get_dialect()().create_connect_args(parsed)
    several = "," in str(given.get("host", ""))
    usual = {"connect_timeout": connect_timeout or (SEVERAL_HOSTS if several else ONE_HOST), **TCP}
    # The last one of a name is the one that counts.
    options = f"{_options(limits)} {given.get('options', '')}".strip()
    return {**usual, **given, **({"options": options} if options else {})}


class Hosts:
    """Opens connections to the one of several hosts that takes writes, and asks the one that did so last first: a host
    that is frozen would otherwise be waited for again with each connection."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self._parameters = parameters
        hosts, ports = (str(parameters.get(name, "")).split(",") for name in ("host", "port"))
        # Elsewhere the order is an order of preference.
        writes = parameters.get("target_session_attrs") in ("read-write", "primary")
        several = writes and len(hosts) > 1 and len(hosts) == len(ports) and "hostaddr" not in parameters
        self._order = list(zip(hosts, ports, strict=True)) if several else []

    def open(self, patience: float | None) -> Connection:
        order = self._order
        if not order:
            return Connection.open(patience, self._parameters)
        hosts, ports = (",".join(part) for part in zip(*order, strict=True))
        try:
            connection = Connection.open(patience, {**self._parameters, "host": hosts, "port": ports})
        except psycopg.OperationalError:
            self._order = [*order[1:], order[0]]
            raise
        took = (connection.info.host, str(connection.info.port))
        self._order = [took, *(one for one in order if one != took)]
        return connection


def creator(
    url: str,
    limits: Limits,
    connect_timeout: int | None = None,
    *,
    dumps: Callable[[Any], str],
    loads: Callable[[str | bytes], Any],
) -> Callable[[], Connection]:
    """Opens connections for an engine. `dumps` and `loads` are what it makes JSON with: SQLAlchemy gives them to
    connections that it opens itself, and to no others."""
    adapters = AdaptersMap(psycopg.adapters)
    set_json_dumps(dumps, adapters)
    set_json_loads(loads, adapters)
    given = {**parameters(url, limits, connect_timeout), "context": adapters}
    hosts, patience = Hosts(given), _patience(limits)
    return lambda: hosts.open(patience)


def pool_events(limits: Limits) -> list[tuple[Callable[..., None], str]]:
    """What an engine does at its pool: a connection that was idle has to answer the ping soon."""

    patience = _patience(limits)
    first = None if patience is None else min(PING, patience)

    def given_back(connection: Connection | None, record: Any) -> None:
        if connection is not None:
            connection.patience = first

    def taken(connection: Connection, record: Any, proxy: Any) -> None:
        connection.patience = patience

    return [(given_back, "checkin"), (taken, "checkout")]
