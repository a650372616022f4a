"""The front: what granian brings becomes a WSGI request, a body is received by no thread of ours, and what is dangerous
is refused before the application sees it. granian is played here; test_serve.py has the real one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from app.health import DRAINING
from app.server import front as fronts
from app.server import refusals
from app.server.front import Front
from app.server.lanes import AtOnce

TARGET = ("x-amz-target", "AWSCognitoIdentityProviderService.SignUp")


class Headers:
    def __init__(self, *pairs: tuple[str, str]) -> None:
        self.pairs = list(pairs)

    def items(self) -> list[tuple[str, str]]:
        return self.pairs


class Body:
    """What granian gives for a body: it calls back when there is something."""

    def __init__(self) -> None:
        self.callback: Callable[[Any], None] | None = None
        self.found: bytes | Exception = b""

    def add_done_callback(self, callback: Callable[[Any], None], context: Any) -> None:
        self.callback = callback

    def comes(self, found: bytes | Exception) -> None:
        self.found = found
        assert self.callback is not None
        self.callback(self)

    def result(self) -> bytes:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class Request:
    """A request as granian hands it over: its `watcher`, `scope` and `proto` in one."""

    def __init__(
        self, *headers: tuple[str, str], method: str = "GET", path: str = "/", host: str | None = "a", **scope: Any
    ) -> None:
        named = (("host", host),) if host is not None else ()
        given = {
            "method": method,
            "path": path,
            "query_string": "",
            "client": "192.0.2.1:1234",
            "server": "127.0.0.1:8080",
            "scheme": "http",
            "http_version": "1.1",
            "authority": None,
        }
        self.scope = SimpleNamespace(**given | scope, headers=Headers(*named, *headers))
        self.proto = self
        self.body = Body()
        self.chunk = Body()
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.is_done = False

    def __call__(self) -> Body:
        return self.body

    def __aiter__(self) -> Any:
        return self

    def __anext__(self) -> Any:
        self.chunk = Body()
        return self.chunk

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answers.append((status, dict(headers), body))

    def done(self) -> None:
        self.is_done = True

    @property
    def status(self) -> int:
        ((status, _, _),) = self.answers
        return status


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Served:
    """A front whose application tells what it was asked."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.asked: list[dict[str, Any]] = []
        self.front = Front(self.application, (), lambda environ, body: AtOnce(), self.clock)
        # Of its threads, the one for chunks acts at once, and the one for what is overdue when the test says so.
        self.front.chunk_later = lambda act: act()  # type: ignore[method-assign]

    def application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["body"] = environ["wsgi.input"].read()
        self.asked.append(environ)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"fine"]

    def take(self, request: Request) -> Request:
        self.front.received(request)
        return request


@pytest.fixture
def served() -> Served:
    return Served()


def test_a_request_becomes_an_environment(served: Served) -> None:
    request = served.take(
        Request(
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("accept", "x"),
            ("accept", "y"),
            path="/us-east-1_abc/login/\u00e4",
            query_string="a=%20",
        )
    )
    (environ,) = served.asked
    assert environ["PATH_INFO"] == "/us-east-1_abc/login/\xc3\xa4", "bytes as characters (PEP 3333)"
    assert environ["QUERY_STRING"] == "a=%20"
    assert environ["HTTP_COOKIE"] == "a=1; b=2" and environ["HTTP_ACCEPT"] == "x,y"
    assert (environ["REMOTE_ADDR"], environ["HTTP_HOST"], environ["SERVER_PORT"]) == ("192.0.2.1", "a", "8080")
    assert DRAINING not in environ
    assert request.answers == [(200, {"Content-Type": "text/plain"}, b"fine")] and request.is_done


@pytest.mark.parametrize(
    ("client", "address"),
    [
        ("192.0.2.1:1", "192.0.2.1"),
        ("[2001:db8::1]:1", "2001:db8::1"),
        ("2001:db8::1:1", "2001:db8::1"),
        ("", ""),
        ("/run/socket", ""),
        ("nobody:1", ""),
    ],
)
def test_the_address_of_a_peer_is_one_or_there_is_none(served: Served, client: str, address: str) -> None:
    served.take(Request(client=client))
    assert served.asked[0]["REMOTE_ADDR"] == address


