"""A browser that has to work before it sees a page: with a script, without one, without cookies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from app.pools import request_rules
from tests.hosted.conftest import Place, a_place
from tests.serving import serving

pytestmark = pytest.mark.browser

LOOKS = [("light", 320), ("light", 1280), ("dark", 320), ("dark", 1280)]


@pytest.fixture
def place(app: Flask) -> Place:
    return a_place(app, {"algorithm": "ES256"})


@pytest.fixture
def demand(place: Place) -> Callable[..., None]:
    def configure(difficulty: int) -> None:
        document = {"Rules": [{"Name": "work", "Action": "proof-of-work", "Difficulty": difficulty}]}
        place.do(lambda env: request_rules.configure(env, place.pool, document, operations=()))

    return configure


@pytest.fixture
def base(app: Flask) -> Iterator[str]:
    with serving(app) as address:
        yield address


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_the_browser_works_and_is_back_at_the_very_page(
    tab: Page, base: str, place: Place, demand: Callable[..., None]
) -> None:
    demand(12)
    url = base + place.path("login", state="a&b=c")
    tab.goto(url)
    expect(tab.locator("#sign-in-form")).to_be_visible()
    assert tab.url == url
    tab.goto(base + place.path("signup"))
    expect(tab.locator("#sign-up-form")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_the_page_is_for_everybody(
    browser: Browser, base: str, place: Place, demand: Callable[..., None], scheme: Any, width: int
) -> None:
    """No rule of axe is broken, nothing scrolls sideways, nothing is refused by the page's own policy."""
    demand(24)
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 700})
    # The solution is kept back: the page stays as it is.
    context.route("**/proof", lambda route: None)
    tab, said = context.new_page(), []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(base + place.path("login"))
    expect(tab.locator("#proof-state")).to_have_text("Your browser is working…")
    found = Axe().run(tab, options={"rules": {"target-size": {"enabled": True}}})
    assert [each["id"] for each in found.response["violations"]] == []
    assert not tab.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert [text for text in said if "the server responded with a status of" not in text] == []
    context.close()


def test_without_javascript_the_page_says_so(
    browser: Browser, base: str, place: Place, demand: Callable[..., None]
) -> None:
    demand(8)
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(base + place.path("login"))
    expect(tab.locator("#error")).to_contain_text("This needs JavaScript")
    expect(tab.locator("#proof")).to_be_hidden()
    context.close()


def test_a_browser_that_keeps_no_cookies_does_not_work_for_ever(
    tab: Page, base: str, place: Place, demand: Callable[..., None]
) -> None:
    demand(8)
    tab.route("**/proof", lambda route: route.fulfill(status=204))
    tab.goto(base + place.path("login"))
    expect(tab.locator("#proof-state")).to_contain_text("keeps no cookie")
    expect(tab.locator("#proof-again a")).to_be_visible()


def test_an_answer_that_is_refused_is_told(tab: Page, base: str, place: Place, demand: Callable[..., None]) -> None:
    demand(8)
    tab.route("**/proof", lambda route: route.fulfill(status=400))
    tab.goto(base + place.path("login"))
    expect(tab.locator("#proof-state")).to_contain_text("That did not work")
    tab.unroute("**/proof")
    tab.click("#proof-again a")
    expect(tab.locator("#sign-in-form")).to_be_visible()
