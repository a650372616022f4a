"""Token exchange at the token endpoint (RFC 8693)."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.env import Env
from app.oauth.grants.token_exchange import PREFIX
from app.pools import resource_servers
from tests import build
from tests.conftest import Clock
from tests.oauth.relying_party import RelyingParty, error

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS, ID = f"{PREFIX}access_token", f"{PREFIX}id_token"
FLOWS = ["ALLOW_TOKEN_EXCHANGE_IMPERSONATION", "ALLOW_TOKEN_EXCHANGE_DELEGATION"]


@pytest.fixture
def tokens(relying_party: RelyingParty) -> dict[str, Any]:
    """Of the user, with the application that he has signed in to."""
    relying_party.user_signs_in()
    return relying_party.tokens()


@pytest.fixture
def service(env: Env, http: FlaskClient, relying_party: RelyingParty) -> RelyingParty:
    """A confidential service behind the application."""
    row = build.a_client(env, relying_party.pool, secret=True, explicit_auth_flows=FLOWS)
    return RelyingParty.of(env, http, row)


def exchange(party: RelyingParty, subject: str, **changes: str | None) -> TestResponse:
    usual = {"grant_type": GRANT, "subject_token": subject, "subject_token_type": ACCESS}
    form = {name: value for name, value in {**usual, **changes}.items() if value is not None}
    return party.post("/oauth2/token", form)


def test_an_access_token_for_an_access_token(service: RelyingParty, tokens: dict[str, Any]) -> None:
    """RFC 8693, 2.2.1."""
    resource_servers.create(service.env, service.pool, identifier="billing", name="Billing", scopes=[])
    response = exchange(service, tokens["access_token"], scope="openid", audience="billing")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    body = response.json
    assert list(body) == ["access_token", "issued_token_type", "token_type", "expires_in", "scope"]
    assert (body["issued_token_type"], body["token_type"], body["scope"]) == (ACCESS, "Bearer", "openid")
    claims = service.verified(body["access_token"])
    assert (claims["aud"], claims["client_id"], claims["version"]) == ("billing", service.client.id, 2)
    assert error(service.userinfo(body["access_token"]), 401) == "invalid_token", "it is made out to somebody else"
    own = exchange(service, tokens["access_token"]).json["access_token"]
    assert service.userinfo(own).json["username"] == "alice"


def test_an_id_token_is_no_bearer_token(service: RelyingParty, tokens: dict[str, Any]) -> None:
    body = exchange(service, tokens["id_token"], subject_token_type=ID, requested_token_type=ID).json
    assert list(body) == ["access_token", "issued_token_type", "token_type", "expires_in"]
    assert (body["issued_token_type"], body["token_type"]) == (ID, "N_A")
    assert service.verified(body["access_token"])["aud"] == service.client.id
    assert service.userinfo(body["access_token"]).status_code == 401


def test_a_delegation(service: RelyingParty, tokens: dict[str, Any]) -> None:
    actor = {"actor_token": tokens["id_token"], "actor_token_type": ID}
    claims = service.verified(exchange(service, tokens["access_token"], **actor).json["access_token"])
    assert claims["act"] == {"sub": claims["sub"]}


def test_it_ends_with_the_session_it_was_made_from(
    relying_party: RelyingParty, service: RelyingParty, tokens: dict[str, Any]
) -> None:
    derived = exchange(service, tokens["access_token"]).json["access_token"]
    relying_party.revoke(tokens["refresh_token"])
    assert service.userinfo(derived).status_code == 401
    for token in (derived, tokens["access_token"]):
        assert error(exchange(service, token)) == "invalid_request"


@pytest.mark.parametrize(
    "change",
    [
        {"subject_token": None},
        {"subject_token": "x"},
        {"subject_token_type": None},
        {"subject_token_type": ID},
        {"subject_token_type": f"{PREFIX}saml2"},
        {"requested_token_type": f"{PREFIX}refresh_token"},
        {"actor_token": "x"},
        {"actor_token_type": ACCESS},
        {"actor_token": "x", "actor_token_type": ACCESS},
        {"scope": "https://api.example.com/write"},
        {"audience": "a", "resource": "https://api.example.com"},
        {"audience": "a", "requested_token_type": ID},
    ],
)
def test_what_cannot_be_exchanged_is_an_invalid_request(
    service: RelyingParty, tokens: dict[str, Any], change: dict[str, str | None]
) -> None:
    """RFC 8693, 2.2.2."""
    assert error(exchange(service, tokens["access_token"], **change)) == "invalid_request"


def test_an_unknown_resource_is_an_invalid_target(service: RelyingParty, tokens: dict[str, Any]) -> None:
    for how in ("resource", "audience"):
        for named in ("https://x.example", service.client.id):
            assert error(exchange(service, tokens["access_token"], **{how: named})) == "invalid_target"


def test_an_expired_token_gives_nothing(service: RelyingParty, tokens: dict[str, Any], clock: Clock) -> None:
    clock.forward(hours=1)
    assert error(exchange(service, tokens["access_token"])) == "invalid_request"


def test_a_client_without_the_permission_may_not(
    env: Env, http: FlaskClient, relying_party: RelyingParty, tokens: dict[str, Any]
) -> None:
    assert error(exchange(relying_party, tokens["access_token"])) == "unauthorized_client"
    row = build.a_client(env, relying_party.pool, secret=True, explicit_auth_flows=FLOWS[1:])
    delegating = RelyingParty.of(env, http, row)
    assert error(exchange(delegating, tokens["access_token"])) == "unauthorized_client"


def test_a_service_proves_who_it_is(env: Env, service: RelyingParty, tokens: dict[str, Any]) -> None:
    stranger = RelyingParty(env, service.http, service.pool, service.client, None)
    assert error(exchange(stranger, tokens["access_token"])) == "invalid_client"
