"""The demo's application: a relying party as any other, and what an attacker would try with it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.test import TestResponse

from app.accounts import administer
from app.demo import protocol, seed
from app.demo.inside import Answer, Inside
from app.demo.protocol import Failed, RelyingParty
from app.demo.session import LARGEST
from app.env import Env
from app.pools import find
from app.tokens import keys
from tests.conftest import Clock, test_settings

BASE = "http://localhost:8080"


class Browser:
    """Follows the redirects of one person, who knows the demo user's password."""

    def __init__(self, http: FlaskClient, facts: dict[str, Any]) -> None:
        self.http, self.facts = http, facts

    def go(self, url: str, **given: Any) -> TestResponse:
        """To where the redirects end."""
        answer = self.http.open(url, base_url=BASE, **given)
        while answer.status_code in (302, 303):
            answer = self.http.get(answer.headers["Location"], base_url=BASE)
        return answer

    def step(self, url: str) -> str:
        answer = self.http.get(url, base_url=BASE)
        assert answer.status_code in (302, 303), answer.text
        return str(answer.headers["Location"])

    def to_the_answer(self, start: str = "/demo/sign-in") -> str:
        """The redirect URI with the server's answer, which is not opened."""
        page = self.step(self.step(start))
        form = self.http.get(page, base_url=BASE)
        fields = dict(re.findall(r'name="([^"]+)"[^>]* value="([^"]*)"', form.text))
        fields |= {"username": "demo", "password": self.facts["user"]["password"]}
        answer = self.http.post(page, base_url=BASE, data=fields)
        assert answer.status_code == 303, answer.text
        return self.step(answer.headers["Location"])

    def sign_in(self) -> TestResponse:
        return self.go(self.to_the_answer())

    def press(self, path: str, page: TestResponse, **headers: str) -> TestResponse:
        csrf = re.findall(r'name="csrf" value="([^"]+)"', page.text)[0]
        return self.http.post(path, base_url=BASE, data={"csrf": csrf}, headers=headers)


@pytest.fixture
def facts(env: Env) -> dict[str, Any]:
    return seed.prepare(env)


@pytest.fixture
def browser(http: FlaskClient, facts: dict[str, Any]) -> Browser:  # no window: of this module's own
    return Browser(http, facts)


def shown(page: TestResponse, token: str) -> dict[str, str]:
    found = re.findall(rf'<dd id="{token}-([^"]+)">(.*?)(?: <span>.*?)?</dd>', page.text)
    return dict(found)


# -- a sign-in -----------------------------------------------------------------------------------------------------


def test_a_sign_in_asks_for_a_code_with_pkce_state_and_nonce(browser: Browser) -> None:
    first, second = (parse_qs(urlsplit(browser.step("/demo/sign-in")).query) for _ in range(2))
    assert first["response_type"] == ["code"] and first["code_challenge_method"] == ["S256"]
    assert first["redirect_uri"] == [f"{BASE}/demo/callback"] and first["scope"] == ["openid email profile"]
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name] and len(first[name][0]) >= 32


def test_whoever_signed_in_is_shown_with_what_the_tokens_say(browser: Browser) -> None:
    page = browser.sign_in()
    assert page.status_code == 200 and "Demo User" in page.text and "demo@example.com" in page.text
    identity, access = shown(page, "id"), shown(page, "access")
    client_id = browser.facts["clients"]["app"]["client_id"]
    assert identity["iss"] == access["iss"] == browser.facts["issuer"]
    assert identity["aud"] == access["client_id"] == client_id
    assert identity["sub"] == access["sub"] and identity["email_verified"] == "true"
    assert list(identity)[0] == "sub"
    assert browser.facts["clients"]["app"]["client_secret"] not in page.text


def test_tokens_are_refreshed_as_often_as_it_is_pressed(browser: Browser, clock: Clock) -> None:
    page = browser.sign_in()
    seen = {shown(page, "id")["jti"]}
    for times in ("1 time.", "2 times."):
        clock.forward(minutes=10)
        assert browser.press("/demo/refresh", page).status_code == 303
        page = browser.go("/demo")
        assert f"Refreshed {times}" in page.text
        seen.add(shown(page, "id")["jti"])
    assert len(seen) == 3


