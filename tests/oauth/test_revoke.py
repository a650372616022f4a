"""Revocation (RFC 7009; reference 7.6)."""

from __future__ import annotations

from app.env import Env
from tests import build
from tests.oauth.relying_party import RelyingParty, error


def test_a_refresh_token_ends_with_the_access_tokens_that_came_of_it(relying_party: RelyingParty) -> None:
    """A public client, which Authlib's endpoint would answer with 401."""
    relying_party.user_signs_in()
    tokens, others = relying_party.tokens(), relying_party.tokens()
    refreshed = relying_party.refresh(tokens["refresh_token"]).json
    response = relying_party.revoke(tokens["refresh_token"])
    assert (response.status_code, response.data) == (200, b"")
    assert "Content-Type" not in response.headers, "oidc-client-ts refuses whatever says text/html"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert error(relying_party.refresh(tokens["refresh_token"])) == "invalid_grant"
    for token in (tokens["access_token"], refreshed["access_token"]):
        assert error(relying_party.userinfo(token), 401) == "invalid_token"
    assert relying_party.userinfo(others["access_token"]).status_code == 200


def test_a_confidential_client_must_authenticate(confidential: RelyingParty) -> None:
    """Requirement 28."""
    confidential.user_signs_in()
    tokens = confidential.tokens()
    path, form = f"/{confidential.pool.id}/oauth2/revoke", {"token": tokens["refresh_token"]}
    nameless = confidential.http.post(path, data={**form, "client_id": confidential.client.id})
    assert error(nameless, 401) == "invalid_client"
    assert confidential.userinfo(tokens["access_token"]).status_code == 200
    assert confidential.revoke(tokens["refresh_token"]).status_code == 200
    assert error(confidential.userinfo(tokens["access_token"]), 401) == "invalid_token"


def test_what_is_unknown_foreign_or_revoked_already_is_answered_alike(env: Env, relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    tokens = relying_party.tokens()
    other = RelyingParty.of(env, relying_party.http, build.a_client(env, relying_party.pool))
    for response in (other.revoke(tokens["refresh_token"]), other.revoke("unknown"), other.revoke("a\0b")):
        assert (response.status_code, response.data) == (200, b"")
    assert relying_party.refresh(tokens["refresh_token"]).status_code == 200
    for _ in range(2):
        assert relying_party.revoke(tokens["refresh_token"]).status_code == 200


def test_an_unknown_client_is_unauthorized(relying_party: RelyingParty) -> None:
    """Reference 7.6; with a challenge, as every 401 has to (RFC 9110, 15.5.2)."""
    relying_party.user_signs_in()
    token = relying_party.tokens()["refresh_token"]
    for form in ({"client_id": "nobody"}, {"client_id": ""}, {}, {"client_id": "nobody", "client_secret": "x"}):
        response = relying_party.http.post(f"/{relying_party.pool.id}/oauth2/revoke", data={"token": token, **form})
        assert error(response, 401) == "invalid_client"
        assert response.headers["WWW-Authenticate"].startswith("Basic ")
    assert relying_party.refresh(token).status_code == 200


def test_other_tokens_cannot_be_revoked(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    tokens = relying_party.tokens()
    for name in ("access_token", "id_token"):
        assert error(relying_party.revoke(tokens[name])) == "unsupported_token_type"


def test_no_token_is_a_bad_request(relying_party: RelyingParty) -> None:
    assert error(relying_party.post("/oauth2/revoke", {})) == "invalid_request"
    assert error(relying_party.revoke("")) == "invalid_request"


def test_a_client_without_revocation_is_refused(env: Env, relying_party: RelyingParty) -> None:
    client = build.a_client(env, relying_party.pool, enable_token_revocation=False)
    party = RelyingParty.of(env, relying_party.http, client)
    party.user_signs_in()
    assert error(party.revoke(party.tokens()["refresh_token"])) == "invalid_request"
