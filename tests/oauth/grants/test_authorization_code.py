"""Tokens for a code, and everything that must not get them."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections import Counter
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, update

from app.env import Env
from app.models import User
from app.tokens import keys
from tests import build
from tests.conftest import START, Clock
from tests.oauth.conftest import Network
from tests.oauth.relying_party import VERIFIER, RelyingParty, error, s256

NOW = int(START.timestamp())


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_the_tokens_are_cognitos_and_verify_with_the_published_keys(
    env: Env, http: FlaskClient, clock: Clock, algorithm: str
) -> None:
    """Reference 6.2, 6.3, 7.4; every claim, by a library that is not ours."""
    party = RelyingParty.of_new_pool(env, http, secret=True, algorithm=algorithm)
    user = party.user_signs_in(build.a_user(env, party.pool, given_name="Alice"))
    clock.forward(minutes=50)
    body = party.tokens(scope="openid email profile")

    assert list(body) == ["access_token", "token_type", "expires_in", "id_token", "refresh_token", "scope"]
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, "openid email profile")
    access, identity = party.verified(body["access_token"]), party.verified(body["id_token"])
    later = NOW + 50 * 60
    shared = {
        "sub": user.sub,
        "iss": party.issuer,
        "auth_time": NOW,
        "iat": later,
        "exp": later + 3600,
        "event_id": access["event_id"],
        "origin_jti": access["origin_jti"],
    }
    assert access == {
        **shared,
        "version": 2,
        "client_id": party.client.id,
        "token_use": "access",
        "scope": "openid email profile",
        "jti": access["jti"],
        "username": "alice",
    }
    assert identity == {
        **shared,
        "at_hash": at_hash(body["access_token"], algorithm),
        "aud": party.client.id,
        "cognito:username": "alice",
        "email": "alice@example.com",
        "email_verified": True,
        "given_name": "Alice",
        "nonce": "a-nonce",
        "token_use": "id",
        "jti": identity["jti"],
    }
    assert access["jti"] != identity["jti"]


def at_hash(token: str, algorithm: str) -> str:
    """OpenID Connect Core, 3.1.3.6."""
    digest = hashlib.new("sha512" if algorithm == "EdDSA" else "sha256", token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def test_without_openid_there_is_no_id_token(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    assert "id_token" not in relying_party.tokens(scope="aws.cognito.signin.user.admin")


def test_without_a_nonce_there_is_none(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    tokens = relying_party.tokens(nonce=None)
    assert "nonce" not in relying_party.verified(tokens["id_token"])


def test_each_kind_of_token_has_one_key(env: Env, relying_party: RelyingParty) -> None:
    """joserfc given a set of keys signs with a random one; after a rotation a pool has four."""
    keys.rotate(env, relying_party.pool)
    relying_party.user_signs_in()
    signed: dict[str, set[str]] = {"access_token": set(), "id_token": set()}
    for _ in range(8):
        for name, value in relying_party.tokens().items():
            if name in signed:
                signed[name].add(value.split(".")[0])
    assert [len(heads) for heads in signed.values()] == [1, 1]
    assert signed["access_token"] != signed["id_token"]


def test_a_sign_in_of_an_hour_ago_makes_a_fresh_code(relying_party: RelyingParty, clock: Clock) -> None:
    """Authlib's mixin counts a code's life from `auth_time`."""
    relying_party.user_signs_in()
    clock.forward(minutes=59)
    assert relying_party.redeem(relying_party.code()).status_code == 200


@pytest.mark.parametrize("name", ["code", "redirect_uri"])
def test_what_is_missing_is_said_and_the_code_stays_good(relying_party: RelyingParty, name: str) -> None:
    relying_party.user_signs_in()
    code = relying_party.code()
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": build.CALLBACK}
    for wrong in ({**form, name: ""}, {key: value for key, value in form.items() if key != name}):
        assert error(relying_party.post("/oauth2/token", wrong)) == "invalid_request"
    assert relying_party.redeem(code).status_code == 200


def test_a_code_that_was_never_given_is_refused(relying_party: RelyingParty) -> None:
    for code in ("x", "x" * 5000, "a\0b", "код", "' OR 1=1 --"):
        assert error(relying_party.redeem(code)) == "invalid_grant"


def test_a_second_use_is_refused_and_ends_what_came_of_the_first(relying_party: RelyingParty) -> None:
    """Requirement 6."""
    relying_party.user_signs_in()
    code = relying_party.code()
    tokens = relying_party.redeem(code).json
    assert relying_party.userinfo(tokens["access_token"]).status_code == 200
    assert error(relying_party.redeem(code)) == "invalid_grant"
    assert error(relying_party.userinfo(tokens["access_token"]), 401) == "invalid_token"
    assert error(relying_party.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_a_second_use_ends_it_whatever_else_is_wrong_with_it(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    code = relying_party.code()
    tokens = relying_party.redeem(code).json
    assert (
        error(relying_party.redeem(code, code_verifier=None, redirect_uri="https://other.example")) == "invalid_grant"
    )
    assert error(relying_party.userinfo(tokens["access_token"]), 401) == "invalid_token"


def test_a_second_use_is_noticed_for_a_day(relying_party: RelyingParty, clock: Clock) -> None:
    relying_party.user_signs_in()
    code = relying_party.code()
    tokens = relying_party.redeem(code).json
    clock.forward(minutes=30)
    assert error(relying_party.redeem(code)) == "invalid_grant"
    assert error(relying_party.userinfo(tokens["access_token"]), 401) == "invalid_token"


def test_a_code_of_another_client_is_refused(env: Env, relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    code = relying_party.code()
    thief = RelyingParty.of(env, relying_party.http, build.a_client(env, relying_party.pool))
    assert error(thief.redeem(code)) == "invalid_grant"


def test_another_client_cannot_end_what_came_of_a_code(env: Env, relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    code = relying_party.code()
    tokens = relying_party.redeem(code).json
    other = RelyingParty.of(env, relying_party.http, build.a_client(env, relying_party.pool))
    assert error(other.redeem(code)) == "invalid_grant"
    assert relying_party.userinfo(tokens["access_token"]).status_code == 200


def test_a_code_lives_a_minute(relying_party: RelyingParty, clock: Clock) -> None:
    """Requirement 7."""
    relying_party.user_signs_in()
    code = relying_party.code()
    late = relying_party.code()
    clock.forward(seconds=59)
    assert relying_party.redeem(code).status_code == 200
    clock.forward(seconds=1)
    assert error(relying_party.redeem(late)) == "invalid_grant"


@pytest.mark.parametrize("change", [update(User).values(enabled=False), delete(User)], ids=["disabled", "deleted"])
def test_a_code_of_a_user_who_has_gone_is_refused(env: Env, relying_party: RelyingParty, change: Any) -> None:
    user = relying_party.user_signs_in()
    code = relying_party.code()
    with env.transaction():
        env.db.execute(change.where(User.sub == user.sub))
    assert error(relying_party.redeem(code)) == "invalid_grant"


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://app.example.com/other",
        "https://app.example.com/callback/",
        "https://app.example.com/callback?",
        "HTTPS://app.example.com/callback",
    ],
)
def test_the_redirect_uri_must_be_the_one_that_was_asked_with(relying_party: RelyingParty, redirect_uri: str) -> None:
    relying_party.user_signs_in()
    assert error(relying_party.redeem(relying_party.code(), redirect_uri=redirect_uri)) == "invalid_grant"


def test_the_redirect_uri_must_be_the_same_of_several_registered(env: Env, relying_party: RelyingParty) -> None:
    other = "https://app.example.com/other"
    client = build.a_client(env, relying_party.pool, callback_urls=[build.CALLBACK, other])
    party = RelyingParty.of(env, relying_party.http, client)
    party.user_signs_in()
    assert error(party.redeem(party.code(), redirect_uri=other)) == "invalid_grant"


# -- PKCE ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "verifier",
    [
        None,
        "",
        "wrong",
        VERIFIER + "x",
        VERIFIER[:-1],
        VERIFIER.upper(),
        VERIFIER + " ",
        "x" * 43,
        "x" * 129,
        "ключ" * 11,
    ],
)
def test_a_code_with_a_challenge_needs_its_verifier(relying_party: RelyingParty, verifier: str | None) -> None:
    """Requirement 3."""
    relying_party.user_signs_in()
    code = relying_party.code()
    assert error(relying_party.redeem(code, code_verifier=verifier)) == "invalid_grant"
    assert error(relying_party.redeem(code)) == "invalid_grant", "whoever has the code gets one guess"


def test_a_verifier_without_a_challenge_is_refused(relying_party: RelyingParty) -> None:
    """Requirement 4: a downgrade, in which the attacker has taken the challenge out of the request."""
    relying_party.user_signs_in()
    code = relying_party.code(code_challenge=None, code_challenge_method=None)
    assert error(relying_party.redeem(code)) == "invalid_grant"


def test_a_confidential_client_that_began_with_pkce_must_end_with_it(confidential: RelyingParty) -> None:
    """Authlib demands a verifier of public clients only."""
    confidential.user_signs_in()
    assert error(confidential.redeem(confidential.code(), code_verifier=None)) == "invalid_grant"
    assert confidential.redeem(confidential.code()).status_code == 200


@pytest.mark.parametrize("length", [43, 128])
def test_the_shortest_and_the_longest_verifier_work(relying_party: RelyingParty, length: int) -> None:
    verifier = ("-._~" + "aZ9" * 50)[:length]
    relying_party.user_signs_in()
    code = relying_party.code(code_challenge=s256(verifier))
    assert relying_party.redeem(code, code_verifier=verifier).status_code == 200


@pytest.mark.parametrize("length", [1, 42, 129])
def test_a_verifier_of_a_length_that_can_be_guessed_does_not_work(relying_party: RelyingParty, length: int) -> None:
    verifier = "a" * length
    relying_party.user_signs_in()
    code = relying_party.code(code_challenge=s256(verifier))
    assert error(relying_party.redeem(code, code_verifier=verifier)) == "invalid_grant"


# -- races -----------------------------------------------------------------------------------------------------


def test_of_parallel_redemptions_one_gets_tokens_and_the_others_invalid_grant(relying_party: RelyingParty) -> None:
    """Authlib looks the code up, saves the tokens and deletes the code: two passed, and the losers got a 500."""
    relying_party.user_signs_in()
    code = relying_party.code()
    application = relying_party.http.application
    start = threading.Barrier(8)
    outcomes: list[str] = []

    def redeem() -> None:
        own = RelyingParty(relying_party.env, Network(application), relying_party.pool, relying_party.client, None)
        start.wait()
        response = own.redeem(code)
        outcomes.append("tokens" if response.status_code == 200 else error(response))

    threads = [threading.Thread(target=redeem) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(outcomes) == {"tokens": 1, "invalid_grant": 7}
