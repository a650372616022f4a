"""The facts of the request that is being answered: one mutable value, filled in by whoever learns one of them.

The access log, the metrics and the traces are made of it when the request is over (app.observation). It carries no
query, no body and no secret.
"""

from __future__ import annotations

from contextvars import ContextVar

NOBODY = "-"
"""The id of no request."""


class Facts:
    """What is not known is empty. `pool` and `client` are ids that were found, never what a stranger has named, and
    `door`, `operation` and `outcome` are words of the code: each takes a bounded number of values."""

    trace_id = ""
    door = ""
    operation = ""
    pool = ""
    client = ""
    outcome = ""
    """The refusal, in the word that the door has for it; empty where nothing was refused."""
    hashed = False
    """Whether it has hashed a password. Such requests have threads of their own (app.server.kinds)."""
    method = ""
    path = ""
    # Once it is over:
    peer = ""
    status = ""
    seconds = 0.0
    ended = 0.0
    """Seconds since the epoch."""

    def __init__(self, request_id: str = NOBODY) -> None:
        self.request_id = request_id


_current: ContextVar[Facts | None] = ContextVar("facts", default=None)


def current() -> Facts:
    """Of the request that is being answered here; outside of one, facts that nobody reads."""
    return _current.get() or Facts()


class during:  # noqa: N801 - reads as what it does, like those of contextlib
    """What is done in here is done for this request. (A generator in its place takes three times as long.)"""

    __slots__ = ("_before", "_facts")

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def __enter__(self) -> None:
        self._before = _current.set(self._facts)

    def __exit__(self, *failed: object) -> None:
        _current.reset(self._before)
