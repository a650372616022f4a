"""A database that cannot serve just now: told from a bug, answered at every door, and one line of the log."""

import contextvars
import re
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import boto3
import psycopg
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from flask import Flask
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool
from werkzeug.test import TestResponse

from app import errors, installation
from app.config import Settings
from app.db import db
from app.env import NOWHERE, Env
from app.models import Client, Throttle
from app.outages import PAUSE, Outages, kind, reason
from app.pools import domains
from app.signin import browser, flow
from app.signin.state import Granted
from tests import build, postgres
from tests.conftest import COUNTER, START, Clock, test_settings
from tests.executed import noticing
from tests.ports import free_port
from tests.serving import serving

STATES = {
    "08006": "a connection that was cut",
    "53100": "a full disk",
    "53300": "no connection to spare",
    "55P03": "a lock that was waited for too long",
    "25P03": "a transaction in which nothing was done",
    "57014": "a statement that took too long",
    "57P01": "a server that shuts down",
    "57P03": "a server that starts",
    "40001": "a serialization failure",
    "25006": "a standby",
    "58030": "an I/O error",
}


def of_postgresql(state: str) -> Exception:
    """What the driver raises for this SQLSTATE."""
    try:
        failed: type[psycopg.Error] = psycopg.errors.lookup(state)
    except KeyError:
        failed = type("Unknown", (psycopg.OperationalError,), {"sqlstate": state})
    return failed("first line\nsecond line")


def of_sqlite(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = code
    return error


def wrapped(original: Exception) -> DBAPIError:
    return OperationalError("SELECT secret", {"password": "hunter2"}, original)


# -- what is an outage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_postgresql_tells_an_outage_by_its_sqlstate(state: str) -> None:
    assert kind(wrapped(of_postgresql(state))) == state


@pytest.mark.parametrize("state", ["42P01", "42501", "23505", "22001", "40P01"])
def test_other_sqlstates_are_none(state: str) -> None:
    assert kind(wrapped(of_postgresql(state))) is None


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (sqlite3.SQLITE_BUSY, "locked"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "locked"),
        (sqlite3.SQLITE_FULL, "disk full"),
        (sqlite3.SQLITE_IOERR_WRITE, "I/O error"),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened"),
        (sqlite3.SQLITE_ERROR, None),
        (sqlite3.SQLITE_CORRUPT, None),
    ],
)
def test_sqlite_tells_an_outage_by_its_result_code(code: int, name: str | None) -> None:
    assert kind(wrapped(of_sqlite(code))) == name


def test_who_cannot_connect_has_no_sqlstate() -> None:
    assert kind(wrapped(psycopg.OperationalError("connection refused"))) == "no connection"
    assert kind(PoolTimeout("QueuePool limit of size 1 overflow 0 reached")) == "pool exhausted"


def test_a_statement_that_is_wrong_stays_a_bug(env: Env) -> None:
    for block in (env.reading, env.aside, env.transaction):
        with pytest.raises(DBAPIError, match="nowhere"), block() as session:
            session.execute(text("SELECT secret FROM nowhere"))


def test_of_several_hosts_the_log_has_what_each_of_them_said() -> None:
    with pytest.raises(psycopg.OperationalError) as failed:
        psycopg.connect(
            f"host=127.0.0.1,127.0.0.1 port={free_port()},{free_port()} password=hunter2 connect_timeout=60"
        )
    said = reason(wrapped(failed.value))
    assert said.count("Connection refused") == 2 and "hunter2" not in said and "\n" not in said


# -- the log ---------------------------------------------------------------------------------------------------


