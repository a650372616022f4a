"""Tokens for a refresh token."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
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


ROTATION = {"refresh_token_rotation": {"feature": "ENABLED", "retry_grace_period_seconds": 10}}


@pytest.fixture(params=[False, True], ids=["public", "confidential"])
def rotating(request: pytest.FixtureRequest, env: Env, http: FlaskClient) -> RelyingParty:
    """A client whose refresh tokens rotate (requirement 18)."""
    return RelyingParty.of_new_pool(env, http, secret=request.param, explicit_auth_flows=[], **ROTATION)


def test_a_client_whose_tokens_rotate_gets_the_next_one(rotating: RelyingParty, clock: Clock) -> None:
    rotating.user_signs_in()
    first = rotating.tokens()
    clock.forward(hours=2)
    second = rotating.refresh(first["refresh_token"]).json
    assert list(second) == ["access_token", "token_type", "expires_in", "id_token", "refresh_token", "scope"]
    assert second["refresh_token"] != first["refresh_token"]
    before, after = rotating.verified(first["id_token"]), rotating.verified(second["id_token"])
    for kept in ("sub", "aud", "auth_time", "origin_jti", "event_id"):
        assert before[kept] == after[kept]
    assert rotating.refresh(first["refresh_token"]).json["refresh_token"] == second["refresh_token"], "once more"
    assert rotating.refresh(second["refresh_token"]).status_code == 200


def test_a_token_that_comes_back_ends_what_came_of_it(rotating: RelyingParty, clock: Clock) -> None:
    """Requirement 19."""
    rotating.user_signs_in()
    first = rotating.tokens()["refresh_token"]
    second = rotating.refresh(first).json
    clock.forward(seconds=10)
    assert error(rotating.refresh(first)) == "invalid_grant"
    assert error(rotating.refresh(second["refresh_token"])) == "invalid_grant"
    assert rotating.userinfo(second["access_token"]).status_code == 401


def test_a_request_that_is_executed_late_is_refused_and_the_session_goes_on(
    rotating: RelyingParty, clock: Clock
) -> None:
    rotating.user_signs_in()
    first = rotating.tokens()["refresh_token"]
    second = rotating.refresh(first).json
    third = rotating.refresh(second["refresh_token"]).json
    clock.forward(seconds=9)
    late = rotating.refresh(first)
    assert error(late) == "invalid_grant" and "token" not in late.json
    assert rotating.userinfo(third["access_token"]).status_code == 200
    assert rotating.refresh(third["refresh_token"]).status_code == 200


def test_who_does_not_prove_to_be_the_client_moves_nothing_on_and_ends_nothing(
    env: Env, http: FlaskClient, clock: Clock
) -> None:
    party = RelyingParty.of_new_pool(env, http, secret=True, explicit_auth_flows=[], **ROTATION)
    party.user_signs_in()
    first = party.tokens()["refresh_token"]
    second = party.refresh(first).json["refresh_token"]
    clock.forward(minutes=1)
    thief = RelyingParty(env, http, party.pool, party.client, "x" * 52)
    for token in (first, second):
        assert error(thief.refresh(token), 401) == "invalid_client"
    assert party.refresh(second).status_code == 200


def test_rotation_that_is_switched_on_and_off_loses_nobody(env: Env, relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    token = relying_party.tokens()["refresh_token"]
    client = find.client(env, relying_party.client.id)
    settings = {name: value for name, value in client.settings.items() if name != "explicit_auth_flows"}
    app_clients.update(env, client, name=None, settings={**settings, **ROTATION})
    successor = relying_party.refresh(token).json["refresh_token"]
    app_clients.update(env, client, name=None, settings=settings)
    assert relying_party.refresh(successor).status_code == 200
