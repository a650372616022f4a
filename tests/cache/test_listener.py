"""What another host changes is heard of through PostgreSQL; and what happens while nobody listens."""

import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.engine import make_url

from app import postgresql
from app.background import Background
from app.cache import CHANNEL
from app.cache.listener import Listener
from app.config import Settings
from app.env import Env
from app.models import Pool
from app.pools import find
from tests.build import a_pool
from tests.conftest import Clock, test_settings
from tests.ports import free_port

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
]
WITHIN = 60
"""Seconds, on a machine that has other things to do."""


class Ear:
    """A listener, and what it has heard."""

    def __init__(self, url: str) -> None:
        self.heard: queue.Queue[int | None] = queue.Queue()
        self.listener = Listener(url, self.heard.put)

    def next(self) -> int | None:
        return self.heard.get(timeout=WITHIN)


@pytest.fixture
def ear(database_url: str) -> Iterator[Ear]:
    """One that listens."""
    ear = Ear(database_url)
    ear.listener.ensure()
    assert ear.next() is None, "before it listened there may have been anything"
    yield ear
    ear.listener.stop()


@pytest.fixture
def database(database_url: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


Database = psycopg.Connection[tuple[object, ...]]
LISTENERS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'cognate-listener'"


def count(database: Database) -> object:
    (found,) = database.execute(f"SELECT count(*) {LISTENERS}").fetchone() or (None,)
    return found


def notify(database: Database, text: str) -> None:
    database.execute("SELECT pg_notify(%s, %s)", [CHANNEL, text])


def test_numbers_are_heard_in_order_and_nonsense_means_anything(ear: Ear, database: Database) -> None:
    for text in ("7", "8", "nonsense", "", "-1", "9"):
        notify(database, text)
    assert [ear.next() for _ in range(6)] == [7, 8, None, None, None, 9]


def test_a_change_is_heard_of_when_it_is_committed_and_not_before(ear: Ear, app: Flask, env: Env) -> None:
    with pytest.raises(ZeroDivisionError), env.transaction():
        env.configuration_changed()
        raise ZeroDivisionError
    with env.transaction():
        env.configuration_changed()
        env.configuration_changed()
    first, second = ear.next(), ear.next()
    assert first is not None and second == first + 1
    assert ear.heard.empty()


def test_a_lost_connection_is_made_again_and_what_was_missed_is_made_up_for(
    ear: Ear, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            database.execute(f"SELECT pg_terminate_backend(pid) {LISTENERS}")
            assert ear.next() is None
            notify(database, "8")
            assert ear.next() == 8
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 6
    assert "up to half a second late" in said[0] and said[1] == "changes of configuration are heard of again"


def test_a_database_that_cannot_be_reached_is_complained_of_once_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.cache.listener.LONGEST_PAUSE", 0.001)
    monkeypatch.setattr("app.cache.listener.SHORTEST_PAUSE", 0.001)
    tried = threading.Semaphore(0)
    connect, down = postgresql.Connection.connect, threading.Event()
    down.set()

    def connecting(*given: object, **more: object) -> object:
        tried.release()
        if down.is_set():
            more |= {"host": "127.0.0.1", "port": free_port(), "password": "a secret"}
        return connect(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(postgresql.Connection, "connect", connecting)
    ear = Ear(database_url)
    ear.listener.ensure()
    for _ in range(5):
        assert tried.acquire(timeout=WITHIN)
    down.clear()
    assert ear.next() is None
    ear.listener.stop()
    assert len(caplog.records) == 2
    assert "a secret" not in caplog.text


def test_it_stops_for_good_and_takes_its_leave_of_the_database(ear: Ear, database: Database) -> None:
    assert count(database) == 1
    ear.listener.stop()
    ear.listener.stop()
    ear.listener.ensure()
    assert not any(thread.name == "listener" for thread in threading.enumerate())


def test_it_stops_while_there_is_no_connection(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setattr("app.cache.listener.SHORTEST_PAUSE", 3600.0)
    monkeypatch.setattr("app.cache.listener.LONGEST_PAUSE", 3600.0)
    url = make_url(database_url).set(query={"host": "127.0.0.1", "port": str(free_port())})
    ear = Ear(url.render_as_string(hide_password=False))
    ear.listener.ensure()
    ear.listener.stop()
    assert not any(thread.name == "listener" for thread in threading.enumerate())


def test_a_process_that_is_forked_later_listens_itself(ear: Ear, database_url: str) -> None:
    """gunicorn with --preload: the thread stays behind in the parent."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            ear.listener._heard = lambda revision: os.write(write, b"heard") and None
            ear.listener.ensure()
            threading.Event().wait(WITHIN)
        finally:
            os._exit(0)
    os.close(write)
    assert os.read(read, 5) == b"heard"
    os.kill(child, 9)
    os.waitpid(child, 0)
    os.close(read)


# -- two servers -----------------------------------------------------------------------------------------------


@pytest.fixture
def hosts(
    settings: Settings, clock: Clock, another_app: Callable[..., Flask], tmp_path_factory: pytest.TempPathFactory
) -> list[Flask]:
    """Two servers on one database, each with a directory of its own, as two hosts have. The clock stands still, so that
    neither asks the database by itself."""
    directories = [tmp_path_factory.mktemp(name) for name in ("one", "other")]
    return [
        another_app(
            test_settings(settings.database_url, data_dir=directory),
            now=clock,
            ticks=clock.ticks,
            background=Background(),
        )
        for directory in directories
    ]


def named(server: Flask, pool_id: str) -> str:
    with server.app_context():
        return find.pool(server.extensions["cognate"], pool_id).name


def rename(server: Flask, pool_id: str, name: str) -> None:
    env: Env = server.extensions["cognate"]
    with server.app_context(), env.transaction():
        env.db.execute(update(Pool).where(Pool.id == pool_id).values(name=name))
        env.configuration_changed()


def until(true: Callable[[], bool], *, what: str) -> None:
    end = time.monotonic() + WITHIN
    while not true():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.002)


def test_a_change_reaches_another_host_that_does_not_ask(hosts: list[Flask], app: Flask, database: Database) -> None:
    one, other = hosts
    with app.app_context():
        pool_id = a_pool(app.extensions["cognate"]).id
    assert (named(one, pool_id), named(other, pool_id)) == ("People", "People")
    until(lambda: count(database) == 2, what="both to listen")
    for number in range(20):
        rename(one, pool_id, str(number))
        assert named(one, pool_id) == str(number)
        until(lambda: named(other, pool_id) == str(number), what="the other host")  # noqa: B023


def test_nothing_listens_before_the_first_request(hosts: list[Flask], database: Database) -> None:
    """The connection would be shared with a process that is forked then."""
    assert count(database) == 0
    assert [app.extensions["cognate_listener"]._thread for app in hosts] == [None, None]


def test_a_signed_request_asks_although_the_notification_is_still_on_its_way(
    hosts: list[Flask], app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = hosts
    for server in hosts:
        monkeypatch.setattr(server.extensions["cognate"].cache, "_listen", lambda: None)
    with app.app_context():
        pool_id = a_pool(app.extensions["cognate"]).id
    assert (named(one, pool_id), named(other, pool_id)) == ("People", "People")
    rename(one, pool_id, "Staff")
    assert named(other, pool_id) == "People"
    answer = other.test_client().post(
        "/",
        json={"UserPoolId": pool_id},
        headers={
            "X-Amz-Target": "AWSCognitoIdentityProviderService.DescribeUserPool",
            "Authorization": "AWS4-HMAC-SHA256 Credential=any/20260301/us-east-1/cognito-idp/aws4_request, "
            "SignedHeaders=host, Signature=any",
        },
    )
    assert json.loads(answer.data)["UserPool"]["Name"] == "Staff"
    assert named(other, pool_id) == "Staff", "what it has said, the next request sees"
