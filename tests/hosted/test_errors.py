"""What a person is told when something is wrong."""

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import errors as refusals
from app.errors import Refusal
from app.hosted import errors, page
from tests.hosted.conftest import BASE, Page, Place, Visitor, a_place


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


# -- an address that does not match ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["login", "oauth2/authorize"])
def test_development_is_told_what_was_given_and_what_is_registered(visitor: Visitor, place: Place, path: str) -> None:
    shown = visitor.open(place.path(path, redirect_uri="https://other.example/<b>"))
    assert shown.status == 400 and 'data-error="redirect_mismatch"' in shown.html
    assert "https://other.example/<b>" in shown.text and "<b>" not in shown.html
    for callback in place.client.callback_urls:
        assert callback in shown.text
    assert place.client.id in shown.text
    shown = visitor.open(f"/{place.pool.id}/{path}?client_id=somebody-else")
    assert 'data-error="unknown_client"' in shown.html
    assert "somebody-else" in shown.text and place.client.id in shown.text and place.client.name in shown.text


def test_development_is_told_that_a_client_is_of_another_pool(visitor: Visitor, app: Flask, place: Place) -> None:
    other = a_place(app)
    shown = visitor.open(f"/{place.pool.id}/oauth2/authorize?client_id={other.client.id}")
    assert f"It is a client of the pool {other.pool.id}" in shown.text


def test_a_program_is_told_the_same(http: FlaskClient, place: Place) -> None:
    path = place.path("oauth2/authorize", redirect_uri="https://other.example/")
    told = http.get(path, base_url=BASE, headers={"Accept": "application/json"}).json
    assert told["error"] == "redirect_mismatch" and told["given"] == "https://other.example/"
    assert told["registered"] == place.client.callback_urls


def test_production_shows_strangers_nothing_of_it_and_logs_it(
    app: Flask, place: Place, another_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    settings = app.extensions["cognate"].settings
    strong = {"argon2_memory_kib": 19456, "argon2_time": 2}
    production = another_app(
        replace(settings, mode="production", base_url="http://localhost:8080", **strong)
    ).test_client()
    given = "https://other.example/"
    with caplog.at_level(logging.WARNING):
        for path in (
            place.path("oauth2/authorize", redirect_uri=given),
            place.path("login", redirect_uri=given),
            f"/{place.pool.id}/oauth2/authorize?client_id=somebody-else",
        ):
            for accept in ("text/html", "application/json"):
                answer = production.get(path, base_url=BASE, headers={"Accept": accept})
                assert answer.status_code == 400
                for fact in (given, "somebody-else", place.client.id, place.client.name, *place.client.callback_urls):
                    assert fact not in answer.text
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 6
    assert all(f'"{given}"' in line and place.client.callback_urls[0] in line for line in lines[:4])
    assert all('"somebody-else"' in line and place.pool.id in line for line in lines[4:])