def test_the_log_has_one_line_of_each_kind_and_how_many_it_left_out(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outages = Outages(clock.ticks)

    def fail(error: Exception) -> None:
        with pytest.raises(errors.ServiceUnavailable), outages.translated():
            raise error

    for _ in range(5):
        fail(wrapped(of_postgresql("57014")))
    fail(PoolTimeout("QueuePool limit"))
    clock.forward(seconds=PAUSE)
    fail(wrapped(of_postgresql("57014")))
    assert [record.getMessage() for record in caplog.records] == [
        "the database is not available (57014): first line",
        "the database is not available (pool exhausted): QueuePool limit",
        "the database is not available (57014): first line (4 more of this kind since the last line about it)",
    ]
    assert all(record.exc_info is None for record in caplog.records), "no stack"


# -- use-cases -------------------------------------------------------------------------------------------------


@contextmanager
def away(app: Flask, *, only: str = "", times: int | None = None) -> Iterator[list[str]]:
    """A database whose statements, or those that begin like this, fail as on a server that shuts down. Yields the
    statements that failed."""
    failed: list[str] = []

    def refuse(statement: str, parameters: object) -> None:
        if statement.startswith(only) and (times is None or len(failed) < times):
            failed.append(statement)
            raise wrapped(of_postgresql("57P01"))

    with app.app_context():
        engine = db.engine
    with noticing(engine, refuse):
        yield failed


def a_row(key: str) -> Throttle:
    return Throttle(key=key, count=1, since=START, locked_until=None, expires_at=START)


def keys_in(env: Env) -> set[str]:
    with env.reading() as session:
        return set(session.scalars(text("SELECT key FROM throttle")))


def test_each_block_refuses_while_the_database_is_away(app: Flask, env: Env) -> None:
    with away(app):
        for block in (env.reading, env.aside, env.transaction):
            with pytest.raises(errors.ServiceUnavailable), block() as session:
                session.execute(text("SELECT 1"))
        with pytest.raises(errors.ServiceUnavailable):
            env.cache.refresh()
    assert keys_in(env) == set()


def test_what_was_written_before_an_outage_is_rolled_back(app: Flask, env: Env) -> None:
    with away(app, only="SELECT 1"), pytest.raises(errors.ServiceUnavailable), env.transaction() as session:
        session.add(a_row("a"))
        session.flush()
        session.execute(text("SELECT 1"))
    assert keys_in(env) == set()


def test_a_refusal_whose_count_cannot_be_kept_is_not_told(app: Flask, env: Env) -> None:
    """Otherwise whoever fills the disk could guess without being counted, and be told how it went."""
    with away(app, only="INSERT INTO throttle"), pytest.raises(errors.ServiceUnavailable), env.transaction() as session:
        session.add(a_row("a"))
        raise errors.NotAuthorized
    with env.transaction() as session:
        session.add(a_row("b"))
    assert keys_in(env) == {"b"}


def test_an_outage_that_a_use_case_meets_while_it_reads_inside_its_transaction_undoes_that(
    app: Flask, env: Env
) -> None:
    with away(app, only="SELECT 1"), pytest.raises(errors.ServiceUnavailable), env.transaction() as session:
        session.add(a_row("a"))
        session.flush()
        with env.reading() as same:
            same.execute(text("SELECT 1"))
    assert keys_in(env) == set()


def test_a_wrong_password_that_cannot_be_counted_is_not_told(app: Flask, env: Env) -> None:
    """The attempt stays open until it can be said what became of it."""
    client = build.a_client(env, build.a_pool(env))
    build.a_user(env, client.pool)
    wrong = {"USERNAME": "alice", "PASSWORD": "Wrong-horse-7"}
    with away(app, only="UPDATE throttle"), pytest.raises(errors.ServiceUnavailable):
        flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=wrong, origin=NOWHERE)
    with env.reading() as session:
        assert session.execute(text("SELECT count, pending FROM throttle")).all() == [(0, 1)]


# -- the doors -------------------------------------------------------------------------------------------------


@pytest.fixture
def client(env: Env) -> Client:
    """A client, with a user alice, and nothing of it in the cache."""
    made = build.a_client(env, build.a_pool(env))
    build.a_user(env, made.pool)
    env.cache.drop()
    return made


def asked(app: Flask, method: str, path: str, **given: Any) -> TestResponse:
    """An answer, as it is to a request without a context around it."""
    return contextvars.Context().run(app.test_client().open, path, method=method, **given)


def initiate(app: Flask, client: Client, username: str = "alice") -> TestResponse:
    body = {
        "AuthFlow": "USER_PASSWORD_AUTH",
        "ClientId": client.id,
        "AuthParameters": {"USERNAME": username, "PASSWORD": build.PASSWORD},
    }
    headers = {"X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth"}
    return asked(app, "POST", "/", json=body, headers=headers)


def retry_after(answer: TestResponse) -> int:
    assert answer.status_code == 503
    return int(answer.headers["Retry-After"])


def is_the_page(answer: TestResponse) -> None:
    assert retry_after(answer) > 0
    assert answer.mimetype == "text/html" and "Please try again in a moment" in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def authorize(client: Client) -> str:
    query = {"client_id": client.id, "response_type": "code", "redirect_uri": build.CALLBACK, "state": "s"}
    return f"/{client.pool_id}/oauth2/authorize?{urlencode(query)}"


