"""The pages of the second factor, at the door."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from flask import Flask
from sqlalchemy import func, select

from app.accounts import factors, find, mfa, passwords, recovery_codes
from app.crypto import totp
from app.env import Env
from app.hosted import qr
from app.models import BrowserSession, OutboxMessage, RecoveryCode, User
from app.pools import find as find_pool
from app.pools import mfa as pools_mfa
from tests.build import PASSWORD, a_client, a_passkey, an_app, app_code, with_factors
from tests.conftest import Clock
from tests.hosted.conftest import Page, Place, Visitor, a_place, signed_in

Sent = Callable[..., list[OutboxMessage]]
PHONE = {"phone_number": "+442079460018", "phone_number_verified": "true"}


def demanding(app: Flask, demand: str, *names: str, **client: Any) -> Place:
    """A place whose pool has these second factors. A forgotten password goes by phone, so that mail can be one."""
    recovery = {"recovery_mechanisms": [{"name": "verified_phone_number", "priority": 1}]}
    place = a_place(app, pool={"account_recovery_setting": recovery}, **client)
    place.do(lambda env: with_factors(env, place.pool, demand, *names))
    return place


@pytest.fixture
def strict(app: Flask) -> Place:
    """Everybody needs an authenticator app."""
    return demanding(app, "ON", factors.TOTP)


def sign_in(visitor: Visitor, place: Place, username: str = "alice", password: str = PASSWORD) -> Page:
    visitor.open(place.path("login"))
    return visitor.press(username=username, password=password)


def secret_on(page: Page) -> str:
    """The key, as somebody types it from the page."""
    found = re.search(r'<code id="secret".*?>(.*?)</code>', page.html, re.DOTALL)
    assert found
    return re.sub(r"<[^>]*>", "", found[1])


def codes_on(page: Page) -> list[str]:
    return re.findall(r"<li><code>([a-z0-9-]+)</code></li>", page.html)


def set_up(visitor: Visitor, place: Place, clock: Clock) -> tuple[str, Page]:
    """Sign in, and set up an app: its secret, and the page that follows."""
    sign_in(visitor, place)
    secret = secret_on(visitor.press(choice="app"))
    return secret, visitor.press(confirmation_code=pyotp.TOTP(secret).at(clock()), app_name="My phone")


def prefer(place: Place, user: User, *on: str, preferred: str | None = None) -> None:
    def write(env: Env) -> None:
        with env.transaction():
            row = find.locked(env, user.sub)
            for name in on:
                mfa.switch_on(env, row, name)
            row.mfa = {**(row.mfa or {}), "preferred": preferred}

    place.do(write)


def with_app(place: Place, user: User) -> str:
    return str(place.do(lambda env: an_app(env, user)))


# -- setting up --------------------------------------------------------------------------------------------------


def test_who_needs_a_second_factor_sets_up_an_app_and_gets_codes(visitor: Visitor, strict: Place, clock: Clock) -> None:
    strict.a_user()
    page = sign_in(visitor, strict)
    assert (page.status, page.title) == (200, "Add a second step")
    assert "way-app" in page.ids and "way-email" not in page.ids
    page = visitor.press(choice="app")
    assert page.title == "Connect your app"
    secret = secret_on(page)
    assert len(secret) == 52
    page = visitor.press(confirmation_code=pyotp.TOTP(secret).at(clock()), app_name="My phone")
    assert (page.status, page.title) == (200, "Keep your recovery codes")
    assert len(set(codes_on(page))) == 10
    visitor.open(page.links["I have kept them, continue"])
    assert signed_in(visitor)
    assert parse_qs(urlsplit(visitor.landed).query)["state"] == ["s1"]


def test_the_qr_code_says_what_the_key_says_and_whose_it_is(visitor: Visitor, strict: Place) -> None:
    strict.a_user()
    sign_in(visitor, strict)
    page = visitor.press(choice="app")
    uri = page.links["Open the app on this device"]
    assert pyotp.parse_uri(uri).secret == secret_on(page)
    assert (pyotp.parse_uri(uri).issuer, pyotp.parse_uri(uri).name) == ("App", "alice")
    assert f'd="{qr.drawn(uri).path}"' in page.html


@pytest.mark.parametrize("letter", ["x", "💥", ":", "&", "ü"])
def test_whatever_things_are_called_it_fits_into_the_code(
    app: Flask, visitor: Visitor, strict: Place, letter: str
) -> None:
    strict.a_user(letter * 128)
    client = strict.do(lambda env: a_client(env, strict.pool))

    def rename(env: Env) -> None:
        with env.transaction():
            env.db.get_one(type(client), client.id).name = letter * 128
            env.configuration_changed()

    strict.do(rename)
    place = Place(app, strict.pool, client)
    sign_in(visitor, place, letter * 128)
    page = visitor.press(choice="app")
    assert page.title == "Connect your app"
    read = pyotp.parse_uri(page.links["Open the app on this device"])
    assert (read.secret, read.issuer, read.name) == (secret_on(page), letter * 40, letter * 64)


def test_a_reload_shows_the_same_key(visitor: Visitor, strict: Place, clock: Clock) -> None:
    strict.a_user()
    sign_in(visitor, strict)
    secret = secret_on(visitor.press(choice="app"))
    assert secret_on(visitor.open(visitor.url)) == secret
    visitor.press(confirmation_code=pyotp.TOTP(secret).at(clock()))
    assert visitor.page.title == "Keep your recovery codes"


def test_the_key_cannot_be_read_in_the_cookie(visitor: Visitor, strict: Place) -> None:
    strict.a_user()
    sign_in(visitor, strict)
    secret = secret_on(visitor.press(choice="app"))
    session = visitor.http.get_cookie("cognate-form")
    assert session and len(session.value) < 2000
    with strict.app.test_request_context():
        kept = strict.app.session_interface.get_signing_serializer(strict.app).loads(session.value)  # type: ignore[attr-defined]
    assert secret not in str(kept)


def test_a_wrong_code_does_not_end_the_set_up(visitor: Visitor, strict: Place, clock: Clock) -> None:
    strict.a_user()
    sign_in(visitor, strict)
    secret = secret_on(visitor.press(choice="app"))
    wrong = f"{(int(pyotp.TOTP(secret).at(clock())) + 1) % 10**6:06}"
    page = visitor.press(confirmation_code=wrong)
    assert page.errors == {
        "confirmation_code": "This code is not right. Enter the one that the app shows just now.",
    }
    assert secret_on(page) == secret
    page = visitor.press(confirmation_code="")
    assert page.errors == {"confirmation_code": "Enter the code that your app shows."}
    assert page.input_attributes["confirmation_code"]["aria-describedby"] == "confirmation_code-error"
    shown = pyotp.TOTP(secret).at(clock())
    assert visitor.press(confirmation_code=f"{shown[:3]} {shown[3:]}").title == "Keep your recovery codes"


def test_the_codes_are_shown_once_and_a_reload_loses_nothing(visitor: Visitor, strict: Place, clock: Clock) -> None:
    """Requirements: 62."""
    strict.a_user()
    sign_in(visitor, strict)
    secret = secret_on(visitor.press(choice="app"))
    fields = {**visitor.page.inputs, "confirmation_code": pyotp.TOTP(secret).at(clock())}
    codes = codes_on(visitor.send(fields))
    assert len(codes) == 10
    headers = visitor.page.response.headers
    assert headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    page = visitor.send(fields)
    assert not codes_on(page) and signed_in(visitor)
    visitor.open(strict.path("mfa/setup/app"))
    assert signed_in(visitor)
    assert len(kept_of(strict)) == 10
    # And they are the ones that were shown.
    sign_in(visitor, strict)
    visitor.open(visitor.page.links["Use a recovery code"])
    visitor.press(confirmation_code=codes[9])
    assert signed_in(visitor)


def kept_of(place: Place) -> list[str]:
    def read(env: Env) -> list[str]:
        with env.reading() as session:
            return list(session.scalars(select(RecoveryCode.digest)))

    return list(place.do(read))


def test_codes_are_kept_as_digests(visitor: Visitor, strict: Place, clock: Clock) -> None:
    strict.a_user()
    _, page = set_up(visitor, strict, clock)
    kept = kept_of(strict)
    assert len(kept) == 10
    assert not {code.replace("-", "") for code in codes_on(page)} & set(kept)


def test_nobody_sets_up_an_app_for_who_has_one(visitors: Callable[..., Visitor], strict: Place, clock: Clock) -> None:
    """Somebody who knows the password, and was in the middle of it when the owner had finished."""
    strict.a_user()
    attacker, owner = visitors(), visitors()
    sign_in(attacker, strict)
    secret = secret_on(attacker.press(choice="app"))
    set_up(owner, strict, clock)
    page = attacker.press(confirmation_code=pyotp.TOTP(secret).at(clock()))
    assert page.title == "Sign in" and "once more" in page.text
    assert sign_in(attacker, strict).title == "Enter the code of your app"


def test_a_key_of_one_set_up_is_not_shown_in_another(visitor: Visitor, strict: Place) -> None:
    strict.a_user()
    sign_in(visitor, strict)
    visitor.press(choice="app")
    sign_in(visitor, strict)
    assert visitor.open(strict.path("mfa/setup/app")).title == "Add a second step"


def test_an_address_is_set_up_with_a_code_that_went_to_it(app: Flask, visitor: Visitor, sent: Sent) -> None:
    place = demanding(app, "ON", factors.TOTP, factors.EMAIL)
    place.a_user(email=None)
    page = sign_in(visitor, place)
    assert {"way-app", "way-email"} <= page.ids
    assert visitor.press(choice="email").title == "Where shall the codes go?"
    assert visitor.press(email="").errors == {"email": "Enter your email."}
    assert visitor.press(email="no address").errors == {
        "email": "Enter a whole email address, such as name@example.com.",
    }
    page = visitor.press(email="alice@example.com")
    assert page.title == "Check your mailbox"
    assert "a***@e***" in page.text and "Use a recovery code" not in page.links
    page = visitor.press(confirmation_code=sent("alice@example.com")[0].code or "")
    assert page.title == "Keep your recovery codes"
    visitor.open(page.links["I have kept them, continue"])
    assert signed_in(visitor)
    assert sign_in(visitor, place).title == "Check your mailbox"


def test_an_address_cannot_be_set_up_where_that_is_not_offered(visitor: Visitor, strict: Place) -> None:
    strict.a_user()
    sign_in(visitor, strict)
    assert visitor.open(strict.path("mfa/setup/email")).title == "Add a second step"
    page = visitor.press(choice="email")
    assert page.status == 400 and page.title == "Add a second step"


# -- codes -------------------------------------------------------------------------------------------------------


def test_an_app_is_asked_for_its_code_which_works_once(visitor: Visitor, strict: Place, clock: Clock) -> None:
    user = strict.a_user()
    secret = with_app(strict, user)
    page = sign_in(visitor, strict)
    assert (page.status, page.title) == (200, "Enter the code of your app")
    asked = page.input_attributes["confirmation_code"]
    assert (asked["autocomplete"], asked["inputmode"]) == ("one-time-code", "numeric")
    assert "autofocus" in asked
    code = app_code(secret, clock())
    visitor.press(confirmation_code=code)
    assert signed_in(visitor)
    sign_in(visitor, strict)
    page = visitor.press(confirmation_code=code)
    assert page.errors == {"confirmation_code": "This code was used already. Wait until the app shows the next one."}
    clock.forward(seconds=30)
    visitor.press(confirmation_code=app_code(secret, clock()))
    assert signed_in(visitor)


def test_the_app_is_called_by_its_name(visitor: Visitor, strict: Place, clock: Clock) -> None:
    strict.a_user()
    set_up(visitor, strict, clock)
    assert "Open My phone and enter" in sign_in(visitor, strict).text


def test_a_code_is_wrong_on_its_field_and_too_many_lock(visitor: Visitor, strict: Place) -> None:
    with_app(strict, strict.a_user())
    sign_in(visitor, strict)
    for _ in range(5):
        page = visitor.press(confirmation_code="000000")
        assert page.status == 400
        assert page.errors == {
            "confirmation_code": "This code is not right. Enter the one that the app shows just now."
        }
        assert page.input_attributes["confirmation_code"]["aria-invalid"] == "true"
    page = visitor.press(confirmation_code="000000")
    assert (page.status, "Too many wrong attempts" in page.text) == (429, True)
    assert not signed_in(visitor)


@pytest.mark.parametrize(
    ("factor", "to", "title", "shown"),
    [
        (factors.SMS, PHONE["phone_number"], "Check your phone", "+*******0018"),
        (factors.EMAIL, "alice@example.com", "Check your mailbox", "a***@e***"),
    ],
)
def test_a_code_is_sent_and_taken(
    app: Flask, visitor: Visitor, sent: Sent, factor: str, to: str, title: str, shown: str
) -> None:
    place = demanding(app, "OPTIONAL", factor)
    user = place.a_user(**PHONE)
    prefer(place, user, factor)
    page = sign_in(visitor, place)
    assert page.title == title
    assert shown in page.text and to not in page.html
    page = visitor.press(confirmation_code="000000")
    assert "Check it, or sign in once more" in page.errors["confirmation_code"]
    assert shown in page.text
    visitor.press(confirmation_code=sent(to)[0].code or "")
    assert signed_in(visitor)


def test_who_has_no_second_factor_needs_none_where_it_is_optional(app: Flask, visitor: Visitor) -> None:
    place = demanding(app, "OPTIONAL", factors.TOTP)
    place.a_user()
    sign_in(visitor, place)
    assert signed_in(visitor)


def test_an_application_that_asks_for_more_gets_it_where_there_is_more(
    app: Flask, visitor: Visitor, clock: Clock
) -> None:
    """Reference: 6.6, of `acr_values`. He has an app and has not switched it on."""
    place = demanding(app, "OPTIONAL", factors.TOTP)
    secret = with_app(place, place.a_user())
    sign_in(visitor, place)
    assert signed_in(visitor)
    wanted = {"acr_values": "gold urn:cognito:loa:4 urn:cognito:loa:1"}
    visitor.open(place.path("oauth2/authorize", **wanted, prompt="none"))
    assert parse_qs(urlsplit(visitor.landed).query)["error"] == ["login_required"]
    visitor.open(place.path("oauth2/authorize", acr_values="urn:cognito:loa:1"))
    assert signed_in(visitor)
    clock.forward(seconds=1)
    assert visitor.open(place.path("oauth2/authorize", **wanted)).title == "Sign in"
    assert visitor.press(username="alice", password=PASSWORD).title == "Enter the code of your app"
    visitor.press(confirmation_code=app_code(secret, clock()))
    assert signed_in(visitor)
    place.do(lambda env: methods_are(env, ["PASSWORD", "SOFTWARE_TOKEN_MFA"]))
    visitor.open(place.path("oauth2/authorize", **wanted, prompt="none"))
    assert signed_in(visitor)


def methods_are(env: Env, expected: list[str]) -> None:
    with env.reading() as database:
        assert database.scalars(select(BrowserSession.methods)).all() == [expected]


def test_nobody_is_asked_again_for_a_level_that_he_cannot_reach(app: Flask, visitor: Visitor) -> None:
    place = demanding(app, "OPTIONAL", factors.TOTP)
    place.a_user()
    visitor.open(place.path("oauth2/authorize", acr_values="urn:cognito:loa:4"))
    visitor.press(username="alice", password=PASSWORD)
    assert signed_in(visitor)
    visitor.open(place.path("oauth2/authorize", acr_values="urn:cognito:loa:4", prompt="none"))
    assert signed_in(visitor)


def test_a_level_that_was_left_for_a_recovery_code_is_not_asked_for_in_a_circle(
    app: Flask, visitor: Visitor, clock: Clock
) -> None:
    place = demanding(app, "ON", factors.TOTP)
    user = place.a_user()
    with_app(place, user)
    codes = codes_of(place, user)
    visitor.open(place.path("oauth2/authorize", acr_values="urn:cognito:loa:4"))
    page = visitor.press(username="alice", password=PASSWORD)
    visitor.open(page.links["Use a recovery code"])
    visitor.press(confirmation_code=codes[0])
    assert signed_in(visitor)


def test_a_level_never_asks_at_a_page_for_a_passkey(app: Flask, visitor: Visitor, sent: Sent) -> None:
    policies = {"sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "WEB_AUTHN"]}}
    place = a_place(app, pool={"policies": policies})
    given = {
        "mfa_configuration": "OPTIONAL",
        "sms_mfa_configuration": {"sms_configuration": {"sns_caller_arn": "arn:aws:iam::1:role/sms"}},
        "web_authn_configuration": {"relying_party_id": "example.com"},
    }
    place.do(lambda env: pools_mfa.configure(env, place.pool, given))
    user = place.a_user(**PHONE)
    place.do(lambda env: a_passkey(env, find_pool.client(env, place.client.id), user))
    prefer(place, user, factors.SMS, factors.PASSKEY, preferred=factors.SMS)
    visitor.open(place.path("oauth2/authorize", acr_values="urn:cognito:loa:4"))
    assert visitor.press(username="alice", password=PASSWORD).title == "Check your phone"
    visitor.press(confirmation_code=sent(PHONE["phone_number"])[0].code or "")
    assert signed_in(visitor)


def test_who_has_several_chooses(app: Flask, visitor: Visitor, sent: Sent) -> None:
    place = demanding(app, "OPTIONAL", factors.TOTP, factors.SMS, factors.EMAIL)
    user = place.a_user(**PHONE)
    with_app(place, user)
    prefer(place, user, factors.TOTP, factors.SMS, factors.EMAIL)
    page = sign_in(visitor, place)
    assert page.title == "How shall we check that it is you?"
    assert {"way-app", "way-sms", "way-email"} <= page.ids
    page = visitor.press(choice="pigeon")
    assert page.status == 400
    assert visitor.press(choice="sms").title == "Check your phone"
    visitor.press(confirmation_code=sent(PHONE["phone_number"])[0].code or "")
    assert signed_in(visitor)


def test_a_passkey_is_not_offered_as_a_second_factor_and_who_has_nothing_else_is_told(
    app: Flask, visitor: Visitor
) -> None:
    place = a_place(
        app, pool={"policies": {"sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "WEB_AUTHN"]}}}
    )
    user = place.a_user()
    given = {
        "mfa_configuration": "OPTIONAL",
        "software_token_mfa_configuration": {"enabled": True},
        "web_authn_configuration": {"relying_party_id": "example.com"},
    }
    place.do(lambda env: pools_mfa.configure(env, place.pool, given))
    place.do(lambda env: a_passkey(env, find_pool.client(env, place.client.id), user))
    prefer(place, user, factors.PASSKEY)
    assert sign_in(visitor, place).title == "You cannot go on here"
    with_app(place, user)
    prefer(place, user, factors.TOTP)
    page = sign_in(visitor, place)
    assert page.title == "How shall we check that it is you?"
    assert {each for each in page.ids if each.startswith("way-")} == {"way-app"}


# -- recovery codes ----------------------------------------------------------------------------------------------


def codes_of(place: Place, user: User) -> list[str]:
    def make(env: Env) -> list[str]:
        with env.transaction():
            return recovery_codes.make(env, find.locked(env, user.sub))

    return list(place.do(make))


def test_a_recovery_code_stands_in_once(visitor: Visitor, strict: Place) -> None:
    user = strict.a_user()
    with_app(strict, user)
    codes = codes_of(strict, user)
    sign_in(visitor, strict)
    page = visitor.open(visitor.page.links["Use a recovery code"])
    assert page.title == "Use a recovery code"
    asked = page.input_attributes["confirmation_code"]
    assert asked["autocomplete"] == "off" and "inputmode" not in asked
    visitor.press(confirmation_code=codes[3].upper().replace("-", " "))
    assert signed_in(visitor)
    sign_in(visitor, strict)
    visitor.open(visitor.page.links["Use a recovery code"])
    page = visitor.press(confirmation_code=codes[3])
    assert "used already" in page.errors["confirmation_code"]
    visitor.open(page.links["Go back"])
    assert visitor.page.title == "Enter the code of your app"


def test_a_recovery_code_stands_in_for_a_choice_as_well(app: Flask, visitor: Visitor) -> None:
    place = demanding(app, "OPTIONAL", factors.SMS, factors.EMAIL)
    user = place.a_user(**PHONE)
    prefer(place, user, factors.SMS, factors.EMAIL)
    codes = codes_of(place, user)
    page = sign_in(visitor, place)
    page = visitor.open(page.links["Use a recovery code"])
    assert visitor.open(page.links["Go back"]).title == "How shall we check that it is you?"
    visitor.open(visitor.page.links["Use a recovery code"])
    visitor.press(confirmation_code=codes[0])
    assert signed_in(visitor)


def test_new_codes_are_made_for_who_is_signed_in_and_knows_the_password(
    visitor: Visitor, strict: Place, clock: Clock
) -> None:
    strict.a_user()
    secret, page = set_up(visitor, strict, clock)
    old = codes_on(page)
    page = visitor.open(strict.path("mfa/recovery"))
    assert page.title == "New recovery codes"
    assert visitor.press(password="Wrong-horse-7").errors == {"password": "This password is not right."}
    fields = {**visitor.page.inputs, "password": PASSWORD}
    new = codes_on(visitor.send(fields))
    assert len(new) == 10 and not set(new) & set(old)
    # Loaded again, it makes no others.
    assert "open for too long" in visitor.send(fields).text
    for code, works in ((old[0], False), (new[0], True)):
        sign_in(visitor, strict)
        visitor.open(visitor.page.links["Use a recovery code"])
        visitor.press(confirmation_code=code)
        assert signed_in(visitor) is works


def test_without_an_application_to_go_back_to_the_page_says_so(visitor: Visitor, strict: Place, clock: Clock) -> None:
    strict.a_user()
    set_up(visitor, strict, clock)
    visitor.open(f"/{strict.pool.id}/mfa/recovery?client_id={strict.client.id}")
    page = visitor.press(password=PASSWORD)
    assert len(codes_on(page)) == 10
    assert "done" in page.ids and "kept" not in page.ids


def test_password_managers_are_told_the_name_that_one_signs_in_with(app: Flask, visitor: Visitor, clock: Clock) -> None:
    place = a_place(app, pool={"alias_attributes": None, "username_attributes": ["email"]})
    place.do(lambda env: with_factors(env, place.pool, "ON", factors.TOTP))
    place.a_user()
    sign_in(visitor, place, "alice@example.com")
    page = visitor.press(choice="app")
    assert pyotp.parse_uri(page.links["Open the app on this device"]).name == "alice@example.com"
    visitor.press(confirmation_code=pyotp.TOTP(secret_on(page)).at(clock()))
    page = visitor.open(place.path("mfa/recovery"))
    assert page.inputs["username"] == "alice@example.com"
    assert page.input_attributes["username"]["autocomplete"] == "username"
    assert len(codes_on(visitor.press(password=PASSWORD))) == 10


def test_new_codes_are_for_nobody_else(app: Flask, visitor: Visitor, clock: Clock) -> None:
    place = demanding(app, "OPTIONAL", factors.TOTP)
    assert visitor.open(place.path("mfa/recovery")).title == "Sign in"
    user = place.a_user()
    sign_in(visitor, place)
    # A session that was opened with a password alone stays one, whatever has been set up since.
    with_app(place, user)
    page = visitor.open(place.path("mfa/recovery"))
    assert (page.status, page.title) == (403, "Sign in with your second factor first")
    assert kept_of(place) == []


def test_guesses_of_the_password_lock(visitor: Visitor, strict: Place, clock: Clock) -> None:
    strict.a_user()
    set_up(visitor, strict, clock)
    before = kept_of(strict)
    visitor.open(strict.path("mfa/recovery"))
    for _ in range(10):  # five, and five of the browser that is known
        assert visitor.press(password="Wrong-horse-7").status == 400
    assert visitor.press(password=PASSWORD).status == 429
    assert kept_of(strict) == before


# -- what goes wrong ---------------------------------------------------------------------------------------------

STEPS = ("mfa", "mfa/recoverycode", "mfa/choose", "mfa/setup", "mfa/setup/app", "mfa/setup/email")


@pytest.mark.parametrize("name", STEPS)
def test_without_a_sign_in_there_is_no_step(visitor: Visitor, place: Place, name: str) -> None:
    assert visitor.open(place.path(name)).title == "Sign in"


@pytest.mark.parametrize("name", STEPS)
def test_who_is_signed_in_goes_on_to_the_application(visitor: Visitor, place: Place, name: str) -> None:
    place.a_user()
    sign_in(visitor, place)
    visitor.open(place.path(name))
    assert signed_in(visitor)


@pytest.mark.parametrize("name", ["mfa/choose", "mfa/setup", "mfa/setup/app", "mfa/setup/email", "newPassword"])
def test_out_of_turn_one_is_led_back(visitor: Visitor, strict: Place, name: str) -> None:
    with_app(strict, strict.a_user())
    sign_in(visitor, strict)
    assert visitor.open(strict.path(name)).title == "Enter the code of your app"


def test_who_has_no_factor_cannot_use_a_recovery_code_in_place_of_setting_one_up(
    visitor: Visitor, strict: Place
) -> None:
    user = strict.a_user()
    codes_of(strict, user)
    sign_in(visitor, strict)
    assert visitor.open(strict.path("mfa/recoverycode")).title == "Add a second step"


def test_who_waits_too_long_signs_in_again(visitor: Visitor, strict: Place, clock: Clock) -> None:
    user = strict.a_user()
    sign_in(visitor, strict)
    secret = secret_on(visitor.press(choice="app"))
    clock.forward(minutes=3)
    page = visitor.press(confirmation_code=app_code(secret, clock()))
    assert page.title == "Sign in" and "That took too long" in page.text
    assert page.inputs["username"] == "alice"
    secret = with_app(strict, user)
    visitor.press(password=PASSWORD)
    clock.forward(minutes=3)
    page = visitor.press(confirmation_code=app_code(secret, clock()))
    assert page.title == "Sign in" and "That took too long" in page.text


def test_a_step_answers_once(visitors: Callable[..., Visitor], strict: Place, clock: Clock) -> None:
    """Two tabs of one browser, which share their cookies: the second one finds that it is over."""
    secret = with_app(strict, strict.a_user())
    visitor, copy = visitors(), visitors()
    sign_in(visitor, strict)
    cookie = visitor.http.get_cookie("cognate-form")
    assert cookie
    copy.http.set_cookie("cognate-form", cookie.value, domain="localhost")
    copy.open(strict.path("mfa"))
    code = app_code(secret, clock())
    visitor.press(confirmation_code=code)
    assert signed_in(visitor)
    page = copy.press(confirmation_code=code)
    assert page.title == "Sign in" and not signed_in(copy)


def test_who_presses_twice_is_signed_in_all_the_same(visitor: Visitor, strict: Place, clock: Clock) -> None:
    """The browser shows the answer to the second press, which was sent with the cookies of before the first."""
    secret = with_app(strict, strict.a_user())
    sign_in(visitor, strict)
    before = visitor.http.get_cookie("cognate-form")
    fields = {**visitor.page.inputs, "confirmation_code": app_code(secret, clock())}
    address = visitor.url
    visitor.send(fields)
    assert before
    visitor.http.set_cookie("cognate-form", before.value, domain="localhost")
    visitor.url = address
    visitor.send(fields)
    assert signed_in(visitor)


def test_a_cookie_of_an_older_version_breaks_no_page(visitor: Visitor, place: Place) -> None:
    visitor.open(place.path("login"))
    with place.app.test_request_context():
        signer = place.app.session_interface.get_signing_serializer(place.app)  # type: ignore[attr-defined]
        older = signer.dumps({"visit": {"pool": place.pool.id, "attempt": "x", "missing": []}})
    visitor.http.set_cookie("cognate-form", older, domain="localhost")
    for name in (*STEPS, "newPassword"):
        assert visitor.open(place.path(name)).title == "Sign in"


def test_who_cannot_set_anything_up_is_told_whom_to_ask(app: Flask, visitor: Visitor) -> None:
    place = demanding(app, "ON", factors.SMS)
    place.a_user()
    assert "An administrator has to set it up" in sign_in(visitor, place).text


def test_a_sign_in_of_another_application_is_not_answered_here(visitor: Visitor, strict: Place, clock: Clock) -> None:
    secret = with_app(strict, strict.a_user())
    other = Place(strict.app, strict.pool, strict.do(lambda env: a_client(env, strict.pool)))
    sign_in(visitor, strict)
    visitor.open(other.path("mfa"))
    page = visitor.press(confirmation_code=app_code(secret, clock()))
    assert page.title == "Sign in" and not signed_in(visitor)


def test_a_password_that_was_changed_meanwhile_ends_the_sign_in(visitor: Visitor, strict: Place, clock: Clock) -> None:
    secret = with_app(strict, strict.a_user())
    sign_in(visitor, strict)
    strict.do(
        lambda env: passwords.set_by_administrator(
            env, strict.pool, username="alice", password="Another-horse-8", permanent=True
        )
    )
    page = visitor.press(confirmation_code=app_code(secret, clock()))
    assert page.title == "Sign in" and "once more" in page.text
    assert "Incorrect" not in page.text


def test_one_is_signed_in_only_after_the_last_step(visitor: Visitor, strict: Place) -> None:
    def sessions(env: Env) -> int:
        with env.reading() as session:
            return session.scalar(select(func.count()).select_from(BrowserSession)) or 0

    with_app(strict, strict.a_user())
    sign_in(visitor, strict)
    assert visitor.http.get_cookie(f"cognate-{strict.pool.id}") is None
    assert strict.do(sessions) == 0
    assert visitor.open(strict.path("oauth2/authorize")).title == "Sign in"
    visitor.open(strict.path("oauth2/authorize", prompt="none"))
    assert "error=login_required" in visitor.landed


def test_no_page_speaks_the_language_of_programs(app: Flask, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totp, "new_secret", lambda: "A" * 52)  # a random one may spell anything
    wire = re.compile(r"[A-Z]{3,}_[A-Z]+|TOTP|MFA|Exception")
    place = demanding(app, "ON", factors.TOTP, factors.EMAIL)
    user = place.a_user(email=None)
    pages = [
        sign_in(visitor, place),
        visitor.press(),
        visitor.press(choice="email"),
        visitor.open(place.path("mfa/setup")),
    ]
    pages += [visitor.press(choice="app"), visitor.press(confirmation_code="1")]
    with_app(place, user)
    pages += [
        sign_in(visitor, place),
        visitor.press(confirmation_code="1"),
        visitor.open(place.path("mfa/recoverycode")),
    ]
    pages += [visitor.press(confirmation_code="1")]
    for page in pages:
        assert not wire.search(page.text), page.text
        assert " style=" not in page.html
        assert page.response.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'; ")
        assert page.response.headers["Cache-Control"] == "no-store"


def test_after_signing_up_a_second_factor_is_set_up(visitor: Visitor, strict: Place, sent: Sent) -> None:
    visitor.open(strict.path("signup"))
    visitor.press(username="dora", email="dora@example.com", password=PASSWORD)
    page = visitor.press(confirmation_code=sent("dora@example.com")[0].code or "")
    assert page.title == "Add a second step" or signed_in(visitor)
    page = sign_in(visitor, strict, "dora")
    assert page.title == "Add a second step"
    assert pyotp.parse_uri(visitor.press(choice="app").links["Open the app on this device"]).name == "dora"
