"""Scopes that are removed from a resource server between a grant and the tokens for it (reference: 11.2)."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app import errors
from app.env import Env, Origin
from app.pools import app_clients, find, resource_servers
from app.tokens import refresh
from app.tokens.claims import API_SCOPE
from tests import build
from tests.oauth.relying_party import RelyingParty, error


@pytest.fixture
def party(env: Env, http: FlaskClient) -> RelyingParty:
    """Of a client that may ask for two scopes of an API, whose user has signed in."""
    pool = build.a_pool(env)
    resource_servers.create(env, pool, identifier="api", name="API", scopes=[("read", "Read"), ("write", "Write")])
    client = build.a_client(env, pool, allowed_oauth_scopes=["openid", "api/read", "api/write"])
    party = RelyingParty.of(env, http, client)
    party.user_signs_in()
    return party


def define(party: RelyingParty, *scopes: str) -> None:
    named = [(name, name) for name in scopes]
    resource_servers.update(party.env, party.pool, identifier="api", name="API", scopes=named)


def test_a_scope_that_is_removed_is_not_in_the_tokens_for_a_code_that_was_given_before(party: RelyingParty) -> None:
    code = party.code(scope="openid api/read api/write")
    define(party, "read")
    body = party.redeem(code).json
    assert body["scope"] == party.verified(body["access_token"])["scope"] == "openid api/read"


def test_a_scope_that_is_removed_is_not_in_refreshed_tokens_until_it_is_there_again(party: RelyingParty) -> None:
    tokens = party.tokens(scope="openid api/read api/write")
    assert tokens["scope"] == "openid api/read api/write"
    for defined, left in (
        (("write",), "openid api/write"),
        ((), "openid"),
        (("read", "write"), "openid api/read api/write"),
    ):
        define(party, *defined)
        body = party.refresh(tokens["refresh_token"]).json
        assert body["scope"] == party.verified(body["access_token"])["scope"] == left


def test_where_no_scope_is_left_there_are_no_tokens(party: RelyingParty) -> None:
    """An access token without a scope would pass where somebody looks at its issuer and audience only."""
    code, token = party.code(scope="api/read"), party.tokens(scope="api/read")["refresh_token"]
    define(party, "write")
    assert error(party.redeem(code)) == "invalid_grant"
    assert error(party.refresh(token)) == "invalid_grant"
    with pytest.raises(errors.NotAuthorized, match="None of the scopes"):  # at the API's door
        refresh.tokens(party.env, party.client, token, oauth=False, origin=Origin())
    define(party, "read")
    assert error(party.redeem(code)) == "invalid_grant", "it was used"
    assert party.refresh(token).json["scope"] == "api/read"


@pytest.mark.parametrize("oauth", [True, False])
def test_whoever_was_granted_nothing_but_the_scope_of_the_api_keeps_it_no_longer_than_the_client(
    party: RelyingParty, oauth: bool
) -> None:
    """By this scope alone a session looks like one of a sign-in by the API, which depends on no OAuth setting."""
    settings = {**party.client.settings, "allowed_oauth_scopes": ["openid", API_SCOPE]}
    app_clients.update(party.env, party.client, name=None, settings=settings)
    token = party.tokens(scope=API_SCOPE)["refresh_token"]
    app_clients.update(party.env, party.client, name=None, settings={**settings, "allowed_oauth_scopes": ["openid"]})
    client = find.client(party.env, party.client.id)
    with pytest.raises(errors.NotAuthorized, match="None of the scopes"):
        refresh.tokens(party.env, client, token, oauth=oauth, origin=Origin())
