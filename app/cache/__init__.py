"""Configuration as this process knows it: read from the database once, and believed until it may have changed.

What one answer has said, the next request must see, whichever process takes it. A process learns of a change made by
another one in these ways (docs/decisions/009):

- on the same host by a value in shared memory (`app.cache.version`), which is compared at every use;
- from another host by PostgreSQL's NOTIFY (`app.cache.listener`), a few milliseconds later;
- by the number of the revision in the database, which is asked for before a request that must not be behind
  (`Cache.refresh`), and otherwise at most every STALE_AFTER seconds: that remains where the other two fail.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from app import metrics
from app.cache.version import Version

T = TypeVar("T")

STALE_AFTER = 0.5
"""Seconds for which cached configuration is believed without asking the database whether it changed."""
AWAY_FOR = 5.0
"""Seconds for which a database that did not answer a question is taken to be away, by those who may do without it."""
ANSWERS_WITHIN = 0.25
"""Seconds after which a question that is not answered is taken for one that will not be, by the same: a database that
freezes refuses nothing, and is silent for as long as anybody waits."""
CHANNEL = "cognate_configuration"
"""Of PostgreSQL's notifications: they carry the number of the revision that a transaction has made."""


class Cache:
    """Values made from rows of configuration. All are dropped together, at any change.

    Only found things are kept: what is not there may be created by another process the next moment.
    """

    def __init__(
        self,
        revision: Callable[[], int],
        ticks: Callable[[], float],
        version: Version,
        *,
        one_host: bool,
        listen: Callable[[], None] = lambda: None,
    ) -> None:
        """`revision` asks the database for the number of the revision, `ticks` is a monotonic clock in seconds.
        `one_host`: whether no process of another host can use the database. `listen` is called before each question to
        the database, and sees to it that somebody listens for what other hosts change."""
        self._revision = revision
        self._ticks = ticks
        self._version = version
        self._one_host = one_host
        self._listen = listen
        self._lock = threading.Lock()
        self._values: dict[Hashable, Any] = {}
        self._generation = 0
        self._read_under: int | None = None
        """The version that was current before the first of the values was read."""
        self._asked = float("-inf")
        self._unanswered = float("-inf")
        self._asking: dict[object, float] = {}
        """When each question began that is being asked."""

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The kept value, or a new one from `make`. None is not kept."""
        if not self._believed():
            self._ask()
        try:
            kept: T = self._values[key]
        except KeyError:
            metrics.CACHE_MISSES.add()
        else:
            metrics.CACHE_HITS.add()
            return kept
        generation = self._generation
        value = make()
        with self._lock:
            # Another thread may have dropped everything while this value was made from what was true before. Another
            # process that changes something meanwhile moves the version, and the value is not believed again.
            if value is not None and generation == self._generation:
                self._values[key] = value
        return value

    def peek(self, key: Hashable) -> Any | None:
        """The kept value while it may be believed without a question to the database, else None."""
        return self._values.get(key) if self._believed() else None

    def while_away(self, key: Hashable) -> Any | None:
        """The kept value after the database has not answered a question, or while it takes too long over one, if nobody
        has said that anything changed.

        Another host may have changed it all the same. So this is for what is public and no decision: the documents by
        which everybody else verifies tokens. Nothing may be allowed or refused because of it.
        """
        now = self._ticks()
        away = now - self._unanswered < AWAY_FOR
        away = away or any(now - began > ANSWERS_WITHIN for began in tuple(self._asking.values()))
        return self._values.get(key) if away and self._version.value == self._read_under else None

    def refresh(self) -> None:
        """See to it that what is given from here on is no older than this moment, whichever host changed it.

        One statement; none where all processes that use the database share the version. Before `get`, in a request
        that reads what another host may have written just before.
        """
        if not (self._one_host and self._version.shared and self._believed()):
            self._ask()

    def changed(self, revision: int) -> None:
        """Tell every process of this host that a transaction has changed configuration, and made this revision.

        Call it after the commit, because what is read afterwards is believed, and before the answer leaves, because the
        next request relies on it. Of a process that dies in between, the next one to ask the database learns.
        """
        self._version.attach()
        self._version.move(revision)

    def heard(self, revision: int) -> None:
        """Tell them that there is this revision, if nobody has yet. For whoever has read what may be part of it."""
        self._version.heard(revision)

    def drop(self) -> None:
        """Forget everything, in this process."""
        with self._lock:
            self._forget()
            self._read_under = None

    def _believed(self) -> bool:
        return self._version.value == self._read_under and self._ticks() - self._asked < STALE_AFTER

    def _ask(self) -> None:
        self._listen()
        self._version.attach()
        asked = self._ticks()
        # In this order: what is read from now on is read after both, and a change that comes in between moves the
        # version away from this value.
        value = self._version.value
        question = object()
        self._asking[question] = asked
        try:
            revision = self._revision()
        except Exception:
            self._unanswered = self._ticks()
            raise
        finally:
            del self._asking[question]
        self._unanswered = float("-inf")
        if revision != self._version.revision:
            # Changed by another host, by a process that died before it could say so, or by a restored backup: the
            # others on this host must not give what this one no longer gives.
            value = self._version.move(revision)
        with self._lock:
            if value != self._read_under:
                self._forget()
                self._read_under = value
            self._asked = asked

    def _forget(self) -> None:
        metrics.CACHE_DROPS.add()
        self._values.clear()
        self._generation += 1
