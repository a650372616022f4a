"""Discovery and JWKS, and how they are served."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.env import Env
from app.models import Pool
from app.oauth import well_known
from app.pools import domains
from app.tokens import keys
from tests import build
from tests.conftest import Clock
from tests.oauth.relying_party import RelyingParty, error

Statements = Callable[[], list[str]]


def discovered(http: FlaskClient, pool: Pool) -> dict[str, Any]:
    response = http.get(f"/{pool.id}/.well-known/openid-configuration")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    found: dict[str, Any] = response.json
    return found


def test_discovery_says_what_is_so(env: Env, http: FlaskClient) -> None:
    """oidc.md 1.1: members that specifications know; requirements 5, 9."""
    pool = build.a_pool(env)
    base = f"http://localhost:8080/{pool.id}"
    found = discovered(http, pool)
    claims = found.pop("claims_supported")
    assert found == {
        "issuer": base,
        "authorization_endpoint": f"{base}/oauth2/authorize",
        "token_endpoint": f"{base}/oauth2/token",
        "userinfo_endpoint": f"{base}/oauth2/userInfo",
        "revocation_endpoint": f"{base}/oauth2/revoke",
        "end_session_endpoint": f"{base}/logout",
        "jwks_uri": f"{base}/.well-known/jwks.json",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            "authorization_code",
            "refresh_token",
            "client_credentials",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "email", "phone", "profile"],
        "acr_values_supported": [f"urn:cognito:loa:{level}" for level in (1, 2, 3, 4)],
        "prompt_values_supported": ["none", "login", "select_account", "consent"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "authorization_response_iss_parameter_supported": True,
    }
    assert {"sub", "iss", "nonce", "at_hash", "email", "email_verified", "cognito:username", "birthdate"} <= set(claims)
    assert len(set(claims)) == len(claims)


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_the_algorithm_is_the_pools(env: Env, http: FlaskClient, algorithm: str) -> None:
    pool = build.a_pool(env, algorithm=algorithm)
    assert discovered(http, pool)["id_token_signing_alg_values_supported"] == [algorithm]


def test_the_endpoints_of_a_pool_with_its_own_domain_are_there(env: Env, http: FlaskClient) -> None:
    """Never on a prefix below the base host: that would need names that a laptop does not have."""
    pool = build.a_pool(env)
    domains.create(env, pool, domain="people", custom=False, settings={})
    assert discovered(http, pool)["token_endpoint"] == f"http://localhost:8080/{pool.id}/oauth2/token"
    domains.create(env, pool, domain="auth.example.com", custom=True, settings={})
    found = discovered(http, pool)
    assert found["issuer"] == f"http://localhost:8080/{pool.id}"
    assert found["jwks_uri"].startswith(found["issuer"])
    for member in ("authorization", "token", "userinfo", "revocation", "end_session"):
        assert found[f"{member}_endpoint"].startswith("https://auth.example.com/")


@pytest.mark.parametrize("host", ["people.localhost:8080", "auth.example.com", "AUTH.example.com:8443"])
def test_a_pool_is_reached_by_host_too(env: Env, http: FlaskClient, host: str) -> None:
    pool = build.a_pool(env)
    domains.create(env, pool, domain="people", custom=False, settings={})
    domains.create(env, pool, domain="auth.example.com", custom=True, settings={})
    for document in (well_known.DISCOVERY, well_known.JWKS):
        assert http.get(document, base_url=f"http://{host}/").data == http.get(f"/{pool.id}{document}").data


def test_the_jwks_has_two_public_keys(env: Env, http: FlaskClient) -> None:
    """Reference 6.1."""
    pool = build.a_pool(env)
    found = http.get(f"/{pool.id}{well_known.JWKS}").json["keys"]
    assert len({key["kid"] for key in found}) == len(found) == 2
    for key in found:
        assert set(key) == {"alg", "e", "kid", "kty", "n", "use"}
        assert (key["alg"], key["kty"], key["use"]) == ("RS256", "RSA", "sig")


def test_a_new_key_is_there_at_once_and_before_it_signs(env: Env, http: FlaskClient, clock: Clock) -> None:
    """Requirement 26."""
    party = RelyingParty.of_new_pool(env, http)
    path = f"/{party.pool.id}{well_known.JWKS}"
    before = http.get(path)
    keys.rotate(env, party.pool)
    after = http.get(path)
    assert len(after.json["keys"]) == 4
    assert after.headers["ETag"] != before.headers["ETag"]
    assert timedelta(seconds=well_known.MAX_AGE) < keys.PUBLISHED_AHEAD


@pytest.mark.parametrize("document", [well_known.DISCOVERY, well_known.JWKS])
def test_after_the_first_request_neither_flask_nor_a_database_is_asked(
    env: Env, http: FlaskClient, statements: Statements, app: Flask, document: str
) -> None:
    pool = build.a_pool(env)
    first = http.get(f"/{pool.id}{document}")
    statements()

    def no_flask(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise AssertionError("Flask was asked")

    app.wsgi_app = well_known.Prepared(no_flask, env)  # type: ignore[method-assign]
    second = http.get(f"/{pool.id}{document}")
    assert second.data == first.data
    assert sorted(second.headers) == sorted(one for one in first.headers if one[0] != "X-Request-Id")
    assert statements() == []


def test_a_document_is_asked_for_again_when_it_may_be_stale(
    env: Env, http: FlaskClient, statements: Statements, clock: Clock
) -> None:
    pool = build.a_pool(env)
    path = f"/{pool.id}{well_known.DISCOVERY}"
    first = http.get(path)
    statements()
    clock.forward(seconds=1)
    assert http.get(path).data == first.data
    assert len(statements()) == 1, "only whether anything has changed"


@pytest.mark.parametrize("document", [well_known.DISCOVERY, well_known.JWKS])
def test_who_has_a_document_is_not_sent_it_again(env: Env, http: FlaskClient, document: str) -> None:
    pool = build.a_pool(env)
    path = f"/{pool.id}{document}"
    headers = http.get(path).headers
    assert headers["Cache-Control"] == "public, max-age=300"
    tag = headers["ETag"]
    for condition in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        response = http.get(path, headers={"If-None-Match": condition})
        assert (response.status_code, response.data) == (304, b"")
        assert response.headers["ETag"] == tag
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    for condition in ('"other"', "", "W/", tag.strip('"')):
        assert http.get(path, headers={"If-None-Match": condition}).status_code == 200


@pytest.mark.parametrize("document", [well_known.DISCOVERY, well_known.JWKS])
def test_scripts_of_other_origins_may_read_them(env: Env, http: FlaskClient, document: str) -> None:
    pool = build.a_pool(env)
    for _ in range(2):
        assert http.get(f"/{pool.id}{document}").headers["Access-Control-Allow-Origin"] == "*"
    assert http.options(f"/{pool.id}{document}").status_code == 204


def test_head_has_the_headers_only(env: Env, http: FlaskClient) -> None:
    pool = build.a_pool(env)
    path = f"/{pool.id}{well_known.DISCOVERY}"
    for _ in range(2):
        response = http.head(path)
        assert response.data == b""
        assert int(response.headers["Content-Length"]) == len(http.get(path).data)


@pytest.mark.parametrize("document", [well_known.DISCOVERY, well_known.JWKS])
def test_of_no_pool_there_is_nothing(http: FlaskClient, document: str) -> None:
    for path in (f"/us-east-1_nowhere00{document}", document):
        for _ in range(2):
            assert error(http.get(path), 404) == "invalid_request"