def test_a_name_with_an_underscore_is_no_other_name(served: Served) -> None:
    """WSGI calls X-Forwarded-For and X_Forwarded_For the same: a stranger behind a proxy would choose their address."""
    served.take(Request(("x_forwarded_for", "10.0.0.1"), ("x-forwarded-for", "192.0.2.9"), ("content_length", "5")))
    (environ,) = served.asked
    assert environ["HTTP_X_FORWARDED_FOR"] == "192.0.2.9"
    assert "CONTENT_LENGTH" not in environ


@pytest.mark.parametrize(
    "request_",
    [
        Request(("host", "b")),
        Request(host=None),
        Request(authority="b"),
    ],
)
def test_a_request_for_several_hosts_or_none_is_refused(served: Served, request_: Request) -> None:
    assert served.take(request_).status == 400
    assert served.asked == []


def test_an_authority_is_a_host(served: Served) -> None:
    served.take(Request(host=None, http_version="2", authority="a.example"))
    served.take(Request(host="A.example", authority="a.example"))
    assert [environ["HTTP_HOST"].lower() for environ in served.asked] == ["a.example", "a.example"]


def test_a_body_is_received_before_the_application_is_asked(served: Served) -> None:
    request = served.take(Request(("content-length", "5"), method="POST"))
    assert served.asked == [] and served.front.reading == 1 and not served.front.idle
    request.body.comes(b"12345")
    (environ,) = served.asked
    assert environ["body"] == b"12345" and environ["CONTENT_LENGTH"] == "5"
    assert request.status == 200 and served.front.idle


def test_a_body_of_unknown_length_is_received_as_well(served: Served) -> None:
    request = served.take(Request(("transfer-encoding", "chunked"), method="POST"))
    for chunk in (b"12", b"345", b""):
        request.chunk.comes(chunk)
    (environ,) = served.asked
    assert environ["body"] == b"12345" and environ["CONTENT_LENGTH"] == "5"
    assert "HTTP_TRANSFER_ENCODING" not in environ
    assert request.status == 200


def test_a_body_that_does_not_come_in_time_is_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = served.take(Request(("content-length", "100000"), TARGET, method="POST"))
    small = served.take(Request(("content-length", "5"), method="POST"))
    served.clock.now += fronts.BODY_WITHIN + 1
    served.front.refuse_overdue()
    assert small.status == 408 and slow.answers == [], "a larger one has longer"
    served.clock.now += 100_000 / fronts.SLOWEST
    served.front.refuse_overdue()
    ((status, headers, body),) = slow.answers
    assert status == 408 and headers["Connection"] == "close"
    assert orjson.loads(body)["__type"] == "RequestTimeoutException"
    slow.chunk.comes(b"1" * 100_000)
    slow.chunk.comes(b"")
    assert len(slow.answers) == 1 and served.asked == [], "too late"
    assert served.front.idle


def test_whoever_goes_away_is_forgotten(served: Served) -> None:
    whole = served.take(Request(("content-length", "5"), method="POST"))
    parts = served.take(Request(("transfer-encoding", "chunked"), method="POST"))
    whole.body.comes(ConnectionError())
    parts.chunk.comes(ConnectionError())
    assert whole.answers == parts.answers == [] and whole.is_done and parts.is_done
    assert served.front.idle


@pytest.mark.parametrize(
    ("headers", "largest"),
    [
        ((), fronts.LARGEST_UNSIGNED),
        ((("authorization", "AWS4-HMAC-SHA256 Credential=x"),), fronts.LARGEST_SIGNED),
        ((("authorization", "Bearer x"),), fronts.LARGEST_UNSIGNED),
    ],
)
def test_a_body_has_a_largest_size(served: Served, headers: tuple[tuple[str, str], ...], largest: int) -> None:
    assert served.take(Request(("content-length", str(largest + 1)), *headers, method="POST")).status == 413
    served.take(Request(("content-length", str(largest)), *headers, method="POST"))
    assert served.front.reading == 1
    chunked = served.take(Request(("transfer-encoding", "chunked"), *headers, method="POST"))
    chunked.chunk.comes(b"1" * largest)
    assert chunked.answers == []
    chunked.chunk.comes(b"1")
    assert chunked.status == 413
    assert served.asked == []


