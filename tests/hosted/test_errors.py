"""What a person is told when something is wrong."""

import logging

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import errors as refusals
from app.errors import Refusal
from app.hosted import errors, page
from tests.hosted.conftest import BASE, Page, Place, Visitor


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("redirect_mismatch", "redirect_uri) is not registered for this client"),
        ("redirect_missing", "redirect_uri) is missing"),
        ("unknown_client", "is not known"),
        ("logout_mismatch", "logout_uri) is not registered for this client"),
        ("invalid_request", "incomplete request"),
    ],
)
def test_each_reason_has_words_of_its_own(visitor: Visitor, code: str, words: str) -> None:
    """Conformance tests look for these words."""
    shown = visitor.open(f"/error?error={code}")
    assert shown.status == 400
    assert words in shown.text
    assert shown.title in shown.text
    assert "request-id" in shown.ids
    assert shown.response.headers["Cache-Control"] == "no-store"


def test_a_reason_that_is_not_known_is_not_repeated(visitor: Visitor) -> None:
    shown = visitor.open("/error?error=Call+0800-EVIL&error_description=now&error_uri=https://evil.example")
    assert shown.status == 400
    assert "evil" not in shown.html.lower() and "now" not in shown.text.lower().split()
    assert visitor.open("/error").title == "Something went wrong"


def test_every_reason_can_be_drawn(visitor: Visitor) -> None:
    for code, words in errors.PAGES.items():
        shown = visitor.open(f"/error?error={code}")
        assert (shown.status, shown.title) == (words.status, words.title)


def test_an_address_that_does_not_exist_has_a_page_or_json(http: FlaskClient) -> None:
    shown = Page(http.get("/nowhere", base_url=BASE))
    assert (shown.status, shown.title) == (404, "There is no such page")
    response = http.get("/nowhere", base_url=BASE, headers={"Accept": "application/json"})
    assert response.json and response.json["error"] == "not_found"
    browser = http.get("/nowhere", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert browser.mimetype == "text/html"


def test_a_bug_is_told_as_a_number_and_logged_with_it(
    app: Flask, place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app.config["TESTING"] = False

    def broken(*given: object, **named: object) -> object:
        raise RuntimeError("the secret reason")

    monkeypatch.setattr(page.find, "client", broken)
    with caplog.at_level(logging.ERROR):
        shown = Page(app.test_client().get(place.path("login"), base_url=BASE))
    assert (shown.status, shown.title) == (500, "Something went wrong")
    assert "secret" not in shown.html
    number = shown.text.partition("mention this number: ")[2].split()[0]
    assert f"request {number} failed" in caplog.text
    assert "the secret reason" in caplog.text


def all_refusals(cls: type[Refusal] = Refusal) -> list[type[Refusal]]:
    return [each for sub in cls.__subclasses__() for each in (sub, *all_refusals(sub))]


def test_no_sentence_is_one_of_cognitos(app: Flask, place: Place) -> None:
    for cls in (each for each in all_refusals() if each.__module__ == refusals.__name__):
        refusal = cls("x") if cls in (refusals.UnknownClient, refusals.UnknownPool) else cls()
        sentence = errors._sentence(refusal, place.pool)
        assert sentence and sentence.endswith((".", "?"))
        assert sentence != refusal.message or sentence == "Incorrect username or password."


def test_a_password_rule_that_is_not_known_here_is_still_told(place: Place) -> None:
    for reason in ("Password not long enough", "Password must have symbol characters"):
        told = errors._sentence(refusals.InvalidPassword(reason), place.pool)
        assert told != errors.SENTENCES[refusals.InvalidPassword]
    assert errors._sentence(refusals.InvalidPassword("new reason"), place.pool).startswith("Choose a password")
