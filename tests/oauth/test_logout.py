"""/logout (reference 7.8)."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from app.env import Env
from tests import build
from tests.oauth.relying_party import RelyingParty, answer, at_sign_in, told_the_person


def leave(party: RelyingParty, **query: str) -> TestResponse:
    return party.http.get(f"/{party.pool.id}/logout?{urlencode(query)}")


def signed_in(party: RelyingParty) -> bool:
    return "code" in answer(party.authorize(prompt="none"))


def test_the_session_ends_and_the_browser_goes_where_the_client_is_registered_to(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    token = relying_party.http.get_cookie(relying_party.cookie)
    response = leave(relying_party, client_id=relying_party.client.id, logout_uri=build.LOGOUT)
    assert response.status_code == 302
    assert response.headers["Location"] == build.LOGOUT
    assert response.headers["Cache-Control"] == "no-store"
    assert relying_party.http.get_cookie(relying_party.cookie) is None
    assert token
    relying_party.http.set_cookie(relying_party.cookie, token.value)
    assert not signed_in(relying_party), "the session has ended here too, not only the cookie there"


def test_tokens_stay(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    tokens = relying_party.tokens()
    leave(relying_party, client_id=relying_party.client.id, logout_uri=build.LOGOUT)
    assert relying_party.userinfo(tokens["access_token"]).status_code == 200


def test_with_a_redirect_uri_it_leads_to_the_sign_in_page(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    query = relying_party.asking(state="s t")
    response = leave(relying_party, **query)
    assert dict(at_sign_in(response)) == query
    assert not signed_in(relying_party)


def test_nobody_signed_in_is_no_reason_to_stay(relying_party: RelyingParty) -> None:
    response = leave(relying_party, client_id=relying_party.client.id, logout_uri=build.LOGOUT)
    assert response.headers["Location"] == build.LOGOUT


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "unknown_client"),
        ({"logout_uri": build.LOGOUT}, "unknown_client"),
        ({"client_id": "nobody", "logout_uri": build.LOGOUT}, "unknown_client"),
        ({"client_id": "\0", "logout_uri": build.LOGOUT}, "unknown_client"),
        ({"client_id": "ours"}, "invalid_request"),
        ({"client_id": "ours", "logout_uri": ""}, "invalid_request"),
        ({"client_id": "ours", "redirect_uri": build.CALLBACK}, "invalid_request"),
        ({"client_id": "ours", "response_type": "code"}, "invalid_request"),
        ({"client_id": "ours", "post_logout_redirect_uri": build.LOGOUT}, "invalid_request"),
        ({"client_id": "ours", "logout_uri": build.CALLBACK}, "logout_mismatch"),
        ({"client_id": "ours", "logout_uri": "https://evil.example/"}, "logout_mismatch"),
        ({"client_id": "ours", "logout_uri": "https://app.example.com"}, "logout_mismatch"),
        ({"client_id": "ours", "logout_uri": "https://app.example.com//"}, "logout_mismatch"),
        ({"client_id": "ours", "logout_uri": "https://app.example.com/?x"}, "logout_mismatch"),
        ({"client_id": "ours", "logout_uri": "https://app.example.com@evil.example/"}, "logout_mismatch"),
        ({"client_id": "ours", "logout_uri": "https://app.example.com/\r\nX: y"}, "logout_mismatch"),
        ({"client_id": "ours", "redirect_uri": "https://evil.example", "response_type": "code"}, "redirect_mismatch"),
    ],
)
def test_a_request_that_is_refused_ends_nothing(relying_party: RelyingParty, query: dict[str, str], code: str) -> None:
    """Requirement 10."""
    relying_party.user_signs_in()
    ours = {name: relying_party.client.id if value == "ours" else value for name, value in query.items()}
    assert told_the_person(leave(relying_party, **ours)) == code
    assert signed_in(relying_party)


def test_a_repeated_parameter_is_refused(relying_party: RelyingParty) -> None:
    query = [
        ("client_id", relying_party.client.id),
        ("logout_uri", build.LOGOUT),
        ("logout_uri", "https://evil.example"),
    ]
    response = relying_party.http.get(f"/{relying_party.pool.id}/logout?{urlencode(query)}")
    assert told_the_person(response) == "invalid_request"


def test_other_pools_of_the_same_browser_stay_signed_in(env: Env, relying_party: RelyingParty) -> None:
    other = RelyingParty.of_new_pool(env, relying_party.http)
    other.user_signs_in()
    relying_party.user_signs_in()
    leave(relying_party, client_id=relying_party.client.id, logout_uri=build.LOGOUT)
    assert signed_in(other)


def test_an_address_without_a_pool_is_not_found(relying_party: RelyingParty) -> None:
    assert relying_party.http.get("/logout").status_code == 404
