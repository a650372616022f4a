"""What the database makes of a statement."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from app.db import db
from app.env import Env
from tests.executed import noticing


@pytest.fixture
def explained(app: Flask, env: Env) -> Iterator[Callable[..., str]]:
    """The plan of the last SELECT, or of one before it, as the database tells it."""
    seen: list[tuple[str, Any]] = []

    def note(statement: str, parameters: Any) -> None:
        if statement.startswith("SELECT"):
            seen.append((statement, parameters))

    engine = db.engine

    def plan(which: int = -1) -> str:
        statement, parameters = seen[which]
        word = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN (COSTS OFF)"
        with engine.connect() as connection:
            found = connection.exec_driver_sql(f"{word} {statement}", parameters).all()
        return "\n".join(str(row[-1]) for row in found)

    with noticing(engine, note):
        yield plan