def test_signing_out_ends_the_session_here_and_at_the_server(browser: Browser, env: Env) -> None:
    page = browser.sign_in()
    answer = browser.press("/demo/sign-out", page)
    assert answer.status_code == 303
    back = browser.step(answer.headers["Location"])
    assert back == f"{BASE}/demo"
    assert 'id="sign-in"' in browser.go("/demo").text
    assert "/login?" in browser.step(browser.step("/demo/sign-in")), "nobody is signed in at the server"


def test_a_session_that_the_server_ended_says_so_and_is_forgotten(browser: Browser, env: Env) -> None:
    page = browser.sign_in()
    pool = find.pool(env, browser.facts["pool_id"])
    administer.disable(env, pool, username="demo")
    answer = browser.press("/demo/refresh", page)
    assert answer.status_code == 400 and "The token endpoint refused: invalid_grant" in answer.text
    assert 'id="sign-in"' in browser.go("/demo").text


def test_an_expired_token_says_so_and_can_be_refreshed(browser: Browser, clock: Clock) -> None:
    page = browser.sign_in()
    clock.forward(hours=2)
    expired = browser.go("/demo")
    assert "The ID token has expired" in expired.text
    assert browser.press("/demo/refresh", page).status_code == 303
    assert "has expired" not in browser.go("/demo").text


def test_keys_that_were_forgotten_end_the_session(browser: Browser, env: Env) -> None:
    browser.sign_in()
    keys.rotate(env, find.pool(env, browser.facts["pool_id"]), emergency=True)
    page = browser.go("/demo")
    assert "signature is not one of this server" in page.text and 'id="sign-in"' in page.text
    assert "signature" not in browser.go("/demo").text


def test_tokens_larger_than_a_cookie_are_kept_whole(browser: Browser, env: Env) -> None:
    pool = find.pool(env, browser.facts["pool_id"])
    long = {name: "".join(map(str, range(n, n + 700)))[:2000] for n, name in enumerate(("profile", "picture"))}
    administer.update_attributes(env, pool, username="demo", attributes=long)
    answer = browser.http.get(browser.to_the_answer(), base_url=BASE)
    cookies = [one for one in answer.headers.getlist("Set-Cookie") if one.startswith("cognate-demo-")]
    assert len(cookies) > 2 and max(map(len, cookies)) < 4096 and LARGEST < 4096
    for one in cookies:
        assert "HttpOnly" in one and "SameSite=Lax" in one and "Path=/demo" in one
    page = browser.go("/demo")
    assert shown(page, "id")["picture"] == long["picture"]
    administer.delete_attributes(env, pool, username="demo", names=["profile", "picture"])
    browser.press("/demo/refresh", page)
    assert "picture" not in shown(browser.go("/demo"), "id"), "and no piece of the longer one is left"


def test_no_token_can_be_read_out_of_a_cookie(browser: Browser) -> None:
    answer = browser.http.get(browser.to_the_answer(), base_url=BASE)
    assert not any("eyJ" in one for one in answer.headers.getlist("Set-Cookie"))


def test_every_page_is_protected_and_kept_by_nobody(browser: Browser) -> None:
    for answer in (browser.go("/demo"), browser.http.get("/demo/sign-in"), browser.sign_in(), browser.go("/demo")):
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"


# -- whoever would like to sign somebody in ----------------------------------------------------------------------


def test_an_answer_that_the_browser_did_not_ask_for_signs_nobody_in(
    browser: Browser, app: Flask, facts: dict[str, Any]
) -> None:
    """Login CSRF: the attacker's own code, opened in the browser of somebody else."""
    attackers = browser.to_the_answer()
    victim = Browser(app.test_client(), facts)
    answer = victim.http.get(attackers, base_url=BASE)
    assert answer.status_code == 400 and "began no such sign-in" in answer.text
    victim.http.get("/demo/sign-in", base_url=BASE)
    assert victim.http.get(attackers, base_url=BASE).status_code == 400
    assert 'id="sign-in"' in victim.go("/demo").text


def test_an_answer_counts_once(browser: Browser) -> None:
    answered = browser.to_the_answer()
    assert browser.go(answered).status_code == 200
    page = browser.go("/demo")
    browser.press("/demo/sign-out", page)
    assert browser.http.get(answered, base_url=BASE).status_code == 400
    assert 'id="sign-in"' in browser.go("/demo").text


def test_an_answer_opened_again_shows_who_is_signed_in(browser: Browser) -> None:
    answered = browser.to_the_answer()
    browser.go(answered)
    assert "Demo User" in browser.go(answered).text


