"""Granted calls that only read: their rows are written together, a moment later, and none is lost without a word."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select

from app import errors
from app.audit import acting, chain, linker, reads, record
from app.audit.acting import Acting
from app.audit.linker import Linker
from app.audit.reads import Reads
from app.env import Env
from app.models import AuditEvent, Pool
from tests.build import a_pool
from tests.conftest import Clock


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


@pytest.fixture
def waiting(app: Flask) -> Reads:
    """The queue of a process that serves."""
    queue: Reads = app.extensions["cognate_reads"]
    queue.open()
    return queue


def call(env: Env, pool: Pool, operation: str = "AdminGetUser") -> None:
    with record.administrative(env, record.Call(operation, pool.id)):
        pass


def rows(env: Env) -> list[AuditEvent]:
    with env.reading() as session:
        return list(session.scalars(select(AuditEvent).order_by(AuditEvent.at, AuditEvent.operation)))


def names(env: Env) -> list[str]:
    return [row.operation for row in rows(env)]


def test_a_read_waits_and_is_written_as_it_was(env: Env, pool: Pool, waiting: Reads, clock: Clock) -> None:
    with acting.during(Acting(acting.ACCESS_KEY, "AKIA1", "192.0.2.7", "terraform/1")):
        call(env, pool)
    at = clock()
    assert (names(env), len(waiting.waiting())) == ([], 1)
    clock.forward(seconds=2)
    waiting.write(env)
    (row,) = rows(env)
    assert (row.operation, row.pool_id, row.at, row.error_code) == ("AdminGetUser", pool.id, at, None)
    assert (row.actor, row.ip, row.user_agent) == ("AKIA1", "192.0.2.7", "terraform/1")
    assert waiting.waiting() == []
    chain.link(env)
    (found,) = chain.verify(env, pool.id)
    assert (found.kept, found.findings) == (1, ())


def test_what_writes_and_what_is_refused_does_not_wait(env: Env, pool: Pool, waiting: Reads) -> None:
    call(env, pool, "AdminDisableUser")  # which was disabled already, and has written nothing
    with pytest.raises(errors.UserNotFound), record.administrative(env, record.Call("AdminGetUser", pool.id)):
        raise errors.UserNotFound
    with record.administrative(env, record.Call("ListUsers", pool.id)), env.transaction():
        pass
    assert sorted(names(env)) == ["AdminDisableUser", "AdminGetUser", "ListUsers"]
    assert waiting.waiting() == []


def test_where_nobody_writes_them_each_is_written_at_once(env: Env, pool: Pool) -> None:
    call(env, pool)
    assert names(env) == ["AdminGetUser"]


def test_each_is_written_before_its_answer_where_that_is_wanted(env: Env, pool: Pool, waiting: Reads) -> None:
    call(replace(env, settings=replace(env.settings, audit_reads="each")), pool)
    assert (names(env), waiting.waiting()) == (["AdminGetUser"], [])


def test_they_are_left_out_where_that_is_wanted_and_nothing_else_is(env: Env, pool: Pool, waiting: Reads) -> None:
    without = replace(env, settings=replace(env.settings, audit_reads="off"))
    call(without, pool)
    call(without, pool, "AdminDisableUser")
    with pytest.raises(errors.UserNotFound), record.administrative(without, record.Call("AdminGetUser", pool.id)):
        raise errors.UserNotFound
    assert (sorted(names(env)), waiting.waiting()) == (["AdminDisableUser", "AdminGetUser"], [])


def test_where_too_many_wait_each_writes_its_own(
    env: Env, pool: Pool, waiting: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "MOST", 3)
    for _ in range(5):
        call(env, pool)
    assert (len(rows(env)), len(waiting.waiting())) == (2, 3)
    waiting.write(env)
    assert len(rows(env)) == 5


def test_they_are_written_in_several_transactions(
    env: Env, pool: Pool, waiting: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "BATCH", 2)
    for _ in range(5):
        call(env, pool)
    assert waiting.enough.is_set()
    waiting.write(env)
    assert (len(rows(env)), waiting.waiting()) == (5, [])


def test_what_could_not_be_written_waits_on_in_its_order(
    env: Env, pool: Pool, waiting: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(env, pool)
    with monkeypatch.context() as away:
        away.setattr(reads, "inserting", lambda *given: away_from())
        with pytest.raises(errors.ServiceUnavailable):
            waiting.write(env)
    call(env, pool, "ListUsers")
    assert [row["operation"] for row in waiting.waiting()] == ["AdminGetUser", "ListUsers"]
    waiting.write(env)
    assert names(env) == ["AdminGetUser", "ListUsers"]


def away_from() -> None:
    raise errors.ServiceUnavailable


def test_a_commit_of_which_nobody_knows_whether_it_was_one_is_not_repeated(
    env: Env, pool: Pool, waiting: Reads
) -> None:
    """The connection is cut in the moment of the commit: the rows are there, and the process believes that they are
    not."""
    call(env, pool)
    kept = waiting.waiting()
    waiting.write(env)
    for row in kept:
        waiting.put(row)
    call(env, pool, "ListUsers")
    waiting.write(env)
    assert (names(env), waiting.waiting()) == (["AdminGetUser", "ListUsers"], [])


# -- the thread ---------------------------------------------------------------------------------------------------


@pytest.fixture
def thread(app: Flask, env: Env, monkeypatch: pytest.MonkeyPatch) -> Iterator[Linker]:
    """One that begins to write only when it is told to, or there is much."""
    monkeypatch.setattr(linker, "WRITES_EVERY", 3600.0)
    found = Linker(env, app.extensions["cognate_reads"], app.app_context)
    found.start()
    yield found
    found.stop()


def test_an_orderly_stop_writes_what_waits(env: Env, pool: Pool, thread: Linker, waiting: Reads) -> None:
    call(env, pool)
    assert names(env) == []
    thread.stop()
    assert (names(env), waiting.waiting()) == (["AdminGetUser"], [])
    call(env, pool, "ListUsers")  # of a request that came too late to wait
    assert names(env) == ["AdminGetUser", "ListUsers"]


def test_they_are_written_when_there_are_many(
    app: Flask, env: Env, pool: Pool, waiting: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "BATCH", 2)
    monkeypatch.setattr(linker, "WRITES_EVERY", 3600.0)
    written = threading.Event()

    class Telling(Reads):
        def write(self, env: Env) -> None:
            super().write(env)
            written.set()

    queue = Telling()
    mine = replace(env, reads=queue)
    thread = Linker(mine, queue, app.app_context)
    thread.start()
    call(mine, pool)
    call(mine, pool)
    assert written.wait(60)
    assert len(rows(env)) == 2
    thread.stop()


def test_what_a_stop_could_not_write_is_in_the_log(
    app: Flask, env: Env, pool: Pool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Reads()
    mine = replace(env, reads=queue)
    monkeypatch.setattr(linker, "WRITES_EVERY", 3600.0)
    monkeypatch.setattr(reads, "inserting", lambda *given: away_from())
    thread = Linker(mine, queue, app.app_context)
    thread.start()
    with acting.during(Acting(acting.ACCESS_KEY, "AKIA1", "192.0.2.7")):
        call(mine, pool)
    with caplog.at_level(logging.ERROR):
        thread.stop()
    (told,) = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert told.startswith("not in the audit, which could not be written: AdminGetUser by access_key AKIA1 from 192.0")
    assert pool.id in told
    assert names(env) == []
