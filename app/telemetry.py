"""What takes time and is worth measuring: each is a context manager that feeds a metric, a span, both or neither."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any

from app import metrics, traces
from app.metrics import instruments
from app.metrics.instruments import Histogram

_NOTHING = nullcontext()


class _Timed:
    """Seconds for a histogram, and a span around them."""

    __slots__ = ("_began", "_histogram", "_span")

    def __init__(self, histogram: Histogram, span: AbstractContextManager[Any] | None) -> None:
        self._histogram = histogram
        self._span = span

    def __enter__(self) -> None:
        if self._span is not None:
            self._span.__enter__()
        self._began = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, failed: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._histogram.observe(time.perf_counter() - self._began)
        if self._span is not None:
            self._span.__exit__(kind, failed, trace)


def measuring() -> bool:
    """Whether there are metrics or traces."""
    return instruments.recording() or traces.tracing()


def statement(text: str, system: str) -> AbstractContextManager[None]:
    """Around the execution of a statement that does not go through SQLAlchemy (app.db.measure sees
    to those). `text` has placeholders and never a value; `system` is `postgresql` or `sqlite`."""
    if traces.tracing():
        verb = text.lstrip().partition(" ")[0].partition("\n")[0].upper()
        span = traces.span(verb, "CLIENT", db__system__name=system, db__query__text=text)
        return _Timed(metrics.STATEMENTS, span)
    return _Timed(metrics.STATEMENTS, None) if instruments.recording() else _NOTHING


def hashing() -> AbstractContextManager[None]:
    """Around a password hash that has its turn."""
    if not measuring():
        return _NOTHING
    return _Timed(metrics.HASHES, traces.span("hash") if traces.tracing() else None)


def signing(algorithm: str) -> AbstractContextManager[None]:
    """Around a signature."""
    return traces.span("sign", algorithm=algorithm) if traces.tracing() else _NOTHING


def calling(what: str, server: str) -> AbstractContextManager[None]:
    """Around a call of another server, by its host."""
    return traces.span(what, "CLIENT", server__address=server) if traces.tracing() else _NOTHING
