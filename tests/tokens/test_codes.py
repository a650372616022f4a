"""Authorization codes: given once, taken once, remembered."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app import errors
from app.env import Env, Origin
from app.models import AuthorizationCode, Client, LoginSession, User
from app.tokens import codes
from tests.build import CALLBACK, a_client, a_pool, a_user
from tests.conftest import Clock

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def client(env: Env) -> Client:
    return a_client(env, a_pool(env))


@pytest.fixture
def user(env: Env, client: Client) -> User:
    return a_user(env, client.pool)


def given(env: Env, client: Client, user: User, **changes: Any) -> str:
    usual = {
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "nonce": None,
        "code_challenge": CHALLENGE,
        "auth_time": env.now() - timedelta(minutes=5),
    }
    with env.transaction():
        return codes.give(env, client, user.sub, **{**usual, **changes}, methods=["PASSWORD"], browser_session_id=None)


def redeemed(env: Env, client: Client, code: str, **changes: Any) -> Any:
    return codes.redeem(
        env, client, **{"code": code, "redirect_uri": CALLBACK, "verifier": VERIFIER, **changes}, origin=Origin()
    )


def rows(env: Env, table: Any) -> list[Any]:
    with env.reading() as session:
        return list(session.scalars(select(table)))


def test_a_code_is_stored_hashed_and_cannot_be_guessed(env: Env, client: Client, user: User) -> None:
    """Requirement 27."""
    code = given(env, client, user)
    (row,) = rows(env, AuthorizationCode)
    assert len(code) == 43
    assert code not in {str(getattr(row, column)) for column in row.__table__.columns.keys()}


def test_redeeming_opens_a_session_of_that_sign_in(env: Env, client: Client, user: User) -> None:
    tokens = redeemed(env, client, given(env, client, user))
    assert (tokens.scope, tokens.expires_in) == ("openid", 3600)
    assert tokens.access and tokens.id and tokens.refresh
    (session,) = rows(env, LoginSession)
    (code,) = rows(env, AuthorizationCode)
    assert code.session_id == session.id
    assert code.used_at == env.now()
    assert session.auth_time == env.now() - timedelta(minutes=5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": None},
        {"verifier": None},
        {"verifier": "w" * 43},
        {"verifier": CHALLENGE},
    ],
)
def test_whoever_has_a_code_gets_one_guess(env: Env, client: Client, user: User, wrong: dict[str, Any]) -> None:
    code = given(env, client, user)
    for changes in (wrong, {}):
        with pytest.raises(errors.InvalidGrant):
            redeemed(env, client, code, **changes)
    assert rows(env, LoginSession) == []


def test_a_verifier_and_a_challenge_belong_together(env: Env, client: Client, user: User) -> None:
    """Requirement 4."""
    with pytest.raises(errors.InvalidGrant):
        redeemed(env, client, given(env, client, user, code_challenge=None))
    assert redeemed(env, client, given(env, client, user, code_challenge=None), verifier=None).access


def test_a_second_use_ends_the_session_of_the_first(env: Env, client: Client, user: User) -> None:
    """Requirement 6: the refusal is kept, and with it what it changed."""
    code, other = given(env, client, user), given(env, client, user)
    redeemed(env, client, code)
    redeemed(env, client, other)
    with pytest.raises(errors.InvalidGrant):
        redeemed(env, client, code)
    assert sorted(session.revoked_at is not None for session in rows(env, LoginSession)) == [False, True]


def test_a_second_use_by_another_client_ends_nothing(env: Env, client: Client, user: User) -> None:
    code = given(env, client, user)
    redeemed(env, client, code)
    with pytest.raises(errors.InvalidGrant):
        redeemed(env, a_client(env, client.pool), code)
    assert [session.revoked_at for session in rows(env, LoginSession)] == [None]


def test_a_code_of_another_client_is_used_up_by_the_attempt(env: Env, client: Client, user: User) -> None:
    code = given(env, client, user)
    for who in (a_client(env, client.pool), client):
        with pytest.raises(errors.InvalidGrant):
            redeemed(env, who, code)


def test_a_code_lives_a_minute(env: Env, client: Client, user: User, clock: Clock) -> None:
    """Requirement 7, counted from when it was given, not from the sign-in."""
    early, late = given(env, client, user), given(env, client, user)
    clock.forward(seconds=59.999)
    assert redeemed(env, client, early).access
    clock.forward(seconds=0.001)
    with pytest.raises(errors.InvalidGrant):
        redeemed(env, client, late)


def test_the_address_of_the_browser_travels_with_the_code(env: Env, client: Client, user: User) -> None:
    """Whoever redeems it may be a server of the client: its address is nobody's home (accounts.known)."""
    browser, server = Origin("203.0.113.7", "Firefox/130.0"), Origin("10.0.0.1", "python-requests")
    for given_with, expected in ((browser, browser), (None, server)):  # None: a code of a version before
        code = given(env, client, user, browser=given_with)
        codes.redeem(env, client, code=code, redirect_uri=CALLBACK, verifier=VERIFIER, origin=server)
        newest = max(rows(env, LoginSession), key=lambda one: one.ip == expected.ip)
        assert (newest.ip, newest.user_agent) == (expected.ip, expected.user_agent)
