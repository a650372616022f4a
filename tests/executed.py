"""What an engine executes, whichever way: by a session, by a connection of SQLAlchemy's, or as a hot statement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine

WAYS = ("do_execute", "do_executemany", "do_execute_no_params")


@contextmanager
def noticing(engine: Engine, note: Callable[[str, Any], None]) -> Iterator[None]:
    """Call `note` with the text and the parameters of each statement before it is executed. What it raises the
    statement raises."""
    dialect: Any = engine.dialect
    before = {way: getattr(dialect, way) for way in WAYS}

    def noticed(execute: Callable[..., None]) -> Callable[..., None]:
        def executing(cursor: Any, statement: str, *given: Any, **more: Any) -> None:
            note(statement, given[0] if given and given[0] is not None else ())
            execute(cursor, statement, *given, **more)

        return executing

    for way, execute in before.items():
        setattr(dialect, way, noticed(execute))
    try:
        yield
    finally:
        for way, execute in before.items():
            setattr(dialect, way, execute)
