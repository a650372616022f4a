"""Counting requests in memory, in the database and in Redis: the same everywhere, and by whom together."""

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from app.config import SettingsError
from app.db import db
from app.env import Counters, Env
from app.throttling import Limit, counters, hit
from tests.conftest import Clock
from tests.parallel import in_parallel

THREE = Limit("three", 3, 60)
REDIS = shutil.which("redis-server") or shutil.which("valkey-server")


def opened(env: Env, storage: str) -> Counters:
    """What another process with these settings has."""
    return counters.of(
        replace(env.settings, rate_limit_storage=storage),
        ticks=env.ticks,
        now=env.now,
        engine=lambda: db.engine,
        outages=env.outages,
        keyed=env.keyed,
    )


@pytest.fixture(params=["memory", "database"])
def counting(request: pytest.FixtureRequest, env: Env) -> Env:
    return replace(env, counters=opened(env, request.param))


def test_the_fourth_waits_for_the_end_of_the_window(counting: Env, clock: Clock) -> None:
    assert [hit(counting, THREE, "a"), hit(counting, THREE, "a")] == [None, None]
    clock.forward(seconds=20)
    assert [hit(counting, THREE, "a"), hit(counting, THREE, "a")] == [None, 40]
    clock.forward(seconds=39.5)
    assert hit(counting, THREE, "a") == 1  # never 0: whoever comes back at once would be refused again
    clock.forward(seconds=0.5)
    assert [hit(counting, THREE, "a") for _ in range(4)] == [None, None, None, 60]


def test_other_keys_and_other_limits_have_counters_of_their_own(counting: Env) -> None:
    for limit, keys in (
        (THREE, ("a", "b")),
        (THREE, ("ab",)),
        (THREE, ("a/b",)),
        (THREE, ("", "a", "b")),
        (THREE, ("1 a", "b")),
        (THREE, ("x" * 10_000,)),
        (THREE, ("x" * 10_001,)),
        (replace(THREE, name="others"), ("a", "b")),
    ):
        assert [hit(counting, limit, *keys) for _ in range(4)] == [None, None, None, 60]


def test_an_amount_of_0_allows_everything(counting: Env) -> None:
    assert {hit(counting, Limit("off", 0, 60), "a") for _ in range(50)} == {None}


def test_looking_counts_nothing(counting: Env, clock: Clock) -> None:
    looks = [counting.counters.used_up(("three", "a"), 3, 60)]
    for _ in range(3):
        hit(counting, THREE, "a")
        looks.append(counting.counters.used_up(("three", "a"), 3, 60))
    assert looks == [None, None, None, 60]
    clock.forward(seconds=60)
    assert counting.counters.used_up(("three", "a"), 3, 60) is None


def test_of_many_that_come_at_one_moment_the_limit_gets_through(app: Flask, counting: Env) -> None:
    waits = in_parallel(app, *[lambda: hit(counting, THREE, "a")] * 8)
    assert sorted(waits, key=str) == [60] * 5 + [None] * 3


def test_two_workers_count_together_in_the_database_and_apart_in_memory(env: Env) -> None:
    for storage, allowed in (("database", 3), ("memory", 6)):
        workers = [replace(env, counters=opened(env, storage)) for _ in range(2)]
        waits = [hit(worker, THREE, storage) for _ in range(4) for worker in workers]
        assert waits.count(None) == allowed


def test_the_database_keeps_neither_names_nor_addresses(env: Env, statements: Callable[[], list[str]]) -> None:
    database = replace(env, counters=opened(env, "database"))
    statements()
    hit(database, THREE, "192.0.2.1", "somebody")
    assert len(statements()) == 1
    with env.reading() as session:
        (row,) = session.execute(db.text("SELECT * FROM rate_counter")).all()
    assert "192.0.2.1" not in str(row) and "somebody" not in str(row)


def test_a_clock_that_is_set_back_keeps_nobody_waiting(env: Env, clock: Clock) -> None:
    """A host whose clock was a day ahead has begun a window; now it is set right."""
    database = replace(env, counters=opened(env, "database"))
    clock.forward(days=1)
    assert [hit(database, THREE, "a") for _ in range(4)][-1] == 60
    clock.forward(days=-1)
    assert [hit(database, THREE, "a") for _ in range(4)] == [None, None, None, 60]


def test_memory_does_not_ask_what_day_it_is(env: Env) -> None:
    """The wall clock, which an operator or NTP sets, is not even given to it."""
    seconds = 0.0
    memory = replace(env, counters=counters.Memory(lambda: seconds))
    assert [hit(memory, THREE, "a") for _ in range(4)] == [None, None, None, 60]
    seconds = 60.0
    assert hit(memory, THREE, "a") is None


def test_keys_that_are_made_up_fill_no_memory_and_free_nobody(
    env: Env, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters.Memory, "MOST", 100)
    memory = counters.Memory(clock.ticks)
    flooded = replace(env, counters=memory)
    for _ in range(4):
        hit(flooded, THREE, "attacker")
    for n in range(1000):
        assert hit(flooded, THREE, f"made up {n}") is None
        assert len(memory._windows) <= 100
    assert hit(flooded, THREE, "attacker") == 60
    clock.forward(minutes=1)
    for n in range(101):
        hit(flooded, THREE, f"later {n}")
    assert not any("made up" in key[1] for key in memory._windows)


# -- Redis -----------------------------------------------------------------------------------------------------


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """The URL of a Redis of this test's own, behind a socket, and its process."""
    if REDIS is None:
        pytest.skip("no redis-server or valkey-server is installed")
    path = tmp_path / "redis.sock"
    command = [REDIS, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while b"eady to accept" not in (line := process.stdout.readline()) and line:
            pass
        yield f"redis+unix://{path}", process
        process.kill()


def test_workers_count_together_in_redis(env: Env, redis: tuple[str, "subprocess.Popen[bytes]"]) -> None:
    workers = [replace(env, counters=opened(env, redis[0])) for _ in range(2)]
    assert {worker.counters.used_up(("three", "a"), 3, 60) for worker in workers} == {None}
    waits = [hit(worker, THREE, "a") for _ in range(2) for worker in workers]
    assert waits[:3] == [None] * 3 and 0 < (waits[3] or 0) <= 60
    assert workers[0].counters.used_up(("three", "a"), 3, 60)


def test_without_redis_each_worker_counts_by_itself(
    env: Env, clock: Clock, redis: tuple[str, "subprocess.Popen[bytes]"], caplog: pytest.LogCaptureFixture
) -> None:
    url, process = redis
    worker = replace(env, counters=opened(env, url))
    assert hit(worker, THREE, "a") is None
    process.kill()
    process.wait()
    assert [hit(worker, THREE, "a") for _ in range(4)] == [None, None, None, 60]
    assert worker.counters.used_up(("three", "a"), 3, 60) == 60
    assert len(caplog.messages) == 1 and "does not answer" in caplog.messages[0]
    clock.forward(seconds=counters.Shared.AWAY_FOR)
    hit(worker, THREE, "a")
    assert len(caplog.messages) == 2


def test_nobody_waits_long_for_a_redis_that_never_answers(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters.Shared, "PATIENCE", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        worker = replace(env, counters=opened(env, f"redis://127.0.0.1:{silent.getsockname()[1]}"))
        assert [hit(worker, THREE, "a") for _ in range(4)] == [None, None, None, 60]


def test_a_redis_needs_its_packages(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "limits.errors", None)
    with pytest.raises(SettingsError, match=r"pip install 'cognate-idp\[redis\]'"):
        opened(env, "redis://localhost")
