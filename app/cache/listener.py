"""Hears what other hosts change: a thread that LISTENs on a connection of its own to PostgreSQL.

Nothing depends on it but the time: while the connection is lost, or goes through a pooler that hands transactions to
any connection (PgBouncer's transaction mode, where LISTEN does not last), the cache still asks the database itself.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import selectors
import socket
import threading
from collections.abc import Callable, Iterator

import psycopg

from app.cache import CHANNEL
from app.config import Limits
from app.postgresql import PING, Connection, parameters

log = logging.getLogger(__name__)

SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two attempts to connect; each failure doubles them."""
CHECKED_AFTER = 15.0
"""Seconds without a notification after which the connection is asked for an answer."""


class Listener:
    """`heard` is told the number of each revision, and None when there may have been any: after each connect, since
    nobody listened before."""

    def __init__(self, url: str, heard: Callable[[int | None], None]) -> None:
        self._url = url
        self._heard = heard
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._process: int | None = None
        self._stopping = threading.Event()

    def ensure(self) -> None:
        """Begin to listen, if this process does not yet. The first request of a process calls this, and not whoever
        makes the application: a server may fork in between, which leaves threads behind (gunicorn with --preload)."""
        if self._process == os.getpid() and self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if self._process == os.getpid() and (self._stopping.is_set() or (self._thread and self._thread.is_alive())):
                return
            if self._process != os.getpid():
                self._process, self._stopping = os.getpid(), threading.Event()
                atexit.register(self.stop)
            self._ours, self._theirs = socket.socketpair()
            self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Close the connection and end the thread, for good."""
        with self._lock:
            if self._process != os.getpid() or self._thread is None:
                return
            self._stopping.set()
            self._ours.close()
            self._thread.join(timeout=2)  # it may be waiting for a host that does not answer
            atexit.unregister(self.stop)

    def _listen(self) -> None:
        pause, lost = SHORTEST_PAUSE, False
        with self._theirs:
            while not self._stopping.is_set():
                try:
                    with self._connected() as connection:
                        if lost:
                            log.warning("changes of configuration are heard of again")
                        pause, lost = SHORTEST_PAUSE, False
                        self._heard(None)
                        for revision in self._notifications(connection):
                            self._heard(revision)
                except psycopg.Error as error:
                    if not lost and not self._stopping.is_set():
                        lost = True
                        log.warning(
                            "changes of configuration that other hosts make are seen up to half a second late, until "
                            "there is a connection to listen on: %s",
                            _first_line(error),
                        )
                    self._stopping.wait(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Connection]:
        """To where the engine connects to, but outside its pool: requests must not be short of a connection."""
        given = {"fallback_application_name": "cognate-listener", **parameters(self._url, Limits())}
        with Connection.open(PING, {**given, "autocommit": True}) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            yield connection

    def _notifications(self, connection: Connection) -> Iterator[int | None]:
        with selectors.DefaultSelector() as waiting:
            waiting.register(connection.fileno(), selectors.EVENT_READ)
            waiting.register(self._theirs, selectors.EVENT_READ)
            while not self._stopping.is_set():
                for notification in connection.notifies(timeout=0):
                    # Whoever may use the database may notify, and with any text.
                    yield int(notification.payload) if notification.payload.isdecimal() else None
                if not waiting.select(CHECKED_AFTER):
                    # A host that froze, or was cut off, says nothing, and its successor has other connections.
                    connection.execute("SELECT 1")


def _first_line(error: psycopg.Error) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
