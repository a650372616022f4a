"""The log: one line a message, with the id of its request, whatever a stranger sends; and that id in every answer."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import logs, web
from app.access_log import Logged
from app.background import Background
from app.env import Env
from app.pools import find
from tests.build import CALLBACK, a_client, a_pool
from tests.conftest import test_settings

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
FROM_A_PROXY = "0123456789abcdef0123456789abcdef"


class Written(logging.Handler):
    """The lines as the server's own configuration writes them."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logs.Lines(logs.LINE))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += self.format(record).split("\n")


@pytest.fixture
def written() -> Iterator[Written]:
    root, level = logging.getLogger(), logging.getLogger().level
    handler = Written()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


# -- an answer has an id -----------------------------------------------------------------------------------------


def answers(http: FlaskClient, pool_id: str, client_id: str) -> dict[str, Any]:
    """One answer of each kind that there is."""
    pool, target = f"/{pool_id}", {"X-Amz-Target": "AWSCognitoIdentityProviderService.ListUsers"}
    ask = f"client_id={client_id}&response_type=code&scope=openid&redirect_uri={CALLBACK}"
    found = {
        "a page": http.get(f"{pool}/login?{ask}"),
        "a redirect to a page": http.get(f"{pool}/oauth2/authorize?{ask}"),
        "a redirect to the client": http.get(f"{pool}/oauth2/authorize?{ask}&prompt=none"),
        "an error page": http.get(f"{pool}/oauth2/authorize?client_id=nobody"),
        "a page that is not there": http.get("/nowhere"),
        "a method that is not there": http.delete("/healthz"),
        "a token refused": http.post(f"{pool}/oauth2/token", data={"grant_type": "password"}),
        "revocation": http.get(f"{pool}/oauth2/revoke"),
        "userinfo refused": http.get(f"{pool}/oauth2/userInfo"),
        "preflight of OAuth": http.options(f"{pool}/oauth2/token"),
        "discovery": http.get(f"{pool}/.well-known/openid-configuration"),
        "discovery before Flask": http.get(f"{pool}/.well-known/openid-configuration"),
        "a static file": http.get(re.search(r'/static/[^"]+', http.get("/").text)[0]),  # type: ignore[index]
        "a static file that is not there": http.get("/static/x/y.css"),
        "health": http.get("/healthz"),
        "readiness": http.get("/readyz"),
        "the API refused": http.post("/", data=b"{", headers=target),
        "the API with too much": http.post("/", data=b" " * 3_000_000, headers=target),
        "the API's preflight": http.options("/"),
        "a pool that is not there": http.get("/us-east-1_nobody/login"),
    }
    etag = found["discovery"].headers["ETag"]
    found["unchanged"] = http.get(f"{pool}/.well-known/openid-configuration", headers={"If-None-Match": etag})
    assert found["unchanged"].status_code == 304
    return found


def test_every_answer_of_every_door_has_an_id_of_its_own(env: Env, http: FlaskClient) -> None:
    client = a_client(env, a_pool(env))
    found = answers(http, client.pool_id, client.id)
    ids = {name: answer.headers.getlist("X-Request-Id") for name, answer in found.items()}
    assert all(len(each) == 1 and re.fullmatch(UUID, each[0]) for each in ids.values()), ids
    assert len({each[0] for each in ids.values()}) == len(ids)
    for name, answer in found.items():
        if name.startswith("the API"):
            assert answer.headers["x-amzn-RequestId"] == answer.headers["X-Request-Id"], name
        else:
            assert "x-amzn-RequestId" not in answer.headers, name


def test_what_fails_beyond_all_doors_is_answered_with_its_id_and_logged(app: Flask, written: Written) -> None:
    def broken(environ: Any, start_response: Any) -> Any:
        raise RuntimeError("the reason")

    app.config["TESTING"] = False
    app.wsgi_app = web.RequestId(broken, app, adopt=False)  # type: ignore[method-assign]
    answer = app.test_client().get("/")
    number = answer.headers["X-Request-Id"]
    assert answer.status_code == 500 and number in answer.text and "the reason" not in answer.text
    assert len(written.lines) > 2 and all(f"[{number}]" in line for line in written.lines)
    assert "the reason" in written.lines[-1]


# -- and is found by it ------------------------------------------------------------------------------------------


def number_on(answer: Any) -> str:
    found = re.search(r'id="request-id">([^<]+)<', answer.text)
    assert found
    return found[1]


def test_the_number_on_an_error_page_leads_to_the_line_that_tells_what_was_wrong(
    env: Env, http: FlaskClient, written: Written
) -> None:
    client = a_client(env, a_pool(env))
    pages = {
        f"/{client.pool_id}/oauth2/authorize?client_id=nobody": "unknown_client",
        f"/{client.pool_id}/oauth2/authorize?client_id={client.id}&redirect_uri=https://x.example/": CALLBACK,
        f"/{client.pool_id}/login?client_id={client.id}&redirect_uri=https://x.example/": CALLBACK,
        f"/{client.pool_id}/logout?client_id={client.id}&logout_uri=https://x.example/": "https://x.example/",
        f"/{client.pool_id}/oauth2/authorize?client_id={client.id}": "invalid_request",
        "/nowhere": "not_found",
    }
    for path, said in pages.items():
        answer = http.get(path)
        number = number_on(answer)
        assert number == answer.headers["X-Request-Id"]
        assert any(f"[{number}]" in line and said in line for line in written.lines), path


