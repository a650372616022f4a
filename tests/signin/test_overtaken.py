"""What a sign-in rests on is changed while it waits for the user's row: it must see the change, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app import errors
from app.accounts import credentials, find, passwords
from app.env import Env, Origin
from app.models import Client, User
from app.signin import browser, flow, granting, recovery
from app.signin.state import Granted
from app.tokens import codes, refresh, revoke
from tests.build import CALLBACK, PASSWORD, a_client, a_pool, a_user, recovery_codes_left
from tests.conftest import Clock
from tests.parallel import overtaken
from tests.signin.test_srp import Device as Srp

NEW = "Another-horse-8"


@pytest.fixture
def client(env: Env) -> Client:
    return a_client(env, a_pool(env))


@pytest.fixture
def alice(env: Env, client: Client) -> User:
    return a_user(env, client.pool)


def granted(step: Any) -> Granted:
    assert isinstance(step, Granted), step
    return step


def by_password(env: Env, client: Client) -> Granted:
    given = {"USERNAME": "alice", "PASSWORD": PASSWORD}
    return granted(flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin()))


def by_srp(env: Env, client: Client) -> Granted:
    device = Srp(client, "alice")
    asked = flow.begin(env, client, flow="USER_SRP_AUTH", given=device.first(), origin=Origin())
    given = {"USERNAME": "alice", **device.second(asked.params, env.now())}
    return granted(flow.answer(env, client, challenge="PASSWORD_VERIFIER", session=None, given=given, origin=Origin()))


def at_the_pages(env: Env, client: Client) -> Granted:
    given = {"USERNAME": "alice", "PASSWORD": PASSWORD}
    return granted(flow.begin(env, client, flow="HOSTED_PAGES", given=given, origin=Origin()))


def changing(env: Env, client: Client, alice: User) -> Callable[[], None]:
    prepared = credentials.prepare(env, client.pool, sub=alice.sub, username=alice.username, password=NEW)
    return lambda: passwords.replace(env, client.pool, find.locked(env, alice.sub), prepared)


@pytest.mark.parametrize("way", [by_password, by_srp, at_the_pages])
def test_the_old_password_opens_nothing_once_another_has_replaced_it(
    app: Flask, env: Env, client: Client, alice: User, way: Callable[[Env, Client], Granted]
) -> None:
    step = way(env, client)
    opens = browser.open_session if way is at_the_pages else granting.tokens
    outcome = overtaken(app, lambda: opens(env, step), by=changing(env, client, alice))
    assert isinstance(outcome, errors.NotAuthorized)


def test_neither_does_a_password_that_replaced_another_once_a_third_has(
    app: Flask, env: Env, client: Client, alice: User
) -> None:
    passwords.set_by_administrator(env, client.pool, username="alice", password=PASSWORD, permanent=True)
    step = by_password(env, client)
    outcome = overtaken(app, lambda: granting.tokens(env, step), by=changing(env, client, alice))
    assert isinstance(outcome, errors.NotAuthorized)


def test_another_change_of_the_user_stops_no_sign_in(app: Flask, env: Env, client: Client, alice: User) -> None:
    step = by_password(env, client)

    def rename() -> None:
        find.locked(env, alice.sub).preferred_username = "al"

    assert overtaken(app, lambda: granting.tokens(env, step), by=rename).access


def test_somebody_who_is_disabled_meanwhile_is_told_so(app: Flask, env: Env, client: Client, alice: User) -> None:
    step = by_password(env, client)

    def disable() -> None:
        find.locked(env, alice.sub).enabled = False

    assert isinstance(overtaken(app, lambda: granting.tokens(env, step), by=disable), errors.UserDisabled)


# -- other acts that look at a locked row again -----------------------------------------------------------------


def test_a_password_is_not_changed_for_one_that_was_right_a_moment_ago(
    app: Flask, env: Env, client: Client, alice: User
) -> None:
    def change() -> None:
        passwords.change(env, client, alice, previous=PASSWORD, proposed="Third-horse-9")

    assert isinstance(overtaken(app, change, by=changing(env, client, alice)), errors.NotAuthorized)


def test_nor_are_recovery_codes_made_for_it(app: Flask, env: Env, client: Client, alice: User) -> None:
    signed_in = browser.SignedIn(alice, env.now(), ("PASSWORD", "SOFTWARE_TOKEN_MFA"), "session", client.id)

    def renew() -> list[str]:
        return recovery.renew(env, client.pool, signed_in, password=PASSWORD, origin=Origin())

    assert isinstance(overtaken(app, renew, by=changing(env, client, alice)), errors.NotAuthorized)
    assert recovery_codes_left(env, alice) == 0


def test_a_code_gives_nothing_once_its_user_is_signed_out_everywhere(
    app: Flask, env: Env, client: Client, alice: User, clock: Clock
) -> None:
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

    def redeem() -> Any:
        return codes.redeem(env, client, code=code, redirect_uri=CALLBACK, verifier=None, origin=Origin())

    def sign_out() -> None:
        revoke.everything_of(env, find.locked(env, alice.sub))

    assert isinstance(overtaken(app, redeem, by=sign_out), errors.InvalidGrant)


def test_a_refresh_gives_nothing_once_the_session_has_ended(app: Flask, env: Env, client: Client, alice: User) -> None:
    rotating = a_client(
        env,
        client.pool,
        explicit_auth_flows=["ALLOW_USER_PASSWORD_AUTH"],
        refresh_token_rotation={"feature": "ENABLED", "retry_grace_period_seconds": 30},
    )
    token = granting.tokens(env, by_password(env, rotating)).refresh or ""
    found = refresh.find(env, rotating, token)

    def renew() -> Any:
        return refresh.renewed(env, rotating, found, oauth=False, origin=Origin())

    outcome = overtaken(app, renew, by=lambda: revoke.session(env, found.session.id))
    assert isinstance(outcome, errors.RefreshTokenRefused)
