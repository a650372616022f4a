"""Who is doing what is being done here, and from where: said by doors, read by `record`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import NamedTuple

SERVICE = "service"
"""The server itself: what it does now and then."""
ANYBODY = "anybody"
"""A request whose sender has shown nothing yet."""
USER = "user"
ACCESS_KEY = "access_key"
COMMAND_LINE = "command_line"


class Acting(NamedTuple):
    kind: str
    name: str = ""
    """The user's `sub`, the id of the access key, or who runs the command."""
    ip: str = ""
    user_agent: str = ""


_SERVER = Acting(SERVICE)
_current: ContextVar[Acting] = ContextVar("acting", default=_SERVER)


def current() -> Acting:
    return _current.get()


def begin(acting: Acting) -> Token[Acting]:
    """What is done from here on, this one does, until `end`. (For every request: `during` costs several times as
    much.)"""
    return _current.set(acting)


def end(begun: Token[Acting]) -> None:
    _current.reset(begun)


@contextmanager
def during(acting: Acting) -> Iterator[None]:
    """What is done in here, this one does."""
    begun = begin(acting)
    try:
        yield
    finally:
        end(begun)


@contextmanager
def by(kind: str, name: str) -> Iterator[None]:
    """The same for who has now shown who they are; they are where they were."""
    now = _current.get()
    with during(Acting(kind, name, now.ip, now.user_agent)):
        yield
