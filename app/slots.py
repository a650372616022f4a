"""A bound on how many threads of a process do one kind of slow work, such as writing to the database, at once.

One locked row, one writer that hangs, one silent mail server: without a bound each request that meets it keeps its
thread until a time limit ends, and soon no thread is left for what has nothing to do with it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice

from app import metrics


class Slots:
    """`amount` slots for one kind of work. Who finds none waits for `patience` seconds at most: not at all where most
    of those who have one have had it for that long, because then the work itself stands still."""

    def __init__(self, kind: str, amount: int, *, patience: float, ticks: Callable[[], float] = time.monotonic) -> None:
        self.kind = kind
        self.amount = amount
        self._patience = patience
        self._ticks = ticks
        self._changed = threading.Condition(threading.Lock())
        self._since: dict[object, float] = {}
        """When each slot was taken, in that order."""
        self._waiting = 0

    def take(self) -> object | None:
        """A slot, which has to be given back; None if there is none to be had."""
        with self._changed:
            ends = None
            while len(self._since) >= self.amount:
                now = self._ticks()
                median = next(islice(self._since.values(), self.amount // 2, None))
                ends = min(now + self._patience if ends is None else ends, median + self._patience)
                if now >= ends or not self._notified(ends - now):
                    return None
            slot = object()
            self._since[slot] = self._ticks()
            metrics.slots(self.kind, len(self._since), self._waiting)
            return slot

    def give_back(self, slot: object) -> None:
        with self._changed:
            del self._since[slot]
            metrics.slots(self.kind, len(self._since), self._waiting)
            if self._waiting:
                self._changed.notify()

    def _notified(self, seconds: float) -> bool:
        self._waiting += 1
        metrics.slots(self.kind, len(self._since), self._waiting)
        try:
            return self._changed.wait(seconds)
        finally:
            self._waiting -= 1
