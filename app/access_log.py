"""The access log: a line for each request, made and written by a thread of its own, a few times a second.

A request leaves its facts here, which takes a tenth of a microsecond; making the line takes some six (it took twenty as
a record of `logging`, and in the request), and a write for each a system call and, between the threads of a worker, a
queue in front of one lock. A worker that is killed loses the lines of the last moment, one that is stopped writes them.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from multiprocessing import util

from app.facts import Facts
from app.logs import LONGEST_METHOD, as_json, moment, one_line, one_word

EVERY = 0.25
"""Seconds between two writes."""
NAME = "cognate.access"


class Journal:
    """Takes the facts of requests that are over, without a lock (appending to a deque is atomic)."""

    def __init__(self, form: str) -> None:
        """`form` is `text` or `json`."""
        self._line: Callable[[Facts], str] = {"text": text_line, "json": json_line}[form]
        self._over: deque[Facts] = deque(maxlen=100_000)
        self._stop = threading.Event()
        self._process = 0

    def add(self, facts: Facts) -> None:
        self._over.append(facts)
        if not self._process:
            self._begin()

    def _begin(self) -> None:
        # At the first line, and so in the worker: a thread of the parent would not survive the fork.
        self._process = os.getpid()
        threading.Thread(target=self._write_now_and_then, name="access log", daemon=True).start()
        # Processes that were forked by multiprocessing end without atexit, but with this.
        util.Finalize(None, self.flush, exitpriority=1)

    def _write_now_and_then(self) -> None:
        while not self._stop.wait(EVERY):
            try:
                self.flush()
            except OSError:  # such as a full disk, of which nothing can be written; later lines may have room
                continue

    def flush(self) -> None:
        lines = []
        while self._over:
            try:
                lines.append(self._line(self._over.popleft()))
            except IndexError:  # the thread and the end of the process took from it at once
                break
        if lines:
            sys.stderr.write("\n".join(lines) + "\n")
            sys.stderr.flush()

    def close(self) -> None:
        self._stop.set()
        self.flush()


def text_line(facts: Facts) -> str:
    """In the form of all other lines, with what is known as `name=value`."""
    known = (
        ("peer", facts.peer),
        ("door", facts.door),
        ("operation", facts.operation),
        ("pool", facts.pool),
        ("client", facts.client),
        ("outcome", facts.outcome),
        ("trace", facts.trace_id),
    )
    pairs = "".join([f" {name}={value}" for name, value in known if value])
    asked = f"{one_word(facts.method, LONGEST_METHOD)} {one_word(facts.path)}"
    return one_line(
        f"{moment(facts.ended, 'text')} INFO [{facts.request_id}] {NAME}: {asked} {facts.status} "
        f"{facts.seconds * 1000:.1f} ms{pairs}"
    )


def json_line(facts: Facts) -> str:
    return as_json(
        {
            "time": moment(facts.ended, "json"),
            "level": "INFO",
            "logger": NAME,
            "request_id": facts.request_id,
            "trace_id": facts.trace_id or None,
            "peer": one_line(facts.peer),
            "method": one_word(facts.method, LONGEST_METHOD),
            "path": one_word(facts.path),
            "status": int(facts.status),
            "duration_ms": round(facts.seconds * 1000, 1),
            "door": facts.door or None,
            "operation": facts.operation or None,
            "pool": facts.pool or None,
            "client": facts.client or None,
            "outcome": facts.outcome or None,
        }
    )
