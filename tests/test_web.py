"""What all doors share: which pool a request is about, links, cookies, headers, and who is asking."""

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient
from werkzeug.routing import Map, Rule, RuleFactory
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app import errors, web
from app.config import Settings
from app.env import Env
from app.pools import domains
from app.web import Forwarded, LateMap, PoolByPath
from tests.build import CALLBACK, LOGOUT, a_client, a_pool
from tests.conftest import test_settings

POOL = "us-east-1_A1b2C3d4E"


def test_whoever_asks_while_addresses_are_compiled_waits_for_all_of_them() -> None:
    compiling, go_on = threading.Event(), threading.Event()

    class Late(RuleFactory):
        def get_rules(self, map: Map) -> Iterator[Rule]:
            compiling.set()
            assert go_on.wait(timeout=60)
            yield Rule("/late", endpoint="late")

    addresses = LateMap()
    for rule in (Rule("/early", endpoint="early"), Late()):
        addresses.add(rule)
    found: list[str] = []

    def ask(path: str) -> threading.Thread:
        thread = threading.Thread(target=lambda: found.append(addresses.bind("localhost").match(path)[0]))
        thread.start()
        return thread

    asking = [ask("/early")]
    assert compiling.wait(timeout=60)
    asking += [ask("/late"), ask("/late")]
    go_on.set()
    for thread in asking:
        thread.join(timeout=60)
    assert sorted(found) == ["early", "late", "late"]


def seen_through(middleware: Callable[[Any], Any], environ: dict[str, Any]) -> dict[str, Any]:
    """What the application behind a middleware is given."""
    given: list[dict[str, Any]] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        given.append(environ)
        start_response("200 OK", [])
        return []

    run_wsgi_app(middleware(application), EnvironBuilder().get_environ() | environ)
    return given[0]


def split(path: str, script_name: str = "") -> tuple[str | None, str, str]:
    found = seen_through(PoolByPath, {"PATH_INFO": path, "SCRIPT_NAME": script_name})
    return found.get("cognate.pool_id"), found["SCRIPT_NAME"], found["PATH_INFO"]


@pytest.mark.parametrize("rest", ["/", "/login", "/oauth2/token", "/.well-known/jwks.json", "//evil.example", "/../x"])
@pytest.mark.parametrize("pool_id", [POOL, "eu-central-1_abc", "us-gov-west-1_0", "ap-southeast-2_" + "x" * 40])
def test_a_pool_in_the_path_is_taken_out_of_it(pool_id: str, rest: str) -> None:
    assert split(f"/{pool_id}{rest}") == (pool_id, f"/{pool_id}", rest)
    assert split(f"/{pool_id}{rest}", "/mounted") == (pool_id, f"/mounted/{pool_id}", rest)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/login",
        f"/{POOL}",
        f"{POOL}/login",
        f"//{POOL}/login",
        f"/./{POOL}/login",
        f"/x/{POOL}/login",
        f"/{POOL.upper()}/login",
        f"/{POOL};x/login",
        f"/{POOL}\n/login",
        f"/{POOL}/log\nin",
        f"/ {POOL}/login",
        f"/{POOL}%2flogin",
        "/us-east-1/login",
        "/us-east-1_/login",
        "/us-east-_abc/login",
        "/us-east-1_a_b/login",
        "/us-east-1_a-b/login",
        "/us-east-1_../login",
        "/us-east-1_äöü/login",
        "/us-east-١_abc/login",
        "/us-east-1_" + "x" * 46 + "/login",
        "/" + "us-" * 5000 + "east-1_abc/login",
        "/us" + "-a" * 20000,
    ],
)
def test_what_is_not_quite_a_pool_is_a_path_like_any_other(path: str) -> None:
    assert split(path) == (None, "", path)


def test_a_second_pool_in_the_path_is_only_a_path() -> None:
    assert split(f"/{POOL}/us-east-1_other/login") == (POOL, f"/{POOL}", "/us-east-1_other/login")


def test_a_pool_cannot_be_claimed_in_a_header(app: Flask, env: Env, http: FlaskClient) -> None:
    pool = a_pool(env)
    names = ("cognate.pool_id", "Cognate-Pool-Id", "Script-Name", "X-Forwarded-Prefix", "X-Script-Name")
    for name in names:
        assert http.get("/.well-known/openid-configuration", headers={name: pool.id}).status_code in (400, 404)


