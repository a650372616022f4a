"""A machine gets a token, with a client library that is not ours."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import KeySet
from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from tests.journeys.conftest import RunningServer

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library insists on https, as it should; this server is on loopback."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


@pytest.fixture
def machine(server: RunningServer) -> dict[str, Any]:
    found: dict[str, Any] = server.demo["clients"]["machine"]
    return found


@pytest.fixture
def endpoints(server: RunningServer) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(server.demo["discovery_url"], timeout=60).json()
    return found


def fetched(endpoints: dict[str, Any], client_id: str, secret: str, scope: list[str] | None = None) -> dict[str, Any]:
    session = OAuth2Session(client=BackendApplicationClient(client_id, scope=scope))
    token: dict[str, Any] = session.fetch_token(
        endpoints["token_endpoint"], auth=HTTPBasicAuth(client_id, secret), timeout=60
    )
    return token


def claims_of(endpoints: dict[str, Any], token: dict[str, Any]) -> dict[str, Any]:
    published = KeySet.import_key_set(requests.get(endpoints["jwks_uri"], timeout=60).json())
    return jwt.decode(token["access_token"], published, algorithms=["RS256"]).claims


def test_it_gets_the_scopes_it_asks_for(
    server: RunningServer, endpoints: dict[str, Any], machine: dict[str, Any]
) -> None:
    scope = machine["scopes"][0]
    token = fetched(endpoints, machine["client_id"], machine["client_secret"], [scope])
    assert token["token_type"] == "Bearer"
    assert token["scope"] == [scope]
    claims = claims_of(endpoints, token)
    assert claims["iss"] == server.demo["issuer"] == endpoints["issuer"]
    assert claims["sub"] == claims["client_id"] == machine["client_id"]
    assert claims["scope"] == scope


def test_without_asking_it_gets_all(endpoints: dict[str, Any], machine: dict[str, Any]) -> None:
    token = fetched(endpoints, machine["client_id"], machine["client_secret"])
    assert claims_of(endpoints, token)["scope"].split() == machine["scopes"]


def test_the_secret_may_be_in_the_body(endpoints: dict[str, Any], machine: dict[str, Any]) -> None:
    session = OAuth2Session(client=BackendApplicationClient(machine["client_id"]))
    assert session.fetch_token(
        endpoints["token_endpoint"],
        client_id=machine["client_id"],
        client_secret=machine["client_secret"],
        include_client_id=True,
        timeout=60,
    )["access_token"]


def refused(endpoints: dict[str, Any], *given: Any) -> str:
    with pytest.raises(OAuth2Error) as refusal:
        fetched(endpoints, *given)
    return str(refusal.value.error)


def test_it_is_refused_in_the_words_of_the_rfc(
    server: RunningServer, endpoints: dict[str, Any], machine: dict[str, Any]
) -> None:
    """RFC 6749, 5.2."""
    client_id, secret = machine["client_id"], machine["client_secret"]
    web = server.demo["clients"]["web"]
    assert refused(endpoints, client_id, "wrong") == "invalid_client"
    assert refused(endpoints, client_id, web["client_secret"]) == "invalid_client"
    assert refused(endpoints, "nobody", secret) == "invalid_client"
    assert refused(endpoints, client_id, secret, ["nope"]) == "invalid_scope"
    assert refused(endpoints, client_id, secret, [*machine["scopes"], "openid"]) == "invalid_scope"
    assert refused(endpoints, web["client_id"], web["client_secret"]) == "unauthorized_client"
