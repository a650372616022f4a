"""Where requests are counted: in the memory of this process, in the database, or in a store that hosts share.

All count in fixed windows, which begin with the first request. A caller gets through twice the limit at most where one
window ends and the next begins; that is all the same to capacity, and a window of this kind is a number and a time.

The storage in memory of the package `limits` is not used: it takes 7 microseconds for each count, starts a thread every
10 milliseconds while there is traffic, which looks at all keys, has no bound, and goes by the wall clock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Engine, bindparam, case, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from app.config import Settings, SettingsError
from app.db import READONLY, table, utc
from app.env import Counters, Keyed
from app.models import RateCounter
from app.outages import Outages

log = logging.getLogger(__name__)

Key = tuple[str, ...]


class Memory(Counters):
    """Of this process alone: with several workers, each allows the whole limit. A clock that is set does not matter."""

    MOST = 50_000
    """Keys, some 15 MB. Whoever invents more of them makes room by losing the counts of those."""

    def __init__(self, ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._lock = threading.Lock()
        self._windows: dict[Key, list[float]] = {}
        """How many, and when the window ends."""

    def hit(self, key: Key, amount: int, seconds: int) -> float | None:
        now = self._ticks()
        with self._lock:
            window = self._windows.get(key)
            if window is None or window[1] <= now:
                if window is None and len(self._windows) >= self.MOST:
                    self._make_room(now)
                self._windows[key] = window = [0, now + seconds]
            window[0] += 1
            return None if window[0] <= amount else window[1] - now

    def used_up(self, key: Key, amount: int, seconds: int) -> float | None:
        window, now = self._windows.get(key), self._ticks()
        return None if window is None or window[0] < amount or window[1] <= now else window[1] - now

    def _make_room(self, now: float) -> None:
        """Forget what is over; while that is too little, the quarter with the lowest counts. Callers who are being
        limited stay, however many keys they make up."""
        self._windows = {key: window for key, window in self._windows.items() if window[1] > now}
        enough = self.MOST * 3 // 4
        if len(self._windows) > enough:
            # Of equal counts the older ones go: the sort is stable, and a dict is in the order of its making.
            ordered = sorted(self._windows, key=lambda key: self._windows[key][0])
            for key in ordered[: len(ordered) - enough]:
                del self._windows[key]


class Database(Counters):
    """One table, by all workers and hosts together: one statement for each count, in a transaction of its own. On
    PostgreSQL the table is not logged, so nothing is synced; on SQLite each count takes the place of the one writer."""

    def __init__(
        self, engine: Callable[[], Engine], now: Callable[[], datetime], outages: Outages, keyed: Keyed
    ) -> None:
        self._engine = engine
        self._now = now
        self._outages = outages
        self._keyed = keyed

    def hit(self, key: Key, amount: int, seconds: int) -> float | None:
        now = self._now()
        given = {"counted": _digest(self._keyed, key), "now": now, "end": now + timedelta(seconds=seconds)}
        with self._outages.translated(), self._engine().connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            found = connection.execute(_COUNT[connection.dialect.name], given).one()
            connection.commit()
        return None if found[0] <= amount else (found[1] - now).total_seconds()

    def used_up(self, key: Key, amount: int, seconds: int) -> float | None:
        now = self._now()
        given = {"counted": _digest(self._keyed, key), "now": now, "end": now + timedelta(seconds=seconds)}
        with self._outages.translated(), self._engine().connect() as connection:
            connection = connection.execution_options(**{READONLY: True})
            found = connection.execute(_LOOK, given).one_or_none()
        return None if found is None or found[0] < amount else (found[1] - now).total_seconds()


class Shared(Counters):
    """In Redis, or another store that the package `limits` knows, by all workers and hosts together.

    While it does not answer, this process counts in its memory: a server that refused everybody would do to itself what
    the limits are to prevent.
    """

    AWAY_FOR = 5.0
    """Seconds after a failure for which it is not asked again."""
    PATIENCE = 0.25
    """Seconds that a request waits for it."""

    def __init__(self, url: str, ticks: Callable[[], float], keyed: Keyed) -> None:
        """Raises SettingsError."""
        try:
            from limits.errors import ConfigurationError, StorageError
            from limits.storage import Storage, storage_from_string
        except ModuleNotFoundError:
            raise SettingsError(
                "COGNATE_RATE_LIMIT_STORAGE names a Redis, and the packages for that are not installed: "
                "pip install 'cognate-idp[redis]'."
            ) from None
        patience = {"socket_timeout": self.PATIENCE, "socket_connect_timeout": self.PATIENCE}
        try:
            storage = storage_from_string(url, wrap_exceptions=True, **patience)
        except (ConfigurationError, ValueError) as wrong:
            raise SettingsError(f"COGNATE_RATE_LIMIT_STORAGE cannot be used: {type(wrong).__name__}.") from None
        assert isinstance(storage, Storage)  # noqa: S101 - the others begin with async+
        self._storage, self._failure = storage, StorageError
        self._ticks, self._keyed = ticks, keyed
        self._memory = Memory(ticks)
        self._away_until = float("-inf")

    def hit(self, key: Key, amount: int, seconds: int) -> float | None:
        name = _digest(self._keyed, key)
        return self._asked(
            lambda: self._left(name) if self._storage.incr(name, seconds) > amount else None,
            lambda: self._memory.hit(key, amount, seconds),
        )

    def used_up(self, key: Key, amount: int, seconds: int) -> float | None:
        name = _digest(self._keyed, key)
        return self._asked(
            lambda: self._left(name) if self._storage.get(name) >= amount else None,
            lambda: self._memory.used_up(key, amount, seconds),
        )

    def _left(self, name: str) -> float:
        # Its window may end in between.
        return max(0.001, self._storage.get_expiry(name) - time.time())

    def _asked(self, ask: Callable[[], float | None], instead: Callable[[], float | None]) -> float | None:
        if self._ticks() >= self._away_until:
            try:
                return ask()
            except self._failure as failed:
                self._away_until = self._ticks() + self.AWAY_FOR
                log.warning(
                    "the storage of rate limits does not answer, so each worker counts by itself: %s",
                    type(failed.__cause__ or failed).__name__,
                )
        return instead()


def of(
    settings: Settings,
    *,
    ticks: Callable[[], float],
    now: Callable[[], datetime],
    engine: Callable[[], Engine],
    outages: Outages,
    keyed: Keyed,
) -> Counters:
    """The counters that the settings ask for. Raises SettingsError."""
    match settings.rate_limit_storage:
        case "memory":
            return Memory(ticks)
        case "database":
            return Database(engine, now, outages, keyed)
        case url:
            return Shared(url, ticks, keyed)


def _digest(keyed: Keyed, key: Key) -> str:
    """What a counter is called outside this process: names and addresses of people stay here."""
    return keyed.digest("limits", "\0".join(f"{len(part)} {part}" for part in key))


_TABLE = table(RateCounter)
_NOW, _END = bindparam("now", type_=utc()), bindparam("end", type_=utc())
# A window that ends later than one that begins now was begun by a clock that has been set back since: without this
# whoever used it up would wait for as long as the clock was wrong.
_OVER = (_TABLE.c.expires_at <= _NOW) | (_TABLE.c.expires_at > _END)
_LOOK = select(_TABLE.c.count, _TABLE.c.expires_at).where(_TABLE.c.key == bindparam("counted"), ~_OVER)


def _counting(insert: postgresql.Insert | sqlite.Insert) -> ReturningInsert[int, datetime]:
    """Count one more. One statement, whatever runs in parallel."""
    return (
        insert.values(key=bindparam("counted"), count=1, expires_at=_END)
        .on_conflict_do_update(
            index_elements=[_TABLE.c.key],
            set_={
                "count": case((_OVER, 1), else_=_TABLE.c.count + 1),
                "expires_at": case((_OVER, _END), else_=_TABLE.c.expires_at),
            },
        )
        .returning(_TABLE.c.count, _TABLE.c.expires_at)
    )


_COUNT = {
    "sqlite": _counting(sqlite.insert(_TABLE)),
    "postgresql": _counting(postgresql.insert(_TABLE)),
}
