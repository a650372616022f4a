"""The userInfo endpoint: who gets an answer, and what it says."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from sqlalchemy import update

from app.env import Env, Origin
from app.models import User
from app.signin import flow, granting
from app.signin.state import Granted
from app.tokens import keys, revoke
from tests import build
from tests.conftest import Clock
from tests.oauth.relying_party import RelyingParty, error


def test_the_answer_is_cognitos_with_strings_throughout(env: Env, relying_party: RelyingParty) -> None:
    """Reference 7.5."""
    user = relying_party.user_signs_in(build.a_user(env, relying_party.pool, given_name="Alice"))
    response = relying_party.userinfo(relying_party.tokens(scope="openid email profile")["access_token"])
    assert response.json == {
        "sub": user.sub,
        "email": "alice@example.com",
        "email_verified": "true",
        "given_name": "Alice",
        "username": "alice",
    }
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        ("openid email", {"email", "email_verified"}),
        ("openid profile", {"given_name"}),
        ("openid", {"email", "email_verified", "given_name"}),
    ],
)
def test_attributes_come_by_scope(env: Env, relying_party: RelyingParty, scope: str, names: set[str]) -> None:
    relying_party.user_signs_in(build.a_user(env, relying_party.pool, given_name="Alice"))
    found = relying_party.userinfo(relying_party.tokens(scope=scope)["access_token"]).json
    assert set(found) == {"sub", "username"} | names


def test_an_address_of_which_nothing_is_known_has_no_flag_in_any_answer(env: Env, relying_party: RelyingParty) -> None:
    """Neither in the ID token nor at userInfo."""
    client = build.a_client(env, relying_party.pool, allowed_oauth_scopes=["openid", "phone"])
    party = RelyingParty.of(env, relying_party.http, client)
    party.user_signs_in(build.a_user(env, party.pool, phone_number="+15555550100"))
    tokens = party.tokens(scope="openid phone")
    told = party.verified(tokens["id_token"])
    assert told["phone_number"] == "+15555550100" and "phone_number_verified" not in told
    found = party.userinfo(tokens["access_token"]).json
    assert set(found) == {"sub", "username", "phone_number"}


def test_attributes_that_the_client_may_not_read_do_not_come(env: Env, relying_party: RelyingParty) -> None:
    client = build.a_client(env, relying_party.pool, read_attributes=["email"])
    party = RelyingParty.of(env, relying_party.http, client)
    party.user_signs_in(build.a_user(env, party.pool, given_name="Alice"))
    assert set(party.userinfo(party.tokens(scope="openid")["access_token"]).json) == {"sub", "username", "email"}


def test_the_token_comes_in_the_header_or_in_a_form_but_not_in_the_url(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    token = relying_party.tokens()["access_token"]
    path, http = f"/{relying_party.pool.id}/oauth2/userInfo", relying_party.http
    header = {"Authorization": f"bearer {token}"}
    assert http.get(path, headers=header).status_code == 200
    assert http.post(path, headers=header, data={}).status_code == 200
    assert http.post(path, headers=header).status_code == 200
    assert http.post(path, data={"access_token": token}).status_code == 200
    assert http.get(path, query_string={"access_token": token}).status_code == 401
    assert http.post(path, json={"access_token": token}).status_code == 401


def test_two_tokens_are_one_too_many(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    token = relying_party.tokens()["access_token"]
    path, header = f"/{relying_party.pool.id}/oauth2/userInfo", {"Authorization": f"Bearer {token}"}
    for response in (
        relying_party.http.post(path, headers=header, data={"access_token": token}),
        relying_party.http.post(path, data={"access_token": [token, token]}),
    ):
        assert error(response) == "invalid_request"
        assert response.headers["WWW-Authenticate"] == (
            'Bearer error="invalid_request", error_description="Bad OAuth2 request at UserInfo Endpoint"'
        )


def test_who_brings_no_token_is_told_how(relying_party: RelyingParty) -> None:
    """RFC 6750, 3.1."""
    response = relying_party.http.get(f"/{relying_party.pool.id}/oauth2/userInfo")
    assert error(response, 401) == "invalid_request"
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic eDp5", "Token x", "Bearer\tx"])
def test_a_header_that_is_no_bearer_is_a_bad_request(relying_party: RelyingParty, header: str) -> None:
    response = relying_party.http.get(f"/{relying_party.pool.id}/oauth2/userInfo", headers={"Authorization": header})
    assert error(response) == "invalid_request"


def refused(relying_party: RelyingParty, token: str) -> None:
    response = relying_party.userinfo(token)
    assert error(response, 401) == "invalid_token"
    assert response.json["error_description"] == (
        "Access token is expired, disabled, or deleted, or the user has globally signed out."
    )
    assert response.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token", error_description="Access')


def test_a_token_that_has_ended_is_refused(relying_party: RelyingParty, clock: Clock) -> None:
    relying_party.user_signs_in()
    token = relying_party.tokens()["access_token"]
    clock.forward(hours=1)
    refused(relying_party, token)


def test_a_token_that_was_revoked_is_refused(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    tokens = relying_party.tokens()
    assert relying_party.revoke(tokens["refresh_token"]).status_code == 200
    refused(relying_party, tokens["access_token"])


def test_a_token_of_a_user_who_signed_out_everywhere_is_refused(env: Env, relying_party: RelyingParty) -> None:
    user = relying_party.user_signs_in()
    token = relying_party.tokens()["access_token"]
    with env.transaction():
        revoke.everything_of(env, user)
    refused(relying_party, token)


def test_a_token_of_a_disabled_user_is_refused(env: Env, relying_party: RelyingParty) -> None:
    user = relying_party.user_signs_in()
    token = relying_party.tokens()["access_token"]
    with env.transaction():
        env.db.execute(update(User).where(User.sub == user.sub).values(enabled=False))
    refused(relying_party, token)


def test_a_token_of_a_user_who_was_deleted_is_refused(env: Env, relying_party: RelyingParty) -> None:
    user = relying_party.user_signs_in()
    token = relying_party.tokens()["access_token"]
    with env.transaction():
        row = env.db.get(User, user.sub)
        env.db.delete(row)
    refused(relying_party, token)


def test_an_id_token_is_no_access_token(relying_party: RelyingParty) -> None:
    """Requirement 25."""
    relying_party.user_signs_in()
    refused(relying_party, relying_party.tokens()["id_token"])


def test_a_token_of_another_pool_is_refused(env: Env, relying_party: RelyingParty) -> None:
    elsewhere = RelyingParty.of_new_pool(env, relying_party.http)
    elsewhere.user_signs_in()
    token = elsewhere.tokens()["access_token"]
    assert elsewhere.userinfo(token).status_code == 200
    refused(relying_party, token)


def test_a_token_of_the_api_is_refused(env: Env, relying_party: RelyingParty) -> None:
    """It has no scope `openid` (reference 7.5)."""
    build.a_user(env, relying_party.pool)
    given = {"USERNAME": "alice", "PASSWORD": build.PASSWORD}
    step = flow.begin(env, relying_party.client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin())
    assert isinstance(step, Granted)
    response = relying_party.userinfo(granting.tokens(env, step).access)
    assert error(response, 401) == "invalid_token"
    assert response.json["error_description"] == "Access token does not contain openid scope"


def forgeries(env: Env, party: RelyingParty, token: str) -> dict[str, str]:
    """Tokens that say what a good one says, or more, and that are not ours."""
    head, payload, signature = token.split(".")
    header: dict[str, Any] = json.loads(base64.urlsafe_b64decode(head + "=="))
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))

    def encoded(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    own = RSAKey.generate_key(2048)
    public = next(key for key in json.loads(keys.of(env, party.pool).jwks)["keys"] if key["kid"] == header["kid"])
    identity = next(key for key in json.loads(keys.of(env, party.pool).jwks)["keys"] if key["kid"] != header["kid"])
    return {
        "signature changed": f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}",
        "signature gone": f"{head}.{payload}.",
        "payload changed": f"{head}.{encoded({**claims, 'username': 'root'})}.{signature}",
        "alg none": f"{encoded({'alg': 'none', 'kid': header['kid']})}.{payload}.",
        "alg None": f"{encoded({'alg': 'None', 'kid': header['kid']})}.{payload}.{signature}",
        "HS256 with the public key": f"{encoded({**header, 'alg': 'HS256'})}.{payload}.{signature}",
        "another kid": f"{encoded({**header, 'kid': identity['kid']})}.{payload}.{signature}",
        "no kid": f"{encoded({'alg': 'RS256'})}.{payload}.{signature}",
        "a key of its own": jwt.encode({**header, "jwk": own.as_dict(private=False)}, claims, own, ["RS256"]),
        "a key from an address": jwt.encode({**header, "jku": "https://evil.example/jwks"}, claims, own, ["RS256"]),
        "a critical extension": f"{encoded({**header, 'crit': ['x'], 'x': 1})}.{payload}.{signature}",
        "another issuer": f"{head}.{encoded({**claims, 'iss': 'https://evil.example/x'})}.{signature}",
        "an issuer that is a number": f"{head}.{encoded({**claims, 'iss': 7})}.{signature}",
        "two parts": f"{head}.{payload}",
        "four parts": f"{token}.x",
        "padding": f"{head}=.{payload}.{signature}",
        "words": "not.a.token",
        "nothing much": "x",
        "dots": "..",
        "the public key": json.dumps(public),
        "not ASCII": "ключ.ключ.ключ",
    }


def test_forged_tokens_are_refused(env: Env, relying_party: RelyingParty) -> None:
    """Requirement 24."""
    relying_party.user_signs_in()
    token = relying_party.tokens()["access_token"]
    for name, forged in forgeries(env, relying_party, token).items():
        response = relying_party.http.post(f"/{relying_party.pool.id}/oauth2/userInfo", data={"access_token": forged})
        assert response.status_code == 401, name
        assert response.json["error"] == "invalid_token", name
    assert relying_party.userinfo(token).status_code == 200