def test_all_bodies_together_have_a_largest_size(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fronts, "LARGEST_TOGETHER", 30_000)
    announced = [served.take(Request(("content-length", "100000"), method="POST")) for _ in range(50)]
    first, second = (served.take(Request(("content-length", "20000"), method="POST")) for _ in range(2))
    first.chunk.comes(b"1" * 20_000)
    second.chunk.comes(b"2" * 20_000)
    ((status, headers, _),) = second.answers
    assert (status, headers["Connection"]) == (503, "close")
    small = served.take(Request(("content-length", "8"), method="POST"))
    small.body.comes(b"12345678")
    assert small.status == 200, "what everybody sends has room"
    first.chunk.comes(b"")
    assert first.status == 200 and served.asked[-1]["body"] == b"1" * 20_000
    third = served.take(Request(("content-length", "20000"), method="POST"))
    third.chunk.comes(b"3" * 20_000)
    third.chunk.comes(b"")
    assert third.status == 200, "the room of one that has been answered is free"
    assert not any(one.answers for one in announced), "who announces takes nobody's place"
    announced[0].chunk.comes(ConnectionError())


@pytest.mark.parametrize("length", ["+5", "5, 5", "-1", "\u0665", ""])
def test_a_length_is_a_number(served: Served, length: str) -> None:
    assert served.take(Request(("content-length", length), method="POST")).status == 400


def test_what_is_refused_a_thread_is_answered_from_memory_where_that_has_become_possible(served: Served) -> None:
    asked = served.take(Request(path="/jwks"))
    exchange = fronts.Exchange(served.front, other := Request(path="/jwks"))
    exchange.look_at_head({})
    exchange.queue(b"")
    served.front.in_memory = lambda environ: bool(environ["PATH_INFO"] == "/jwks")
    exchange.refuse()
    assert (other.answers[1][0], other.answers[1][2]) == (200, asked.answers[0][2])
    served.front.in_memory = lambda environ: False
    exchange.refuse()
    assert other.answers[2][0] == 503


def test_while_it_drains_the_application_knows(served: Served) -> None:
    served.front.draining = True
    served.take(Request())
    assert served.asked[0][DRAINING] is True


def test_a_server_that_stops_ends_connections_with_answers_and_with_refusals(served: Served) -> None:
    served.front.closing = True
    ((_, answered, _),) = served.take(Request()).answers
    ((status, refused, _),) = served.take(Request(("content-length", "x"), method="POST")).answers
    assert answered["Connection"] == refused["Connection"] == "close"
    assert status == 400
    ((_, http2, _),) = served.take(Request(http_version="2", authority="a")).answers
    assert "Connection" not in http2, "RFC 9113, 8.2.2"
    assert DRAINING not in served.asked[0], "a worker that others replace is ready until its end"


def test_an_application_that_fails_is_answered_for(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    def fail(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise RuntimeError("mistake")

    served.front.wsgi = fail
    ((status, _, body),) = served.take(Request()).answers
    assert status == 500 and b"mistake" not in body
    assert "a request failed" in caplog.text


@pytest.mark.parametrize(
    ("headers", "path", "kind", "member"),
    [
        ((TARGET,), "/", "application/x-amz-json-1.1", '"__type":"ServiceUnavailableException"'),
        ((), "/us-east-1_abc/oauth2/token", "application/json", '"error":"temporarily_unavailable"'),
        ((("accept", "text/html,*/*"),), "/us-east-1_abc/login", "text/html; charset=utf-8", "<h1>Please try again"),
    ],
)
def test_each_door_has_its_own_words(
    served: Served, headers: tuple[tuple[str, str], ...], path: str, kind: str, member: str
) -> None:
    environ = {"PATH_INFO": path} | {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers}
    status, answered, body = refusals.drawn(refusals.BUSY, environ, "an id")
    found = dict(answered)
    assert status == 503 and found["Retry-After"] == "1" and found["Cache-Control"] == "no-store"
    assert found["Content-Type"] == kind and member in body.decode()
    assert found["X-Request-Id"] == "an id"