def test_an_answer_that_comes_too_late_signs_nobody_in(browser: Browser, clock: Clock) -> None:
    answered = browser.to_the_answer()
    clock.forward(hours=2)
    assert browser.http.get(answered, base_url=BASE).status_code == 400


@pytest.mark.parametrize(
    "changed", [{"iss": ["https://evil.example"]}, {"iss": []}, {"code": []}, {"code": ["made-up"]}]
)
def test_an_answer_of_another_server_or_with_another_code_is_refused(
    browser: Browser, changed: dict[str, list[str]]
) -> None:
    answered = urlsplit(browser.to_the_answer())
    query = urlencode({**parse_qs(answered.query), **changed}, doseq=True)
    answer = browser.http.get(f"/demo/callback?{query}", base_url=BASE)
    assert answer.status_code == 400
    assert 'id="sign-in"' in browser.go("/demo").text


def test_a_refusal_is_told_as_text(browser: Browser) -> None:
    asked = parse_qs(urlsplit(browser.step("/demo/sign-in")).query)
    given = {
        "state": asked["state"][0],
        "iss": browser.facts["issuer"],
        "error": "access_denied",
        "error_description": "<script>alert(1)</script>",
    }
    answer = browser.http.get("/demo/callback", base_url=BASE, query_string=given)
    assert answer.status_code == 400 and "access_denied" in answer.text and "<script>alert" not in answer.text


def test_two_tabs_can_both_be_answered(browser: Browser) -> None:
    first = browser.step("/demo/sign-in")
    answered = browser.to_the_answer()
    assert "Demo User" in browser.go(answered).text
    assert "Demo User" in browser.go(first).text


@pytest.mark.parametrize("path", ["/demo/refresh", "/demo/sign-out"])
def test_another_site_can_press_nothing(browser: Browser, path: str) -> None:
    page = browser.sign_in()
    for answer in (
        browser.http.post(path, base_url=BASE),
        browser.http.post(path, base_url=BASE, data={"csrf": "guessed"}),
        browser.press(path, page, Origin="https://evil.example"),
        browser.press(path, page, **{"Sec-Fetch-Site": "cross-site"}),
        browser.http.get(path, base_url=BASE),
    ):
        assert answer.status_code in (400, 403, 405)
    again = browser.go("/demo")
    assert "Demo User" in again.text and "Refreshed" not in again.text


def test_a_cookie_that_was_made_up_or_is_of_another_server_is_no_session(
    browser: Browser, app: Flask, facts: dict[str, Any]
) -> None:
    for value in ("x", "v1.00000000.AAAA", "é", '{"tokens": {}}'):
        other = app.test_client()
        other.set_cookie("cognate-demo-0", value, path="/demo")
        assert 'id="sign-in"' in Browser(other, facts).go("/demo").text


# -- what is verified of a token ---------------------------------------------------------------------------------


class Forged:
    """A server that answers with a token of somebody's own making."""

    def __init__(self, inside: Inside, id_token: str) -> None:
        self.inside, self.id_token = inside, id_token

    def get(self, url: str) -> Answer:
        return self.inside.get(url)

    def post(self, url: str, **given: Any) -> Answer:
        body = {"id_token": self.id_token, "access_token": "a.b.c", "refresh_token": "r", "token_type": "Bearer"}
        return Answer(200, json.dumps(body).encode())


def party(app: Flask, facts: dict[str, Any], session: Any = None) -> RelyingParty:
    client = facts["clients"]["app"]
    return RelyingParty(
        session or Inside(app),
        app.extensions["cognate"].now,
        issuer=facts["issuer"],
        client_id=client["client_id"],
        client_secret=client["client_secret"],
        redirect_uri=client["redirect_uri"],
        home=client["logout_uri"],
    )


@pytest.mark.parametrize(
    "token",
    [
        "",
        "not.a.token",
        jwt.encode({"alg": "RS256"}, {"sub": "somebody"}, RSAKey.generate_key(2048)),
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzb21lYm9keSJ9.",
    ],
    ids=["empty", "no token", "signed by somebody", "not signed"],
)
def test_a_token_that_the_server_did_not_sign_is_refused(app: Flask, facts: dict[str, Any], token: str) -> None:
    forged = party(app, facts, Forged(Inside(app), token))
    begun, _ = forged.begin()
    with pytest.raises(Failed, match="signature|lacks"):
        forged.complete(begun, {"iss": facts["issuer"], "code": "x"})


