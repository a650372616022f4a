"""A server with HTTPS, and a browser that accepts its certificate."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab

from tests.journeys.conftest import RunningServer, prepared
from tests.journeys.quick_starts.pages import QuickStart


@pytest.fixture(scope="session")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose certificate it has made itself."""
    directory = tmp_path_factory.mktemp("encrypted")
    running = prepared(directory, None)
    running.environ["COGNATE_TLS"] = "self-signed"
    running.start()
    yield running
    assert running.stop() == 0
    shutil.rmtree(directory, ignore_errors=True)


UPDATABLE = (
    "ClientName",
    "CallbackURLs",
    "LogoutURLs",
    "AllowedOAuthFlows",
    "AllowedOAuthFlowsUserPoolClient",
    "AllowedOAuthScopes",
    "SupportedIdentityProviders",
    "PreventUserExistenceErrors",
)
"""The members that the pages set; UpdateUserPoolClient takes back what it is not told."""
Begin = Callable[..., QuickStart]
"""Takes a page, a server, the port that the page names, the title of the block that starts its application, and the
installer of its packages where the page has several."""


@pytest.fixture(scope="module")
def begin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Begin]:
    """Do what a page says, up to its running application; once for all tests of a file."""
    begun: dict[tuple[str, str, str], QuickStart] = {}
    with ExitStack() as running:

        def once(
            page: str, server: RunningServer, port: str, title: str = "run", installer: str | None = None
        ) -> QuickStart:
            asked = (page, server.base_url, title)
            if asked not in begun:
                one = QuickStart(page, tmp_path_factory.mktemp(page.partition(".")[0]), server, port)
                one.prepare(installer)
                running.enter_context(one.running(title))
                begun[asked] = one
            return begun[asked]

        yield once


def opened(browser: Browser) -> Iterator[Tab]:
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    yield from opened(browser)


@pytest.fixture
def another_tab(browser: Browser) -> Iterator[Tab]:
    """In a browser of somebody else."""
    yield from opened(browser)


def sign_in(tab: Tab, server: RunningServer) -> None:
    """The demo's user, at the sign-in page."""
    user = server.demo["user"]
    expect(tab.locator("h1")).to_have_text("Sign in")
    tab.fill("#username", user["username"])
    tab.fill("#password", user["password"])
    tab.click("#sign-in")


@contextmanager
def rotating(admin: Any, server: RunningServer, client_id: str) -> Iterator[None]:
    """As long as the block lasts, the client gets a new refresh token with every refresh, and an old one ends them."""
    asked = {"UserPoolId": server.demo["pool_id"], "ClientId": client_id}
    described = admin.describe_user_pool_client(**asked)["UserPoolClient"]
    kept = {name: value for name, value in described.items() if name in UPDATABLE}
    rotation = {"Feature": "ENABLED", "RetryGracePeriodSeconds": 0}
    admin.update_user_pool_client(**asked, **{**kept, "RefreshTokenRotation": rotation, "ExplicitAuthFlows": []})
    try:
        yield
    finally:
        admin.update_user_pool_client(**asked, **kept)
