"""What arrives of a request by way of proxies, and what a stranger could choose of it."""

import wsgiref.simple_server
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from flask import Flask

from app import health
from app.config import Settings
from app.doctor import proxy
from app.doctor.finding import FINE, PROBLEM, SKIPPED
from app.doctor.proxy import INVENTED_ADDRESS, INVENTED_HOST, Seen
from app.doctor.subject import Subject
from tests.conftest import START, Clock, test_settings
from tests.ports import free_port

BASE = "https://auth.example.com"
USER, INNER, PEER = "203.0.113.7", "10.0.0.2", "127.0.0.1"


def believing(hops: int) -> Settings:
    return Settings(mode="development", base_url=BASE, trusted_proxies=hops)


def seen(told: Sequence[str], *, hops: int, address: str, **other: Any) -> Seen:
    usual = {"scheme": "https", "host": "auth.example.com", "forwarded_proto": "https"}
    return Seen(**{**usual, **other}, address=address, forwarded_for=tuple(told), trusted_proxies=hops)


@pytest.mark.parametrize(
    "right",
    [
        seen([INVENTED_ADDRESS], hops=0, address=USER),
        seen([USER], hops=1, address=USER),
        seen([INVENTED_ADDRESS, USER], hops=1, address=USER),
        seen([INVENTED_ADDRESS, USER, INNER], hops=2, address=USER),
    ],
    ids=["no proxy", "a proxy that sets", "a proxy that appends", "two that append"],
)
def test_nothing_is_wrong(right: Seen) -> None:
    assert list(proxy.of(right, believing(right.trusted_proxies))) == []


