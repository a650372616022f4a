"""A forgotten password, at the door."""

from collections.abc import Callable

import pytest
from flask import Flask

from app.models import OutboxMessage
from tests.build import PASSWORD
from tests.conftest import Clock
from tests.hosted.conftest import Page, Place, Visitor, a_place, signed_in

Sent = Callable[..., list[OutboxMessage]]
NEW = "Another-horse-8"


def forgot(visitor: Visitor, place: Place, name: str = "alice") -> Page:
    visitor.open(place.path("forgotPassword"))
    return visitor.press(username=name)


def test_a_forgotten_password_is_replaced_with_the_code_that_was_sent(
    visitor: Visitor, place: Place, sent: Sent
) -> None:
    place.a_user()
    visitor.open(place.path("login"))
    page = visitor.open(visitor.page.links["Forgot your password?"])
    page = visitor.press(username="alice@example.com")
    assert page.title == "Choose a new password"
    assert "We sent a code to a***@e***" in page.text
    assert "alice" not in visitor.url
    page = visitor.press(confirmation_code=str(sent("alice@example.com")[0].code), password=NEW)
    assert page.title == "Sign in"
    assert "Your password is changed" in page.text
    assert page.inputs["username"] == "alice@example.com"
    assert "incorrect" in visitor.press(password=PASSWORD).text.lower()
    visitor.press(password=NEW)
    assert signed_in(visitor)
    assert "changed" not in visitor.open(place.path("login")).text


def test_a_new_password_ends_the_sessions_of_the_old_one(
    visitors: Callable[..., Visitor], place: Place, sent: Sent
) -> None:
    place.a_user()
    one, other = visitors(), visitors()
    one.open(place.path("login"))
    one.press(username="alice", password=PASSWORD)
    forgot(other, place)
    other.press(confirmation_code=str(sent("alice@example.com")[0].code), password=NEW)
    assert one.open(place.path("oauth2/authorize")).title == "Sign in"


@pytest.mark.parametrize("hides", ["ENABLED", "LEGACY"])
def test_nobody_learns_who_exists(app: Flask, visitor: Visitor, sent: Sent, hides: str) -> None:
    """Requirements: 54. Not from the page that asks, not from the one that follows, and not by asking often."""
    place = a_place(app, prevent_user_existence_errors=hides)
    place.a_user("abcde", email="a@e")
    place.a_user("invited", email="inv@example.com", status="FORCE_CHANGE_PASSWORD")
    place.a_user("blank", email=None)
    answers: dict[str, set[tuple[str, ...]]] = {}
    for name in ("a@e", "a@f", "invited", "blank", "nobody"):
        for _ in range(6 if hides == "ENABLED" else 1):
            page = forgot(visitor, place, name)
            assert (page.status, page.title) == (200, "Choose a new password")
            page = visitor.press(confirmation_code="000000", password=NEW)
            answers.setdefault(name, set()).add((str(page.status), page.text, str(sorted(page.errors))))
        assert len(answers[name]) == 1, name
    # Where the name itself is the address there is nothing to invent, and the pages are the same word for word.
    masked = {str(answers[name]).replace("a***@f***", "a***@e***") for name in ("a@e", "a@f")}
    assert len(masked) == 1
    assert {message.to for message in sent()} == {"a@e"}


def test_a_wrong_code_and_a_weak_password_are_said_on_their_fields(visitor: Visitor, place: Place, sent: Sent) -> None:
    place.a_user()
    forgot(visitor, place)
    page = visitor.press(confirmation_code="", password="")
    assert page.errors == {"confirmation_code": "Enter the code from the message.", "password": "Choose a password."}
    code = str(sent("alice@example.com")[0].code)
    page = visitor.press(confirmation_code=code, password="weak")
    assert page.errors == {"password": "Use at least 8 characters."}
    assert page.inputs["confirmation_code"] == code
    page = visitor.press(confirmation_code="not it", password=NEW)
    assert page.errors.keys() == {"confirmation_code"}


def test_a_code_for_a_password_lives_an_hour(visitor: Visitor, place: Place, sent: Sent, clock: Clock) -> None:
    place.a_user()
    forgot(visitor, place)
    clock.forward(hours=1)
    page = visitor.press(confirmation_code=str(sent("alice@example.com")[0].code), password=NEW)
    assert page.errors.keys() == {"confirmation_code"}


def test_a_code_can_be_entered_in_another_browser(visitors: Callable[..., Visitor], place: Place, sent: Sent) -> None:
    place.a_user()
    forgot(visitors(), place)
    other = visitors()
    page = other.open(place.path("confirmForgotPassword"))
    assert "If there is an account of that name" in page.text
    code = str(sent("alice@example.com")[0].code)
    assert other.press(username="alice", confirmation_code=code, password=NEW).title == "Sign in"


def test_where_only_administrators_reset_the_page_says_so(app: Flask, visitor: Visitor) -> None:
    recovery = {"recovery_mechanisms": [{"name": "admin_only", "priority": 1}]}
    place = a_place(app, pool={"account_recovery_setting": recovery})
    assert "Forgot your password?" not in visitor.open(place.path("login")).links
    for name in ("forgotPassword", "confirmForgotPassword"):
        assert visitor.open(place.path(name)).status == 403


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_whoever_asks_too_often_is_told_so_whether_or_not_there_is_such_an_account(
    app: Flask, visitor: Visitor, name: str
) -> None:
    place = a_place(app, prevent_user_existence_errors="LEGACY")
    place.a_user()
    for _ in range(20):
        assert forgot(visitor, place, name).status == 200
    page = forgot(visitor, place, name)
    assert (page.status, "in an hour" in page.text) == (429, True)


def test_a_password_that_he_had_before_is_refused_on_its_field(app: Flask, visitor: Visitor, sent: Sent) -> None:
    place = a_place(app, pool={"policies": {"password_policy": {"password_history_size": 1}}})
    place.a_user()
    forgot(visitor, place)
    page = visitor.press(confirmation_code=str(sent("alice@example.com")[0].code), password=PASSWORD)
    assert page.errors == {"password": "You have had this password before. Choose another one."}
    assert visitor.press(password=NEW).title == "Sign in"
