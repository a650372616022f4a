"""What every line of the log has: the id of the request that it was written for, and nothing that a stranger made up.

A request has one id. It is in its answer (`X-Request-Id`), on an error page, in the line of the access log and in every
other line that is written until the request is over, also by what it leaves to be done afterwards (app.background).
"""

from __future__ import annotations

import copy
import logging
import logging.config
import re
import time
import uuid
from functools import lru_cache
from typing import Any

import orjson

from app import facts
from app.config import Settings

LINE = "%(asctime)s %(levelname)s [%(request_id)s] %(name)s: %(message)s"
LONGEST_QUOTE = 500
"""Characters of a stranger's text that a line repeats."""
LONGEST_METHOD = 20

_ACCEPTABLE = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{15,63}")


def request_id() -> str:
    """The id of the request that is being answered here."""
    return facts.current().request_id


def new_id() -> str:
    return str(uuid.uuid4())


def acceptable(given: str) -> bool:
    """Whether an id that a proxy gave is used as it is: hexadecimal digits, a UUID, base64url; 16 to 64 characters."""
    return _ACCEPTABLE.fullmatch(given) is not None


def moment(seconds: float, form: str) -> str:
    """A moment since the epoch as lines of this form (`text` or `json`) have it."""
    second, thousandths = divmod(int(seconds * 1000), 1000)
    return f"{_second(second)},{thousandths:03}" if form == "text" else f"{_utc_second(second)}.{thousandths:03}Z"


@lru_cache(1)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


@lru_cache(1)
def _utc_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def one_line(text: str) -> str:
    """Text in which nothing begins a line, moves a cursor or turns the direction of writing."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def one_word(text: str, longest: int = LONGEST_QUOTE) -> str:
    """A stranger's text as one word of a line, and not a long one: after a space in a path would follow what looks like
    the status, the address and the outcome that the server has written."""
    return one_line(text[:longest]).replace(" ", "%20") + ("..." if len(text) > longest else "")


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


def as_json(line: dict[str, Any]) -> str:
    """Of text that went through `one_line`: what is no UTF-8, or turns the direction of writing, is then not in it."""
    return orjson.dumps(line).decode("utf-8")


class Objects(logging.Formatter):
    """A JSON object a message, on one line with its stack trace."""

    def format(self, record: logging.LogRecord) -> str:
        about = facts.current()
        line: dict[str, Any] = {
            "time": moment(record.created, "json"),
            "level": record.levelname,
            "logger": record.name,
            "request_id": None if about.request_id == facts.NOBODY else about.request_id,
            "trace_id": about.trace_id or None,
            "message": one_line(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = _lines(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = _lines(record.stack_info)
        return as_json(line)


def _lines(text: str) -> str:
    return "\n".join(map(one_line, text.split("\n")))


def configure(settings: Settings) -> None:
    """Let everything that this process logs, warnings of Python's included, be written in the form of the settings."""
    logging.config.dictConfig(configuration(settings))
    logging.captureWarnings(True)


def configuration(settings: Settings) -> dict[str, Any]:
    """For logging.config: one line an event, to standard error. Standard output is for what commands print."""
    level = settings.log_level.upper()
    lines: dict[str, Any] = {"()": Objects} if settings.log == "json" else {"()": Lines, "fmt": LINE}
    # gunicorn gives these handlers of its own, in another form.
    of_gunicorn = {"handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": lines},
        "handlers": {"errors": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["errors"], "level": level},
        "loggers": {
            "_granian": {"level": "WARNING"},
            "gunicorn": {"level": "WARNING"},
            "alembic": {"level": "WARNING"},
            "gunicorn.error": {"level": "WARNING", **of_gunicorn},
            # Unnamed it would be of its parent's level, and write nothing; gunicorn asks for it with --access-logfile.
            "gunicorn.access": {"level": "INFO", **of_gunicorn},
            # At DEBUG it writes whole tokens.
            "authlib": {"level": "INFO"},
        },
    }