def test_tokens_of_the_server_that_are_not_meant_are_refused(browser: Browser, app: Flask) -> None:
    """The access token in the place of the ID token; another client's; another sign-in's; a mixed pair."""
    facts = browser.facts
    mine = party(app, facts)
    begun, _ = mine.begin()
    tokens = _tokens(browser, mine, begun)
    mine.claims(tokens, nonce=begun.nonce)
    with pytest.raises(Failed, match="not acceptable"):
        mine.claims(replace(tokens, id_token=tokens.access_token))
    with pytest.raises(Failed, match="nonce"):
        mine.claims(tokens, nonce="of another sign-in")
    others = party(app, facts)
    others.client_id = facts["clients"]["web"]["client_id"]
    with pytest.raises(Failed, match="aud"):
        others.claims(tokens)
    refreshed = mine.refreshed(tokens)
    with pytest.raises(Failed, match="access token is not the one"):
        mine.claims(replace(tokens, access_token=refreshed.access_token))


def _tokens(browser: Browser, mine: RelyingParty, begun: protocol.Begun) -> protocol.Tokens:
    client = mine._client
    url, _ = client.create_authorization_url(
        mine.server["authorization_endpoint"], state=begun.state, nonce=begun.nonce, code_verifier=begun.verifier
    )
    browser.sign_in()
    answer = parse_qs(urlsplit(browser.step(url)).query)
    return mine.complete(begun, {name: value for name, (value,) in answer.items()})


def test_the_clients_secret_stays_out_of_what_authlib_shares(browser: Browser) -> None:
    from authlib.oauth2.client import DEFAULT_HEADERS

    browser.sign_in()
    assert "Authorization" not in DEFAULT_HEADERS


# -- where it is, and where not ----------------------------------------------------------------------------------


def test_a_server_without_a_demo_has_no_application(http: FlaskClient) -> None:
    for path in ("/demo/sign-in", "/demo/callback"):
        assert http.get(path).status_code == 404
    assert "<code>cognate demo</code> makes one" in http.get("/demo").text
    assert 'id="sign-in"' not in http.get("/demo").text
    assert http.post("/demo/refresh").status_code == 404


def test_a_demo_that_was_started_again_under_another_address_says_which(
    env: Env, http: FlaskClient, facts: dict[str, Any]
) -> None:
    seed.prepare(replace(env, settings=replace(env.settings, base_url="http://localhost:8081")))
    for path in ("/demo", "/demo/sign-in"):
        answer = http.get(path)
        assert answer.status_code == 503 and "has since been started at http://localhost:8081." in answer.text


def test_a_demo_whose_pool_is_gone_says_so(env: Env, http: FlaskClient, facts: dict[str, Any]) -> None:
    file = env.settings.data_dir / "demo.json"
    file.write_text(file.read_text().replace(facts["pool_id"], "us-east-1_gone00000"))
    for path in ("/demo", "/demo/sign-in"):
        answer = http.get(path)
        assert answer.status_code == 503 and "<code>cognate demo</code> makes one" in answer.text
        assert "us-east-1_gone00000/.well-known/openid-configuration answered with status 40" in answer.text


def test_production_has_none_even_where_a_demo_was(
    env: Env, facts: dict[str, Any], another_app: Callable[..., Flask]
) -> None:
    strong = {"argon2_memory_kib": 19456, "argon2_time": 2}
    app = another_app(replace(env.settings, mode="production", **strong))
    assert app.test_client().get("/demo").status_code == 404


def test_the_page_leads_to_the_host_that_the_answer_comes_to(browser: Browser) -> None:
    """`localhost` and `127.0.0.1` have cookies of their own."""
    page = browser.http.get("/demo", base_url="http://127.0.0.1:8080")
    assert f'href="{BASE}/demo/sign-in"' in page.text


def test_where_http_is_for_this_machine_only_the_application_is_here(
    env: Env, another_app: Callable[..., Flask]
) -> None:
    settings = test_settings(env.settings.database_url, data_dir=env.settings.data_dir, base_url="http://auth.test")
    app = another_app(settings)
    with app.app_context():
        found = seed.prepare(app.extensions["cognate"])
    assert found["demo_url"] == "http://localhost:8080/demo"
    answer = app.test_client().get("/demo/sign-in", base_url="http://localhost:8080")
    assert answer.headers["Location"].startswith(f"http://auth.test/{found['pool_id']}/")
