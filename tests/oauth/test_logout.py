"""/logout (reference 7.8)."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from werkzeug.test import TestResponse

from app.crypto import base64url
from app.env import Env
from tests import build
from tests.conftest import Clock
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


def test_the_clients_default_redirect_uri_stands_in_there_too(env: Env, relying_party: RelyingParty) -> None:
    row = build.a_client(env, relying_party.pool, default_redirect_uri=build.CALLBACK)
    party = RelyingParty.of(env, relying_party.http, row)
    party.user_signs_in()
    query = party.asking(redirect_uri=None)
    assert dict(at_sign_in(leave(party, **query))) == query
    assert not signed_in(party)


def test_nobody_signed_in_is_no_reason_to_stay(relying_party: RelyingParty) -> None:
    response = leave(relying_party, client_id=relying_party.client.id, logout_uri=build.LOGOUT)
    assert response.headers["Location"] == build.LOGOUT


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"logout_uri": build.LOGOUT}, "unknown_client"),
        ({"client_id": "nobody", "logout_uri": build.LOGOUT}, "unknown_client"),
        ({"client_id": "nobody"}, "unknown_client"),
        ({"client_id": "\0", "logout_uri": build.LOGOUT}, "unknown_client"),
        ({"client_id": "ours", "redirect_uri": build.CALLBACK}, "invalid_request"),
        ({"client_id": "ours", "response_type": "code"}, "invalid_request"),
        ({"client_id": "ours", "post_logout_redirect_uri": "https://evil.example/"}, "logout_mismatch"),
        ({"client_id": "ours", "post_logout_redirect_uri": f"{build.LOGOUT}?foo=bar"}, "logout_mismatch"),
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


@pytest.mark.parametrize("parameter", ["post_logout_redirect_uri", "logout_uri"])
def test_an_address_that_is_not_registered_is_named(
    relying_party: RelyingParty, caplog: pytest.LogCaptureFixture, parameter: str
) -> None:
    """In the log, with what is registered."""
    leave(relying_party, **{"client_id": relying_party.client.id, parameter: "https://evil.example/"})
    (line,) = (record.getMessage() for record in caplog.records if "logout_mismatch" in record.getMessage())
    assert f'{parameter} "https://evil.example/" is not one of the LogoutURLs' in line and build.LOGOUT in line


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


# -- OpenID Connect RP-Initiated Logout 1.0 ----------------------------------------------------------------------

STATE = "aB3!\"#$%&'()*,-./:<=>?@[\\]^_`{|}~" * 3


def hinted(party: RelyingParty, hint: str, **more: str) -> TestResponse:
    return leave(party, id_token_hint=hint, **more)


def asked(party: RelyingParty, response: TestResponse) -> str:
    """The address of the page that asks the user; nothing has ended yet."""
    assert response.status_code == 302, response.text
    location = str(response.headers["Location"])
    assert location.startswith(f"/{party.pool.id}/signout"), location
    assert signed_in(party)
    return location


def confirm(party: RelyingParty, page: str) -> TestResponse:
    """What comes of pressing the button."""
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', party.http.get(page).text)
    assert token
    pressed = party.http.post(page, data={"csrf_token": token[1]})
    assert pressed.status_code == 303
    return party.http.get(pressed.headers["Location"])


def signed_out_page(party: RelyingParty, response: TestResponse) -> bool:
    assert response.status_code == 302
    shown = party.http.get(response.headers["Location"])
    return shown.status_code == 200 and "You are signed out" in shown.text and not signed_in(party)


def test_with_a_hint_of_the_user_the_session_ends_at_once(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    hint = relying_party.tokens()["id_token"]
    response = hinted(relying_party, hint, post_logout_redirect_uri=build.LOGOUT, state=STATE)
    location = urlsplit(response.headers["Location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == build.LOGOUT
    assert dict(parse_qsl(location.query)) == {"state": STATE}
    assert answer(relying_party.authorize(prompt="none"))["error"] == "login_required"


def test_without_a_state_none_comes_back(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    hint = relying_party.tokens()["id_token"]
    response = hinted(relying_party, hint, post_logout_redirect_uri=build.LOGOUT)
    assert response.headers["Location"] == build.LOGOUT


def test_a_hint_that_has_expired_counts(relying_party: RelyingParty, clock: Clock) -> None:
    user = relying_party.user_signs_in()
    hint = relying_party.tokens()["id_token"]
    clock.forward(hours=2)
    relying_party.user_signs_in(user)
    response = hinted(relying_party, hint, post_logout_redirect_uri=build.LOGOUT)
    assert response.headers["Location"] == build.LOGOUT
    assert not signed_in(relying_party)


def test_a_hint_without_a_target_ends_on_a_page(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    assert signed_out_page(relying_party, hinted(relying_party, relying_party.tokens()["id_token"], state="s"))


def test_a_posted_request_does_the_same(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    form = {"id_token_hint": relying_party.tokens()["id_token"], "post_logout_redirect_uri": build.LOGOUT, "state": "s"}
    response = relying_party.http.post(f"/{relying_party.pool.id}/logout", data=form)
    assert response.status_code == 303
    assert relying_party.http.get(response.headers["Location"]).headers["Location"] == f"{build.LOGOUT}?state=s"
    assert not signed_in(relying_party)


@pytest.mark.parametrize(
    "query", [{}, {"state": "s"}, {"logout_hint": "alice", "ui_locales": "de"}, {"client_id": "ours"}]
)
def test_without_a_hint_the_user_is_asked_and_told(relying_party: RelyingParty, query: dict[str, str]) -> None:
    """Requirement 38."""
    relying_party.user_signs_in()
    ours = {name: relying_party.client.id if value == "ours" else value for name, value in query.items()}
    page = asked(relying_party, leave(relying_party, **ours))
    assert "alice" in relying_party.http.get(page).text
    assert signed_out_page(relying_party, confirm(relying_party, page))


def test_without_a_hint_the_user_is_asked_and_goes_to_the_client_that_is_named(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    query = {"client_id": relying_party.client.id, "post_logout_redirect_uri": build.LOGOUT, "state": STATE}
    page = asked(relying_party, leave(relying_party, **query))
    shown = relying_party.http.get(page)
    # Chromium holds the redirect that follows the form to this policy.
    assert "form-action 'self' https://app.example.com" in shown.headers["Content-Security-Policy"]
    location = urlsplit(confirm(relying_party, page).headers["Location"])
    assert (location.netloc, dict(parse_qsl(location.query))) == ("app.example.com", {"state": STATE})


def test_a_target_that_nobody_vouches_for_is_never_gone_to(relying_party: RelyingParty) -> None:
    """Neither a hint nor a client id says whose it is: not even after the user has confirmed."""
    relying_party.user_signs_in()
    page = asked(relying_party, leave(relying_party, post_logout_redirect_uri=build.LOGOUT, state="s"))
    assert signed_out_page(relying_party, confirm(relying_party, page))


def test_the_hint_of_somebody_else_asks_first(env: Env, relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    hint = relying_party.tokens()["id_token"]
    relying_party.user_signs_in(build.a_user(env, relying_party.pool, "bob", email="bob@example.com"))
    response = hinted(relying_party, hint, post_logout_redirect_uri=build.LOGOUT)
    page = asked(relying_party, response)
    assert "bob" in relying_party.http.get(page).text
    assert confirm(relying_party, page).headers["Location"] == build.LOGOUT


def test_a_forged_hint_signs_nobody_out(env: Env, relying_party: RelyingParty) -> None:
    """Without signature, with one of another pool, or an access token: the user is asked, and no target counts."""
    other = RelyingParty.of_new_pool(env, relying_party.http)
    other.user_signs_in()
    foreign = other.tokens()["id_token"]
    relying_party.user_signs_in()
    tokens = relying_party.tokens()
    _, payload, _ = tokens["id_token"].split(".")
    header = base64url.encode(b'{"alg":"none"}')
    unsigned = f"{header}.{payload}."
    for hint in (unsigned, foreign, tokens["access_token"], "x", "a.b.c", "\0", "é.é.é"):
        page = asked(relying_party, hinted(relying_party, hint, post_logout_redirect_uri=build.LOGOUT))
        assert "https://app.example.com" not in relying_party.http.get(page).headers["Content-Security-Policy"]
    assert signed_out_page(relying_party, confirm(relying_party, page))


def test_a_hint_of_another_client_is_refused(env: Env, relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    hint = relying_party.tokens()["id_token"]
    other = build.a_client(env, relying_party.pool)
    assert told_the_person(hinted(relying_party, hint, client_id=other.id)) == "invalid_request"
    assert signed_in(relying_party)


def test_a_target_that_is_not_registered_ends_nothing_even_with_a_hint(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    hint = relying_party.tokens()["id_token"]
    for target in ("https://evil.example/", f"{build.LOGOUT}?foo=bar", build.CALLBACK):
        response = hinted(relying_party, hint, post_logout_redirect_uri=target)
        assert told_the_person(response) == "logout_mismatch"
        assert signed_in(relying_party)


def test_another_site_cannot_press_the_button(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    page = f"/{relying_party.pool.id}/signout"
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', relying_party.http.get(page).text)
    assert token
    for form, headers in (
        ({}, {}),
        ({"csrf_token": "x"}, {}),
        ({"csrf_token": token[1]}, {"Sec-Fetch-Site": "cross-site"}),
        ({"csrf_token": token[1]}, {"Origin": "https://evil.example"}),
    ):
        assert relying_party.http.post(page, data=form, headers=headers).status_code in (400, 403)
        assert signed_in(relying_party)


def test_whoever_is_not_signed_in_is_told_so_or_sent_on(relying_party: RelyingParty) -> None:
    assert signed_out_page(relying_party, leave(relying_party))
    query = {"client_id": relying_party.client.id, "post_logout_redirect_uri": build.LOGOUT}
    assert leave(relying_party, **query).headers["Location"] == build.LOGOUT
