"""What all pages share: which client, protection of forms, headers, and that nothing foreign gets in or out."""

import re
import time
from collections.abc import Callable
from itertools import product
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask

from app import create_app
from app.accounts import administer
from app.db import db
from app.pools import domains
from tests.build import CALLBACK, PASSWORD, a_client, a_machine, a_pool
from tests.conftest import Clock, test_settings
from tests.hosted.conftest import BASE, Page, Place, Visitor, a_place, signed_in

PAGES = ("login", "signup", "confirmUser", "resendcode", "forgotPassword", "confirmForgotPassword")
FOREIGN = "https://evil.example"
SCRIPT = "\"'><script>alert(1)</script>{{7919*7919}}"
WIRE = re.compile(r"Exception|USERNAME|InvalidParameter|Traceback|NotAuthorized|[A-Z]{3,}_[A-Z]+")


def test_every_page_has_its_headers(visitor: Visitor, place: Place) -> None:
    """Requirements: 13."""
    for page in [page for name in PAGES for page in (visitor.open(place.path(name)), visitor.press())]:
        headers = page.response.headers
        assert headers["Content-Security-Policy"] == (
            "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; base-uri 'none'; "
            "frame-ancestors 'none'; form-action 'self' https://app.example.com"
        )
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert '<html lang="en">' in page.html
        assert not WIRE.search(page.text)


def test_a_page_answers_head_and_options_and_nothing_else(visitor: Visitor, place: Place) -> None:
    for name in PAGES:
        url = place.path(name)
        assert visitor.http.head(url, base_url=BASE).status_code == 200
        assert visitor.http.options(url, base_url=BASE).status_code == 200
        response = visitor.http.put(url, base_url=BASE)
        assert response.status_code == 405
        assert "POST" in response.headers["Allow"]


def test_a_redirect_after_a_form_is_kept_by_nobody(visitor: Visitor, place: Place) -> None:
    """Requirements: 11, 13."""
    place.a_user()
    visitor.open(place.path("login"))
    fields = {**visitor.page.inputs, "username": "alice", "password": PASSWORD}
    response = visitor.http.post(visitor.url, base_url=BASE, data=fields)
    assert response.status_code == 303
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"


# -- forms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [
        None,
        "",
        "wrong",
        "Ünïcode",
        "IjEyMyI.aSdfgh.wrong-signature",
    ],
)
def test_a_form_without_its_token_comes_back_and_loses_the_password_only(
    visitor: Visitor, place: Place, token: str | None
) -> None:
    """Requirements: 69. Login CSRF included: it would sign somebody in as somebody else."""
    place.a_user()
    visitor.open(place.path("login"))
    fields = {"username": "alice", "password": PASSWORD, **({} if token is None else {"csrf_token": token})}
    page = visitor.send(fields)
    assert page.status == 400
    assert "open for too long" in page.text
    assert page.inputs["username"] == "alice"
    assert page.inputs["password"] == ""
    visitor.press(password=PASSWORD)
    assert signed_in(visitor)


def test_a_token_of_another_browser_is_refused(visitors: Callable[..., Visitor], place: Place) -> None:
    place.a_user()
    attacker, victim = visitors(), visitors()
    token = attacker.open(place.path("login")).inputs["csrf_token"]
    victim.open(place.path("login"))
    page = victim.send({"csrf_token": token, "username": "alice", "password": PASSWORD})
    assert "open for too long" in page.text
    assert not signed_in(victim)


