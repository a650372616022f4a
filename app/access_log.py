"""The access log: a line for each request, with its id, written a few times a second.

A write for each line costs a system call and, between the threads of a worker, a queue in front of one lock: more
than a tenth of a token request. Lines are collected and written together; a worker that is killed loses those of the
last moment, one that is stopped writes them.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from multiprocessing import util
from typing import Any

from app.logs import one_line
from app.web import Wsgi, id_of

log = logging.getLogger("cognate.access")

LINE = "%s %s %s %s %s %.1f ms [%s]"
"""Time, address, method, path, status, duration, id of the request. The path and never the query: that holds codes,
states and tokens."""
EVERY = 0.25
"""Seconds between two writes."""


class Logged:
    """WSGI middleware around the whole application: a line for each request that is over."""

    def __init__(self, wsgi: Wsgi) -> None:
        self._wsgi = wsgi

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        began, path, status = time.perf_counter(), environ.get("PATH_INFO", ""), "500"

        def started(line: str, headers: list[tuple[str, str]], *failure: Any) -> Any:
            nonlocal status
            status = line[:3]
            return start_response(line, headers, *failure)

        try:
            return self._wsgi(environ, started)
        finally:
            took = (time.perf_counter() - began) * 1000
            moment = time.strftime("%Y-%m-%d %H:%M:%S %z")
            # The address as the application came to see it, past the proxies that are believed.
            who, method = environ.get("REMOTE_ADDR", "-"), environ.get("REQUEST_METHOD", "-")
            log.info(LINE, moment, who, method, path, status, took, id_of(environ))


class Together(logging.Handler):
    """Collects lines without a lock (appending to a deque is atomic) and writes them from a thread of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=100_000)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def createLock(self) -> None:  # noqa: N802 - logging's own name
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        self._lines.append(record.getMessage())
        if self._thread is None:
            self._begin()
        return True

    def _begin(self) -> None:
        # At the first line, and so in the worker: a thread of the parent would not survive the fork.
        self._thread = threading.Thread(target=self._write_now_and_then, name="access log", daemon=True)
        self._thread.start()
        # Processes that were forked by multiprocessing end without atexit, but with this.
        util.Finalize(None, self.flush, exitpriority=1)

    def _write_now_and_then(self) -> None:
        while not self._stop.wait(EVERY):
            self.flush()

    def flush(self) -> None:
        lines = []
        while self._lines:
            try:
                lines.append(one_line(self._lines.popleft()))
            except IndexError:  # the thread and the end of the process took from it at once
                break
        if lines:
            sys.stderr.write("\n".join(lines) + "\n")
            sys.stderr.flush()

    def close(self) -> None:
        self._stop.set()
        self.flush()
        super().close()
