"""The sign-in page, at the door."""

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask

from app.accounts import administer
from app.config import Settings
from app.models import BrowserSession, User
from tests.build import CALLBACK, PASSWORD
from tests.conftest import Clock
from tests.hosted.conftest import Page, Place, Visitor, a_place, signed_in

OWN = "My-own-words-9"


def sign_in(visitor: Visitor, place: Place, username: str = "alice", password: str = PASSWORD) -> Page:
    visitor.open(place.path("login"))
    return visitor.press(username=username, password=password)


@pytest.mark.parametrize("name", ["alice", "ALICE", " alice ", "alice@example.com"])
def test_a_person_signs_in_and_is_back_at_the_application(visitor: Visitor, place: Place, name: str) -> None:
    place.a_user()
    page = visitor.open(place.path("login", state="a b&c", nonce="n1"))
    assert (page.status, page.title) == (200, "Sign in")
    visitor.press(username=name, password=PASSWORD)
    assert visitor.landed.startswith(f"{CALLBACK}?")
    answer = parse_qs(urlsplit(visitor.landed).query)
    assert answer["state"] == ["a b&c"]
    assert answer["code"]


def test_the_whole_query_comes_along(visitor: Visitor, place: Place) -> None:
    place.a_user()
    visitor.open(place.path("login", _external="x", _scheme="ftp", resource="r") + "&resource=s")
    visitor.press(username="alice", password=PASSWORD)
    to_authorize = next(url for url in visitor.went if "/oauth2/authorize" in url)
    query = urlsplit(to_authorize).query
    assert to_authorize.startswith(f"/{place.pool.id}/oauth2/authorize?")
    assert "resource=r&resource=s" in query and "_scheme=ftp" in query


@pytest.mark.parametrize("hides", ["ENABLED", "LEGACY"])
def test_a_wrong_password_and_an_unknown_name_look_the_same(app: Flask, visitor: Visitor, hides: str) -> None:
    """Requirements: 54."""
    place = a_place(app, prevent_user_existence_errors=hides)
    place.a_user()
    place.a_user("bob", email="bob@example.com", status="UNCONFIRMED")
    pages = []
    for name in ("alice", "bobby", "bob", "nobod"):
        page = sign_in(visitor, place, name, "Wrong-horse-7")
        assert "Incorrect username or password." in page.text
        assert page.inputs["username"] == name
        assert page.inputs["password"] == ""
        pages.append((page.status, page.text))
    assert len(set(pages)) == 1
    assert pages[0][0] == 400


def test_too_many_wrong_passwords_lock_and_time_unlocks(visitor: Visitor, place: Place, clock: Clock) -> None:
    place.a_user()
    for name in ("alice", "nobody"):
        for _ in range(5):
            sign_in(visitor, place, name, "Wrong-horse-7")
        page = sign_in(visitor, place, name, "Wrong-horse-7")
        assert (page.status, "Too many wrong attempts" in page.text) == (429, True)
    clock.forward(minutes=15)
    sign_in(visitor, place)
    assert signed_in(visitor)


def test_only_who_knows_the_password_learns_that_the_account_is_off(visitor: Visitor, place: Place) -> None:
    user = place.a_user()

    def disable(env):  # type: ignore[no-untyped-def]
        with env.transaction():
            env.db.get_one(User, user.sub).enabled = False

    place.do(disable)
    assert "Incorrect username or password." in sign_in(visitor, place, password="Wrong-horse-7").text
    assert "has been switched off" in sign_in(visitor, place).text


def test_what_is_missing_is_said_on_its_field(visitor: Visitor, place: Place) -> None:
    """Requirements: 75."""
    visitor.open(place.path("login"))
    page = visitor.press(username="", password="")
    assert page.errors == {"username": "Enter your username or email.", "password": "Enter your password."}
    assert page.input_attributes["username"]["aria-describedby"] == "username-error"
    assert page.input_attributes["username"]["aria-invalid"] == "true"
    assert "autofocus" in page.input_attributes["username"]


def test_password_managers_are_helped(visitor: Visitor, place: Place) -> None:
    """Requirements: 47."""
    page = visitor.open(place.path("login"))
    assert page.input_attributes["username"]["autocomplete"] == "username"
    assert page.input_attributes["password"]["autocomplete"] == "current-password"
    assert {"username", "password", "sign-in"} <= page.ids


def test_a_hint_fills_in_the_name(visitor: Visitor, place: Place) -> None:
    assert visitor.open(place.path("login", login_hint="alice@example.com")).inputs["username"] == "alice@example.com"


