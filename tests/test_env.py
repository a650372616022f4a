"""What a use-case may touch: the one transaction, and what waits for its commit."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from app import errors, facts
from app.db import db
from app.env import PATIENCE, STEP, Env
from app.models import Pool, Throttle
from app.pools import find
from app.slots import Slots
from tests.build import a_pool
from tests.conftest import START, Clock
from tests.parallel import in_parallel


class Broken(Exception):
    """A bug."""


def a_row(key: str, at: datetime = START) -> Throttle:
    return Throttle(key=key, count=1, since=at, locked_until=None, expires_at=at)


def keys_in(env: Env) -> set[str]:
    with env.reading() as session:
        return set(session.scalars(select(Throttle.key)))


# -- transactions ----------------------------------------------------------------------------------------------


def test_what_was_written_is_there_after_the_block(env: Env) -> None:
    with env.transaction():
        env.db.add(a_row("kept"))
    assert keys_in(env) == {"kept"}


@pytest.mark.parametrize("reason", [Broken, errors.InvalidParameter, KeyboardInterrupt])
def test_what_ends_in_an_exception_never_was(env: Env, reason: type[BaseException]) -> None:
    with pytest.raises(reason):
        with env.transaction():
            env.db.add(a_row("lost"))
            env.db.flush()
            raise reason
    assert keys_in(env) == set()
    with env.transaction():
        env.db.add(a_row("next"))
    assert keys_in(env) == {"next"}


def test_of_two_that_wait_for_each_other_one_is_to_come_again(app: Flask, env: Env) -> None:
    """SQLite lets the second begin when the first has ended."""
    with env.transaction():
        env.db.add_all([a_row("one"), a_row("two")])
    waits = db.engine.dialect.name == "postgresql"
    both = threading.Barrier(2)

    def touch(first: str, second: str) -> None:
        with env.transaction():
            for key in (first, second):
                env.db.execute(update(Throttle).where(Throttle.key == key).values(count=Throttle.count + 1))
                if waits and key == first:
                    both.wait(timeout=60)

    outcomes = in_parallel(app, lambda: touch("one", "two"), lambda: touch("two", "one"))
    given_way = [one for one in outcomes if type(one) is errors.TooManyRequests]
    assert len(given_way) == waits and outcomes.count(None) == 2 - waits
    with env.reading() as session:
        assert session.scalar(select(func.sum(Throttle.count))) == 6 - 2 * waits


@pytest.mark.parametrize(("failures", "tries"), [(0, 1), (PATIENCE - 1, PATIENCE), (PATIENCE, PATIENCE)])
def test_whoever_is_patient_begins_again_so_many_times(env: Env, failures: int, tries: int) -> None:
    seen: list[int] = []

    def act() -> str:
        seen.append(1)
        if len(seen) <= failures:
            raise errors.TooManyRequests
        return "done"

    with pytest.raises(errors.TooManyRequests) if failures == PATIENCE else nullcontext():
        assert env.patiently(act) == "done"
    assert len(seen) == tries


def test_a_refusal_that_keeps_commits_and_is_still_a_refusal(env: Env) -> None:
    assert errors.CodeMismatch.keep
    with pytest.raises(errors.CodeMismatch):
        with env.transaction():
            env.db.add(a_row("counted"))
            raise errors.CodeMismatch
    assert keys_in(env) == {"counted"}


def test_a_refusal_that_keeps_but_cannot_be_committed_is_the_bug_that_it_hides(env: Env) -> None:
    with env.transaction():
        env.db.add(a_row("taken"))
    with pytest.raises(IntegrityError):
        with env.transaction():
            env.db.add(a_row("taken"))
            raise errors.CodeMismatch
    assert keys_in(env) == {"taken"}


def test_use_cases_do_not_nest_transactions(env: Env) -> None:
    with pytest.raises(RuntimeError, match="open already"):
        with env.transaction():
            with env.transaction():
                raise AssertionError("never")
    with pytest.raises(RuntimeError, match="open already"):
        with env.reading():
            with env.transaction():
                raise AssertionError("never")
    with env.transaction():
        pass


def test_a_password_is_not_hashed_while_others_wait_for_the_database(env: Env) -> None:
    with pytest.raises(RuntimeError, match="cannot hash a password while a transaction is open"):
        with env.transaction():
            env.passwords.hash("x")
    with pytest.raises(RuntimeError, match="cannot hash a password"):
        with env.reading() as session:
            session.scalar(select(func.count()).select_from(Throttle))
            env.passwords.hash("x")
    with pytest.raises(RuntimeError, match="cannot call the trigger"):
        with env.transaction():
            env.nothing_open("call the trigger")
    assert env.passwords.hash("x")


@pytest.mark.parametrize("took", [0.0, 0.0021, 0.0099, 0.0123, 0.0777])
def test_what_is_done_in_steps_takes_a_whole_number_of_them(env: Env, took: float) -> None:
    now = [100.0]

    def sleep(seconds: float) -> None:
        assert 0 < seconds <= STEP
        now[0] += seconds

    stepping = replace(env, ticks=lambda: now[0], sleep=sleep)
    for ending in (None, errors.CodeMismatch, Broken):
        began = now[0]
        with pytest.raises(ending) if ending else nullcontext(), stepping.in_steps():
            now[0] += took
            if ending:
                raise ending
        steps = (now[0] - began) / STEP
        assert steps == pytest.approx(round(steps)) and steps >= 1
    with stepping.in_steps(False):
        before = now[0]
    assert now[0] == before


def test_nobody_waits_in_steps_with_a_transaction_open(env: Env) -> None:
    with pytest.raises(RuntimeError, match="cannot wait while a transaction is open"):
        with env.transaction(), env.in_steps():
            pass


def test_reading_inside_a_transaction_sees_what_it_wrote(env: Env) -> None:
    with env.transaction():
        env.db.add(a_row("mine"))
        env.db.flush()
        with env.reading() as session:
            assert session.scalar(select(Throttle.key)) == "mine"
        env.db.add(a_row("after"))
    assert keys_in(env) == {"mine", "after"}


def test_what_was_read_is_usable_afterwards_and_no_longer_tied_to_the_database(env: Env) -> None:
    with env.transaction():
        env.db.add(a_row("row"))
    with env.reading() as session:
        row = session.scalars(select(Throttle)).one()
    assert (row.key, row.count, row.since) == ("row", 1, START)
    row.count = 99
    with env.transaction():
        env.db.flush()
    with env.reading() as session:
        assert session.scalar(select(Throttle.count)) == 1


def test_reading_waits_for_no_writer_and_aside_sees_only_what_was_committed(app: Flask, env: Env) -> None:
    with env.transaction():
        env.db.add(a_row("before"))
    with env.transaction():
        env.db.add(a_row("uncommitted"))
        env.db.flush()
        with env.aside() as session:
            assert set(session.scalars(select(Throttle.key))) == {"before"}

        def elsewhere() -> set[str]:
            with app.app_context():
                return keys_in(env)

        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(elsewhere).result(timeout=60) == {"before"}


def test_threads_have_transactions_of_their_own(app: Flask, env: Env) -> None:
    def write(n: int) -> None:
        with app.app_context():
            try:
                with env.transaction():
                    env.db.add(a_row(f"thread {n}"))
                    env.db.flush()
                    env.after_commit(lambda: done.append(n))
                    if n % 2:
                        raise Broken
            except Broken:
                pass

    done: list[int] = []
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(24)))
    assert sorted(done) == list(range(0, 24, 2))
    assert keys_in(env) == {f"thread {n}" for n in done}


def test_as_many_threads_as_are_allowed_find_configuration_inside_their_transactions(app: Flask, env: Env) -> None:
    """Each then needs a second connection for a moment; a pool without a spare one would hold them all."""
    pool = a_pool(env)
    threads = env.settings.connections - 1
    together = threading.Barrier(threads) if env.settings.database_url.startswith("postgresql") else None

    def one(n: int) -> str:
        with app.app_context(), env.transaction():
            env.db.execute(select(Pool.id))
            if together:
                together.wait(timeout=60)
            env.cache.drop()
            return find.pool(env, pool.id).id

    with ThreadPoolExecutor(threads) as workers:
        assert set(workers.map(one, range(threads))) == {pool.id}


def test_while_writers_stand_still_no_more_wait_and_reading_goes_on(
    app: Flask, env: Env, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A locked row, or SQLite's one writer, would otherwise take the thread of each request that wants to write."""
    env = replace(env, writes=Slots("writes", 1, patience=1, ticks=clock.ticks))
    with env.transaction():
        env.db.add(a_row("first"))
        clock.forward(seconds=1)

        def second() -> str:
            with pytest.raises(errors.ServiceUnavailable), env.transaction():
                env.db.add(a_row("second"))
            return str(keys_in(env))

        (found,) = in_parallel(app, second)
    assert found == "set()" and keys_in(env) == {"first"}
    assert [one.getMessage() for one in caplog.records] == [
        "the database is not available (writers): 1 transactions wait for it, and others for them"
    ]


