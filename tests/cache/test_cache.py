"""Configuration that is believed: by the threads of a process, by the processes of a host, and on two hosts."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text, update

from app import errors
from app.background import Background
from app.cache import ANSWERS_WITHIN, STALE_AFTER, Cache
from app.cache.version import Version
from app.config import Settings
from app.db import db
from app.env import Env
from app.models import Pool, Revision
from app.pools import find
from tests.build import a_pool
from tests.conftest import Clock


class Broken(Exception):
    """A bug."""


# -- one process -----------------------------------------------------------------------------------------------


class Hand:
    """A revision and a clock that a test moves by hand."""

    def __init__(self) -> None:
        self.number, self.time, self.asked, self.broken = 1, 0.0, 0, False
        self.cache = self.process(Version())

    def process(self, version: Version, *, one_host: bool = True) -> Cache:
        """The cache of a process that asks the same database."""
        return Cache(self.revision, lambda: self.time, version, one_host=one_host)

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


def test_while_a_database_is_silent_what_was_kept_is_there_for_those_who_may_have_it() -> None:
    """It has frozen, say: nothing is refused, and whoever asked first waits for seconds."""
    found: list[Any] = []

    class Silent(Hand):
        def revision(self) -> int:
            if self.time:
                found.append(self.cache.while_away("x"))
                self.time += ANSWERS_WITHIN + 0.01
                found.append(self.cache.while_away("x"))
            return super().revision()

    hand = Silent()
    hand.cache.get("x", lambda: "value")
    hand.time += STALE_AFTER
    assert hand.cache.get("x", lambda: "new") == "value"
    assert found == [None, "value"], "not before it is clear that no answer comes soon"
    hand.time += STALE_AFTER
    assert hand.cache.while_away("x") is None, "it has answered after all"


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


# -- the processes of a host: what a test moves by hand ----------------------------------------------------------


class Host(Hand):
    """Two processes that share a version, and a row that one of them changes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.row = "old"
        self.versions = [Version(path, make=True) for _ in range(2)]
        self.here, self.there = (self.process(version) for version in self.versions)

    def commit(self, row: str) -> int:
        """What the database does; nobody has been told yet."""
        self.row, self.number = row, self.number + 1
        return self.number

    def change(self, row: str) -> None:
        self.here.changed(self.commit(row))

    def read(self, cache: Cache) -> str:
        return cache.get("x", lambda: self.row)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path / "version")
    # As processes that have served for a while.
    assert [host.read(cache) for cache in (host.here, host.there, host.here, host.there)] == ["old"] * 4
    return host


def test_what_one_process_has_answered_the_other_gives_at_once(host: Host) -> None:
    for number in range(100):
        host.change(str(number))
        assert host.read(host.there) == host.read(host.here) == str(number)


def test_what_is_current_costs_no_question(host: Host) -> None:
    before = host.asked
    for _ in range(100):
        host.read(host.there)
        assert host.there.peek("x") == "old"
    assert host.asked == before


def test_a_prepared_document_is_not_served_once_another_process_has_changed_something(host: Host) -> None:
    host.change("new")
    assert host.there.peek("x") is None


def test_a_value_read_before_another_process_committed_is_not_kept_for_after(host: Host) -> None:
    """There: read the old row. Here: commit, and say so. There: keep what was read."""
    host.there.drop()

    def read_slowly() -> str:
        read = host.row
        host.change("new")
        return read

    assert host.there.get("x", read_slowly) == "old", "it was asked for before the answer left"
    assert host.read(host.there) == "new"


def test_a_value_read_between_a_commit_and_its_announcement_is_dropped_by_that(host: Host) -> None:
    revision = host.commit("new")
    assert host.read(host.there) == "old", "nobody has answered yet"
    host.here.changed(revision)
    assert host.read(host.there) == "new"


