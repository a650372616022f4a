"""The log: one line a message, with the id of its request, whatever a stranger sends; and that id in every answer."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import facts, logs, observation, web
from app.background import Background
from app.env import Env
from app.facts import Facts
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

    with facts.during(Facts("the-request-of-this-test")):
        later(act)
    logging.getLogger("app.test").warning("about no request")
    assert done.wait(60)
    by_message = {line.rpartition(": ")[2]: line for line in written.lines}
    assert "[the-request-of-this-test]" in by_message["done afterwards"]
    assert "[-]" in by_message["about no request"]


Ended = Callable[[Any], list[Facts]]


@pytest.fixture
def ended() -> Ended:
    """Collects the facts of an application's requests, as the access log and the metrics get them."""

    def collect(app: web.Application) -> list[Facts]:
        found: list[Facts] = []
        app.when_over = found.append
        return found

    return collect


def test_the_line_of_the_access_log_has_the_id_and_the_address_behind_the_proxies(
    database_url: str, tmp_path: Any, another_app: Callable[..., web.Application], capsys: pytest.CaptureFixture[str]
) -> None:
    app = another_app(test_settings(database_url, data_dir=tmp_path, trusted_proxies=1))
    observation.start(app)
    answer = app.test_client().get(
        "/us-east-1_abc/login?state=secret",
        headers={"X-Forwarded-For": "203.0.113.9", "Authorization": "Bearer secret"},
    )
    observation.stop(app)
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "cognate.access" in line)
    assert f"[{answer.headers['X-Request-Id']}]" in line and "secret" not in line
    assert re.search(r" GET /us-east-1_abc/login 404 \S+ ms peer=203\.0\.113\.9 door=hosted operation=sign_in", line)


def test_the_doors_say_what_was_asked_for_by_whom_and_what_came_of_it(
    app: web.Application, env: Env, http: FlaskClient, ended: Ended
) -> None:
    client = a_client(env, a_pool(env))
    found = ended(app)
    pool, api = f"/{client.pool_id}", {"Content-Type": "application/x-amz-json-1.1"}
    target = "AWSCognitoIdentityProviderService."
    body = f'{{"ClientId": "{client.id}", "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": {{"USERNAME": "x"}}}}'
    http.get(f"{pool}/.well-known/jwks.json")
    http.get(f"{pool}/.well-known/jwks.json")  # before Flask
    http.post(
        f"{pool}/oauth2/token", data={"grant_type": "refresh_token", "refresh_token": "x", "client_id": client.id}
    )
    http.post("/", data=body, headers={**api, "X-Amz-Target": f"{target}InitiateAuth"})
    http.post("/", data=b"{}", headers={**api, "X-Amz-Target": f"{target}GiveMeEverything"})
    http.get(f"{pool}/login?client_id={client.id}")
    http.get(f"{pool}/login?client_id=nobody")
    http.get("/healthz")
    http.get("/nowhere")
    told = [(f.door, f.operation, f.pool, f.client, f.status, f.outcome) for f in found]
    ours = client.pool_id
    assert told == [
        ("oauth", "jwks", ours, "", "200", ""),
        ("oauth", "jwks", ours, "", "200", ""),
        ("oauth", "token:refresh_token", ours, client.id, "400", "invalid_grant"),
        ("api", "InitiateAuth", ours, client.id, "400", "InvalidParameter"),
        ("api", "unknown", "", "", "400", "UnknownOperation"),
        ("hosted", "sign_in", ours, client.id, "200", ""),
        ("hosted", "sign_in", ours, "", "400", "unknown_client"),
        ("health", "alive", "", "", "200", ""),
        ("none", "unknown", "", "", "404", "not_found"),
    ]


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize("proxies", [0, 1])
@pytest.mark.parametrize(
    ("given", "trace"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", TRACE),
        (f"01-{TRACE}-00f067aa0ba902b7-01-more", TRACE),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", ""),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", ""),
        (f"00-{TRACE}-{'0' * 16}-01", ""),
        (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", ""),
        ("mine", ""),
    ],
)
def test_a_trace_is_believed_only_of_a_proxy_and_only_in_its_form(
    database_url: str,
    tmp_path: Any,
    another_app: Callable[..., web.Application],
    ended: Ended,
    given: str,
    trace: str,
    proxies: int,
) -> None:
    app = another_app(test_settings(database_url, data_dir=tmp_path, trusted_proxies=proxies))
    found = ended(app)
    app.test_client().get("/healthz", headers={"traceparent": given})
    assert found[0].trace_id == (trace if proxies else "")


# -- in JSON -----------------------------------------------------------------------------------------------------


def as_object(record: logging.LogRecord) -> dict[str, Any]:
    line = logs.Objects().format(record)
    assert line.isprintable()
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_message_is_one_object_with_its_request_and_its_stack() -> None:
    try:
        raise RuntimeError("the reason\u202e")
    except RuntimeError:
        failed = sys.exc_info()
    about = Facts("the-request-of-this-test")
    about.trace_id = TRACE
    record = logging.LogRecord("app.test", logging.ERROR, "", 1, "said\n%s", ("\x1b\udc80",), failed)
    with facts.during(about):
        found = as_object(record)
    assert (found["level"], found["logger"], found["message"]) == ("ERROR", "app.test", "said\\n\\x1b\\udc80")
    assert (found["request_id"], found["trace_id"]) == ("the-request-of-this-test", TRACE)
    assert found["exception"].splitlines()[-1] == "RuntimeError: the reason\\u202e"
    assert as_object(logging.makeLogRecord({"msg": "about no request"}))["request_id"] is None


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_lines_of_servers_and_the_warnings_of_python_have_the_form_of_all(form: str) -> None:
    """In a process of its own, whose logging nobody else needs."""
    program = f"""
import logging, warnings
logging.getLogger("gunicorn.error").addHandler(logging.StreamHandler())
logging.getLogger("gunicorn.error").propagate = False
logging.getLogger("gunicorn.access").propagate = False
from app import logs
from app.config import Settings
logs.configure(Settings(log={form!r}))
for name in ("gunicorn.error", "_granian", "alembic.runtime.migration", "app.test"):
    logging.getLogger(name).warning("said")
logging.getLogger("gunicorn.access").info("said")
warnings.warn("said")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert len(lines) == 6
    for line in lines:
        if form == "json":
            assert "said" in json.loads(line)["message"]
        else:
            assert re.match(r"[-\d]+ [:,\d]+ (WARNING|INFO) \[-\] \S+: .*said", line)


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