@pytest.mark.parametrize("reason", [Broken, errors.InvalidParameter, errors.NotAuthorized, KeyboardInterrupt])
def test_whatever_becomes_of_a_transaction_the_next_may_begin(env: Env, reason: type[BaseException]) -> None:
    env = replace(env, writes=Slots("writes", 1, patience=0))
    for _ in range(2):
        with pytest.raises(reason), env.transaction():
            raise reason
    with pytest.raises(RuntimeError, match="do not nest"), env.transaction():
        with env.transaction():
            pass
    with env.transaction():
        env.db.add(a_row("next"))
        env.after_commit(lambda: keep_another(env))
    assert keys_in(env) == {"next", "another"}, "what waits for the commit, such as a mail, holds up no writer"


def test_who_has_hashed_a_password_has_threads_of_their_own_to_wait_with(env: Env) -> None:
    """Sign-ins of somebody whose row is locked wait; refreshes of everybody else need the slots meanwhile."""
    env = replace(env, writes=Slots("writes", 1, patience=0))
    env.writes.take()
    with facts.during(facts.Facts()):
        with pytest.raises(errors.ServiceUnavailable), env.transaction():
            pass
        env.passwords.verify_nothing("wrong")
        with env.transaction():
            env.db.add(a_row("a sign-in"))
    assert keys_in(env) == {"a sign-in"}