def test_each_sign_in_opens_a_new_session_and_ends_the_one_before(visitor: Visitor, place: Place, app: Flask) -> None:
    """Requirements: 65. A planted cookie is worthless: its value is never the one that a sign-in gives."""
    place.a_user()
    name = f"cognate-{place.pool.id}"
    visitor.http.set_cookie(name, "planted", domain="localhost")
    sign_in(visitor, place)
    first = visitor.http.get_cookie(name)
    sign_in(visitor, place)
    second = visitor.http.get_cookie(name)
    assert first and second
    assert len({"planted", first.value, second.value}) == 3
    assert len(second.value) >= 43
    assert (second.path, second.http_only, second.same_site, second.secure) == ("/", True, "Lax", False)
    assert second.max_age == 3600
    with app.app_context():
        assert app.extensions["cognate"].db.query(BrowserSession).count() == 1


def test_a_session_lets_authorize_answer_at_once_for_an_hour(visitor: Visitor, place: Place, clock: Clock) -> None:
    place.a_user()
    sign_in(visitor, place)
    visitor.open(place.path("oauth2/authorize"))
    assert signed_in(visitor)
    clock.forward(hours=1)
    assert visitor.open(place.path("oauth2/authorize")).title == "Sign in"


def test_what_a_stranger_left_in_the_form_cookie_is_gone_after_a_sign_in(visitor: Visitor, place: Place) -> None:
    place.a_user()
    planted = visitor.open(place.path("login")).inputs["csrf_token"]
    visitor.press(username="alice", password=PASSWORD)
    visitor.open(place.path("login"))
    page = visitor.send({"csrf_token": planted, "username": "alice", "password": PASSWORD})
    assert "open for too long" in page.text


def test_a_temporary_password_is_replaced_by_ones_own(visitor: Visitor, place: Place) -> None:
    place.do(
        lambda env: administer.create(
            env,
            place.pool,
            username="carol",
            attributes={"email": "carol@example.com", "email_verified": "true"},
            temporary_password=PASSWORD,
            silent=True,
        )
    )
    page = sign_in(visitor, place, "carol")
    assert page.title == "Choose your own password"
    page = visitor.press(password="short")
    assert page.errors == {"password": "Use at least 8 characters."}
    visitor.press(password=OWN)
    assert signed_in(visitor)
    sign_in(visitor, place, "carol", PASSWORD)
    assert not signed_in(visitor)
    sign_in(visitor, place, "carol", OWN)
    assert signed_in(visitor)


def invited(app: Flask) -> Place:
    place = a_place(app, pool={"schema": [{"name": "given_name", "required": True, "mutable": True}]})
    place.do(
        lambda env: administer.create(
            env,
            place.pool,
            username="carol",
            attributes={"email": "carol@example.com"},
            temporary_password=PASSWORD,
            silent=True,
        )
    )
    return place


def test_what_the_account_lacks_is_asked_for_with_the_new_password(app: Flask, visitor: Visitor) -> None:
    place = invited(app)
    page = sign_in(visitor, place, "carol")
    assert "requiredAttributes[given_name]" in page.inputs
    page = visitor.press(password=OWN)
    assert page.errors == {"given_name": "Enter your given name."}
    visitor.press(password=OWN, given_name="Carol")
    assert signed_in(visitor)


def test_who_waits_too_long_with_a_new_password_signs_in_again(app: Flask, visitor: Visitor, clock: Clock) -> None:
    place = invited(app)
    sign_in(visitor, place, "carol")
    clock.forward(minutes=3)
    page = visitor.press(password=OWN, given_name="Carol")
    assert page.title == "Sign in"
    assert "That took too long" in page.text
    assert page.inputs["username"] == "carol"
    assert visitor.open(place.path("newPassword")).title == "Sign in"


def test_who_presses_twice_with_a_new_password_is_signed_in_all_the_same(app: Flask, visitor: Visitor) -> None:
    """The browser shows the answer to the second press, which was sent with the cookies of before the first."""
    place = invited(app)
    sign_in(visitor, place, "carol")
    before, address = visitor.http.get_cookie("cognate-form"), visitor.url
    fields = {**visitor.page.inputs, "password": OWN, "requiredAttributes[given_name]": "Carol"}
    visitor.send(fields)
    assert before
    visitor.http.set_cookie("cognate-form", before.value, domain="localhost")
    visitor.url = address
    visitor.send(fields)
    assert signed_in(visitor)


