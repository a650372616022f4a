"""Request rules at the doors: which requests they are tried for, with what, and how each door says no."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.env import Env
from app.models import Client, Pool
from app.policy.request_rules import Facts, compiled
from app.pools import domains, proof_of_work, request_rules
from tests.api.conftest import ANY_KEY, TARGET
from tests.build import CALLBACK, PASSWORD, a_client, a_pool, a_user
from tests.conftest import Clock
from tests.hosted.conftest import Page
from tests.pools.test_proof_of_work import solved

HTML = {"Accept": "text/html,application/xhtml+xml"}
WORK = {"Name": "work", "Action": "proof-of-work", "Difficulty": 8, "Lifetime": 600}


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


@pytest.fixture
def client(env: Env, pool: Pool) -> Client:
    return a_client(env, pool)


@pytest.fixture
def rule(env: Env, pool: Pool) -> Callable[..., None]:
    """Gives the pool one rule."""

    def give(action: str, when: dict[str, Any] | None = None, **more: Any) -> None:
        one = {"Name": "mine", "Action": action, **({"When": when} if when else {}), **more}
        request_rules.configure(env, pool, {"Rules": [one]}, operations={"SignUp", "InitiateAuth", "GetUser"})

    return give


@pytest.fixture
def page(http: FlaskClient, client: Client) -> Callable[..., TestResponse]:
    """Opens a page of the client, as a browser does."""

    def open_page(path: str = "login", method: str = "GET", **more: Any) -> TestResponse:
        query = {"client_id": client.id, "response_type": "code", "scope": "openid", "redirect_uri": CALLBACK}
        given = {"headers": HTML, **more}
        return http.open(f"/{client.pool_id}/{path}?{urlencode(query)}", method=method, **given)

    return open_page


@pytest.fixture
def call(http: FlaskClient) -> Callable[..., TestResponse]:
    def answer(operation: str, address: str = "192.0.2.7", signed: bool = False, **members: Any) -> TestResponse:
        headers = {"X-Amz-Target": TARGET + operation, **({"Authorization": ANY_KEY} if signed else {})}
        return http.post(
            "/",
            json=members,
            headers=headers,
            content_type="application/x-amz-json-1.1",
            environ_base={"REMOTE_ADDR": address} if not signed else {},
        )

    return answer


def token(http: FlaskClient, pool: Pool) -> TestResponse:
    return http.post(f"/{pool.id}/oauth2/token", data={"grant_type": "client_credentials"})


# -- who says no, and how --------------------------------------------------------------------------------------


def test_a_page_is_denied_with_a_page(rule: Callable[..., None], page: Callable[..., TestResponse]) -> None:
    assert page().status_code == 200
    rule("deny")
    shown = Page(page())
    assert (shown.status, shown.title) == (403, "This page is not open to you")
    assert "Set-Cookie" not in shown.response.headers
    assert Page(page("oauth2/authorize")).title == shown.title
    assert Page(page("logout")).title == shown.title


def test_an_endpoint_is_denied_in_the_words_of_oauth(rule: Callable[..., None], http: FlaskClient, pool: Pool) -> None:
    rule("deny")
    for answer in (token(http, pool), http.get(f"/{pool.id}/oauth2/userInfo")):
        assert answer.status_code == 403 and orjson.loads(answer.data)["error"] == "access_denied"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_an_operation_is_denied_as_cognito_denies_it(
    rule: Callable[..., None], call: Callable[..., TestResponse], client: Client
) -> None:
    rule("deny", {"Operation": "SignUp"})
    answer = call("SignUp", ClientId=client.id, Username="bob", Password=PASSWORD)
    assert answer.status_code == 403
    assert orjson.loads(answer.data) == {
        "__type": "ForbiddenException",
        "message": "Request not allowed due to WAF block.",
    }
    other = call("InitiateAuth", ClientId=client.id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters={"USERNAME": "bob"})
    assert other.status_code == 400


def test_who_comes_too_often_is_told_when_to_come_again(
    rule: Callable[..., None],
    page: Callable[..., TestResponse],
    call: Callable[..., TestResponse],
    http: FlaskClient,
    pool: Pool,
    client: Client,
) -> None:
    rule("deny", {"Rate": {"Requests": 1, "Seconds": 60, "Per": "pool"}})
    page()
    shown = Page(page())
    assert (shown.status, shown.title) == (429, "That was too often")
    assert token(http, pool).status_code == 429
    denied = call("SignUp", ClientId=client.id, Username="bob", Password=PASSWORD)
    assert (denied.status_code, orjson.loads(denied.data)["__type"]) == (403, "ForbiddenException")
    for answer in (shown.response, token(http, pool), denied):
        assert answer.headers["Retry-After"] == "60"


# -- what is inspected -----------------------------------------------------------------------------------------


def test_operations_by_client_and_by_token_are_inspected_before_what_they_bring(
    env: Env, rule: Callable[..., None], call: Callable[..., TestResponse], pool: Pool, statements: Any
) -> None:
    """A wrong secret, a wrong password, a forged token: none of them is looked at, and no row is read."""
    client = a_client(env, pool, secret=True)
    rule("deny", {"Address": "192.0.2.0/24"})
    auth = {"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": {"USERNAME": "bob", "PASSWORD": "wrong"}}
    forged = forged_token(env, pool)
    for _ in range(2):  # the second time everything is cached
        statements()
        answers = [
            call("SignUp", ClientId=client.id, Username="bob", Password=PASSWORD, SecretHash="wrong"),
            call("InitiateAuth", ClientId=client.id, **auth),
            call("GetUser", AccessToken=forged),
        ]
    assert [orjson.loads(answer.data)["__type"] for answer in answers] == ["ForbiddenException"] * 3
    assert statements() == []
    elsewhere = call("GetUser", "198.51.100.1", AccessToken=forged)
    assert orjson.loads(elsewhere.data)["__type"] == "NotAuthorizedException"


def forged_token(env: Env, pool: Pool) -> str:
    from app.crypto import base64url
    from app.tokens import claims

    parts = [{"alg": "ES256", "kid": "x"}, {"iss": claims.issuer(env.settings, pool), "client_id": "x"}]
    return ".".join([*(base64url.encode(orjson.dumps(part)) for part in parts), "AAAA"])


def test_administrators_are_never_shut_out(
    rule: Callable[..., None], call: Callable[..., TestResponse], pool: Pool
) -> None:
    """What an access key has signed is not inspected: it is what takes a rule back that denies everybody."""
    rule("deny")
    assert call("DescribeUserPool", signed=True, UserPoolId=pool.id).status_code == 200


def test_documents_files_and_preflights_are_not_inspected(
    rule: Callable[..., None], http: FlaskClient, pool: Pool
) -> None:
    rule("deny")
    assert http.get(f"/{pool.id}/.well-known/jwks.json").status_code == 200
    assert http.get(f"/{pool.id}/.well-known/openid-configuration").status_code == 200
    assert http.options(f"/{pool.id}/oauth2/token").status_code == 204
    assert http.get(f"/{pool.id}/static/x/theme.css").status_code == 200


def test_another_pool_has_nothing_to_do_with_them(env: Env, rule: Callable[..., None], http: FlaskClient) -> None:
    rule("deny")
    other = a_pool(env, algorithm="ES256")
    assert token(http, other).status_code == 400


@pytest.mark.parametrize("path", ["login", "%6Cogin"])
def test_a_path_is_that_inside_the_pool_however_it_is_written(
    rule: Callable[..., None], page: Callable[..., TestResponse], path: str
) -> None:
    rule("deny", {"Path": "/login"})
    assert page(path).status_code == 403
    assert page("signup").status_code == 200


def test_no_other_path_of_an_endpoint_is_a_way_round_a_rule(app: Flask) -> None:
    app.url_map.update()
    paths: dict[str, set[str]] = {}
    for one in app.url_map.iter_rules():
        view = app.view_functions[one.endpoint]
        if not one.arguments and one.rule != "/":
            paths.setdefault(f"{view.__module__}.{view.__qualname__}", set()).add(one.rule)
    several = [spellings for spellings in paths.values() if len(spellings) > 1]
    assert {"/authorize", "/oauth2/authorize"} in several
    for spellings in several:
        for written in spellings:
            rules = compiled({"Rules": [{"Name": "mine", "Action": "deny", "When": {"Path": written}}]})
            for asked in spellings:
                facts = Facts("192.0.2.1", "GET", asked, None, lambda name: None)
                verdict = rules.verdict(
                    facts, lambda *counted: None, proven=lambda rule: False, counted=lambda rule: None
                )
                assert verdict.action == "deny", (written, asked)


def test_a_pool_on_a_domain_of_its_own_has_the_same_paths(
    env: Env, rule: Callable[..., None], http: FlaskClient, pool: Pool, client: Client
) -> None:
    domains.create(env, pool, domain="shop", custom=False, settings={})
    url = f"http://shop.{env.settings.base_host}/login?{urlencode({'client_id': client.id})}"
    assert http.get(url, headers=HTML).status_code == 200
    rule("deny", {"Path": "/login"})
    assert http.get(url, headers=HTML).status_code == 403


def test_headers_and_methods_are_seen(rule: Callable[..., None], page: Callable[..., TestResponse]) -> None:
    rule("deny", {"All": [{"Header": {"Name": "User-Agent", "Contains": "sqlmap"}}, {"Method": ["GET", "HEAD"]}]})
    assert page(headers={**HTML, "User-Agent": "SQLMap/1.7"}).status_code == 403
    assert page(headers=HTML).status_code == 200


# -- proof of work ---------------------------------------------------------------------------------------------


def challenge_of(shown: TestResponse) -> str:
    html = shown.get_data(as_text=True)
    return html.split('data-challenge="')[1].split('"')[0]


def send(http: FlaskClient, pool: Pool, challenge: str, number: str, address: str = "127.0.0.1") -> TestResponse:
    return http.post(
        f"/{pool.id}/proof", data={"challenge": challenge, "number": number}, environ_base={"REMOTE_ADDR": address}
    )


@pytest.fixture
def work(rule: Callable[..., None]) -> None:
    rule("proof-of-work", Difficulty=8, Lifetime=600)


@pytest.mark.usefixtures("work")
def test_a_browser_works_once_and_then_sees_the_page(
    page: Callable[..., TestResponse], http: FlaskClient, pool: Pool, clock: Clock
) -> None:
    asked = page()
    assert asked.status_code == 403 and Page(asked).title == "One moment, please"
    policy = asked.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy and "connect-src 'self'" in policy and "unsafe" not in policy
    challenge = challenge_of(asked)
    answer = send(http, pool, challenge, solved(challenge))
    assert answer.status_code == 204
    cookie = answer.headers["Set-Cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600", pool.id))
    assert page().status_code == 200 and page("signup").status_code == 200
    clock.forward(seconds=601)
    assert page().status_code == 403


@pytest.mark.usefixtures("work")
def test_a_pass_is_worth_nothing_from_elsewhere(
    page: Callable[..., TestResponse], http: FlaskClient, pool: Pool
) -> None:
    challenge = challenge_of(page())
    assert send(http, pool, challenge, solved(challenge), "198.51.100.1").status_code == 400
    assert send(http, pool, challenge, solved(challenge)).status_code == 204
    assert page(environ_base={"REMOTE_ADDR": "198.51.100.1"}).status_code == 403


@pytest.mark.usefixtures("work")
def test_what_solves_nothing_gets_no_cookie(page: Callable[..., TestResponse], http: FlaskClient, pool: Pool) -> None:
    challenge = challenge_of(page())
    wrong = next(str(n) for n in range(9999) if proof_of_work.zero_bits(challenge, str(n)) < 8)
    for given in ((challenge, wrong), ("", ""), ("0" + challenge[1:], "1")):
        answer = send(http, pool, *given)
        assert answer.status_code == 400 and "Set-Cookie" not in answer.headers
    assert http.get(f"/{pool.id}/proof").status_code == 405


@pytest.mark.usefixtures("work")
def test_a_form_that_meets_the_demand_is_not_done_and_not_kept(
    env: Env, page: Callable[..., TestResponse], pool: Pool
) -> None:
    a_user(env, pool)
    shown = Page(page(method="POST", data={"username": "alice", "password": PASSWORD}))
    assert (shown.status, shown.title) == (403, "Please begin again")
    assert "alice" not in shown.html and "Set-Cookie" not in shown.response.headers


@pytest.mark.usefixtures("work")
def test_who_is_no_browser_gets_a_clear_answer(
    page: Callable[..., TestResponse], http: FlaskClient, pool: Pool, client: Client, call: Callable[..., TestResponse]
) -> None:
    for accept in ("*/*", "application/json", ""):
        answer = page(headers={"Accept": accept})
        assert answer.status_code == 403 and answer.mimetype == "application/json"
        assert "proof of work" in orjson.loads(answer.data)["error_description"]
    answer = token(http, pool)
    assert answer.status_code == 403 and "proof of work" in orjson.loads(answer.data)["error_description"]
    answer = call("SignUp", ClientId=client.id, Username="bob", Password=PASSWORD)
    said = orjson.loads(answer.data)
    assert (answer.status_code, said["__type"]) == (403, "ForbiddenException") and "proof of work" in said["message"]


@pytest.mark.usefixtures("work")
def test_no_pass_counts_at_the_api(
    page: Callable[..., TestResponse], http: FlaskClient, pool: Pool, client: Client, call: Callable[..., TestResponse]
) -> None:
    challenge = challenge_of(page())
    send(http, pool, challenge, solved(challenge))
    assert call("SignUp", ClientId=client.id, Username="bob", Password=PASSWORD).status_code == 403


def test_a_solution_is_not_taken_from_whom_another_rule_denies(
    env: Env, page: Callable[..., TestResponse], http: FlaskClient, pool: Pool
) -> None:
    """The endpoint that takes solutions is free of the demand, and of nothing else."""
    document = {
        "Rules": [WORK, {"Name": "often", "Action": "deny", "When": {"Rate": {"Requests": 1, "Seconds": 60}}}],
    }
    request_rules.configure(env, pool, document, operations=())
    challenge = challenge_of(page())
    assert send(http, pool, challenge, solved(challenge)).status_code == 204
    assert send(http, pool, challenge, solved(challenge)).status_code == 429


def test_a_solution_from_a_page_of_another_site_is_refused(
    rule: Callable[..., None], page: Callable[..., TestResponse], http: FlaskClient, pool: Pool
) -> None:
    rule("proof-of-work", Difficulty=8)
    challenge = challenge_of(page())
    answer = http.post(
        f"/{pool.id}/proof",
        data={"challenge": challenge, "number": solved(challenge)},
        headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    )
    assert answer.status_code == 403 and "Set-Cookie" not in answer.headers


def test_nothing_of_the_address_is_repeated_in_the_demand(
    rule: Callable[..., None], http: FlaskClient, pool: Pool
) -> None:
    """The page goes back to where it is, so no place that a request names is in it."""
    rule("proof-of-work")
    evil = dict(parse_qsl("redirect_uri=https://evil.example&next=//evil.example&client_id=<script>"))
    answer = http.get(f"/{pool.id}/login", query_string=evil, headers=HTML)
    assert answer.status_code == 403 and "evil" not in answer.text and "&lt;script" not in answer.text


# -- what it costs ---------------------------------------------------------------------------------------------


def test_a_request_that_is_denied_costs_no_statement_and_no_hash(
    app: Flask, rule: Callable[..., None], page: Callable[..., TestResponse], statements: Any
) -> None:
    rule("deny")
    page(method="POST", data={"username": "alice", "password": PASSWORD})
    statements()
    assert page(method="POST", data={"username": "alice", "password": PASSWORD}).status_code == 403
    assert statements() == []
