"""The browser's own session."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from app import errors
from app.accounts import administer, passwords
from app.env import Env, Origin
from app.models import BrowserSession, User
from app.pools import app_clients, find
from app.signin import browser, flow
from app.tokens import revoke
from tests.build import PASSWORD, a_client, a_pool, a_user
from tests.conftest import Clock


def signed_in(env: Env, client: Any) -> flow.Granted:
    granted = flow.begin(
        env, client, flow="HOSTED_PAGES", given={"USERNAME": "alice", "PASSWORD": PASSWORD}, origin=Origin()
    )
    assert isinstance(granted, flow.Granted)
    return granted


@pytest.fixture
def client(env: Env) -> Any:
    client = a_client(env, a_pool(env))
    a_user(env, client.pool)
    return client


def test_it_recognises_who_signed_in_and_when_for_an_hour(env: Env, client: Any, clock: Clock) -> None:
    token = browser.open_session(env, signed_in(env, client))
    at = clock()
    clock.forward(minutes=59)
    found = browser.recognise(env, client.pool, token)
    assert found and (found.user.username, found.auth_time) == ("alice", at)
    clock.forward(minutes=1)
    assert browser.recognise(env, client.pool, token) is None


@pytest.mark.parametrize(("minutes", "seconds"), [(5, 300), (129600, 129600 * 60), (0, 60)])
def test_it_lives_as_long_as_the_client_says(env: Env, client: Any, clock: Clock, minutes: int, seconds: int) -> None:
    """With none at all, the page can still send the browser back to where it was asked to sign in."""
    app_clients.set_session(env, client, longest=minutes)
    token = browser.open_session(env, signed_in(env, find.client(env, client.id)))
    clock.forward(seconds=seconds - 1)
    assert browser.recognise(env, client.pool, token)
    clock.forward(seconds=1)
    assert browser.recognise(env, client.pool, token) is None


def test_each_client_uses_it_as_long_as_it_says_itself(env: Env, client: Any, clock: Clock) -> None:
    """Who asks for nothing but fresh sign-ins gets no tokens out of one that another client allows for a day."""
    app_clients.set_session(env, client, longest=60 * 24)
    bank, shop = a_client(env, client.pool), a_client(env, client.pool)
    app_clients.set_session(env, bank, longest=0)
    app_clients.set_session(env, shop, longest=1)
    opened = browser.open_session(env, signed_in(env, find.client(env, client.id)))

    def served(token: str) -> list[bool]:
        found = browser.recognise(env, client.pool, token)
        assert found
        return [browser.serves(env, find.client(env, one.id), found) for one in (client, bank, shop)]

    assert served(opened) == [True, False, True]
    clock.forward(minutes=1)
    assert served(opened) == [True, False, False]
    own = browser.open_session(env, signed_in(env, find.client(env, bank.id)))
    clock.forward(seconds=59)
    assert served(own) == [True, True, True]


def test_the_cookie_is_new_at_every_sign_in_and_the_old_one_dies(env: Env, client: Any) -> None:
    planted = "a-value-that-an-attacker-chose"
    first = browser.open_session(env, signed_in(env, client), replacing=planted)
    second = browser.open_session(env, signed_in(env, client), replacing=first)
    assert len({planted, first, second}) == 3
    assert browser.recognise(env, client.pool, planted) is None
    assert browser.recognise(env, client.pool, first) is None
    assert browser.recognise(env, client.pool, second)


def test_it_is_stored_hashed_and_of_one_pool(env: Env, client: Any) -> None:
    token = browser.open_session(env, signed_in(env, client))
    with env.reading() as session:
        assert session.scalars(select(BrowserSession)).one().digest != token
    assert browser.recognise(env, a_pool(env), token) is None
    assert browser.recognise(env, client.pool, token + "x") is None


@pytest.mark.parametrize("end", ["close", "disable", "sign out everywhere", "delete"])
def test_it_ends_at_once(env: Env, client: Any, end: str) -> None:
    token = browser.open_session(env, signed_in(env, client))
    if end == "close":
        browser.close(env, token)
    else:
        with env.transaction():
            user = env.db.scalars(select(User)).one()
            if end == "disable":
                user.enabled = False
            elif end == "delete":
                env.db.delete(user)
            else:
                revoke.everything_of(env, user)
    assert browser.recognise(env, client.pool, token) is None


def test_without_a_cookie_nothing_is_asked(env: Env, client: Any, statements: Callable[[], list[str]]) -> None:
    statements()
    assert browser.recognise(env, client.pool, None) is None
    browser.close(env, None)
    assert statements() == []


@pytest.mark.parametrize(
    ("meanwhile", "refusal"), [("disabled", errors.UserDisabled), ("password", errors.NotAuthorized)]
)
def test_what_changed_meanwhile_opens_no_session(
    env: Env, client: Any, meanwhile: str, refusal: type[errors.Refusal]
) -> None:
    granted = signed_in(env, client)
    if meanwhile == "disabled":
        administer.disable(env, client.pool, username="alice")
    else:
        passwords.set_by_administrator(env, client.pool, username="alice", password="Another-horse-8", permanent=True)
    with pytest.raises(refusal):
        browser.open_session(env, granted)
    with env.reading() as session:
        assert session.scalars(select(BrowserSession)).all() == []
