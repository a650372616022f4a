"""The first sign-in of somebody new: the demo's application in a browser, as `make run` starts it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.journeys.conftest import RunningServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LOOKS = [("light", 1280), ("dark", 1280), ("light", 320), ("dark", 320)]


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """Of a browser without JavaScript."""
    context = browser.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


def sign_in(tab: Page, demo: dict[str, Any]) -> None:
    tab.goto(demo["demo_url"])
    tab.click("#sign-in")
    # Whoever types before the browser has put the cursor there makes it complain.
    expect(tab.locator("#username")).to_be_focused()
    tab.fill("#username", demo["user"]["username"])
    tab.fill("#password", demo["user"]["password"])
    tab.click("#sign-in")
    expect(tab).to_have_url(demo["demo_url"])


def test_somebody_new_signs_in_refreshes_and_signs_out_without_a_script(server: RunningServer, tab: Page) -> None:
    demo = server.demo
    sign_in(tab, demo)
    expect(tab.locator("h1")).to_contain_text("Demo User")
    expect(tab.locator("#id-iss")).to_have_text(demo["issuer"])
    expect(tab.locator("#id-aud")).to_have_text(demo["clients"]["app"]["client_id"])
    expect(tab.locator("#access-scope")).to_have_text("openid email profile")
    before = tab.inner_text("#id-jti")
    tab.click("#refresh")
    expect(tab.locator("#state")).to_contain_text("Refreshed 1 time.")
    assert tab.inner_text("#id-jti") != before
    tab.click("#sign-out")
    expect(tab).to_have_url(demo["demo_url"])
    expect(tab.locator("h1")).to_have_text("Demo application")
    tab.click("#sign-in")
    expect(tab.locator("#password")).to_be_visible()


def test_somebody_without_an_account_makes_one_and_arrives(server: RunningServer, tab: Page) -> None:
    demo = server.demo
    name = f"newcomer{server.port}"
    tab.goto(demo["demo_url"])
    tab.click("#sign-up")
    tab.fill("#username", name)
    tab.fill("#email", f"{name}@example.com")
    tab.fill("#password", "A-password-0f-mine")
    tab.click("#sign-up")
    code = server.messages(f"{name}@example.com")[0]["code"]
    tab.fill("#confirmation_code", code)
    tab.click("#confirm")
    expect(tab).to_have_url(demo["demo_url"])
    expect(tab.locator("#id-email_verified")).to_have_text("true")


def test_an_address_that_does_not_match_is_explained_and_found_in_the_log(server: RunningServer, tab: Page) -> None:
    demo = server.demo
    client = demo["clients"]["app"]
    wrong = "https://wrong.example/callback"
    tab.goto(
        f"{demo['issuer']}/oauth2/authorize?client_id={client['client_id']}&response_type=code&redirect_uri={wrong}"
    )
    expect(tab.locator("#given")).to_have_text(wrong)
    expect(tab.locator("#registered")).to_contain_text(client["redirect_uri"])
    number = tab.inner_text("#request-id")
    log = (server.directory / "server.log").read_text()
    (line,) = (each for each in log.splitlines() if f"[{number}]" in each and "WARNING" in each)
    assert wrong in line and client["redirect_uri"] in line


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_its_pages_are_for_everybody(server: RunningServer, browser: Browser, scheme: Any, width: int) -> None:
    context: BrowserContext = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 700})
    tab = context.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    wrong = []

    def look(name: str) -> None:
        found = Axe().run(tab, options={"rules": {"target-size": {"enabled": True}}})
        wrong.extend(f"{name}: {each['id']}: {each['help']}" for each in found.response["violations"])
        if tab.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wrong.append(f"{name}: scrolls sideways")

    demo = server.demo
    tab.goto(demo["demo_url"])
    look("signed out")
    sign_in(tab, demo)
    for details in tab.locator("summary").all():
        details.click()
    look("signed in")
    tab.goto(f"{demo['demo_url']}/callback?state=nobody's")
    tab.context.clear_cookies()
    tab.goto(f"{demo['demo_url']}/callback?state=nobody's")
    look("refused")
    context.close()
    assert wrong == []
    assert [text for text in said if not re.search("responded with a status of 400", text)] == []


def test_one_thread_is_enough_for_browser_and_application(own_server: RunningServer, browser: Browser) -> None:
    """By HTTP the only thread, which answers the browser, would wait for itself."""
    assert own_server.stop() == 0
    own_server.environ |= {"COGNATE_WORKERS": "1", "COGNATE_THREADS": "1"}
    own_server.start()
    context = browser.new_context()
    tab = context.new_page()
    sign_in(tab, own_server.demo)
    expect(tab.locator("h1")).to_contain_text("Demo User")
    context.close()