def test_a_change_while_the_other_asks_the_database_is_not_passed_over(host: Host) -> None:
    """There: the version is read, and the revision. Here: commit, and say so. There: believe what was read."""
    asked = host.there._revision

    def revision() -> int:
        found = asked()
        host.there._revision = asked
        host.change("new")
        return found

    host.there._revision = revision
    host.time += STALE_AFTER
    host.read(host.there)
    assert host.read(host.there) == "new"


@pytest.mark.parametrize("first", [0, 1])
def test_two_changes_at_once_are_both_seen_in_whatever_order_they_are_told(host: Host, first: int) -> None:
    """The earlier commit may be announced last, and must not look like what the reader knew."""
    announced = [(host.here, host.commit("one")), (host.there, host.commit("two"))]
    third = host.process(host.versions[0])
    for cache, revision in (announced[first], announced[1 - first]):
        host.read(third)
        host.commit("later")
        cache.changed(revision)
        assert host.read(third) == "later"


def test_a_process_that_dies_between_its_commit_and_the_announcement_leaves_nobody_behind(host: Host) -> None:
    third = host.process(host.versions[1])
    host.read(third)
    host.time += STALE_AFTER / 2
    host.there.refresh()
    host.there.drop()
    host.read(host.there)  # asked now: the others are half a second old before it is
    host.commit("new")
    host.time += STALE_AFTER / 2
    assert host.read(host.here) == "new", "who asks the database next"
    assert (host.read(host.there), host.read(third)) == ("new", "new"), "and then everybody"


def test_each_process_is_told_of_another_host_and_the_version_moves_once(host: Host) -> None:
    """Each listens, and hears the same number."""
    revision = host.commit("new")
    for version in host.versions:
        version.heard(revision)
        seen = host.versions[0].value
        assert (host.read(host.here), host.read(host.there)) == ("new", "new")
    assert host.versions[1].value == seen
    before = host.asked
    host.versions[0].heard(revision)
    host.read(host.here)
    assert host.asked == before
    host.row = "of a time when nobody listened"
    host.versions[0].heard(None)
    assert host.read(host.there) == host.row


# -- requests that must not be behind another host ---------------------------------------------------------------


def test_a_request_that_must_not_be_behind_asks_where_other_hosts_may_write(tmp_path: Path) -> None:
    hand = Hand()
    version = Version(tmp_path / "version", make=True)
    sibling, cache = (hand.process(version, one_host=False) for _ in range(2))
    for each in (sibling, cache):
        each.get("x", lambda: "old")
    hand.number = 2
    assert cache.get("x", lambda: "new") == "old"
    cache.refresh()
    assert cache.get("x", lambda: "new") == "new"
    assert sibling.get("x", lambda: "new") == "new", "which is what the answer has said, whoever is asked next"


def test_on_the_one_host_there_is_it_asks_only_where_the_memory_is_not_shared(host: Host) -> None:
    before = host.asked
    host.there.refresh()
    assert host.asked == before
    alone = host.process(Version())
    assert host.read(alone) == "old"
    host.commit("new")
    alone.refresh()
    assert host.read(alone) == "new"


# -- two processes on one database -----------------------------------------------------------------------------


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


def test_an_answer_made_of_what_was_committed_and_not_announced_yet_is_not_ahead_of_the_next_one(
    settings: Settings, clock: Clock, another_app: Callable[..., Flask], app: Flask
) -> None:
    """One process has committed. Another one reads the new row before it is told, and answers. The third has the old
    row in its cache, and is asked next."""
    second, third = (another_app(settings, now=clock, ticks=clock.ticks, background=Background()) for _ in range(2))
    with app.app_context():
        pool_id = a_pool(app.extensions["cognate"]).id

    def named(process: Flask) -> str:
        with process.app_context():
            return find.pool(process.extensions["cognate"], pool_id).name

    assert named(third) == "People"
    with second.app_context():
        with pytest.raises(errors.UnknownPool):
            find.pool(second.extensions["cognate"], "us-east-1_000000000")
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Pool).where(Pool.id == pool_id).values(name="Staff"))
        connection.execute(update(Revision).values(number=Revision.number + 1))
    assert named(second) == "Staff"
    assert named(third) == "Staff"
