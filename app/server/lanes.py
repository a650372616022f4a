"""Lanes: threads for one kind of work each, with a queue whose length is known and whose waiting has an end.

Hashing a password takes a core for 20 ms, a locked row takes a thread for seconds, and there is always somebody who
sends more of either than the machine can do. In a lane of its own such work delays only its own kind. A job that would
wait too long is refused when it arrives, in microseconds; one that has waited too long is refused before it acts,
because whoever sent it has given up, and a refresh or a sign-in that happens late is worse than none.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

log = logging.getLogger(__name__)

MOST_WAITING = 1000
"""Jobs in one queue, however fast they are done."""
MARGIN = 0.8
"""Of the longest wait, for a job to be taken at all: what is taken should rarely have to be refused after all."""
SMOOTHING = 0.1
"""Weight of the last job in the moving average of how long one takes."""


class Job(Protocol):
    arrived: float
    """When the request was complete, by the clock that the lane was given."""

    def run(self) -> None: ...

    def refuse(self) -> None:
        """Answer that there is no time for it. It takes microseconds and never waits."""


class AtOnce:
    """For what never waits: it is done by the thread that brings it, which is faster than handing it to another."""

    def offer(self, job: Job) -> None:
        job.run()


class Lane:
    """`threads` threads that take jobs from one queue, in the order of their arrival."""

    def __init__(self, name: str, threads: int, *, longest_wait: float, ticks: Callable[[], float]) -> None:
        """`longest_wait` is in seconds; `ticks` is a monotonic clock in seconds."""
        self.name = name
        self.threads = threads
        self.longest_wait = longest_wait
        self._ticks = ticks
        self._jobs: deque[Job] = deque()
        # One token a job: threads sleep here, while the queue itself can be looked into.
        self._tokens: SimpleQueue[None] = SimpleQueue()
        self._average = 0.0
        self.running = 0
        self.refused = 0
        self._counting = threading.Lock()

    def start(self) -> None:
        for number in range(self.threads):
            threading.Thread(target=self._work, name=f"{self.name} {number + 1}", daemon=True).start()

    @property
    def waiting(self) -> int:
        return len(self._jobs)

    @property
    def idle(self) -> bool:
        return not self._jobs and not self.running

    def offer(self, job: Job) -> None:
        """Queue a job, or refuse it where it would wait longer than it may."""
        waiting = len(self._jobs)
        expected = waiting * self._average / self.threads
        if waiting >= self.threads and expected > MARGIN * self.longest_wait:
            self._refuse(job)
        elif waiting >= MOST_WAITING:
            self._refuse(job)
        else:
            self._jobs.append(job)
            self._tokens.put(None)

    def refuse_overdue(self) -> None:
        """Refuse what has waited too long while every thread was busy. Called a few times a second."""
        earliest = self._ticks() - self.longest_wait
        try:
            while self._jobs[0].arrived <= earliest:
                job = self._jobs.popleft()
                if job.arrived > earliest:
                    # A thread has taken the one that was looked at. Another may have found nothing meanwhile, and let
                    # the token of this one go: it would wait for the next request, or for its own end.
                    self._jobs.appendleft(job)
                    self._tokens.put(None)
                    return
                self._refuse(job)
        except IndexError:  # the threads have taken the last one
            pass

    def _work(self) -> None:
        while True:
            self._tokens.get()
            try:
                job = self._jobs.popleft()
            except IndexError:  # refuse_overdue has taken it
                continue
            began = self._ticks()
            if began - job.arrived > self.longest_wait:
                self._refuse(job)
                continue
            with self._counting:
                self.running += 1
            try:
                job.run()
            except Exception:
                log.exception("a request was not answered")
            finally:
                took = self._ticks() - began
                with self._counting:
                    self.running -= 1
                    self._average += SMOOTHING * (took - self._average)

    def _refuse(self, job: Job) -> None:
        self.refused += 1
        try:
            job.refuse()
        except Exception:
            log.exception("a request was not refused")
