"""Requests that come at one moment."""

import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Flask
from sqlalchemy import Engine, text

from app import errors
from app.db import db
from tests.executed import noticing


def in_parallel(app: Flask, *acts: Callable[[], Any]) -> list[Any]:
    """What becomes of acts that begin at one moment: what each returns, or its refusal. Anything else fails."""
    start = threading.Barrier(len(acts))
    outcomes: list[Any] = [None] * len(acts)

    def run(which: int) -> None:
        with app.app_context():
            start.wait(timeout=60)
            try:
                outcomes[which] = acts[which]()
            except BaseException as failed:
                outcomes[which] = failed

    threads = [threading.Thread(target=run, args=(which,)) for which in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, errors.Refusal):
            raise outcome
    return outcomes


def overtaken(app: Flask, act: Callable[[], Any], by: Callable[[], Any]) -> Any:
    """What becomes of an act that has to wait for a transaction which does something else: what it returns, or its
    refusal. It begins while the transaction is open, and goes on when that has been committed. On PostgreSQL it has
    then sent the statement that waits for a row; on SQLite it waits to begin."""
    waits = threading.Event()
    outcome: list[Any] = []

    def begins(statement: str, parameters: object) -> None:
        if threading.current_thread() is waiting and statement == "BEGIN IMMEDIATE":
            waits.set()

    def run() -> None:
        with app.app_context():
            try:
                outcome.append(act())
            except BaseException as failed:
                outcome.append(failed)

    waiting = threading.Thread(target=run)
    with app.app_context():
        env, engine = app.extensions["cognate"], db.engine
        with noticing(engine, begins):
            try:
                with env.transaction():
                    by()
                    env.db.flush()
                    waiting.start()
                    if engine.dialect.name == "sqlite":
                        assert waits.wait(timeout=60)
                    else:
                        _until_a_lock_is_waited_for(engine, waiting)
            finally:
                waiting.join(timeout=60)
    if isinstance(outcome[0], BaseException) and not isinstance(outcome[0], errors.Refusal):
        raise outcome[0]
    return outcome[0]


def _until_a_lock_is_waited_for(engine: Engine, who: threading.Thread) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    until = time.monotonic() + 60
    with engine.connect() as connection:
        while not connection.scalar(waiting):
            connection.rollback()
            assert who.is_alive(), "it did not have to wait"
            assert time.monotonic() < until, "it waits for no lock"
