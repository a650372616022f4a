"""What a new password ends: in a pool that wants it, sessions and refresh tokens as well (pools.own_settings)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from app import errors
from app.accounts import administer, find, passwords
from app.env import Env, Origin
from app.models import Client, LoginSession, OutboxMessage
from app.pools import find as configuration
from app.pools import own_settings
from app.signin import browser, flow, granting
from app.signin.state import Ask, Granted
from app.tokens import codes, issue, refresh
from tests.build import CALLBACK, PASSWORD, a_client, a_pool, a_user
from tests.conftest import Clock

HERE = Origin(ip="192.0.2.1")
NEW = "Another-horse-8"
Act = Callable[[Env, Client], None]


def a_place(env: Env, preset: str) -> Client:
    pool = own_settings.configure(env, a_pool(env), own_settings.PRESETS[preset])
    client = a_client(env, pool)
    a_user(env, pool)
    return configuration.client(env, client.id)


def signed_in(env: Env, client: Client, password: str = PASSWORD) -> issue.Tokens:
    given = {"USERNAME": "alice", "PASSWORD": password}
    step = flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=HERE)
    assert isinstance(step, Granted)
    return granting.tokens(env, step)


def goes_on(env: Env, client: Client, tokens: issue.Tokens) -> bool:
    try:
        refresh.tokens(env, client, tokens.refresh or "", oauth=False, origin=HERE)
    except errors.RefreshTokenRefused:
        return False
    return True


def forgotten(env: Env, client: Client) -> None:
    passwords.forgot(env, client, username="alice", origin=HERE)
    with env.reading() as session:
        code = session.scalars(select(OutboxMessage.code).order_by(OutboxMessage.sent_at.desc())).first()
    passwords.confirm_forgot(env, client, username="alice", code=code or "", password=NEW)


def set_by_an_administrator(env: Env, client: Client) -> None:
    passwords.set_by_administrator(env, client.pool, username="alice", password=NEW, permanent=True)


def set_for_once(env: Env, client: Client) -> None:
    passwords.set_by_administrator(env, client.pool, username="alice", password=NEW, permanent=False)


def reset_by_an_administrator(env: Env, client: Client) -> None:
    passwords.reset_by_administrator(env, client.pool, username="alice")


def changed_elsewhere(env: Env, client: Client) -> None:
    alice = find.existing(env, client.pool, "alice").user
    passwords.change(env, client, alice, previous=PASSWORD, proposed=NEW)


WAYS = [forgotten, set_by_an_administrator, set_for_once, reset_by_an_administrator, changed_elsewhere]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("preset", "stays"), [("cognito-compatible", True), ("recommended", False)])
def test_whoever_signed_in_with_the_old_password_is_signed_out_where_the_pool_wants_it(
    env: Env, clock: Clock, preset: str, stays: bool, way: Act
) -> None:
    """A thief who has the password, or has had it, and a refresh token for a month."""
    client = a_place(env, preset)
    stolen = signed_in(env, client)
    clock.forward(seconds=1)
    way(env, client)
    assert goes_on(env, client, stolen) is stays


def test_who_changes_the_password_stays_signed_in_where_that_is_done_and_nowhere_else(env: Env, clock: Clock) -> None:
    client = a_place(env, "recommended")
    here, elsewhere = signed_in(env, client), signed_in(env, client)
    clock.forward(seconds=1)
    alice = find.existing(env, client.pool, "alice").user
    found = refresh.find(env, client, here.refresh or "")
    passwords.change(env, client, alice, previous=PASSWORD, proposed=NEW, asking=found.session)
    assert goes_on(env, client, here) and not goes_on(env, client, elsewhere)
    assert goes_on(env, client, signed_in(env, client, NEW))


def test_a_wrong_password_ends_nothing(env: Env) -> None:
    client = a_place(env, "recommended")
    tokens = signed_in(env, client)
    alice = find.existing(env, client.pool, "alice").user
    with pytest.raises(errors.NotAuthorized):
        passwords.change(env, client, alice, previous="Wrong-horse-7", proposed=NEW)
    assert goes_on(env, client, tokens)


def test_a_code_on_its_way_to_an_application_is_worth_nothing_either(env: Env, clock: Clock) -> None:
    client = a_place(env, "recommended")
    alice = find.existing(env, client.pool, "alice").user
    with env.transaction():
        code = codes.give(
            env,
            client,
            alice.sub,
            redirect_uri=CALLBACK,
            scope="openid",
            nonce=None,
            code_challenge=None,
            auth_time=env.now(),
            methods=["PASSWORD"],
            browser_session_id=None,
        )
    clock.forward(seconds=1)
    set_by_an_administrator(env, client)
    with pytest.raises(errors.InvalidGrant):
        codes.redeem(env, client, code=code, redirect_uri=CALLBACK, verifier=None, origin=HERE)


def test_the_sign_in_that_sets_the_new_password_is_not_ended_by_it(env: Env, clock: Clock) -> None:
    """With a clock that goes on between the answer and the commit, as real ones do."""
    client = a_place(env, "recommended")
    administer.create(env, client.pool, username="bob", attributes={}, temporary_password=PASSWORD, silent=True)
    given = {"USERNAME": "bob", "PASSWORD": PASSWORD}
    step = flow.begin(env, client, flow="HOSTED_PAGES", given=given, origin=HERE)
    assert isinstance(step, Ask) and step.challenge == "NEW_PASSWORD_REQUIRED"
    granted = flow.answer(
        env,
        client,
        challenge=step.challenge,
        session=step.handle,
        given={"USERNAME": "bob", "NEW_PASSWORD": NEW},
        origin=HERE,
        pages=True,
    )
    assert isinstance(granted, Granted)
    clock.forward(seconds=1)
    token = browser.open_session(env, granted)
    signed = browser.recognise(env, client.pool, token)
    assert signed is not None
    with env.transaction():
        code = codes.give(
            env,
            client,
            signed.user.sub,
            redirect_uri=CALLBACK,
            scope="openid",
            nonce=None,
            code_challenge=None,
            auth_time=signed.auth_time,
            methods=signed.methods,
            browser_session_id=signed.session_id,
        )
    assert codes.redeem(env, client, code=code, redirect_uri=CALLBACK, verifier=None, origin=HERE).access
    with env.reading() as session:
        assert all(row.revoked_at is None for row in session.scalars(select(LoginSession)))


def test_somebody_elses_sessions_are_left_alone(env: Env, clock: Clock) -> None:
    client = a_place(env, "recommended")
    a_user(env, client.pool, "bob", email="bob@example.com")
    given = {"USERNAME": "bob", "PASSWORD": PASSWORD}
    step: Any = flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=HERE)
    bobs = granting.tokens(env, step)
    clock.forward(seconds=1)
    set_by_an_administrator(env, client)
    assert goes_on(env, client, bobs)
