"""Connections to PostgreSQL whose waiting ends; and a server that freezes, while another one takes over."""

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text

from app import errors, installation, postgresql
from app.cache.listener import Listener
from app.config import Limits, Settings, read
from app.db import db, unhurried
from app.env import Env
from tests import build, standby
from tests.conftest import test_settings

pytestmark = pytest.mark.postgres
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def parameters(url: str, limits: Limits | None = None) -> dict[str, Any]:
    settings = read({"COGNATE_DATABASE_URL": url})
    return postgresql.parameters(settings.database_url, limits or settings.database_limits)


# -- what the driver is told -----------------------------------------------------------------------------------


def test_limits_are_on_unless_they_are_turned_off() -> None:
    assert parameters("postgresql://h/d")["options"] == (
        "-c lock_timeout=2000 -c statement_timeout=10000 -c idle_in_transaction_session_timeout=30000"
    )
    assert "options" not in parameters("postgresql://h/d", Limits())


def test_what_the_url_says_goes_before_what_is_usual() -> None:
    usual = parameters("postgresql://h/d")
    assert (usual["connect_timeout"], usual["tcp_user_timeout"], usual["keepalives_idle"]) == (5, 10_000, 5)
    given = parameters(
        "postgresql://h/d?connect_timeout=60&tcp_user_timeout=0&keepalives=0&options=-c%20lock_timeout%3D7"
    )
    assert (given["connect_timeout"], given["tcp_user_timeout"], given["keepalives"]) == ("60", "0", "0")
    assert given["options"].endswith(" -c lock_timeout=7"), "of two the last one counts"


def test_each_of_several_hosts_is_waited_for_a_shorter_time() -> None:
    given = parameters("postgresql://u:p@h1:5432,[::1]:5433,h3/d?target_session_attrs=read-write")
    assert (given["host"], given["port"]) == ("h1,::1,h3", "5432,5433,5432")
    assert (given["target_session_attrs"], given["connect_timeout"]) == ("read-write", 3)


@on_postgresql
def test_the_server_has_heard_of_the_limits(env: Env, another_app: Callable[..., Flask]) -> None:
    changed = replace(env.settings, database_lock_timeout=1.5, database_statement_timeout=20.0)
    with another_app(changed).app_context(), db.engine.connect() as connection:
        names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        told = [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]
        assert told == ["1500ms", "20s", "30s"]


# -- rows that are locked --------------------------------------------------------------------------------------


class Watch:
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.time = 0.0
        self.rows = postgresql.Rows(lambda: self.time)


@pytest.mark.parametrize(
    ("statement", "waits"),
    [
        ('SELECT * FROM "user" WHERE sub = %(sub)s FOR UPDATE OF "user"', True),
        ('SELECT sub FROM "user" WHERE sub = %(sub)s FOR NO KEY UPDATE', True),
        ('SELECT sub FROM "user" WHERE sub = %(sub)s FOR KEY SHARE', True),
        ("UPDATE throttle SET count = 1", True),
        ("INSERT INTO throttle (key) VALUES (%(key)s) ON CONFLICT (key) DO UPDATE SET count = 1", True),
        ("SELECT digest FROM attempt FOR UPDATE SKIP LOCKED", False),
        ("INSERT INTO attempt (digest) VALUES (%(digest)s)", False),
        ("SELECT updated_at FROM pool", False),
    ],
)
def test_statements_that_wait_for_rows_are_known(statement: str, waits: bool) -> None:
    assert Watch().rows.locked_by(statement) is waits


def test_only_two_go_on_waiting_for_a_row_that_somebody_has_locked() -> None:
    watch = Watch()
    rows = watch.rows
    entered = [rows.enter("s", ["user 1"]) for _ in range(4)]  # that several come for one row at once is usual
    watch.time += postgresql.NOTICED_AFTER + 0.01
    with pytest.raises(postgresql.RowTaken) as refused:
        rows.enter("s", ["user 1"])
    assert refused.value.sqlstate == "55P03", "as when the server gives up: ServiceUnavailable"
    rows.leave(*rows.enter("s", ["user 2"]))
    for each in entered:
        rows.leave(*each)
    again = [rows.enter("s", ["user 1"]) for _ in range(2)]
    with pytest.raises(postgresql.RowTaken):
        rows.enter("s", ["user 1"])  # at once: it was waited for in vain a moment ago
    rows.leave(*again[0])  # and now one was quick
    for _ in range(3):
        rows.enter("s", ["user 1"])


def test_a_row_that_many_use_and_nobody_keeps_is_refused_to_none() -> None:
    watch = Watch()
    entered = [watch.rows.enter("s", ["user 1"]) for _ in range(3)]
    for _ in range(100):
        watch.time += postgresql.NOTICED_AFTER / 4
        watch.rows.leave(*entered.pop(0))
        entered.append(watch.rows.enter("s", ["user 1"]))
        watch.rows.leave(*entered.pop(0))
        entered.append(watch.rows.enter("s", ["user 1"]))


