"""RevokeToken and GlobalSignOut at the door."""

from typing import Any

import pytest

from app.env import Env
from app.models import Client, Pool, User
from app.pools import client_secrets
from tests import build
from tests.api.conftest import Api
from tests.api.test_caller import tokens_of

GONE = ("NotAuthorized", "Access Token has been revoked")


@pytest.fixture
def alice(env: Env, pool: Pool) -> User:
    return build.a_user(env, pool)


def refreshes(api: Api, client: Client, token: str | None) -> bool:
    given: dict[str, Any] = {"REFRESH_TOKEN": token}
    answer = api.answer("InitiateAuth", ClientId=client.id, AuthFlow="REFRESH_TOKEN_AUTH", AuthParameters=given)
    return answer.status_code == 200


def test_a_revoked_token_takes_its_access_tokens_along_and_nobody_elses(
    api: Api, env: Env, client: Client, alice: User
) -> None:
    one, other = tokens_of(env, client, alice), tokens_of(env, client, alice)
    assert api("RevokeToken", ClientId=client.id, Token=one.refresh) == {}
    assert not refreshes(api, client, one.refresh)
    assert api.refused("GetUser", AccessToken=one.access) == GONE
    assert refreshes(api, client, other.refresh)
    assert api("GetUser", AccessToken=other.access)


def test_what_is_unknown_revoked_or_somebody_elses_is_passed_over(
    api: Api, env: Env, pool: Pool, client: Client, alice: User
) -> None:
    other = build.a_client(env, pool)
    token = tokens_of(env, client, alice).refresh
    assert api("RevokeToken", ClientId=client.id, Token="unknown") == {}
    assert api("RevokeToken", ClientId=other.id, Token=token) == {}
    assert refreshes(api, client, token)
    assert api("RevokeToken", ClientId=client.id, Token=token) == {}
    assert api("RevokeToken", ClientId=client.id, Token=token) == {}


def test_a_confidential_client_shows_its_secret(api: Api, env: Env, pool: Pool, client: Client, alice: User) -> None:
    confidential = build.a_client(env, pool, secret=True)
    token = tokens_of(env, confidential, alice).refresh
    [secret] = client_secrets.of(env, confidential)
    for wrong in ({}, {"ClientSecret": "x" * 52}):
        said = api.refused("RevokeToken", ClientId=confidential.id, Token=token, **wrong)
        assert said == ("Unauthorized", "Unauthorized.")
    assert api("RevokeToken", ClientId=confidential.id, Token=token, ClientSecret=secret) == {}
    assert api.refused("RevokeToken", ClientId=client.id, Token=token, ClientSecret=secret)[0] == "Unauthorized"


def test_an_unknown_client_is_unauthorized(api: Api) -> None:
    """The operation has no word for a thing that does not exist."""
    assert api.refused("RevokeToken", ClientId="nobody", Token="x") == ("Unauthorized", "Unauthorized.")


def test_other_kinds_of_tokens_cannot_be_revoked(api: Api, env: Env, client: Client, alice: User) -> None:
    token = tokens_of(env, client, alice).access
    assert api.refused("RevokeToken", ClientId=client.id, Token=token)[0] == "UnsupportedTokenType"


def test_a_client_without_revocation_cannot_revoke(api: Api, env: Env, pool: Pool, alice: User) -> None:
    client = build.a_client(env, pool, enable_token_revocation=False)
    token = tokens_of(env, client, alice).refresh
    assert api.refused("RevokeToken", ClientId=client.id, Token=token)[0] == "UnsupportedOperation"


def test_linked_sessions_are_not_promised(api: Api, client: Client) -> None:
    given = {"ClientId": client.id, "Token": "x"}
    assert api.refused("RevokeToken", **given, RevokeAssociatedSessions="LINKED")[0] == "InvalidParameter"
    assert api("RevokeToken", **given, RevokeAssociatedSessions="NONE") == {}


def test_signing_out_everywhere_ends_every_session_of_the_user(
    api: Api, env: Env, pool: Pool, client: Client, alice: User
) -> None:
    bob = build.a_user(env, pool, "bob", email=None)
    one = tokens_of(env, client, alice)
    other = tokens_of(env, build.a_client(env, pool), alice)
    bobs = tokens_of(env, client, bob)
    assert api("GlobalSignOut", AccessToken=one.access) == {}
    for token in (one.access, other.access):
        assert api.refused("GetUser", AccessToken=token) == GONE
        assert api.refused("GlobalSignOut", AccessToken=token) == GONE
    assert not refreshes(api, client, one.refresh)
    assert api("GetUser", AccessToken=bobs.access)