def test_the_api_answers_503(app: Flask, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with away(app):
        answer = initiate(app, client)
    assert retry_after(answer) > 0
    assert answer.get_json(force=True) == {
        "__type": "ServiceUnavailableException",
        "message": "The service is temporarily unavailable; please try again.",
    }
    assert answer.headers["x-amzn-ErrorType"] == "ServiceUnavailableException"
    (record,) = (one for one in caplog.records if one.name.startswith("app"))
    assert record.exc_info is None and "secret" not in record.getMessage() and "hunter2" not in caplog.text


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_boto3_comes_again_in_every_mode(
    app: Flask, client: Client, mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))
    with serving(app) as address, away(app, times=2) as failed:
        cognito = boto3.client(
            "cognito-idp",
            region_name="us-east-1",
            endpoint_url=address,
            config=Config(signature_version=UNSIGNED, retries={"mode": mode, "total_max_attempts": 3}),
        )
        parameters = {"USERNAME": "alice", "PASSWORD": build.PASSWORD}
        found = cognito.initiate_auth(AuthFlow="USER_PASSWORD_AUTH", ClientId=client.id, AuthParameters=parameters)
    assert found["AuthenticationResult"]["AccessToken"] and len(failed) == 2
    assert found["ResponseMetadata"]["RetryAttempts"] == 2


@pytest.mark.parametrize("endpoint", ["oauth2/token", "oauth2/revoke"])
def test_the_endpoints_of_oauth_are_temporarily_unavailable(app: Flask, client: Client, endpoint: str) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "x", "token": "x", "client_id": client.id}
    with away(app):
        answer = asked(app, "POST", f"/{client.pool_id}/{endpoint}", data=form)
    assert retry_after(answer) > 0
    assert answer.json is not None and answer.json["error"] == "temporarily_unavailable"
    assert answer.headers["Cache-Control"] == "no-store"


def test_userinfo_is_temporarily_unavailable_and_does_not_say_that_the_token_is_bad(app: Flask, client: Client) -> None:
    with away(app):
        answer = asked(app, "GET", f"/{client.pool_id}/oauth2/userInfo", headers={"Authorization": "Bearer a.b.c"})
    assert retry_after(answer) > 0
    assert answer.json is not None and answer.json["error"] == "temporarily_unavailable"
    assert "WWW-Authenticate" not in answer.headers


def test_authorize_shows_the_page_while_it_is_not_known_where_the_browser_may_be_sent(
    app: Flask, client: Client
) -> None:
    with away(app):
        is_the_page(asked(app, "GET", authorize(client)))


def test_authorize_tells_the_client_once_it_is_known(app: Flask, client: Client, env: Env) -> None:
    given = {"USERNAME": "alice", "PASSWORD": build.PASSWORD}
    granted = flow.begin(env, client, flow="HOSTED_PAGES", given=given, origin=NOWHERE)
    assert isinstance(granted, Granted)
    visitor = app.test_client()
    visitor.set_cookie(f"cognate-{client.pool_id}", browser.open_session(env, granted))
    assert "code=" in visitor.get(authorize(client)).location
    with away(app):
        answer = visitor.get(authorize(client))
    assert answer.status_code == 302 and answer.location.startswith(f"{build.CALLBACK}?")
    told = dict(parse_qsl(urlsplit(answer.location).query))
    assert (told["error"], told["state"]) == ("temporarily_unavailable", "s")


@pytest.mark.parametrize("path", ["login", "signup", "forgotPassword", "logout", "oauth2/authorize"])
def test_pages_ask_to_try_again(app: Flask, client: Client, path: str) -> None:
    with away(app):
        is_the_page(asked(app, "GET", authorize(client).replace("oauth2/authorize", path)))


def test_a_form_stays_filled_in_and_asks_to_try_again(app: Flask, client: Client) -> None:
    visitor = app.test_client()
    address = authorize(client).replace("oauth2/authorize", "login")
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', visitor.get(address).text)
    assert token
    form = {"csrf_token": token[1], "username": "alice", "password": build.PASSWORD}
    with away(app):
        answer = visitor.post(address, data=form)
    assert retry_after(answer) > 0
    assert "Please try again in a moment." in answer.text and 'value="alice"' in answer.text
    assert build.PASSWORD not in answer.text


# -- the public documents --------------------------------------------------------------------------------------

DOCUMENTS = ("/.well-known/jwks.json", "/.well-known/openid-configuration")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_are_served_from_memory_and_nothing_is_decided_by_it(
    app: Flask, client: Client, clock: Clock, document: str
) -> None:
    path = f"/{client.pool_id}{document}"
    before = asked(app, "GET", path)
    assert initiate(app, client).status_code == 200
    clock.forward(seconds=60)
    with away(app) as failed:
        for _ in range(3):
            answer = asked(app, "GET", path)
            assert (answer.status_code, answer.data) == (200, before.data)
        assert len(failed) == 1, "those that follow do not wait for the database"
        assert initiate(app, client).status_code == 503
    assert asked(app, "GET", path).data == before.data