def test_nobody_has_to_be_quick_with_a_form(visitor: Visitor, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requirements: 78."""
    place.a_user()
    visitor.open(place.path("login"))
    later = time.time() + 24 * 3600
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
    visitor.press(username="alice", password=PASSWORD)
    assert signed_in(visitor)


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({}, True),
        ({"Origin": BASE}, True),
        ({"Origin": "null"}, True),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": FOREIGN}, False),
        ({"Origin": "http://localhost:8081"}, False),
        ({"Origin": "https://localhost:8080"}, False),
        ({"Origin": FOREIGN, "Sec-Fetch-Site": "same-origin"}, False),
    ],
)
def test_a_form_that_another_site_sends_is_refused(
    visitor: Visitor, place: Place, headers: dict[str, str], accepted: bool
) -> None:
    """Requirements: 69. Even with a valid token."""
    place.a_user()
    visitor.open(place.path("login"))
    fields = {**visitor.page.inputs, "username": "alice", "password": PASSWORD}
    page = visitor.send(fields, **headers)
    assert signed_in(visitor) == accepted
    if not accepted:
        assert (page.status, page.title) == (403, "This form came from somewhere else")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"[1]", "application/json"),
        (b"5", "application/json"),
        (b"{", "application/json"),
        (b"\xff\xfe=\x00", "application/x-www-form-urlencoded"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (
            b'--x\r\nContent-Disposition: form-data; name="username"; filename="a"\r\n\r\nhi\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
        (b"", "text/plain"),
    ],
)
def test_a_body_that_is_no_form_is_an_empty_form(
    visitor: Visitor, place: Place, body: bytes, content_type: str
) -> None:
    response = visitor.http.post(place.path("login"), base_url=BASE, data=body, content_type=content_type)
    assert response.status_code == 400
    assert "open for too long" in response.get_data(as_text=True)


def test_a_form_is_small(visitor: Visitor, place: Place) -> None:
    visitor.open(place.path("login"))
    page = visitor.press(username="x" * 70_000)
    assert (page.status, page.title) == (413, "That was too much")


@pytest.mark.parametrize("typed", [SCRIPT, "a\0b", "💥" * 128, "x" * 3000, "\u202e\ufeff", "%s %d {0}"])
def test_whatever_is_typed_comes_back_as_text_or_not_at_all(visitor: Visitor, place: Place, typed: str) -> None:
    for name in PAGES:
        visitor.open(place.path(name))
        fields = {field: typed for field in visitor.page.inputs if field != "csrf_token"}
        page = visitor.send({**fields, "csrf_token": visitor.page.inputs["csrf_token"]})
        assert page.status in (200, 400)
        assert "<script>alert" not in page.html and "62710561" not in page.html
        assert not WIRE.search(page.text.replace(typed, ""))


# -- which client ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "is not known"),
        ("client_id=", "is not known"),
        ("client_id=unknown", "is not known"),
        ("client_id=a%00b", "is not known"),
        ("client_id={id}&client_id={id}", "there twice"),
        ("client_id={id}&redirect_uri=https://evil.example", "not registered for this client"),
        ("client_id={id}&redirect_uri=https://app.example.com/callback/", "not registered for this client"),
        ("client_id={id}&redirect_uri=https://app.example.com/callback%3Fx", "not registered for this client"),
        ("client_id={id}&redirect_uri=", "not registered for this client"),
        ("client_id={id}&redirect_uri=a&redirect_uri=b", "there twice"),
    ],
)
def test_a_wrong_client_or_address_gets_no_page_and_leads_nowhere(
    visitor: Visitor, place: Place, query: str, words: str
) -> None:
    """Requirements: 1, 10."""
    for name, method in product(PAGES, ("GET", "POST")):
        url = f"/{place.pool.id}/{name}?{query.replace('{id}', place.client.id)}"
        response = visitor.http.open(url, base_url=BASE, method=method)
        page = Page(response)
        assert page.status == 400
        assert words in page.text
        assert "<form" not in page.html
        assert "Location" not in response.headers
        # Named once to developers, as text.
        assert "evil" not in page.html.replace("<code>https://evil.example</code>", "", 1)
        assert response.headers["Content-Security-Policy"].endswith("form-action 'self'")


def test_a_client_of_another_pool_is_unknown(app: Flask, visitor: Visitor, place: Place) -> None:
    other = a_place(app)
    url = place.path("login").replace(place.client.id, other.client.id)
    assert visitor.open(url).status == 400


def test_a_machine_has_no_pages(visitor: Visitor, place: Place) -> None:
    machine = place.do(lambda env: a_machine(env, place.pool))
    page = visitor.open(f"/{place.pool.id}/login?client_id={machine.id}")
    assert (page.status, "not set up for signing in" in page.text) == (400, True)


def test_an_app_on_somebodys_machine_takes_the_port_that_is_free(app: Flask, visitor: Visitor) -> None:
    """RFC 8252, 7.3; and Chromium must let the form lead there."""
    place = a_place(app, callback_urls=["http://localhost/callback", "myapp://done"])
    for uri, target in [("http://localhost:49152/callback", "http://localhost:49152"), ("myapp://done", "myapp:")]:
        page = visitor.open(place.path("login", redirect_uri=uri))
        assert page.status == 200
        assert page.response.headers["Content-Security-Policy"].endswith(f"form-action 'self' {target}")
    for uri in (
        "http://localhost:1@evil.example/callback",
        "http://localhost:1;script-src/callback",
        "http://127.0.0.1/callback",
    ):
        assert visitor.open(place.path("login", redirect_uri=uri)).status == 400


def test_no_parameter_becomes_markup(visitor: Visitor, place: Place) -> None:
    parameters = ("state", "nonce", "scope", "login_hint", "lang", "error", "error_description", "x")
    for name, parameter in product((*PAGES, "error", "nowhere"), parameters):
        page = visitor.open(place.path(name, **{parameter: SCRIPT}))
        assert "<script>alert" not in page.html
        assert "62710561" not in page.html
        assert SCRIPT not in page.text


@pytest.mark.parametrize(
    "url",
    [
        "//evil.example/login",
        "/login/../../evil",
        "/{pool}//evil.example",
        "/{pool}/login/",
        "/{pool}/%2f%2fevil.example/login",
        "/{pool}/LOGIN",
    ],
)
def test_no_address_leads_elsewhere(visitor: Visitor, place: Place, url: str) -> None:
    response = visitor.http.get(url.replace("{pool}", place.pool.id), base_url=BASE)
    assert response.status_code in (404, 308)
    assert "evil" not in response.headers.get("Location", "")


def test_pages_have_the_names_that_cognito_has(visitor: Visitor, place: Place) -> None:
    for alias in "confirm confirmuser forgotpassword confirmforgotPassword confirmforgotpassword resendCode".split():
        assert visitor.open(place.path(alias)).status == 200


# -- where pools live ------------------------------------------------------------------------------------------


def test_a_pool_is_reached_by_its_hosts_as_well(app: Flask, visitors: Callable[..., Visitor], place: Place) -> None:
    place.a_user()
    place.do(lambda env: domains.create(env, place.pool, domain="demo", custom=False, settings={}))
    place.do(lambda env: domains.create(env, place.pool, domain="auth.example.com", custom=True, settings={}))
    for base in ("http://demo.localhost:8080", "http://auth.example.com"):
        visitor = visitors(base)
        page = visitor.open(place.path("login").removeprefix(f"/{place.pool.id}"))
        assert page.links["Create an account"].startswith("/signup?client_id=")
        assert visitor.press(username="alice", password="Wrong-horse-7").status == 400
        visitor.press(username="alice", password=PASSWORD)
        assert signed_in(visitor)
        assert [url for url in visitor.went if url.startswith("/oauth2/authorize?")]


def test_a_host_without_a_pool_says_so(visitor: Visitor, place: Place) -> None:
    for url in (f"/login?client_id={place.client.id}", f"/us-east-1_nobody/login?client_id={place.client.id}"):
        page = visitor.open(url)
        assert (page.status, page.title) == (404, "There is no sign-in page here")


def test_two_pools_on_one_host_share_neither_sessions_nor_what_was_typed(app: Flask, visitor: Visitor) -> None:
    one, other = a_place(app), a_place(app)
    for place in (one, other):
        place.a_user()
    visitor.open(one.path("login"))
    visitor.press(username="alice", password=PASSWORD)
    assert visitor.open(other.path("oauth2/authorize")).title == "Sign in"
    visitor.open(one.path("forgotPassword"))
    visitor.press(username="alice")
    page = visitor.open(other.path("confirmForgotPassword"))
    assert page.inputs["username"] == "" and "a***" not in page.text
    visitor.open(other.path("login"))
    visitor.press(username="alice", password=PASSWORD)
    for place in (one, other):
        visitor.open(place.path("oauth2/authorize"))
        assert signed_in(visitor)


def test_a_sign_in_that_waits_cannot_be_answered_at_another_pool(app: Flask, visitor: Visitor) -> None:
    one, other = a_place(app), a_place(app)
    one.do(
        lambda env: administer.create(
            env, one.pool, username="carol", attributes={}, temporary_password=PASSWORD, silent=True
        )
    )
    visitor.open(one.path("login"))
    visitor.press(username="carol", password=PASSWORD)
    assert visitor.open(other.path("newPassword")).title == "Sign in"


def test_the_form_cookie_stays_small_whatever_is_typed(app: Flask, visitor: Visitor) -> None:
    """Browsers drop a cookie of more than 4 kB, and every form with it."""
    place = a_place(app, pool={"alias_attributes": []})
    visitor.open(place.path("signup"))
    name = "💥🧨" * 16
    page = visitor.press(username=name, email="bob@example.com", password=PASSWORD)
    assert page.title == "Enter your code"
    visitor.open(place.path("login"))
    kept = visitor.http.get_cookie("cognate-form")
    assert kept and len(kept.value) < 2000


def test_on_https_cookies_belong_to_this_host_alone(database_url: str, tmp_path: Any, clock: Clock) -> None:
    """Requirements: 65."""
    base = "https://id.example.com"
    app = create_app(test_settings(database_url, base_url=base, data_dir=tmp_path), now=clock, ticks=clock.ticks)
    place = a_place(app)
    place.a_user()
    visitor = Visitor(app.test_client(), base)
    page = visitor.open(place.path("login"))
    assert page.response.headers["Strict-Transport-Security"]
    visitor.press(username="alice", password=PASSWORD)
    assert signed_in(visitor)
    cookie = visitor.http.get_cookie(f"__Host-cognate-{place.pool.id}", domain="id.example.com")
    assert cookie
    assert (cookie.secure, cookie.http_only, cookie.same_site, cookie.path) == (True, True, "Lax", "/")
    visitor.open(place.path("login"))
    form = visitor.http.get_cookie("__Host-cognate-form", domain="id.example.com")
    assert form
    assert (form.secure, form.http_only, form.same_site, form.path) == (True, True, "Lax", "/")
    with app.app_context():
        db.engine.dispose()


def test_the_name_of_a_client_is_text(app: Flask, visitor: Visitor) -> None:
    with app.app_context():
        env = app.extensions["cognate"]
        pool = a_pool(env)
        client = a_client(env, pool)
        with env.transaction():
            row = env.db.get_one(type(client), client.id)
            row.name = SCRIPT
            env.configuration_changed()
    page = visitor.open(f"/{pool.id}/login?{urlencode({'client_id': client.id, 'redirect_uri': CALLBACK})}")
    assert "<script>alert" not in page.html
    assert SCRIPT in page.text or "alert(1)" in page.text
