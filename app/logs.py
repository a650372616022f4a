"""What every line of the log has: the id of the request that it was written for, and nothing that a stranger made up.

A request has one id. It is in its answer (`X-Request-Id`), on an error page, in the line of the access log and in every
other line that is written until the request is over, also by what it leaves to be done afterwards (app.background).
"""

from __future__ import annotations

import copy
import logging
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from app.config import Settings

NOBODY = "-"
"""In the place of the id, on a line that is about no request."""
LINE = "%(asctime)s %(levelname)s [%(request_id)s] %(name)s: %(message)s"
LONGEST_QUOTE = 500
"""Characters of a stranger's text that a line repeats."""

_current: ContextVar[str] = ContextVar("request_id", default=NOBODY)
_ACCEPTABLE = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{15,63}")


def request_id() -> str:
    """The id of the request that is being answered here."""
    return _current.get()


def new_id() -> str:
    return str(uuid.uuid4())


def acceptable(given: str) -> bool:
    """Whether an id that a proxy gave is used as it is: hexadecimal digits, a UUID, base64url; 16 to 64 characters."""
    return _ACCEPTABLE.fullmatch(given) is not None


@contextmanager
def during(request_id: str) -> Iterator[None]:
    """What is logged in here belongs to this request."""
    before = _current.set(request_id)
    try:
        yield
    finally:
        _current.reset(before)


def one_line(text: str) -> str:
    """Text in which nothing begins a line, moves a cursor or turns the direction of writing."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def quoted(text: str) -> str:
    """What a stranger sent, for a line of the log: in quotation marks that it cannot close, in ASCII, and not long."""
    shown = text[:LONGEST_QUOTE].replace("\\", "\\\\").replace('"', '\\"')
    plain = "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode("ascii") for c in shown)
    return f'"{plain}"' + ("..." if len(text) > LONGEST_QUOTE else "")


class Lines(logging.Formatter):
    """One line for a message, whatever is in it. A stack trace takes several; each of them is indented and has the id,
    so that none can be taken for a message, and all are found by it."""

    def format(self, record: logging.LogRecord) -> str:
        mine = copy.copy(record)  # on which other handlers leave the stack as they have drawn it
        mine.request_id, mine.exc_text = request_id(), None
        return super().format(mine)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        return one_line(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        return self._indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's own name
        return self._indented(super().formatStack(stack_info))

    @staticmethod
    def _indented(text: str) -> str:
        return "\n".join(f"    [{request_id()}] {one_line(line)}" for line in text.split("\n"))


def configuration(settings: Settings) -> dict[str, Any]:
    """For logging.config: one line an event, to standard error. Standard output is for what commands print."""
    level = settings.log_level.upper()
    handlers = {
        "errors": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"},
        "access": {"class": f"{__package__}.access_log.Together"},
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": Lines, "fmt": LINE}},
        "handlers": handlers,
        "root": {"handlers": ["errors"], "level": level},
        "loggers": {
            "_granian": {"level": "WARNING"},
            "gunicorn": {"level": "WARNING"},
            "alembic": {"level": "WARNING"},
            "cognate.access": {"level": "INFO", "handlers": ["access"], "propagate": False},
            # At DEBUG it writes whole tokens.
            "authlib": {"level": "INFO"},
        },
    }