def test_documents_of_a_domain_are_served_from_memory_too(app: Flask, client: Client, env: Env, clock: Clock) -> None:
    domains.create(env, client.pool, domain="people", custom=False, settings={})
    host = {"base_url": "http://people.localhost:8080"}
    before = asked(app, "GET", DOCUMENTS[0], **host)
    assert before.status_code == 200
    clock.forward(seconds=60)
    with away(app):
        assert asked(app, "GET", DOCUMENTS[0], **host).data == before.data
        assert asked(app, "GET", DOCUMENTS[0], base_url="http://other.localhost:8080").status_code == 503


def test_a_document_that_is_known_to_have_changed_is_not_served_from_memory(
    app: Flask, client: Client, env: Env, clock: Clock
) -> None:
    """A key that was withdrawn must not be vouched for."""
    path = f"/{client.pool_id}{DOCUMENTS[0]}"
    assert asked(app, "GET", path).status_code == 200
    env.cache.heard(10**6)
    with away(app):
        answer = asked(app, "GET", path)
    assert retry_after(answer) > 0 and answer.json is not None
    assert answer.json["error"] == "temporarily_unavailable"


# -- real databases --------------------------------------------------------------------------------------------


@pytest.fixture
def hurried(settings: Settings, another_app: Callable[..., Flask], clock: Clock) -> Flask:
    """The same server, which waits a tenth of a second for a lock."""
    return another_app(replace(settings, database_lock_timeout=0.1), now=clock, ticks=clock.ticks)


def test_a_sqlite_that_another_writer_holds(hurried: Flask, client: Client, settings: Settings) -> None:
    if not settings.sqlite:
        pytest.skip("of SQLite only")
    held = sqlite3.connect(make_url(settings.database_url).database or "", isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    assert retry_after(initiate(hurried, client)) > 0
    held.execute("ROLLBACK")
    held.close()
    assert initiate(hurried, client).status_code == 200


def test_a_user_whose_row_somebody_else_holds_is_the_only_one_to_notice(
    hurried: Flask, client: Client, env: Env, settings: Settings
) -> None:
    if settings.sqlite:
        pytest.skip("of PostgreSQL only: SQLite has one writer")
    build.a_user(env, client.pool, "bob", email="bob@example.com")
    with db.engine.connect() as somebody, ThreadPoolExecutor(3) as threads:
        somebody.execute(text("""SELECT sub FROM "user" WHERE username = 'alice' FOR UPDATE"""))
        alice = [threads.submit(initiate, hurried, client) for _ in range(3)]
        assert initiate(hurried, client, "bob").status_code == 200
        # They end by themselves: the row is held all the time.
        assert all(retry_after(one.result()) > 0 for one in alice)
        assert initiate(hurried, client, "bob").status_code == 200
        somebody.rollback()
    assert initiate(hurried, client).status_code == 200


def test_a_pool_with_no_connection_to_spare(app: Flask, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(db.engine.pool, QueuePool)
    db.engine.pool._timeout = 0
    with ExitStack() as all_of_them:
        for _ in range(db.engine.pool.size()):
            all_of_them.enter_context(db.engine.connect())
        assert retry_after(initiate(app, client)) > 0
        assert asked(app, "GET", "/readyz").status_code == 200, "it has a connection of its own"
    assert initiate(app, client).status_code == 200
    assert "http" not in caplog.text.replace("http://localhost", "")


@pytest.mark.postgres
def test_a_postgresql_that_stops(
    another_app: Callable[..., Flask], tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A server of this test's own, to be taken away."""
    with postgres.start() as server:
        settings = test_settings(server.create(f"outage{next(COUNTER)}"), data_dir=tmp_path)
        first = another_app(settings)
        installation.migrate(first, first.extensions["cognate"].seal)
        app = another_app(settings, now=clock, ticks=clock.ticks)
        with app.app_context():
            env = app.extensions["cognate"]
            client = build.a_client(env, build.a_pool(env))
            build.a_user(env, client.pool)
        jwks = f"/{client.pool_id}{DOCUMENTS[0]}"
        before = asked(app, "GET", jwks)
        assert initiate(app, client).status_code == 200
    clock.forward(seconds=60)
    caplog.clear()
    for _ in range(3):  # the connections of the pool are found to be cut, and then there are no new ones
        assert retry_after(initiate(app, client)) > 0
    is_the_page(asked(app, "GET", authorize(client)))
    assert asked(app, "GET", jwks).data == before.data
    assert asked(app, "GET", "/readyz").status_code == 503
    lines = [one.getMessage() for one in caplog.records if one.name == "app.outages"]
    assert lines and len(lines) == len({line.partition(":")[0] for line in lines}), "one of each kind"
    assert not any(one.exc_info for one in caplog.records)
