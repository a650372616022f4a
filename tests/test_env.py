"""What a use-case may touch: the one transaction, what waits for its commit, and configuration that is believed."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError

from app import errors
from app.config import Settings
from app.db import db
from app.env import PATIENCE, STALE_AFTER, STEP, Cache, Env
from app.models import Pool, Revision, Throttle
from app.pools import find
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
    threads = env.settings.database_pool - 1
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


# -- the cache: one process -------------------------------------------------------------------------------------


class Hand:
    """A revision and a clock that a test moves by hand."""

    def __init__(self) -> None:
        self.number, self.time, self.asked, self.broken = 1, 0.0, 0, False
        self.cache = Cache(self.revision, lambda: self.time)

    def revision(self) -> int:
        self.asked += 1
        if self.broken:
            raise Broken
        return self.number


def test_a_value_is_made_once_and_the_database_asked_twice_a_second() -> None:
    hand, made = Hand(), []
    for _ in range(5):
        assert hand.cache.get("x", lambda: made.append(1) or "value") == "value"
    assert (made, hand.asked) == ([1], 1)
    hand.time += STALE_AFTER
    hand.cache.get("x", lambda: made.append(1) or "value")
    assert (made, hand.asked) == ([1], 2)


def test_a_new_revision_drops_everything_but_not_before_it_is_asked_for() -> None:
    hand = Hand()
    hand.cache.get("x", lambda: "old")
    hand.number = 2
    hand.time += STALE_AFTER - 0.01
    assert hand.cache.get("x", lambda: "new") == "old"
    assert hand.cache.peek("x") == "old"
    hand.time += 0.01
    assert hand.cache.peek("x") is None
    assert hand.cache.get("x", lambda: "new") == "new"
    assert hand.cache.peek("x") == "new"


def test_a_database_that_was_restored_to_an_older_revision_is_noticed_too() -> None:
    hand = Hand()
    hand.number = 7
    hand.cache.get("x", lambda: "seven")
    hand.number, hand.time = 3, hand.time + STALE_AFTER
    assert hand.cache.get("x", lambda: "three") == "three"


def test_what_is_not_there_is_looked_for_again() -> None:
    hand = Hand()
    assert hand.cache.get("x", lambda: None) is None
    assert hand.cache.peek("x") is None
    assert hand.cache.get("x", lambda: "created") == "created"


def test_a_failure_to_make_or_to_ask_is_not_kept() -> None:
    hand = Hand()

    def fail() -> str:
        raise Broken

    with pytest.raises(Broken):
        hand.cache.get("x", fail)
    assert hand.cache.get("x", lambda: "fine") == "fine"
    hand.time += STALE_AFTER
    hand.broken = True
    with pytest.raises(Broken):
        hand.cache.get("x", lambda: "never")
    hand.broken = False
    assert hand.cache.get("x", lambda: "never") == "fine"


def test_a_value_made_from_what_was_true_before_a_change_is_given_but_not_kept() -> None:
    """Thread one reads the old row; thread two changes it and drops the cache; then one comes to keep what it read."""
    hand = Hand()

    def read_slowly() -> str:
        hand.cache.drop()
        return "old"

    assert hand.cache.get("x", read_slowly) == "old"
    assert hand.cache.get("x", lambda: "new") == "new"


def test_another_process_changing_while_a_value_is_made_is_noticed() -> None:
    hand = Hand()

    def read_slowly() -> str:
        hand.number = 2
        hand.time += STALE_AFTER
        hand.cache.get("y", lambda: "another thread asks, and sees the new revision")
        return "old"

    hand.cache.get("x", read_slowly)
    assert hand.cache.get("x", lambda: "new") == "new"


def test_threads_that_make_and_drop_at_once_never_keep_what_is_stale() -> None:
    truth, hand = [0], Hand()
    problems: list[str] = []

    def change() -> None:
        for _ in range(300):
            truth[0] += 1
            hand.cache.drop()
            # From here on nobody may be given what was true before.
            if (found := hand.cache.get("x", lambda: truth[0])) != truth[0]:
                problems.append(f"{found} instead of {truth[0]}")

    def look() -> None:
        for _ in range(3000):
            hand.cache.get("x", lambda: truth[0])

    readers = [threading.Thread(target=look) for _ in range(4)]
    for thread in readers:
        thread.start()
    change()
    for thread in readers:
        thread.join()
    assert problems == []


# -- the cache: two processes on one database -------------------------------------------------------------------


@pytest.fixture
def elsewhere(settings: Settings, clock: Clock, another_app: Callable[..., Flask]) -> Iterator[Env]:
    """The environment of another process on the same database. (Another application, in fact, with its own cache.)"""
    other = another_app(settings, now=clock, ticks=clock.ticks)
    with other.app_context():
        yield other.extensions["cognate"]


def rename(app: Flask, env: Env, pool_id: str, name: str, *, fail: bool = False) -> None:
    with app.app_context(), env.transaction():
        env.db.execute(update(Pool).where(Pool.id == pool_id).values(name=name))
        env.configuration_changed()
        if fail:
            raise Broken


def test_a_change_is_seen_at_once_here_and_within_half_a_second_elsewhere(
    app: Flask, elsewhere: Env, clock: Clock
) -> None:
    env: Env = app.extensions["cognate"]
    with app.app_context():
        pool = a_pool(env)
        assert find.pool(env, pool.id).name == "People"
    clock.forward(seconds=STALE_AFTER)
    assert find.pool(elsewhere, pool.id).name == "People"
    rename(app, env, pool.id, "Staff")
    with app.app_context():
        assert find.pool(env, pool.id).name == "Staff"
    assert find.pool(elsewhere, pool.id).name == "People"
    clock.forward(seconds=STALE_AFTER)
    assert find.pool(elsewhere, pool.id).name == "Staff"


def test_a_pool_made_here_is_found_elsewhere_at_once(app: Flask, elsewhere: Env) -> None:
    """It had been looked for before; that it was not there is not believed for half a second."""
    env: Env = app.extensions["cognate"]
    with pytest.raises(errors.UnknownPool):
        find.pool(elsewhere, "us-east-1_000000000")
    with app.app_context():
        pool = a_pool(env)
    assert find.pool(elsewhere, pool.id).id == pool.id


def test_a_change_that_was_rolled_back_drops_nothing(app: Flask, env: Env, clock: Clock) -> None:
    pool = a_pool(env)
    kept = find.pool(env, pool.id)
    with pytest.raises(Broken):
        rename(app, env, pool.id, "Staff", fail=True)
    assert find.pool(env, pool.id) is kept
    clock.forward(seconds=STALE_AFTER)
    assert find.pool(env, pool.id) is kept


def test_what_an_open_transaction_has_changed_is_in_no_cache(app: Flask, env: Env) -> None:
    pool = a_pool(env)
    with pytest.raises(Broken):
        with env.transaction():
            env.db.execute(update(Pool).values(name="never"))
            env.configuration_changed()
            env.cache.drop()
            assert find.pool(env, pool.id).name == "People"
            raise Broken
    assert find.pool(env, pool.id).name == "People"


def test_changes_in_parallel_each_move_the_revision(app: Flask, env: Env) -> None:
    pool = a_pool(env)
    with env.reading() as session:
        before = session.scalar(select(Revision.number))
    with ThreadPoolExecutor(5) as workers:
        list(workers.map(lambda n: rename(app, env, pool.id, str(n)), range(20)))
    with env.reading() as session:
        assert session.scalar(select(Revision.number)) == before + 20
        assert session.scalar(text("SELECT count(*) FROM revision")) == 1
