"""What is done after the answer, on threads of the worker: so that the time of an answer does not tell what it led to.

Whoever asks for a code to a name must not learn from the time whether there is somebody to send it to
(PreventUserExistenceErrors). What waits here is lost when the process is killed, and done first when it is stopped in
an orderly way; it is for what can be asked for again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask

from app import facts, traces
from app.audit import acting
from app.audit.acting import Acting
from app.errors import ServiceUnavailable
from app.facts import Facts

log = logging.getLogger(__name__)

THREADS = 2
WAITING = 1000
"""Acts that may wait. Then the next request does its own: it is slow, and nothing is forgotten."""


class Background:
    """Call it with what is to be done. Its threads begin with the first act, and so after the worker was forked."""

    def __init__(self) -> None:
        self._room = threading.BoundedSemaphore(WAITING)
        # The interpreter waits at its end until all that was submitted has been done.
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="background")
        self._app: Flask | None = None

    def of(self, app: Flask) -> None:
        """Say in whose context acts are done."""
        self._app = app

    def __call__(self, act: Callable[[], None]) -> None:
        if not self._room.acquire(blocking=False):
            act()
            return
        of = facts.current()
        about = Facts(of.request_id)  # those of the request may have been told by now
        about.trace_id = of.trace_id
        self._threads.submit(self._do, act, about, acting.current(), traces.here())

    def _do(self, act: Callable[[], None], about: Facts, who: Acting, place: Any) -> None:
        with facts.during(about), acting.during(who), traces.within(place):
            try:
                if self._app is None:
                    raise RuntimeError("no application was named")
                with self._app.app_context():
                    act()
            except ServiceUnavailable as away:  # the log has the reason
                log.error("what was to be done after an answer was not done: %s", away.message)
            except Exception:
                log.exception("what was to be done after an answer failed")
            finally:
                self._room.release()


def at_once(act: Callable[[], None]) -> None:
    """In place of a background where nobody needs one: in commands, and in development, whose outbox is open to all."""
    act()