@pytest.mark.parametrize(
    "path",
    [
        "/{pool}//login",
        "/{pool}//evil.example/login",
        "//evil.example/{pool}/login",
        "/{pool}/../login",
        "/{pool}/%2e%2e/dev/outbox",
        "/{pool}/login/",
        "/{pool}/%2f%2fevil.example",
        "/{pool}/\\evil.example",
        "/{pool}%2flogin%2f..",
        "/{pool}/{pool}/login",
    ],
)
def test_an_odd_path_leads_to_no_other_host(env: Env, http: FlaskClient, path: str) -> None:
    pool = a_pool(env)
    answer = http.get(path.format(pool=pool.id))
    assert answer.status_code in (301, 308, 400, 404)
    if answer.status_code in (301, 308):
        target = urlsplit(answer.headers["Location"])
        assert target.netloc in ("", "localhost") and not target.path.startswith("//")


def test_an_unknown_pool_has_no_pages_and_no_keys(http: FlaskClient) -> None:
    for path in ("/.well-known/jwks.json", "/.well-known/openid-configuration", "/oauth2/token", "/login"):
        assert http.get(f"/us-east-1_nobody{path}").status_code in (400, 404, 405)


def test_a_pool_is_found_by_host_as_by_path(env: Env, http: FlaskClient) -> None:
    pool, other = a_pool(env), a_pool(env)
    domains.create(env, pool, domain="people", custom=False, settings={})
    domains.create(env, other, domain="auth.example.com", custom=True, settings={})
    base = env.settings.base_host

    def issuer(host: str, path: str = "") -> str | None:
        answer = http.get(f"{path}/.well-known/openid-configuration", headers={"Host": host})
        return answer.json["issuer"] if answer.status_code == 200 else None  # type: ignore[index]

    assert issuer(f"people.{base}") == issuer(base, f"/{pool.id}") == f"{env.settings.base_url}/{pool.id}"
    assert issuer(f"PEOPLE.{base.upper()}") == f"{env.settings.base_url}/{pool.id}"
    assert issuer("auth.example.com") == issuer("auth.example.com:443") == f"{env.settings.base_url}/{other.id}"
    for stranger in (base, f"nobody.{base}", f"people.{base}.evil.example", "people", "people.evil.example", "a:b:c"):
        assert issuer(stranger) is None, stranger
    # The path goes before the host.
    assert issuer(f"people.{base}", f"/{other.id}") == f"{env.settings.base_url}/{other.id}"


# -- links -----------------------------------------------------------------------------------------------------

HIJACKS = [
    "_external=1",
    "_external=1&_scheme=javascript",
    "_scheme=javascript&_external=true",
    "_anchor=x&_method=POST",
    "_host=evil.example&_external=1",
    "endpoint=static&filename=x",
]


@pytest.mark.parametrize(
    "query",
    [
        "client_id=1&scope=openid&scope=email&state=a%20b%26c",
        "redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb%3Fx%3D1%26y%3D2",
        "state=%F0%9F%98%80&state=%FF&empty=&novalue",
        "a+b=c+d&%61=%62",
        "&&a=1&&",
        "state=%0D%0ASet-Cookie:x",
        *HIJACKS,
    ],
)
def test_the_query_is_carried_along_as_it_came(app: Flask, query: str) -> None:
    for base in ("", f"/{POOL}"):
        environ = EnvironBuilder(path="/oauth2/authorize", query_string=query).get_environ()
        environ["SCRIPT_NAME"] = base
        with app.request_context(environ):
            assert web.carry("hosted.sign_in") == f"{base}/login?{query}"


def test_without_a_query_there_is_no_question_mark(app: Flask) -> None:
    with app.test_request_context("/oauth2/authorize"):
        assert web.carry("hosted.sign_in") == "/login"


