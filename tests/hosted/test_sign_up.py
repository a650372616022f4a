"""Signing up and confirming, at the door."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask import Flask
from sqlalchemy import func, select

from app import errors
from app.accounts import administer, find, profile
from app.accounts import sign_up as accounts
from app.env import Env, Message, Origin
from app.messaging.outbox import Outbox
from app.models import Code, OutboxMessage, User
from app.pools import domains
from tests.build import PASSWORD
from tests.conftest import Clock
from tests.hosted.conftest import BASE, Page, Place, Visitor, a_place, signed_in

Sent = Callable[..., list[OutboxMessage]]
ADDRESS = "bob@example.com"


def sign_up(visitor: Visitor, place: Place, **fields: str) -> Page:
    visitor.open(place.path("signup"))
    return visitor.press(**{"username": "bob", "email": ADDRESS, "password": PASSWORD, **fields})


def users(place: Place) -> int:
    return place.do(lambda env: env.db.scalar(select(func.count()).select_from(User)))


def test_a_person_signs_up_confirms_and_is_back_at_the_application(visitor: Visitor, place: Place, sent: Sent) -> None:
    """Nothing is asked twice (requirements: 74)."""
    page = sign_up(visitor, place)
    assert page.title == "Enter your code"
    assert "We sent a code to b***@e***" in page.text
    assert page.inputs["username"] == "bob"
    assert "hidden" in page.input_attributes["username"]
    assert "bob" not in visitor.url
    code = sent(ADDRESS)[0].code
    assert code
    visitor.press(confirmation_code=f" {code[:3]} {code[3:]} ")
    assert signed_in(visitor)
    visitor.open(place.path("oauth2/authorize"))
    assert signed_in(visitor)


def test_who_only_has_the_code_must_sign_in(visitors: Callable[..., Visitor], place: Place, sent: Sent) -> None:
    """A code shows that somebody reads the mailbox, not that he chose the password."""
    one, other = visitors(), visitors()
    sign_up(one, place)
    other.open(place.path("confirmUser"))
    page = other.press(username="bob", confirmation_code=str(sent(ADDRESS)[0].code))
    assert page.title == "Sign in"
    assert "Your account is confirmed" in page.text
    assert page.inputs["username"] == "bob"
    other.open(place.path("oauth2/authorize"))
    assert not signed_in(other)
    # The browser that signed up presses too late, and is told the truth.
    page = one.press(confirmation_code=str(sent(ADDRESS)[0].code))
    assert page.title == "Sign in" and "confirmed" in page.text


def test_after_a_quarter_of_an_hour_the_password_is_asked_for(
    visitor: Visitor, place: Place, sent: Sent, clock: Clock
) -> None:
    sign_up(visitor, place)
    clock.forward(minutes=15)
    assert visitor.press(confirmation_code=str(sent(ADDRESS)[0].code)).title == "Sign in"


def test_a_person_who_was_disabled_meanwhile_is_not_signed_in(visitor: Visitor, place: Place, sent: Sent) -> None:
    sign_up(visitor, place)

    def disable(env: Any) -> None:
        with env.transaction():
            env.db.scalars(select(User)).one().enabled = False

    place.do(disable)
    assert visitor.press(confirmation_code=str(sent(ADDRESS)[0].code)).title == "Sign in"


def test_a_wrong_code_an_old_one_and_an_unknown_name_look_the_same(
    visitor: Visitor, place: Place, sent: Sent, clock: Clock
) -> None:
    """Requirements: 54."""
    sign_up(visitor, place)
    wrong = f"{(int(sent(ADDRESS)[0].code or 0) + 1) % 1000000:06}"
    seen = []
    for name, code in [("bob", wrong), ("nobody", wrong), ("alice", "123456")]:
        visitor.open(place.path("confirmUser"))
        page = visitor.press(username=name, confirmation_code=code)
        assert page.errors == {
            "confirmation_code": "This code is not right, or it is too old. Check it, or get a new one."
        }
        seen.append((page.status, page.text))
    clock.forward(days=1)
    page = visitor.press(username="bob", confirmation_code=str(sent(ADDRESS)[0].code))
    seen.append((page.status, page.text))
    assert len(set(seen)) == 1


def test_another_code_is_sent_and_the_first_is_worthless(visitor: Visitor, place: Place, sent: Sent) -> None:
    sign_up(visitor, place)
    page = visitor.open(visitor.page.links["Send a new code"])
    assert page.inputs["username"] == "bob"
    page = visitor.press()
    assert page.title == "Enter your code"
    assert "A new code is on its way" in page.text
    newer, older = (message.code or "" for message in sent(ADDRESS))
    if older != newer:
        assert visitor.press(confirmation_code=older).errors
    visitor.press(confirmation_code=newer)
    assert signed_in(visitor)


def test_a_new_code_seems_to_be_sent_to_anybody(visitor: Visitor, place: Place, sent: Sent) -> None:
    """Nobody learns who exists by asking for codes, not even by asking often."""
    place.a_user()
    place.a_user("dora", email="dora@example.com", status="UNCONFIRMED")
    for name in ("nobody", "alice", "dora"):
        found = set()
        for _ in range(5):
            visitor.open(place.path("resendcode"))
            page = visitor.press(username=name)
            assert page.status == 200
            found.add(page.text)
        assert len(found) == 1
        visitor.open(place.path("resendcode"))
        page = visitor.press(username=name)
        assert (page.status, "in an hour" in page.text) == (429, True)
    assert {message.to for message in sent()} == {"dora@example.com"}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"username": ""}, {"username": "Choose a username."}),
        ({"email": ""}, {"email": "Enter your email."}),
        ({"email": "bob"}, {"email": "Enter a whole email address, such as name@example.com."}),
        ({"password": ""}, {"password": "Choose a password."}),
        ({"password": "Short-7"}, {"password": "Use at least 8 characters."}),
        ({"password": "correct-horse-7"}, {"password": "Add an upper-case letter."}),
        ({"password": "CORRECT-HORSE-7"}, {"password": "Add a lower-case letter."}),
        ({"password": "Correct-horse"}, {"password": "Add a digit."}),
        ({"password": "Correcthorse7"}, {"password": "Add a symbol, such as ! or ?"}),
        ({"password": " Correct-horse-7"}, {"password": "Do not begin or end with a space."}),
        ({"password": "Aa1-" * 65}, {"password": "Use at most 256 characters."}),
        ({"username": "x" * 129}, {"username": "Use at most 128 characters."}),
        ({"username": "b\0b"}, {"username": "This cannot be used as a name here. Choose another one."}),
        ({"username": "bob@example.org"}, {"username": "This cannot be used as a name here. Choose another one."}),
        ({"username": "ALICE"}, {"username": "This name is taken. If it is yours, sign in; otherwise choose another."}),
    ],
)
def test_what_cannot_be_is_said_on_its_field(
    visitor: Visitor, place: Place, fields: dict[str, str], wrong: dict[str, str]
) -> None:
    """Requirements: 45, 75. Nothing that was typed is lost but the password."""
    place.a_user()
    page = sign_up(visitor, place, **fields)
    assert (page.status, page.errors) == (400, wrong)
    assert page.inputs["username"] == {"username": "bob", **fields}["username"]
    assert page.inputs["requiredAttributes[email]"] == {"email": ADDRESS, **fields}["email"]
    assert page.inputs["password"] == ""
    assert users(place) == 1


def test_the_rules_of_the_password_are_shown(visitor: Visitor, place: Place) -> None:
    page = visitor.open(place.path("signup"))
    assert "At least 8 characters" in page.text
    assert "A digit (0–9)" in page.text
    assert page.input_attributes["password"]["autocomplete"] == "new-password"


def test_where_the_address_is_the_name_it_is_asked_once(app: Flask, visitor: Visitor, sent: Sent) -> None:
    place = a_place(app, pool={"alias_attributes": None, "username_attributes": ["email"]})
    page = visitor.open(place.path("signup"))
    assert set(page.inputs) == {"csrf_token", "password", "requiredAttributes[email]"}
    visitor.press(email=ADDRESS, password=PASSWORD)
    visitor.press(confirmation_code=str(sent(ADDRESS)[0].code))
    assert signed_in(visitor)
    page = visitor.open(place.path("login"))
    assert "Email" in page.text and "Username" not in page.text
    visitor.open(place.path("signup"))
    page = visitor.press(email=ADDRESS.upper(), password=PASSWORD)
    assert page.errors == {"email": "This name is taken. If it is yours, sign in; otherwise choose another."}


def test_where_the_name_is_an_email_or_a_phone_number_one_field_takes_both(app: Flask, visitor: Visitor) -> None:
    place = a_place(app, pool={"alias_attributes": None, "username_attributes": ["email", "phone_number"]})
    page = visitor.open(place.path("signup"))
    assert "Email or phone number" in page.text
    assert set(page.inputs) == {"csrf_token", "username", "password"}
    assert "We sent a code to b***@e***" in visitor.press(username=ADDRESS, password=PASSWORD).text
    visitor.open(place.path("signup"))
    assert visitor.press(username="bob", password=PASSWORD).errors.keys() == {"username"}


def test_required_attributes_are_asked_for_and_kept(app: Flask, visitor: Visitor, sent: Sent) -> None:
    schema = [
        {"name": name, "required": True, "mutable": True} for name in ("birthdate", "family_name", "phone_number")
    ]
    place = a_place(app, pool={"schema": schema})
    visitor.open(place.path("signup"))
    fields = {"family_name": "Müller", "phone_number": "+44 (20) 7946-0018", "birthdate": "2000-13-01"}
    page = visitor.press(username="bob", email=ADDRESS, password=PASSWORD, **fields)
    assert page.errors == {"birthdate": "Enter the date as year, month and day: 1990-12-31."}
    page = visitor.press(password=PASSWORD, birthdate="2000-12-01", phone_number="02079460018")
    assert page.errors == {"phone_number": "Enter the number with its country code, such as +44 20 7946 0018."}
    assert visitor.press(password=PASSWORD, phone_number=fields["phone_number"]).title == "Enter your code"
    user = place.do(lambda env: env.db.scalars(select(User)).one())
    assert (user.phone_number, user.attributes) == (
        "+442079460018",
        {"birthdate": "2000-12-01", "family_name": "Müller"},
    )


def test_an_address_that_somebody_has_proven_to_be_his_is_not_given_twice(
    visitor: Visitor, place: Place, sent: Sent
) -> None:
    place.a_user()
    sign_up(visitor, place, email="alice@example.com")
    page = visitor.press(confirmation_code=str(sent("alice@example.com")[0].code))
    assert "Another account has this address already" in page.text


def test_a_pool_without_sign_up_says_so(app: Flask, visitor: Visitor) -> None:
    place = a_place(app, pool={"admin_create_user_config": {"allow_admin_create_user_only": True}})
    assert "Create an account" not in visitor.open(place.path("login")).links
    page = visitor.open(place.path("signup"))
    assert (page.status, page.title) == (403, "Sign-up is closed")


def test_a_pool_that_verifies_nothing_leaves_it_to_an_administrator(app: Flask, visitor: Visitor, sent: Sent) -> None:
    place = a_place(app, pool={"auto_verified_attributes": [], "alias_attributes": []})
    visitor.open(place.path("signup"))
    page = visitor.press(username="bob", password=PASSWORD)
    assert page.title == "Sign in"
    assert "An administrator confirms it" in page.text
    assert sent() == []
    assert visitor.open(place.path("resendcode")).status == 403


def test_where_the_message_cannot_leave_the_account_is_there_and_a_new_code_is_offered(
    visitor: Visitor, place: Place, monkeypatch: pytest.MonkeyPatch, sent: Sent
) -> None:
    def fail(self: Outbox, message: Message) -> None:
        raise errors.CodeDeliveryFailure

    with monkeypatch.context() as broken:
        broken.setattr(Outbox, "send", fail)
        page = sign_up(visitor, place)
        assert page.title == "Get a new code"
        assert "we could not send the code" in page.text
        # Not said here: it would tell that there is somebody to whom a message was to go.
        assert "A new code is on its way" in visitor.press().text
    visitor.open(place.path("resendcode"))
    visitor.press()
    assert visitor.press(confirmation_code=str(sent(ADDRESS)[0].code)).title == "Sign in"


def test_a_client_that_may_write_little_is_asked_little(app: Flask, visitor: Visitor) -> None:
    place = a_place(
        app,
        pool={"auto_verified_attributes": [], "schema": [{"name": "name", "required": True, "mutable": True}]},
        write_attributes=["name"],
    )
    page = visitor.open(place.path("signup"))
    assert set(page.inputs) == {"csrf_token", "username", "password", "requiredAttributes[name]"}


@pytest.fixture
def by_link(app: Flask) -> Place:
    option = {"default_email_option": "CONFIRM_WITH_LINK"}
    return a_place(app, pool={"verification_message_template": option})


def test_the_link_of_a_mail_confirms_by_one_button(
    visitors: Callable[..., Visitor], by_link: Place, sent: Sent
) -> None:
    """What opens links before people do confirms nobody, and uses nothing up."""
    browser, other = visitors(), visitors()
    sign_up(browser, by_link, username="bob & co")
    (mail,) = sent(ADDRESS)
    assert mail.link and mail.link in mail.body
    assert mail.link.startswith(f"http://localhost:8080/{by_link.pool.id}/confirmUser?client_id={by_link.client.id}&")
    for _ in range(20):
        page = other.open(mail.link)
    assert (page.status, page.title, set(page.inputs)) == (200, "Confirm your account", {"csrf_token"})
    status = by_link.do(lambda env: env.db.scalars(select(User.status)).one())
    assert status == "UNCONFIRMED"
    page = other.press()
    assert (page.status, page.title) == (200, "Your account is confirmed")
    assert by_link.do(lambda env: env.db.scalars(select(User.status)).one()) == "CONFIRMED"
    page = other.open(mail.link)
    assert (page.status, page.title) == (410, "This link does not work")


def test_a_bad_link_says_so_when_it_is_opened(visitor: Visitor, by_link: Place, sent: Sent, clock: Clock) -> None:
    """The same for a wrong code, a cut one, somebody who does not exist, and one that is too old."""
    sign_up(visitor, by_link)
    (mail,) = sent(ADDRESS)
    good = dict(parse_qsl(urlsplit(str(mail.link)).query))
    wrong = f"{(int(mail.code or 0) + 1) % 1_000_000:06}"
    for bad in (
        {"confirmation_code": wrong},
        {"confirmation_code": ""},
        {"user_name": ""},
        {"user_name": "nobody"},
        {"signature": ""},
        {"signature": good["signature"][:-1]},
        {"signature": "\xe9"},
    ):
        page = visitor.open(by_link.path("confirmUser", **(good | bad)))
        assert (page.status, page.title) == (410, "This link does not work"), bad
    assert visitor.open(str(mail.link)).title == "Confirm your account"
    clock.forward(hours=25)
    assert visitor.open(str(mail.link)).status == 410


@pytest.mark.parametrize("cut", ["&confirmation_code", "confirmation_code", "_code="])
def test_a_link_that_was_cut_off_says_so_too(visitor: Visitor, by_link: Place, sent: Sent, cut: str) -> None:
    """Mail programs break long lines. A page that asks for the code would ask for what is in no mail."""
    sign_up(visitor, by_link)
    (mail,) = sent(ADDRESS)
    page = visitor.open(str(mail.link).partition(cut)[0])
    assert (page.status, page.title) == (410, "This link does not work")
    assert visitor.open(str(mail.link)).title == "Confirm your account"


def test_a_stranger_neither_guesses_at_a_code_by_links_nor_uses_its_guesses_up(
    visitor: Visitor, by_link: Place, sent: Sent
) -> None:
    """Of an address that somebody changes, too: otherwise codes for that are taken for an access token only."""

    def change_address(env: Env) -> None:
        user = find.existing(env, by_link.pool, "bob").user
        profile.update_attributes(env, by_link.client, user, attributes={"email": "new@example.com"})

    sign_up(visitor, by_link)
    for _ in range(2):
        mail = sent()[0]
        right = {"user_name": "bob", "confirmation_code": str(mail.code)}
        for code in (str(mail.code), *(f"{(int(mail.code or 0) + n) % 1_000_000:06}" for n in range(1, 25))):
            for signature in ({}, {"signature": "A" * 43}):
                page = visitor.open(by_link.path("confirmUser", **right | {"confirmation_code": code} | signature))
                assert page.status == 410
        assert by_link.do(lambda env: [code.tries for code in env.db.scalars(select(Code))]) == [0]
        visitor.open(str(mail.link))
        assert visitor.press().status == 200
        by_link.do(change_address)


def test_a_link_made_for_one_user_does_nothing_for_another(visitor: Visitor, by_link: Place, sent: Sent) -> None:
    sign_up(visitor, by_link)
    given = dict(parse_qsl(urlsplit(str(sent(ADDRESS)[0].link)).query))
    sign_up(visitor, by_link, username="carol", email="carol@example.com")
    code = str(sent("carol@example.com")[0].code)
    for other in ({"user_name": "carol"}, {"user_name": "carol", "confirmation_code": code}):
        assert visitor.open(by_link.path("confirmUser", **given | other)).status == 410


def signed_in_user(place: Place) -> User:
    place.do(
        lambda env: accounts.sign_up(
            env, place.client, username="bob", password=PASSWORD, attributes={"email": ADDRESS}, origin=Origin()
        )
    )
    return place.do(lambda env: accounts.confirm_by_administrator(env, place.pool, username="bob"))


@pytest.mark.parametrize("verified_first", [True, False])
def test_the_link_of_a_changed_address_verifies_it(
    app: Flask, visitor: Visitor, sent: Sent, verified_first: bool
) -> None:
    """UpdateUserAttributes, in a pool that confirms by links (reference: 2.6)."""
    settings: dict[str, Any] = {"verification_message_template": {"default_email_option": "CONFIRM_WITH_LINK"}}
    if verified_first:
        settings["user_attribute_update_settings"] = {"attributes_require_verification_before_update": ["email"]}
    place = a_place(app, pool=settings)
    user = signed_in_user(place)
    place.do(lambda env: profile.update_attributes(env, place.client, user, attributes={"email": "new@example.com"}))
    (mail,) = sent("new@example.com")
    assert (mail.purpose, mail.link is not None) == ("verify_email", True)
    page = visitor.open(str(mail.link))
    assert (page.status, page.title) == (200, "Verify your email address")
    asked = place.do(lambda env: env.db.scalars(select(User)).one())
    assert asked.email == (ADDRESS if verified_first else "new@example.com") and not asked.email_verified
    page = visitor.press()
    assert (page.status, page.title) == (200, "Your email address is verified")
    row = place.do(lambda env: env.db.scalars(select(User)).one())
    assert (row.email, row.email_verified) == ("new@example.com", True)
    assert visitor.open(str(mail.link)).status == 410


def test_a_link_that_is_asked_for_again_verifies_too(app: Flask, visitor: Visitor, sent: Sent) -> None:
    """GetUserAttributeVerificationCode."""
    place = a_place(app, pool={"verification_message_template": {"default_email_option": "CONFIRM_WITH_LINK"}})
    user = signed_in_user(place)
    place.do(lambda env: profile.send_code(env, place.client, user, attribute="email"))
    visitor.open(str(sent(ADDRESS)[0].link))
    assert visitor.press().title == "Your email address is verified"


def test_the_link_of_a_user_who_was_disabled_meanwhile_does_nothing(app: Flask, visitor: Visitor, sent: Sent) -> None:
    place = a_place(app, pool={"verification_message_template": {"default_email_option": "CONFIRM_WITH_LINK"}})
    user = signed_in_user(place)
    place.do(lambda env: profile.send_code(env, place.client, user, attribute="email"))
    visitor.open(str(sent(ADDRESS)[0].link))
    place.do(lambda env: administer.disable(env, place.pool, username="bob"))
    assert visitor.press().status == 410
    assert not place.do(lambda env: env.db.scalars(select(User.email_verified)).one())


def test_the_browser_that_signed_up_may_open_the_link_too(visitor: Visitor, by_link: Place, sent: Sent) -> None:
    sign_up(visitor, by_link)
    visitor.open(str(sent(ADDRESS)[0].link))
    assert visitor.press().title == "Your account is confirmed"
    # It does not say to which application: there one signs in as always.
    assert visitor.open(by_link.path("oauth2/authorize")).title == "Sign in"


def test_what_a_link_says_is_shown_and_not_believed(visitor: Visitor, by_link: Place) -> None:
    given = {"user_name": "<script>alert(1)</script>", "confirmation_code": '"><b>'}
    page = visitor.open(by_link.path("confirmUser", **given))
    assert page.status == 410
    assert "<script>alert" not in page.html and '"><b>' not in page.html


def test_a_new_code_comes_as_a_link_and_one_for_a_password_does_not(
    visitor: Visitor, by_link: Place, sent: Sent
) -> None:
    sign_up(visitor, by_link)
    visitor.open(by_link.path("resendcode"))
    visitor.press(username="bob")
    assert sent(ADDRESS)[0].link
    visitor.open(str(sent(ADDRESS)[0].link))
    visitor.press()
    visitor.open(by_link.path("forgotPassword"))
    visitor.press(username="bob")
    newest = sent(ADDRESS)[0]
    assert (newest.purpose, newest.link) == ("forgot_password", None)


def test_the_link_of_a_client_without_pages_confirms_too(app: Flask, visitor: Visitor, sent: Sent) -> None:
    """Its pool sends links: an application that uses the API alone may have no page for a code (reference: 2.6)."""
    option = {"default_email_option": "CONFIRM_WITH_LINK"}
    place = a_place(
        app,
        pool={"verification_message_template": option},
        allowed_oauth_flows=[],
        allowed_oauth_flows_user_pool_client=False,
    )
    place.do(
        lambda env: accounts.sign_up(
            env, place.client, username="bob", password=PASSWORD, attributes={"email": ADDRESS}, origin=Origin()
        )
    )
    (mail,) = sent(ADDRESS)
    assert visitor.open(str(mail.link)).title == "Confirm your account"
    assert visitor.press().title == "Your account is confirmed"
    assert visitor.open(str(mail.link)).title == "This link does not work"
    assert visitor.open(place.path("login")).title == "This page cannot be shown"


def test_the_link_leads_to_the_pools_own_domain(app: Flask, by_link: Place, visitor: Visitor, sent: Sent) -> None:
    by_link.do(lambda env: domains.create(env, by_link.pool, domain="auth.example.com", custom=True, settings={}))
    sign_up(visitor, by_link)
    assert str(sent(ADDRESS)[0].link).startswith("https://auth.example.com/confirmUser?")


def test_the_link_does_not_lead_to_a_domain_that_is_not_proven(by_link: Place, visitor: Visitor, sent: Sent) -> None:
    """Claiming somebody else's name must not make this server send people there."""

    def claim(env: Env) -> None:
        production = replace(env, settings=replace(env.settings, domain_proof="public"))
        domains.create(production, by_link.pool, domain="auth.example.com", custom=True, settings={})

    by_link.do(claim)
    sign_up(visitor, by_link)
    assert str(sent(ADDRESS)[0].link).startswith(f"{BASE}/{by_link.pool.id}/confirmUser?")