def test_a_bug_is_found_by_the_number_with_every_line_of_its_stack(
    app: Flask, env: Env, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config["TESTING"] = False
    client = a_client(env, a_pool(env))

    def broken(*given: object) -> object:
        raise RuntimeError("the reason\n2026-01-01 00:00:00,000 INFO [-] app: forged")

    monkeypatch.setattr(find, "client", broken)
    answer = app.test_client().get(f"/{client.pool_id}/login?client_id={client.id}")
    number = number_on(answer)
    assert answer.status_code == 500 and written.lines
    assert all(f"[{number}]" in line for line in written.lines), "not one line without it"
    assert any("the reason" in line for line in written.lines)
    assert not any(line.startswith("2026-01-01") for line in written.lines)


def test_lines_of_what_is_done_after_the_answer_have_its_id(app: Flask, written: Written) -> None:
    later = Background()
    later.of(app)
    done = threading.Event()

    def act() -> None:
        logging.getLogger("app.test").warning("done afterwards")
        done.set()

    with logs.during("the-request-of-this-test"):
        later(act)
    logging.getLogger("app.test").warning("about no request")
    assert done.wait(60)
    by_message = {line.rpartition(": ")[2]: line for line in written.lines}
    assert "[the-request-of-this-test]" in by_message["done afterwards"]
    assert "[-]" in by_message["about no request"]


def test_the_line_of_the_access_log_has_the_id_and_the_address_behind_the_proxies(
    database_url: str, tmp_path: Any, another_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    app = another_app(test_settings(database_url, data_dir=tmp_path, trusted_proxies=1))
    app.wsgi_app = Logged(app.wsgi_app)  # type: ignore[method-assign]
    with caplog.at_level(logging.INFO, logger="cognate.access"):
        answer = app.test_client().get("/us-east-1_abc/login?state=secret", headers={"X-Forwarded-For": "203.0.113.9"})
    line = next(record.getMessage() for record in caplog.records if record.name == "cognate.access")
    assert line.endswith(f"[{answer.headers['X-Request-Id']}]") and "secret" not in line
    assert re.search(r" 203\.0\.113\.9 GET /us-east-1_abc/login 404 ", line)


# -- whoever would like to write lines of their own --------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        FROM_A_PROXY,
        "mine",
        "",
        "x" * 65,
        "a b c d e f g h i",
        "0123456789abcdef\t",
        "0123456789abcdef,0123456789abcdef",
    ],
)
@pytest.mark.parametrize("proxies", [0, 1])
def test_an_id_from_outside_is_used_only_from_a_proxy_and_only_in_its_form(
    database_url: str, tmp_path: Any, another_app: Callable[..., Flask], given: str, proxies: int
) -> None:
    app = another_app(test_settings(database_url, data_dir=tmp_path, trusted_proxies=proxies))
    answer = app.test_client().get("/healthz", headers={"X-Request-Id": given})
    used = answer.headers["X-Request-Id"]
    if proxies and given == FROM_A_PROXY:
        assert used == given
    else:
        assert re.fullmatch(UUID, used)


def test_a_stranger_cannot_begin_a_line_with_what_a_request_names(
    env: Env, http: FlaskClient, written: Written
) -> None:
    client = a_client(env, a_pool(env))
    evil = "x%22%0D%0A2026-01-01%2000:00:00,000%20ERROR%20[-]%20app:%20forged%1b[2J%E2%80%A8%E2%80%AE"
    http.get(f"/{client.pool_id}/oauth2/authorize?client_id={client.id}&redirect_uri={evil}")
    http.get(f"/{client.pool_id}/oauth2/authorize?client_id={evil}")
    http.get(f"/{client.pool_id}/login?client_id={evil}")
    assert len([line for line in written.lines if "forged" in line]) == 3
    for line in written.lines:
        assert line.isprintable() and re.match(r"\d{4}-\d\d-\d\d \S+ (INFO|WARNING) \[", line)
    assert not any(line.startswith("2026-01-01") for line in written.lines)
    assert r"x\"\r\n2026-01-01" in "\n".join(written.lines), "the quotation mark that it brought ends nothing"


def test_a_long_value_is_cut(env: Env, http: FlaskClient, written: Written) -> None:
    client = a_client(env, a_pool(env))
    http.get(f"/{client.pool_id}/oauth2/authorize?client_id={'x' * 100_000}")
    assert max(map(len, written.lines)) < 1500


@pytest.mark.parametrize(
    ("given", "quoted"),
    [
        ("plain", '"plain"'),
        ('a"b\\', '"a\\"b\\\\"'),
        ("\n\r\x1b\0", '"\\n\\r\\x1b\\x00"'),
        ("\u202e\U0001f600\udc80", '"\\u202e\\U0001f600\\udc80"'),
    ],
)
def test_what_is_quoted_is_ascii_and_cannot_end_its_quotation(given: str, quoted: str) -> None:
    assert logs.quoted(given) == quoted