@pytest.mark.parametrize("query", HIJACKS)
def test_a_link_of_a_page_leads_to_no_other_host(env: Env, http: FlaskClient, query: str) -> None:
    client = a_client(env, a_pool(env))
    asked = f"client_id={client.id}&response_type=code&redirect_uri={CALLBACK}&scope=openid&{query}"
    answer = http.get(f"/{client.pool_id}/oauth2/authorize?{asked}")
    assert answer.status_code in (302, 303)
    target = urlsplit(answer.headers["Location"])
    assert (target.scheme, target.netloc, target.path) == ("", "", f"/{client.pool_id}/login")
    assert parse_qs(target.query) == parse_qs(asked)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://app.example.com/callback?x=1", "https://app.example.com"),
        ("http://localhost:3000/", "http://localhost:3000"),
        ("http://[::1]:3000/", "http://[::1]:3000"),
        ("com.example.app:/callback", "com.example.app:"),
        ("myapp://callback", "myapp:"),
    ],
)
def test_a_redirect_is_told_to_the_browser_as_an_origin(url: str, origin: str) -> None:
    assert web.origin_of_url(url) == origin


# -- cookies ---------------------------------------------------------------------------------------------------


def cookies_of(response: Response) -> dict[str, set[str]]:
    """Names of cookies and their attributes, in lower case."""
    found = {}
    for header in response.headers.getlist("Set-Cookie"):
        first, *attributes = header.split("; ")
        found[first.partition("=")[0]] = {attribute.lower() for attribute in attributes}
    return found


def test_on_https_a_cookie_is_bound_to_this_host(
    database_url: str, another_app: Callable[..., Flask], env: Env
) -> None:
    pool, other = a_pool(env), a_pool(env)
    for base_url, prefix in (("https://auth.example.com", "__Host-"), ("http://localhost:8080", "")):
        app = another_app(test_settings(database_url, base_url=base_url))
        names = set()
        for each in (pool, other):
            environ = EnvironBuilder(path="/login").get_environ() | {"cognate.pool_id": each.id}
            with app.request_context(environ):
                response = Response()
                web.remember_browser(response, "token", seconds=3600)
                ((name, attributes),) = cookies_of(response).items()
                assert name == f"{prefix}cognate-{each.id}"
                assert {"httponly", "path=/", "samesite=lax", "max-age=3600"} <= attributes
                assert ("secure" in attributes) == bool(prefix)
                assert not any(attribute.startswith("domain") for attribute in attributes)
                names.add(name)
                forgotten = Response()
                web.forget_browser(forgotten)
                ((name, attributes),) = cookies_of(forgotten).items()
                assert name in names and "max-age=0" in attributes
        assert len(names) == 2, "pools on one host do not share a session"


def test_a_browser_is_recognised_by_the_cookie_of_this_pool_only(app: Flask, env: Env) -> None:
    pool, other = a_pool(env), a_pool(env)
    for asked, expected in ((pool, "mine"), (other, None)):
        environ = EnvironBuilder(path="/login", headers={"Cookie": f"cognate-{pool.id}=mine"}).get_environ()
        with app.request_context(environ | {"cognate.pool_id": asked.id}):
            assert web.browser_token() == expected


def test_the_cookie_of_forms_has_the_same_protection(database_url: str, another_app: Callable[..., Flask]) -> None:
    secure = another_app(test_settings(database_url, base_url="https://auth.example.com")).config
    plain = another_app(test_settings(database_url)).config
    assert secure["SESSION_COOKIE_NAME"] == "__Host-cognate-form" and secure["SESSION_COOKIE_SECURE"]
    assert plain["SESSION_COOKIE_NAME"] == "cognate-form" and not plain["SESSION_COOKIE_SECURE"]
    for config in (secure, plain):
        assert config["SESSION_COOKIE_HTTPONLY"] and config["SESSION_COOKIE_SAMESITE"] == "Lax"
        assert config["SESSION_COOKIE_PATH"] == "/" and not config["SESSION_COOKIE_DOMAIN"]


# -- headers ---------------------------------------------------------------------------------------------------


