"""Connections to PostgreSQL whose waiting ends: for a lock, for a statement, for a host that went away or froze.

The server ends statements that wait or run for too long; TCP gives up a host that no longer acknowledges. Neither helps
where a host freezes and its kernel goes on acknowledging: so the driver itself gives up an answer that is overdue, and
closes the connection. That holds for whatever uses the driver's connection, with or without SQLAlchemy.

Imported only where PostgreSQL is used: SQLite needs no driver of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout
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
        connection = cls.connect(**parameters)
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


def creator(url: str, limits: Limits, connect_timeout: int | None = None) -> Callable[[], Connection]:
    """Opens connections for an engine."""
    found, patience = parameters(url, limits, connect_timeout), _patience(limits)
    return lambda: Connection.open(patience, found)


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
