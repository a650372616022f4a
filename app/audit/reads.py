"""Rows of administrative calls that were granted and have only read: written together, and not one by one.

A row with a transaction of its own makes a read wait for the disk, and as dear as a write. These wait in memory
instead, for about a second (app.audit.linker). A process that is killed loses them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from itertools import islice
from typing import Any

from app.db import inserting
from app.env import Env
from app.models import AuditEvent

MOST = 2000
"""Rows that may wait. Then, as when the database is away for long, each call writes its own, and fails if it cannot."""
BATCH = 500
"""Rows of one transaction: nobody waits long for the one writer of SQLite."""


class Reads:
    """Takes no rows until somebody has said that they will write them."""

    def __init__(self) -> None:
        self._rows: deque[Mapping[str, Any]] = deque()
        self._lock = threading.Lock()
        self._open = False
        self.enough = threading.Event()
        """Is set when there are enough for a transaction."""

    def open(self) -> None:
        self._open = True

    def close(self) -> None:
        """Take no more; those that wait are still to be written."""
        with self._lock:
            self._open = False

    def put(self, row: Mapping[str, Any]) -> bool:
        """Whether it was taken: if not, whoever brings it writes it."""
        with self._lock:
            if not self._open or len(self._rows) >= MOST:
                return False
            self._rows.append(row)
            if len(self._rows) == BATCH:
                self.enough.set()
        return True

    def waiting(self) -> list[Mapping[str, Any]]:
        with self._lock:
            return list(self._rows)

    def write(self, env: Env) -> None:
        """Write all that wait. For one thread at a time. What could not be written goes on waiting; where nobody can
        tell whether it was, it is not written twice."""
        while True:
            with self._lock:
                rows = list(islice(self._rows, BATCH))
            if not rows:
                return
            with env.transaction():
                env.db.execute(inserting(env.db, AuditEvent).on_conflict_do_nothing(), rows)
            with self._lock:
                for _ in rows:
                    self._rows.popleft()