def test_a_page_runs_nothing_foreign_and_is_framed_by_nobody(app: Flask) -> None:
    with app.test_request_context("/"):
        headers = web.protect_page(Response()).headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == "'none'" and policy["form-action"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"] and "*" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Strict-Transport-Security" not in headers


def test_a_form_may_lead_on_to_the_client_and_nowhere_else(app: Flask) -> None:
    with app.test_request_context("/"):
        targets = ["https://b.example", "https://a.example", "https://b.example"]
        policy = web.protect_page(Response(), form_targets=targets).headers["Content-Security-Policy"]
    assert policy.endswith("form-action 'self' https://a.example https://b.example")


def test_on_https_a_browser_is_told_to_stay_there(database_url: str, another_app: Callable[..., Flask]) -> None:
    app = another_app(test_settings(database_url, base_url="https://auth.example.com"))
    with app.test_request_context("/"):
        assert web.protect_page(Response()).headers["Strict-Transport-Security"] == "max-age=31536000"


# -- who is asking ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:127.0.0.1", "127.0.0.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:c000:201", "192.0.2.1"),
        ("192.0.2.1:8080", "192.0.2.1"),
        ("[2001:db8::1]:8080", "2001:db8::1"),
        ("fe80::1%eth0 peer=192.0.2.1", "fe80::1"),
        ("192.0.2.1 peer=192.0.2.2", ""),
        ("192.0.2.001", ""),
        ("unix:", ""),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_an_address_is_one_in_its_usual_form_or_empty(given: str, plain: str) -> None:
    assert seen_through(partial(Forwarded, hops=0), {"REMOTE_ADDR": given})["REMOTE_ADDR"] == plain
    proxied = {"REMOTE_ADDR": "192.0.2.200", "HTTP_X_FORWARDED_FOR": f"6.6.6.6, {given or '?'}"}
    assert seen_through(partial(Forwarded, hops=1), proxied)["REMOTE_ADDR"] == plain


PROXIED = {
    "X-Forwarded-For": "6.6.6.6, 203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "auth.example.com",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Port": "1",
    "Forwarded": "for=7.7.7.7;proto=https;host=evil.example",
}


@pytest.mark.parametrize(
    ("hops", "address", "scheme", "host"),
    [
        (0, "127.0.0.1", "http", "localhost"),
        (1, "203.0.113.9", "https", "auth.example.com"),
        (2, "6.6.6.6", "http", "localhost"),  # the proxy in the middle has said nothing of scheme and host
    ],
)
def test_proxies_are_believed_as_far_as_they_are_counted(
    database_url: str, another_app: Callable[..., Flask], hops: int, address: str, scheme: str, host: str
) -> None:
    app = another_app(test_settings(database_url, trusted_proxies=hops))
    seen = {}

    @app.get("/test")
    def look() -> str:
        seen.update(ip=web.origin().ip, scheme=request.scheme, host=request.host, root=request.script_root)
        return ""

    app.test_client().get("/test", headers=PROXIED)
    assert seen == {"ip": address, "scheme": scheme, "host": host, "root": ""}


def test_a_quoted_string_of_a_stranger_hides_nothing_that_proxies_append() -> None:
    """As a list whose quoted string does not end it has no value at all, and the address would be the proxy's."""
    sent = {
        "HTTP_X_FORWARDED_FOR": '10.0.0.1, ", 203.0.113.9, 192.0.2.1',
        "HTTP_X_FORWARDED_HOST": 'evil.example, ", auth.example.com, inner.example.com',
        "HTTP_X_FORWARDED_PROTO": 'http, ", https, http',
    }
    seen = seen_through(partial(Forwarded, hops=2), sent)
    assert [seen[name] for name in ("REMOTE_ADDR", "HTTP_HOST", "wsgi.url_scheme")] == [
        "203.0.113.9",
        "auth.example.com",
        "https",
    ]


def test_a_scheme_is_one_of_two() -> None:
    seen = seen_through(partial(Forwarded, hops=1), {"HTTP_X_FORWARDED_PROTO": "javascript"})
    assert seen["wsgi.url_scheme"] == "http"


@pytest.mark.parametrize(("hops", "arriving"), [(1, ""), (1, "192.0.2.1, "), (2, ""), (2, ",192.0.2.1")])
def test_an_address_that_cannot_be_read_does_not_make_a_request_the_proxys(
    database_url: str, another_app: Callable[..., Flask], hops: int, arriving: str
) -> None:
    """`X-Forwarded-For: \\xff`, to which a proxy appends, arrives empty through granian; what the next proxy adds may
    be a line of its own."""
    app = another_app(test_settings(database_url, trusted_proxies=hops))
    answer = app.test_client().get("/healthz", headers={"X-Forwarded-For": arriving})
    assert (answer.status_code, answer.data) == (400, b"X-Forwarded-For cannot be read.\n")
    assert answer.headers["X-Request-Id"]
    assert app.test_client().get("/healthz").status_code == 200


def test_a_proxy_on_the_same_machine_does_not_make_everybody_local(
    database_url: str, another_app: Callable[..., Flask]
) -> None:
    app = another_app(test_settings(database_url, trusted_proxies=1))
    with app.test_client() as http:
        http.get("/healthz", headers={"X-Forwarded-For": "127.0.0.1, 203.0.113.9"})
        assert web.origin().ip == "203.0.113.9"
        http.get("/healthz", headers={"X-Forwarded-For": "::ffff:203.0.113.9"})
        assert web.origin().ip == "203.0.113.9"


def test_a_user_agent_is_kept_short(app: Flask) -> None:
    with app.test_request_context("/", headers={"User-Agent": "x" * 10000}):
        assert len(web.origin().user_agent) == 512


def test_what_is_not_found_is_a_refusal_inside(app: Flask, settings: Settings) -> None:
    with app.test_request_context("/", base_url="http://nobody.example"), pytest.raises(errors.UnknownPool):
        web.current_pool()


def test_a_body_that_is_too_large_is_refused_before_it_is_read(http: FlaskClient) -> None:
    answer = http.post("/", data=b"x" * (2 * 1024 * 1024 + 1), content_type="application/x-amz-json-1.1")
    assert answer.status_code in (400, 413)


def test_an_answer_without_content_has_no_type(env: Env, http: FlaskClient) -> None:
    """At every door; but for operations of the API, whose answers have the type that AWS gives them."""
    client = a_client(env, a_pool(env))
    base = f"/{client.pool_id}"
    query = {"client_id": client.id, "response_type": "code", "redirect_uri": CALLBACK, "scope": "openid"}
    empty = [
        http.options("/"),
        http.options(f"{base}/oauth2/token"),
        http.options(f"{base}/oauth2/revoke"),
        http.options(f"{base}/oauth2/userInfo"),
        http.options(f"{base}/.well-known/jwks.json"),
        http.get(f"{base}/oauth2/authorize", query_string=query),
        http.get(f"{base}/logout", query_string={"client_id": client.id, "logout_uri": LOGOUT}),
        http.get(f"{base}/mfa", query_string=query),
        http.post(f"{base}/oauth2/revoke", data={"client_id": client.id, "token": "x"}),
    ]
    for answer in empty:
        assert (answer.data, "Content-Type" in answer.headers) == (b"", False), answer.request.url
    assert http.head(f"{base}/login", query_string=query).mimetype == "text/html"


def test_the_secrets_of_the_server_are_not_in_the_environment_of_a_request(
    database_url: str, another_app: Callable[..., Flask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """granian begins each with a copy of the process's own; a debugger or a log that prints a request prints it."""
    given = {
        "COGNATE_KEY": "a-key",
        "COGNATE_SMTP_PASSWORD": "s3cret",
        "PGPASSWORD": "p4ss",
        "HTTP_PROXY": "http://u:p@x",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    app = another_app(test_settings(database_url, data_dir=tmp_path))
    seen: dict[str, Any] = {}
    app.add_url_rule("/seen", "seen", lambda: seen.update(request.environ) or "")
    environ = {**os.environ, **EnvironBuilder("/seen", headers={"X-Given": "by the request"}).get_environ()}
    run_wsgi_app(app, environ)
    assert seen["HTTP_X_GIVEN"] == "by the request" and seen["PATH_INFO"] == "/seen"
    assert not set(given) & seen.keys()
    assert not [name for name in seen if name.startswith("COGNATE_")]
    assert not [value for value in seen.values() if value in given.values()]


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("demo.localhost:8080", True),
        ("127.0.0.1", True),
        ("[::1]:8080", True),
        ("", False),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost@evil.example", False),
        ("evil.example#.localhost", False),
        ("evil.example/.localhost", False),
        ("[::1", False),
        ("0.0.0.0", False),
    ],
)
def test_a_request_is_for_this_machine_only_by_its_own_names(host: str, here: bool) -> None:
    assert web.is_this_machine("127.0.0.1", host) is here
    assert not web.is_this_machine("192.0.2.1", host)
