"""What metrics and traces tell of a request, on both databases."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from app import errors, metrics, observation, telemetry, traces
from app.accounts import sweep
from app.background import Background
from app.db import db
from app.env import Env, Origin
from app.metrics import instruments
from app.models import Spent
from app.signin import flow
from app.tokens import refresh
from app.web import Application
from tests.build import PASSWORD, a_client, a_pool, a_user
from tests.conftest import Clock, test_settings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.fixture
def observed(
    database_url: str, tmp_path: Any, another_app: Callable[..., Application], clock: Clock
) -> Iterator[Application]:
    """An application that is counted."""
    settings = test_settings(database_url, data_dir=tmp_path, admin_port=9, access_log=False, trusted_proxies=1)
    app = another_app(settings, now=clock)
    observation.start(app)
    with app.app_context():
        yield app
    observation.stop(app)


@pytest.fixture
def counted_env(observed: Application) -> Env:
    env: Env = observed.extensions["cognate"]
    return env


def count(instrument: instruments.Instrument, *labels: str) -> float:
    """Of a histogram, the number of values."""
    cell = dict(instrument.read()).get(labels)
    if cell is None:
        return 0
    return sum(cell[:-1]) if isinstance(instrument, instruments.Histogram) else cell[0]


def signed_in(http: FlaskClient, client_id: str, password: str = PASSWORD, **headers: str) -> Any:
    body = {
        "ClientId": client_id,
        "AuthFlow": "USER_PASSWORD_AUTH",
        "AuthParameters": {"USERNAME": "ann", "PASSWORD": password},
    }
    target = {"X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth"}
    return http.post(
        "/", data=json.dumps(body), headers={"Content-Type": "application/x-amz-json-1.1", **target, **headers}
    )


def test_a_sign_in_is_counted_from_the_door_to_the_database(observed: Application, counted_env: Env) -> None:
    env, http = counted_env, observed.test_client()
    pool = a_pool(env)
    client = a_client(env, pool)
    a_user(env, pool, "ann")
    before = {one.name: count(one) for one in (metrics.STATEMENTS, metrics.HASHES)}
    assert signed_in(http, client.id).status_code == 200
    assert signed_in(http, client.id, "wrong").status_code == 400
    assert count(metrics.REQUESTS, "api", "InitiateAuth") == 2
    assert count(metrics.ANSWERS, "api", "InitiateAuth", "2xx") == 1
    assert count(metrics.ANSWERS, "api", "InitiateAuth", "4xx") == 1
    assert count(metrics.SIGN_INS, pool.id, "granted") == 1
    assert count(metrics.SIGN_INS, pool.id, "NotAuthorized") == 1
    assert count(metrics.HASHES) == before[metrics.HASHES.name] + 2
    assert count(metrics.HASH_WAITS) >= 2 and count(metrics.HASHES_WAITING) == 0
    assert count(metrics.STATEMENTS) >= before[metrics.STATEMENTS.name] + 4
    for kind in ("access", "id", "refresh"):
        assert count(metrics.TOKENS, kind) == 1
    assert count(metrics.CACHE_HITS) > 0 and count(metrics.CACHE_MISSES) > 0
    assert count(metrics.POOL_SIZE) == env.settings.connections
    assert count(metrics.POOL_CHECKED_OUT) == 0
    with env.reading():
        assert count(metrics.POOL_CHECKED_OUT) == 1


def test_what_goes_wrong_is_counted(counted_env: Env) -> None:
    env = counted_env
    pool = a_pool(env)
    client = a_client(env, pool)
    a_user(env, pool, "ann")
    given = {"USERNAME": "ann", "PASSWORD": "wrong"}
    for _ in range(6):
        with pytest.raises(errors.NotAuthorized):
            flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin())
    assert count(metrics.RATE_LIMITED, "lockout") == 1
    assert count(metrics.SIGN_INS, pool.id, "LockedOut") == 1
    drops = count(metrics.CACHE_DROPS)
    env.cache.drop()
    assert count(metrics.CACHE_DROPS) == drops + 1


def test_the_alarm_of_a_used_refresh_token_is_counted(observed: Application, counted_env: Env) -> None:
    env = counted_env
    pool = a_pool(env)
    rotation = {"feature": "ENABLED", "retry_grace_period_seconds": 0}
    client = a_client(env, pool, explicit_auth_flows=["ALLOW_USER_PASSWORD_AUTH"], refresh_token_rotation=rotation)
    a_user(env, pool, "ann")
    answer = json.loads(signed_in(observed.test_client(), client.id).data)
    token = answer["AuthenticationResult"]["RefreshToken"]
    refresh.tokens(env, client, token, oauth=False, origin=Origin())
    with pytest.raises(errors.RefreshTokenReuse):
        refresh.tokens(env, client, token, oauth=False, origin=Origin())
    assert count(metrics.REFRESH_REUSE) == 1


def test_a_sweep_tells_what_it_has_deleted_and_when(counted_env: Env) -> None:
    env = counted_env
    with env.transaction() as session:
        session.add(Spent(digest="x", expires_at=env.now() - timedelta(seconds=1)))
    sweep.expired(env)
    assert count(metrics.SWEPT, "spent") == 1 and count(metrics.SWEEPS) == 1
    assert count(metrics.LAST_SWEEP) == env.now().timestamp()


# -- traces ----------------------------------------------------------------------------------------------------


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    traces.trace_to(SimpleSpanProcessor(exporter), {}, version="1")
    yield exporter
    traces.stop()


def test_a_request_has_a_trace_with_all_that_it_waited_for(spans: InMemorySpanExporter, observed: Application) -> None:
    env: Env = observed.extensions["cognate"]
    pool = a_pool(env)
    client = a_client(env, pool)
    a_user(env, pool, "ann")
    spans.clear()
    signed_in(observed.test_client(), client.id, traceparent=f"00-{TRACE}-{PARENT}-01")
    found = spans.get_finished_spans()
    request = found[-1]
    assert request.name == "POST api InitiateAuth"
    assert request.parent is not None and f"{request.parent.span_id:016x}" == PARENT
    assert {f"{one.context.trace_id:032x}" for one in found} == {TRACE}
    names = [one.name for one in found]
    assert names.count("hash") == 1 and names.count("sign") == 2 and "SELECT" in names and "INSERT" in names
    assert all(one.parent.span_id == request.context.span_id for one in found[:-1] if one.parent)
    assert request.attributes is not None and request.attributes["cognate.pool"] == pool.id
    assert request.attributes["http.response.status_code"] == 200
    everything = "".join(one.to_json() for one in found)
    for secret in (PASSWORD, "ann", "example.com"):
        assert secret not in everything, "no value is in a span"


def test_an_error_is_a_class_in_a_span_and_never_what_it_says(spans: InMemorySpanExporter, counted_env: Env) -> None:
    row = {"digest": "secret@example.com", "expires_at": counted_env.now()}
    with pytest.raises(IntegrityError), counted_env.transaction() as session:
        session.execute(insert(Spent), row)
        session.execute(insert(Spent), row)
    failed = next(one for one in spans.get_finished_spans() if one.status.description)
    assert failed.name == "INSERT" and failed.status.description in ("IntegrityError", "UniqueViolation")
    assert not failed.events and "secret" not in failed.to_json()


def test_what_is_done_after_the_answer_belongs_to_its_trace(spans: InMemorySpanExporter, app: Flask) -> None:
    later = Background()
    later.of(app)
    with traces.span("request"):
        later(_call)
    later._threads.shutdown(wait=True)
    outer, inner = (next(one for one in spans.get_finished_spans() if one.name == name) for name in ("request", "GET"))
    assert inner.parent is not None and inner.parent.span_id == outer.context.span_id


def _call() -> None:
    with telemetry.calling("GET", "example.com"):
        pass


def test_a_statement_past_sqlalchemy_is_measured_by_the_same_function(
    spans: InMemorySpanExporter, counted_env: Env
) -> None:
    before = count(metrics.STATEMENTS)
    with telemetry.statement("select 1", db.engine.dialect.name):
        pass
    assert count(metrics.STATEMENTS) == before + 1
    (span,) = (one for one in spans.get_finished_spans() if one.name == "SELECT")
    assert span.attributes is not None and span.attributes["db.query.text"] == "select 1"


def test_a_strangers_traceparent_begins_no_trace_of_his(
    spans: InMemorySpanExporter, database_url: str, tmp_path: Any, another_app: Callable[..., Application]
) -> None:
    app = another_app(test_settings(database_url, data_dir=tmp_path))
    app.test_client().get("/healthz", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    (request,) = (one for one in spans.get_finished_spans() if one.name == "GET health alive")
    assert request.parent is None and f"{request.context.trace_id:032x}" != TRACE


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1", "OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1", "OTEL_TRACES_EXPORTER": "none"}, None),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1", "OTEL_TRACES_EXPORTER": "zipkin"},
            "OTEL_TRACES_EXPORTER",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
    ],
)
def test_traces_are_off_unless_they_are_configured_and_what_is_wrong_is_told(
    environ: dict[str, str], said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    traces.start(environ, version="1")
    assert not traces.tracing()
    assert caplog.messages == [] if said is None else said in caplog.text


def test_an_endpoint_without_the_package_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    traces.start({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"}, version="1")
    assert not traces.tracing() and "cognate-idp[otel]" in caplog.text