@pytest.mark.parametrize(
    ("wrong", "name", "fix"),
    [
        (seen([USER], hops=0, address=PEER), "address", "COGNATE_TRUSTED_PROXIES=1"),
        (seen([INVENTED_ADDRESS, USER], hops=0, address=PEER), "address", "COGNATE_TRUSTED_PROXIES=1"),
        (seen([INVENTED_ADDRESS, USER, INNER], hops=1, address=INNER), "address", "COGNATE_TRUSTED_PROXIES=2"),
        (seen([INVENTED_ADDRESS, USER], hops=2, address=INVENTED_ADDRESS), "address", "COGNATE_TRUSTED_PROXIES=1"),
        (seen([INVENTED_ADDRESS], hops=1, address=INVENTED_ADDRESS), "address", "COGNATE_TRUSTED_PROXIES=0"),
        (seen([USER], hops=2, address=PEER), "address", "COGNATE_TRUSTED_PROXIES=1"),
        (seen([], hops=1, address=PEER), "address", "COGNATE_TRUSTED_PROXIES=0"),
        (seen([USER], hops=1, address=USER, host=INVENTED_HOST), "host", "set X-Forwarded-Host"),
        (seen([USER], hops=1, address=USER, host="127.0.0.1:8080"), "host", "pass Host on"),
        (seen([USER], hops=1, address=USER, scheme="http", forwarded_proto=""), "scheme", "set X-Forwarded-Proto"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_change(wrong: Seen, name: str, fix: str) -> None:
    (found,) = proxy.of(wrong, believing(wrong.trusted_proxies))
    assert (found.name, found.state) == (name, PROBLEM)
    assert fix in found.fix


def test_a_server_with_other_settings_than_these_is_told() -> None:
    (found,) = proxy.of(seen([USER], hops=1, address=USER), believing(0))
    assert found.name == "settings" and "believes 1 proxies, these settings 0" in found.what


# -- through a server --------------------------------------------------------------------------------------------


@contextmanager
def listening(app: Any, port: int) -> Iterator[None]:
    class Silent(wsgiref.simple_server.WSGIRequestHandler):
        def log_message(self, *given: object) -> None: ...

    with wsgiref.simple_server.make_server("127.0.0.1", port, app, handler_class=Silent) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def passing(app: Any, **headers: str) -> Callable[..., Any]:
    """A proxy that sets these headers of WSGI, and lets the others through as they came."""

    def pass_on(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        return app({**environ, **headers}, start_response)

    return pass_on


@pytest.fixture
def served(
    database_url: str, tmp_path: Path, clock: Clock, another_app: Callable[..., Flask]
) -> Callable[[int], Subject]:
    """An installation that believes so many proxies, at a free port."""

    def make(hops: int) -> Subject:
        port = free_port()
        chosen = test_settings(
            database_url, data_dir=tmp_path, port=port, base_url=f"http://127.0.0.1:{port}", trusted_proxies=hops
        )
        return Subject(chosen, clock, another_app(chosen, now=clock, ticks=clock.ticks))

    return make


def found(subject: Subject, **headers: str) -> list[tuple[str, str]]:
    with listening(passing(subject.app, **headers), subject.settings.port):
        return [(one.name, one.state) for one in proxy.check(subject)]


def test_a_server_without_a_proxy_believes_nothing(served: Callable[[int], Subject]) -> None:
    assert found(served(0)) == [("proxy", FINE)]


def test_a_server_that_believes_a_proxy_that_is_not_there_believes_a_stranger(
    served: Callable[[int], Subject],
) -> None:
    assert found(served(1)) == [("host", PROBLEM), ("address", PROBLEM)]


def test_a_proxy_that_sets_its_headers(served: Callable[[int], Subject]) -> None:
    subject = served(1)
    told = {"HTTP_X_FORWARDED_FOR": USER, "HTTP_X_FORWARDED_HOST": subject.settings.base_host}
    assert found(subject, **told, HTTP_X_FORWARDED_PROTO="http") == [("proxy", FINE)]
    assert found(subject, **told, HTTP_X_FORWARDED_PROTO="https") == [("scheme", PROBLEM)]


def test_a_proxy_that_is_not_believed(served: Callable[[int], Subject]) -> None:
    assert found(served(0), HTTP_X_FORWARDED_FOR=f"{INVENTED_ADDRESS}, {USER}") == [("address", PROBLEM)]


def test_nobody_answers(served: Callable[[int], Subject]) -> None:
    (told,) = proxy.check(served(0))
    assert (told.name, told.state) == ("base-url", PROBLEM) and "does not answer from here" in told.what


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "302 Found"])
def test_somebody_else_answers(served: Callable[[int], Subject], status: str) -> None:
    def other(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response(status, [("Content-Type", "text/html"), ("Location", "/")])
        return [b"<h1>Welcome to nginx!</h1>"]

    subject = served(0)
    with listening(other, subject.settings.port):
        (told,) = proxy.check(subject)
    assert told.state == PROBLEM and "but not by this installation's server" in told.what


def test_without_the_key_nothing_is_asked(unopened: Callable[[Settings], Subject], settings: Settings) -> None:
    assert [(one.name, one.state) for one in proxy.check(unopened(settings))] == [("base-url", SKIPPED)]


# -- who is told --------------------------------------------------------------------------------------------------


def test_a_stranger_is_told_nothing_of_the_inner_network(app: Flask, clock: Clock) -> None:
    http = app.test_client()
    with app.app_context():
        right = health.proof(app.extensions["cognate"])
        other = replace(app.extensions["cognate"], keyed=type(app.extensions["cognate"].keyed)(b"x" * 32))
        of_another_key = health.proof(other)
    moment = int(START.timestamp())
    refused = [
        "",
        ".",
        "x",
        f"{moment}.",
        f"{moment}.x",
        f"{moment + 1}.{right.split('.')[1]}",
        of_another_key,
        "²." * 9,
    ]
    for proof in refused:
        answer = http.get(health.SEEN, headers={health.PROOF: proof})
        assert answer.status_code == 404 and b"forwarded_for" not in answer.data, proof
    assert http.get(health.SEEN).status_code == 404
    answer = http.get(health.SEEN, headers={health.PROOF: right})
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
    clock.forward(seconds=health.PROOF_LIVES)
    assert http.get(health.SEEN, headers={health.PROOF: right}).status_code == 404
