"""Forms that are sent too often: the form again, with when to send it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.config import Settings
from app.hosted.errors import when
from tests.build import PASSWORD
from tests.conftest import Clock
from tests.hosted.conftest import Place, Visitor, signed_in


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, requests_per_address=2)


def test_the_page_says_when_to_try_again_and_keeps_what_was_typed(visitor: Visitor, place: Place, clock: Clock) -> None:
    place.a_user()
    visitor.open(place.path("login"))
    for _ in range(2):
        assert visitor.press(username="alice", password="Wrong-1-password").status == 400
    page = visitor.press(username="alice", password=PASSWORD)
    assert (page.status, page.response.headers["Retry-After"]) == (429, "60")
    assert "Too many requests came from you or from your network. Please try again in 60 seconds." in page.text
    assert page.inputs["username"] == "alice" and not page.inputs["password"]
    clock.forward(minutes=1)
    visitor.press(username="alice", password=PASSWORD)
    assert signed_in(visitor)


@pytest.mark.parametrize("name", ["login", "signup", "forgotPassword", "resendCode", "confirm"])
def test_every_form_of_strangers_is_limited(visitor: Visitor, place: Place, name: str) -> None:
    visitor.open(place.path(name))
    statuses = []
    for _ in range(3):
        visitor.url = place.path(name)
        statuses.append(visitor.send({}).status)
    assert statuses == [400, 400, 429]


def test_one_page_does_not_use_up_another(visitors: Callable[..., Visitor], place: Place) -> None:
    for name in ("login", "signup", "forgotPassword"):
        visitor = visitors()
        visitor.open(place.path(name))
        assert visitor.press().status == 400


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "in a few seconds"), (1, "in a few seconds"), (60, "in 60 seconds"), (121, "in 3 minutes")],
)
def test_a_wait_in_words(seconds: int | None, words: str) -> None:
    assert when(seconds) == words
