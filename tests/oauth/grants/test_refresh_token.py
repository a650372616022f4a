"""Tokens for a refresh token."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from app.env import Env
from app.models import User
from app.pools import app_clients, find
from tests import build
from tests.conftest import Clock
from tests.oauth.relying_party import RelyingParty, error


def test_the_next_tokens_are_of_the_same_sign_in(relying_party: RelyingParty, clock: Clock) -> None:
    """No refresh token comes back, and no nonce (OpenID Connect Core, 12.2); `auth_time` stays (reference 6.4)."""
    relying_party.user_signs_in()
    clock.forward(seconds=30)
    first = relying_party.tokens()
    clock.forward(hours=2)
    response = relying_party.refresh(first["refresh_token"])
    assert response.headers["Cache-Control"] == "no-store"
    second = response.json
    assert list(second) == ["access_token", "token_type", "expires_in", "id_token", "scope"]
    for name in ("access_token", "id_token"):
        before, after = relying_party.verified(first[name]), relying_party.verified(second[name])
        changed = {claim for claim in before if before.get(claim) != after.get(claim)}
        assert changed == {"iat", "exp", "jti"} | ({"nonce", "at_hash"} if name == "id_token" else set())
        assert "nonce" not in after
    assert relying_party.userinfo(second["access_token"]).status_code == 200


def test_it_works_again_and_again_until_it_has_expired(relying_party: RelyingParty, clock: Clock) -> None:
    relying_party.user_signs_in()
    token = relying_party.tokens()["refresh_token"]
    for _ in range(3):
        assert relying_party.refresh(token).status_code == 200
    clock.forward(days=30)
    assert error(relying_party.refresh(token)) == "invalid_grant"


@pytest.mark.parametrize("scope", ["openid", "openid email profile", "nope", ""])
def test_the_scope_is_what_was_granted_whatever_is_asked(relying_party: RelyingParty, scope: str) -> None:
    """Reference 7.4; and the answer says so."""
    relying_party.user_signs_in()
    token = relying_party.tokens(scope="openid email")["refresh_token"]
    answer = relying_party.refresh(token, scope=scope).json
    assert answer["scope"] == relying_party.verified(answer["access_token"])["scope"] == "openid email"


def test_a_token_of_another_client_is_refused_like_an_unknown_one(env: Env, relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    token = relying_party.tokens()["refresh_token"]
    thief = RelyingParty.of(env, relying_party.http, build.a_client(env, relying_party.pool))
    foreign, unknown = thief.refresh(token), thief.refresh("unknown")
    assert error(foreign) == "invalid_grant"
    assert foreign.data == unknown.data
    assert relying_party.refresh(token).status_code == 200


def test_what_is_no_refresh_token_is_refused(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    tokens = relying_party.tokens()
    for wrong in ("x", "a\0b", "ключ", "x" * 10_000, tokens["access_token"], tokens["id_token"]):
        assert error(relying_party.refresh(wrong)) == "invalid_grant"
    assert error(relying_party.refresh("")) == "invalid_request"


def test_a_token_of_a_disabled_user_is_refused(env: Env, relying_party: RelyingParty) -> None:
    user = relying_party.user_signs_in()
    token = relying_party.tokens()["refresh_token"]
    with env.transaction():
        env.db.execute(update(User).where(User.sub == user.sub).values(enabled=False))
    assert error(relying_party.refresh(token)) == "invalid_grant"


def test_a_token_in_another_pool_is_refused(env: Env, relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    token = relying_party.tokens()["refresh_token"]
    elsewhere = RelyingParty.of_new_pool(env, relying_party.http)
    assert error(elsewhere.refresh(token)) == "invalid_grant"
    client = {"grant_type": "refresh_token", "refresh_token": token, "client_id": relying_party.client.id}
    assert error(relying_party.http.post(f"/{elsewhere.pool.id}/oauth2/token", data=client)) == "invalid_client"


def test_a_client_whose_tokens_rotate_gets_none_that_stay(env: Env, relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    token = relying_party.tokens()["refresh_token"]
    client = find.client(env, relying_party.client.id)
    settings = {name: value for name, value in client.settings.items() if name != "explicit_auth_flows"}
    rotating = {"refresh_token_rotation": {"feature": "ENABLED"}}
    app_clients.update(env, client, name=None, settings={**settings, **rotating})
    assert error(relying_party.refresh(token)) == "invalid_grant"
    app_clients.update(env, client, name=None, settings=settings)
    assert relying_party.refresh(token).status_code == 200