def keep_another(env: Env) -> None:
    with env.transaction():
        env.db.add(a_row("another"))


# -- after the commit ------------------------------------------------------------------------------------------


def test_what_waits_for_the_commit_runs_after_it_in_order(app: Flask, env: Env) -> None:
    seen: list[Any] = []

    def look(name: str) -> Callable[[], None]:
        def act() -> None:
            seen.append((name, keys_in(env)))

        return act

    with env.transaction():
        env.after_commit(look("first"))
        env.db.add(a_row("row"))
        env.after_commit(look("second"))
        assert seen == []
    assert seen == [("first", {"row"}), ("second", {"row"})]


def test_what_waits_may_open_a_transaction_of_its_own(env: Env) -> None:
    def note() -> None:
        with env.transaction():
            env.db.add(a_row("noted"))
            env.after_commit(lambda: done.append("inner"))

    done: list[str] = []
    with env.transaction():
        env.after_commit(note)
        env.after_commit(lambda: done.append("outer"))
    assert keys_in(env) == {"noted"} and done == ["inner", "outer"]


def test_nothing_runs_when_nothing_was_committed(env: Env) -> None:
    ran: list[int] = []
    with pytest.raises(errors.InvalidParameter):
        with env.transaction():
            env.after_commit(lambda: ran.append(1))
            raise errors.InvalidParameter
    with env.transaction():
        pass
    assert ran == []


def test_what_waits_for_a_refusal_that_keeps_runs_too(env: Env) -> None:
    ran: list[int] = []
    with pytest.raises(errors.NotAuthorized):
        with env.transaction():
            env.after_commit(lambda: ran.append(1))
            raise errors.NotAuthorized
    assert ran == [1]


@pytest.mark.parametrize("reason", [errors.CodeDeliveryFailure, Broken])
def test_a_failure_after_the_commit_is_told_once_the_others_have_run(env: Env, reason: type[Exception]) -> None:
    def fail() -> None:
        raise reason("first")

    def fail_again() -> None:
        raise errors.CodeDeliveryFailure("second")

    ran: list[int] = []
    with pytest.raises(reason, match="first"):
        with env.transaction():
            env.db.add(a_row("row"))
            env.after_commit(fail)
            env.after_commit(fail_again)
            env.after_commit(lambda: ran.append(1))
    assert ran == [1] and keys_in(env) == {"row"}


def test_a_refusal_goes_before_what_fails_after_it_and_a_bug_is_not_lost(
    env: Env, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise Broken("of the mail server")

    with pytest.raises(errors.NotAuthorized):
        with env.transaction():
            env.after_commit(fail)
            raise errors.NotAuthorized
    assert "of the mail server" in caplog.text


def test_there_is_nothing_to_wait_for_outside_a_transaction(env: Env) -> None:
    with pytest.raises(RuntimeError, match="no transaction is open"):
        env.after_commit(lambda: None)
    with env.transaction():
        pass
    with pytest.raises(RuntimeError, match="no transaction is open"):
        env.after_commit(lambda: None)
