"""The single-page applications of the quick starts: oidc-client-ts, and Amplify with signInWithRedirect."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from tests.journeys.conftest import RunningServer, administrator
from tests.journeys.quick_starts.conftest import Begin, rotating, sign_in
from tests.journeys.quick_starts.pages import QuickStart

# What a client does to one database it does to the other: test_browser has both.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.parametrize("server", ["sqlite"], indirect=True),
]


@pytest.fixture(params=["single-page.md", "amplify.md"])
def started(request: pytest.FixtureRequest, server: RunningServer, begin: Begin) -> QuickStart:
    """Amplify needs a server with HTTPS."""
    if request.param == "amplify.md":
        server = request.getfixturevalue("encrypted")
    return begin(request.param, server, "3000")


def test_a_user_signs_in_refreshes_and_signs_out(started: QuickStart, tab: Tab) -> None:
    problems: list[Any] = []
    tab.on("pageerror", lambda problem: problems.append(problem))
    server = started.server
    user = server.demo["user"]
    base = started.base_url
    tab.goto(base)
    expect(tab.locator("#status")).to_have_text("Not signed in.")
    tab.click("#sign-in")
    sign_in(tab, server)
    expect(tab.locator("#who")).to_have_text(user["email"])
    tab.wait_for_url(f"{base}/")
    token = tab.locator("#token").inner_text()

    tab.reload()
    expect(tab.locator("#token")).to_have_text(token)
    with tab.expect_response(lambda answer: answer.url.startswith(server.base_url)) as refreshed:
        tab.click("#refresh")
    assert refreshed.value.status == 200
    expect(tab.locator("#token")).not_to_have_text(token)
    expect(tab.locator("#who")).to_have_text(user["email"])

    tab.click("#sign-out")
    expect(tab.locator("#status")).to_have_text("Not signed in.")
    assert tab.url.startswith(f"{base}/")
    # The session at the sign-in page has ended as well: it asks for the password.
    tab.click("#sign-in")
    expect(tab.locator("#password")).to_be_visible()
    assert problems == []


def test_an_answer_with_another_state_is_refused(started: QuickStart, tab: Tab) -> None:
    base = started.base_url
    tab.goto(base)
    tab.click("#sign-in")
    expect(tab.locator("#password")).to_be_visible()
    path = "/callback" if started.page == "single-page.md" else "/"
    tab.goto(f"{base}{path}?code=stolen&state=of-somebody-else")
    expect(tab.locator("#status")).to_contain_text("The sign-in failed")
    expect(tab.locator("#who")).to_have_text("")
    tab.goto(base)
    expect(tab.locator("#status")).to_have_text("Not signed in.")


def test_every_new_refresh_token_is_kept_where_they_rotate(started: QuickStart, tab: Tab) -> None:
    server = started.server
    with closing(administrator(server)) as admin, rotating(admin, server, client_id(started)):
        tab.goto(started.base_url)
        tab.click("#sign-in")
        sign_in(tab, server)
        expect(tab.locator("#who")).to_have_text(server.demo["user"]["email"])
        for _ in range(3):
            token = tab.locator("#token").inner_text()
            tab.click("#refresh")
            expect(tab.locator("#token")).not_to_have_text(token)
            expect(tab.locator("#who")).to_have_text(server.demo["user"]["email"])


def client_id(started: QuickStart) -> str:
    (found,) = re.findall('CLIENT_ID = "(.*)"', (started.directory / "config.js").read_text())
    return str(found)


def test_a_session_that_was_ended_elsewhere_ends_at_the_next_refresh(started: QuickStart, tab: Tab) -> None:
    server = started.server
    base = started.base_url
    tab.goto(base)
    tab.click("#sign-in")
    sign_in(tab, server)
    expect(tab.locator("#who")).to_have_text(server.demo["user"]["email"])
    with closing(administrator(server)) as admin:
        admin.admin_user_global_sign_out(UserPoolId=server.demo["pool_id"], Username=server.demo["user"]["username"])
    tab.click("#refresh")
    expect(tab.locator("#status")).to_contain_text("Your session has ended")
    expect(tab.locator("#sign-in")).to_be_visible()
    tab.goto(base)
    expect(tab.locator("#status")).to_have_text("Not signed in.")