def test_a_row_is_named_by_texts_and_numbers_and_not_by_moments_and_documents() -> None:
    rows = Watch().rows
    first, _ = rows.enter("s", ["user 1", 7, 1.5, {"a": 1}, [2]])
    second, _ = rows.enter("s", ["user 1", 7, 2.5, {"a": 2}, [3]])
    third, _ = rows.enter("s", ["user 2", 7, 2.5, {"a": 2}, [3]])
    assert first == second != third


@on_postgresql
def test_of_many_requests_for_a_locked_row_most_are_refused_at_once(
    env: Env, monkeypatch: pytest.MonkeyPatch, another_app: Callable[..., Flask]
) -> None:
    """By the statement of every sign-in. The lock is held until those who were not refused have given up."""
    monkeypatch.setattr(postgresql, "NOTICED_AFTER", 0.0)
    app = another_app(replace(env.settings, database_lock_timeout=0.5))
    user = build.a_user(env, build.a_pool(env))
    lock = text('SELECT sub FROM "user" WHERE sub = :sub FOR UPDATE').bindparams(sub=user.sub)
    causes: queue.Queue[Any] = queue.Queue()

    def sign_in() -> None:
        with app.app_context():
            try:
                with app.extensions["cognate"].transaction() as session:
                    session.execute(lock)
            except errors.ServiceUnavailable as refused:
                causes.put(type(getattr(refused.__cause__, "orig", None)))
            else:
                causes.put(None)

    with env.transaction() as session:
        session.execute(lock)
        threads = [threading.Thread(target=sign_in) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(standby.WITHIN)
    found = [causes.get_nowait() for _ in threads]
    assert None not in found
    assert found.count(postgresql.RowTaken) >= 1, found
    assert 1 <= found.count(psycopg.errors.LockNotAvailable) <= 5, found
    with app.app_context(), app.extensions["cognate"].transaction() as session:
        session.execute(lock)


# -- statements that take too long -----------------------------------------------------------------------------


@pytest.fixture
def hurried(env: Env, another_app: Callable[..., Flask]) -> Iterator[Env]:
    """An environment in which a statement may take a twentieth of a second."""
    app = another_app(replace(env.settings, database_statement_timeout=0.05))
    with app.app_context():
        yield app.extensions["cognate"]


@on_postgresql
def test_a_statement_that_takes_too_long_is_refused_and_the_next_one_is_not(hurried: Env) -> None:
    with pytest.raises(errors.ServiceUnavailable), hurried.reading() as session:
        session.execute(text("SELECT pg_sleep(60)"))
    with hurried.reading() as session:
        assert session.scalar(text("SELECT 1")) == 1


@on_postgresql
def test_what_takes_as_long_as_there_are_rows_is_let_to_and_only_that(hurried: Env) -> None:
    with hurried.transaction() as session:
        unhurried(session.connection())
        session.execute(text("SELECT pg_sleep(0.2)"))
        driver = session.connection().connection.dbapi_connection
        assert driver is not None and driver.patience is None
    with hurried.reading() as session:
        assert session.connection().connection.dbapi_connection is driver
        assert driver.patience == 0.05 + postgresql.GRACE
        assert session.scalar(text("SHOW statement_timeout")) == "50ms"


@on_postgresql
def test_deleting_a_pool_takes_as_long_as_it_takes(env: Env, statements: Callable[[], list[str]]) -> None:
    from app.pools import app_clients, user_pools

    client = build.a_client(env, build.a_pool(env))
    for act in (lambda: app_clients.delete(env, client), lambda: user_pools.delete(env, client.pool)):
        statements()
        act()
        done = statements()
        lifted = done.index("SET LOCAL statement_timeout = 0")
        assert any(one.startswith("DELETE") for one in done[lifted:])
        assert not any(one.startswith("DELETE") for one in done[:lifted])


@on_postgresql
def test_a_transaction_in_which_nothing_is_done_is_ended_and_is_no_bug(
    env: Env, another_app: Callable[..., Flask]
) -> None:
    app = another_app(replace(env.settings, database_idle_in_transaction_timeout=0.05))
    with app.app_context(), pytest.raises(errors.ServiceUnavailable):
        with app.extensions["cognate"].transaction() as session:
            session.execute(text("SELECT 1"))
            driver: Any = session.connection().connection.dbapi_connection
            driver.wait(_until_readable(driver))
            session.execute(text("SELECT 1"))


def _until_readable(driver: Any) -> Any:
    """Until the server says something unasked, which is that it ends the session."""
    yield psycopg.waiting.WAIT_R


# -- a server that freezes -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def alone() -> Iterator[standby.Node]:
    with standby.node() as node:
        yield node


def test_an_answer_that_is_overdue_is_given_up_and_the_connection_closed(alone: standby.Node) -> None:
    connection = postgresql.Connection.connect(alone.address, autocommit=True)
    connection.patience = 0.2
    assert connection.execute("SELECT 1").fetchone() == (1,)
    with alone.frozen(), pytest.raises(psycopg.OperationalError, match="has not answered within 0.2 s"):
        connection.execute("SELECT 2")
    assert connection.closed, "or the answer would be taken for that of the next statement"


def test_a_connection_that_was_idle_while_the_server_froze_is_found_by_its_ping(
    alone: standby.Node, another_app: Callable[..., Flask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after the limit of a statement, which may be long."""
    monkeypatch.setattr(postgresql, "PING", 0.2)
    app = another_app(
        test_settings(f"{alone.address.replace(':', '+psycopg:', 1)}?connect_timeout=1", data_dir=tmp_path)
    )
    with app.app_context():
        env = app.extensions["cognate"]
        with env.reading() as session:
            first = session.connection().connection.dbapi_connection
        with alone.frozen(), pytest.raises(errors.ServiceUnavailable), env.reading():
            pass
        assert first is not None and first.closed
        with env.reading() as session:
            assert session.scalar(text("SELECT 1")) == 1


def test_who_listens_finds_out_that_the_server_froze(alone: standby.Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would not hear of what is changed on the server that takes over."""
    monkeypatch.setattr("app.cache.listener.CHECKED_AFTER", 0.1)
    monkeypatch.setattr("app.cache.listener.PING", 0.2)
    heard: queue.Queue[int | None] = queue.Queue()
    listener = Listener(f"{alone.address.replace(':', '+psycopg:', 1)}?connect_timeout=60", heard.put)
    listener.ensure()
    assert heard.get(timeout=standby.WITHIN) is None
    told = threading.Event()
    monkeypatch.setattr("app.cache.listener.log.warning", lambda *given: told.set())
    with alone.frozen():
        assert told.wait(standby.WITHIN), "that nobody listens"
    assert heard.get(timeout=standby.WITHIN) is None, "it listens again"
    listener.stop()


# -- several hosts ---------------------------------------------------------------------------------------------


def test_the_host_that_took_writes_last_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen one would be waited for with each connection."""
    asked: list[tuple[str, str]] = []
    primary: list[str | None] = ["h1"]

    class Opened:
        def __init__(self, host: str) -> None:
            self.info = self
            self.host, self.port = host, 5432

    def opened(patience: float | None, given: dict[str, Any]) -> Opened:
        asked.append((given["host"], given["port"]))
        if primary[0] is None:
            raise psycopg.OperationalError("none of them")
        return Opened(primary[0])

    monkeypatch.setattr(postgresql.Connection, "open", opened)
    hosts = postgresql.Hosts(parameters("postgresql://h1,h2,h3/d?target_session_attrs=read-write"))
    for primary[0] in ("h1", None, "h2", "h2"):
        try:
            hosts.open(None)
        except psycopg.OperationalError:
            pass
    ports = "5432,5432,5432"
    assert asked == [("h1,h2,h3", ports), ("h1,h2,h3", ports), ("h2,h3,h1", ports), ("h2,h3,h1", ports)]
    asked.clear()
    preferred = postgresql.Hosts(parameters("postgresql://h1,h2,h3/d"))
    for primary[0] in ("h2", "h2"):
        preferred.open(None)
    assert asked == [("h1,h2,h3", ports)] * 2, "where any will do, the order is one of preference"


# -- a standby -------------------------------------------------------------------------------------------------


@pytest.fixture
def pair() -> Iterator[standby.Pair]:
    with standby.pair() as both:
        yield both


def migrated(pair: standby.Pair, settings: Settings, another_app: Callable[..., Flask]) -> Flask:
    app = another_app(settings)
    installation.migrate(app, app.extensions["cognate"].seal)
    with app.app_context():
        db.engine.dispose()
    pair.caught_up()
    return another_app(settings)


@pytest.mark.slow
def test_writes_go_on_where_the_primary_freezes_and_its_standby_takes_over(
    pair: standby.Pair, another_app: Callable[..., Flask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "PING", 0.2)
    url = read({"COGNATE_DATABASE_URL": pair.url + "&connect_timeout=2"}).database_url
    app = migrated(pair, test_settings(url, data_dir=tmp_path), another_app)
    with app.app_context():
        env = app.extensions["cognate"]
        pool = build.a_pool(env)
        pair.caught_up()
        with pair.primary.frozen():
            pair.promote()
            build.a_user(env, pool)
        assert pair.standby.ask("SELECT count(*) FROM public.user") == 1
        db.engine.dispose()


@on_postgresql
def test_a_connection_to_what_has_become_a_standby_is_given_up(env: Env) -> None:
    """As behind one name that leads to whichever server is the primary: the next connection leads there."""
    with env.reading() as session:
        before = session.connection().connection.dbapi_connection
    with pytest.raises(errors.ServiceUnavailable), env.transaction() as session:
        session.execute(text("SET TRANSACTION READ ONLY"))
        session.execute(text("UPDATE revision SET number = number"))
    assert before is not None and before.closed
    with env.transaction() as session:
        session.execute(text("UPDATE revision SET number = number"))