def test_a_password_that_must_be_replaced_leads_to_the_page_for_it(visitor: Visitor, place: Place) -> None:
    place.a_user(status="RESET_REQUIRED")
    page = sign_in(visitor, place)
    assert page.title == "Forgot your password?"
    assert "has to be replaced" in page.text
    assert page.inputs["username"] == "alice"


def test_an_unconfirmed_person_is_asked_for_the_code_once_the_password_is_right(visitor: Visitor, place: Place) -> None:
    place.a_user(status="UNCONFIRMED")
    page = sign_in(visitor, place)
    assert page.title == "Enter your code"
    assert page.inputs["username"] == "alice"
    assert "alice" not in visitor.url


def test_a_sign_in_writes_and_reads_little(visitor: Visitor, place: Place, statements: Callable[[], list[str]]) -> None:
    """House: a sign-in at most 8; of the 14 of the whole code flow, this leaves 6 for the token."""
    place.a_user()
    visitor.open(place.path("login"))
    statements()
    visitor.press(username="alice", password=PASSWORD)
    assert signed_in(visitor)
    asked = statements()
    assert len(asked) <= 8, asked


# -- known browsers --------------------------------------------------------------------------------------------


def test_a_stranger_does_not_lock_the_owner_out_of_a_browser_that_has_signed_in(
    visitors: Callable[..., Visitor], app: Flask, clock: Clock
) -> None:
    """Also where the application is a server, which redeems the code from its own address, and wherever the browser
    is by now."""
    place = a_place(app, secret=True)
    place.a_user()
    owner, stranger = visitors(), visitors()
    sign_in(owner, place)
    assert signed_in(owner)
    clock.forward(hours=2)  # the session of the browser is over
    for _ in range(9):
        sign_in(stranger, place, password="Wrong-horse-7")
    assert sign_in(stranger, place).status == 429
    sign_in(owner, place)
    assert signed_in(owner)


@pytest.mark.parametrize("base", ["http://localhost:8080", "https://auth.example.com"])
def test_the_cookie_of_a_known_browser_is_kept_from_scripts_and_other_sites(
    app: Flask, settings: Settings, another_app: Callable[..., Flask], clock: Clock, base: str
) -> None:
    serving = another_app(replace(settings, base_url=base), now=clock)
    place = a_place(serving)
    user = place.a_user()
    visitor = Visitor(serving.test_client(), base)
    sign_in(visitor, place)
    https = base.startswith("https:")
    cookie = visitor.http.get_cookie(
        f"__Host-cognate-known-{place.pool.id}" if https else f"cognate-known-{place.pool.id}", urlsplit(base).hostname
    )
    assert cookie is not None
    assert (cookie.http_only, cookie.secure, cookie.same_site, cookie.path) == (True, https, "Lax", "/")
    assert cookie.max_age == 180 * 24 * 3600
    assert user.sub not in cookie.value and "alice" not in cookie.value
    visitor.open(place.path("logout", logout_uri="https://app.example.com/"))
    kept = visitor.http.get_cookie(cookie.key, urlsplit(base).hostname)
    assert kept is not None and kept.value == cookie.value


def test_a_wrong_password_and_a_sign_in_that_is_not_complete_make_no_browser_known(
    visitor: Visitor, place: Place
) -> None:
    place.a_user(status="FORCE_CHANGE_PASSWORD")
    for password in ("Wrong-horse-7", PASSWORD):
        sign_in(visitor, place, password=password)
        assert visitor.http.get_cookie(f"cognate-known-{place.pool.id}") is None


@pytest.mark.parametrize("hides", ["ENABLED", "LEGACY"])
def test_the_pages_do_not_tell_who_is_disabled_whatever_the_client_hides(
    app: Flask, visitor: Visitor, hides: str
) -> None:
    """Not even once it is locked."""
    place = a_place(app, prevent_user_existence_errors=hides)
    place.a_user()
    place.a_user("carol", email="carol@example.com")
    place.do(lambda env: administer.disable(env, place.pool, username="carol"))
    seen = {}
    for name in ("alice", "carol", "nobod"):
        pages = [sign_in(visitor, place, name, "Wrong-horse-7") for _ in range(7)]
        seen[name] = [(page.status, page.text) for page in pages]
    assert seen["alice"] == seen["carol"] == seen["nobod"]
    assert "Incorrect username or password." in seen["carol"][0][1]
