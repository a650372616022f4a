"""The web applications of the quick starts, in a browser: Flask with Authlib, Express with openid-client."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

from tests.chromium import press
from tests.journeys.conftest import RunningServer
from tests.journeys.quick_starts.conftest import Begin, rotating, sign_in

# What a client does to one database it does to the other: test_browser has both.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.parametrize("server", ["sqlite"], indirect=True),
    pytest.mark.parametrize(("page", "port"), [("flask.md", "5000"), ("express.md", "3000")]),
]


def test_a_user_signs_in_refreshes_and_signs_out(
    server: RunningServer, begin: Begin, tab: Tab, page: str, port: str
) -> None:
    user = server.demo["user"]
    base = begin(page, server, port).base_url
    tab.goto(base)
    press(tab, "text=Sign in")
    sign_in(tab, server)
    expect(tab.locator("#who")).to_have_text(user["email"])
    assert tab.url == f"{base}/"

    before = tab.locator("#token").inner_text()
    press(tab, "text=Refresh")
    expect(tab.locator("#who")).to_have_text(user["email"])
    expect(tab.locator("#token")).not_to_have_text(before)

    tab.click("text=Sign out")
    expect(tab.locator("p")).to_contain_text("Signed out.")
    assert tab.url.startswith(f"{base}/signed-out")
    tab.goto(base)
    expect(tab.locator("p")).to_contain_text("Not signed in.")
    # The session at the sign-in page has ended as well: it asks for the password.
    press(tab, "text=Sign in")
    expect(tab.locator("#password")).to_be_visible()


def test_an_answer_to_a_sign_in_that_this_browser_did_not_begin_is_refused(
    server: RunningServer, begin: Begin, tab: Tab, another_tab: Tab, page: str, port: str
) -> None:
    """An attacker sends a victim the callback of the attacker's own sign-in, so that the victim works in the attacker's
    account (RFC 6749, 10.12)."""
    attacker, victim = tab, another_tab
    base = begin(page, server, port).base_url
    attacker.goto(f"{base}/sign-in")
    sign_in(attacker, server)
    expect(attacker.locator("#who")).to_be_visible()
    # Signed in at the server already, so that the next answer comes without a question, and is not delivered.
    asked = attacker.request.get(f"{base}/sign-in", max_redirects=0).headers["location"]
    answer = attacker.request.get(asked, max_redirects=0).headers["location"]
    assert answer.startswith(f"{base}/callback?code=")

    victim.request.get(f"{base}/sign-in", max_redirects=0)  # the victim has begun a sign-in too
    shown = victim.goto(answer)
    assert shown and shown.status == 400
    expect(victim.locator("p")).to_contain_text("The sign-in failed")
    victim.goto(base)
    expect(victim.locator("p")).to_contain_text("Not signed in.")


def test_every_new_refresh_token_is_kept_where_they_rotate(
    server: RunningServer, admin: Any, begin: Begin, tab: Tab, page: str, port: str
) -> None:
    one = begin(page, server, port)
    with rotating(admin, server, one.environ["CLIENT_ID"]):
        tab.goto(f"{one.base_url}/sign-in")
        sign_in(tab, server)
        for _ in range(3):
            token = tab.locator("#token").inner_text()
            press(tab, "text=Refresh")
            expect(tab.locator("#token")).not_to_have_text(token)


def test_a_session_that_was_ended_elsewhere_ends_at_the_next_refresh(
    server: RunningServer, admin: Any, begin: Begin, tab: Tab, page: str, port: str
) -> None:
    base = begin(page, server, port).base_url
    tab.goto(f"{base}/sign-in")
    sign_in(tab, server)
    expect(tab.locator("#who")).to_be_visible()
    admin.admin_user_global_sign_out(UserPoolId=server.demo["pool_id"], Username=server.demo["user"]["username"])
    press(tab, "text=Refresh")
    expect(tab.locator("p")).to_contain_text("Your session has ended.")
    tab.goto(base)
    expect(tab.locator("p")).to_contain_text("Not signed in.")
