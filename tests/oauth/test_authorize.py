"""The authorization endpoint."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson
import pytest
from sqlalchemy import update

from app.accounts import sessions
from app.crypto import base64url
from app.env import Env
from app.models import ResourceServer, User
from app.oauth.query import LONGEST_FORM
from app.oauth.server import MOST_PARAMETERS
from app.pools import app_clients, find, resource_servers, user_pools
from app.tokens import codes
from app.tokens.claims import API_SCOPE
from tests import build
from tests.conftest import Clock
from tests.oauth.relying_party import CHALLENGE, RelyingParty, answer, at_sign_in, error, told_the_person


def test_a_signed_in_browser_comes_back_with_a_code_the_state_and_the_issuer(relying_party: RelyingParty) -> None:
    """Requirement 9."""
    relying_party.user_signs_in()
    response = relying_party.authorize()
    back = answer(response)
    assert response.headers["Location"].startswith(build.CALLBACK + "?code=")
    assert set(back) == {"code", "state", "iss"}
    assert (back["state"], back["iss"]) == ("a-state", relying_party.issuer)
    assert len(back["code"]) == 43


def test_the_short_address_does_the_same(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    pool = relying_party.pool.id
    assert "code" in answer(relying_party.http.get(f"/{pool}/authorize?{urlencode(relying_party.asking())}"))


def test_a_browser_that_is_not_signed_in_goes_to_the_sign_in_page_with_its_whole_query(
    relying_party: RelyingParty,
) -> None:
    query = urlencode(relying_party.asking(login_hint="al ice+x@example.com", lang="de")) + "&other=1&other=2"
    response = relying_party.ask(query)
    assert response.headers["Location"] == f"/{relying_party.pool.id}/login?{query}"


def test_a_session_that_has_ended_is_none(relying_party: RelyingParty, clock: Clock) -> None:
    relying_party.user_signs_in()
    clock.forward(hours=1)
    assert at_sign_in(relying_party.authorize())


def test_a_disabled_user_is_not_signed_in(relying_party: RelyingParty, env: Env) -> None:
    user = relying_party.user_signs_in()
    disable(env, user)
    assert at_sign_in(relying_party.authorize())


def test_a_session_with_another_pool_is_none(env: Env, relying_party: RelyingParty) -> None:
    elsewhere = RelyingParty.of_new_pool(env, relying_party.http)
    elsewhere.user_signs_in()
    planted = relying_party.http.get_cookie(elsewhere.cookie)
    assert planted
    relying_party.http.set_cookie(relying_party.cookie, planted.value)
    assert at_sign_in(relying_party.authorize())


def test_the_answer_is_not_kept_framed_or_told_to_other_origins(relying_party: RelyingParty) -> None:
    """Requirements 12, 13."""
    relying_party.user_signs_in()
    headers = relying_party.http.get(
        f"/{relying_party.pool.id}/oauth2/authorize?{urlencode(relying_party.asking())}",
        headers={"Origin": "https://evil.example"},
    ).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert not any(name.startswith("Access-Control-") for name, _ in headers)


def test_a_preflight_is_not_answered(relying_party: RelyingParty) -> None:
    assert relying_party.http.options(f"/{relying_party.pool.id}/oauth2/authorize").status_code == 405


def test_an_address_without_a_pool_is_not_found(relying_party: RelyingParty) -> None:
    assert relying_party.http.get("/oauth2/authorize").status_code == 404
    assert relying_party.http.get("/us-east-1_nowhere00/oauth2/authorize").status_code == 404


# -- who asks, and where may the answer go? --------------------------------------------------------------------


@pytest.mark.parametrize("client_id", [None, "", "nobody", "\0", "ü", "x" * 200, "' OR 1=1 --"])
def test_a_client_that_does_not_exist_is_told_to_the_person(relying_party: RelyingParty, client_id: str | None) -> None:
    assert told_the_person(relying_party.authorize(client_id=client_id)) == "unknown_client"


def test_a_client_of_another_pool_does_not_exist_here(env: Env, relying_party: RelyingParty) -> None:
    other = build.a_client(env, build.a_pool(env))
    assert told_the_person(relying_party.authorize(client_id=other.id)) == "unknown_client"


@pytest.mark.parametrize(
    "trick",
    [
        "https://app.example.com/callback/",
        "https://app.example.com/callback/../evil",
        "https://app.example.com/Callback",
        "https://APP.example.com/callback",
        "HTTPS://app.example.com/callback",
        "http://app.example.com/callback",
        "https://app.example.com:443/callback",
        "https://app.example.com:8443/callback",
        "https://app.example.com/call",
        "https://app.example.com/callback2",
        "https://app.example.com/callback?next=https://evil.example",
        "https://app.example.com/callback#fragment",
        "https://app.example.com/callback%20",
        " https://app.example.com/callback",
        "https://app.example.com/callback\r\nSet-Cookie: a=b",
        "https://app.example.com/callback\0",
        "https://app.example.com@evil.example/callback",
        "https://evil.example/?https://app.example.com/callback",
        "https://app.example.com.evil.example/callback",
        "https://app.example.com\\@evil.example/callback",
        "https://app。example.com/callback",
        "https://аpp.example.com/callback",
        "//app.example.com/callback",
        "/callback",
        "javascript:alert(1)",
        "data:text/html,x",
    ],
)
def test_a_redirect_uri_that_is_not_the_registered_string_is_told_to_the_person(
    relying_party: RelyingParty, trick: str
) -> None:
    """Requirements 1, 10."""
    relying_party.user_signs_in()
    assert told_the_person(relying_party.authorize(redirect_uri=trick)) == "redirect_mismatch"


def test_the_default_redirect_uri_stands_in_for_one_that_is_left_out(env: Env, relying_party: RelyingParty) -> None:
    """Reference 7.3; and at the token endpoint it need not be named either (RFC 6749, 4.1.3)."""
    urls = ["https://app.example.com/other", build.CALLBACK]
    row = build.a_client(env, relying_party.pool, callback_urls=urls, default_redirect_uri=build.CALLBACK)
    party = RelyingParty.of(env, relying_party.http, row)
    assert dict(at_sign_in(party.authorize(redirect_uri=None))) == party.asking(redirect_uri=None)
    party.user_signs_in()
    for left_out in (None, ""):
        response = party.authorize(redirect_uri=left_out)
        assert response.headers["Location"].startswith(f"{build.CALLBACK}?code=")
        for named in (None, build.CALLBACK):
            assert party.redeem(party.code(redirect_uri=left_out), redirect_uri=named).status_code == 200
        wrong = party.redeem(answer(response)["code"], redirect_uri=urls[0])
        assert (wrong.status_code, wrong.json["error"]) == (400, "invalid_grant")
    stated = party.redeem(party.code(redirect_uri=urls[0]), redirect_uri=None)
    assert stated.json["error"] == "invalid_grant", "what was named has to be named again"
    assert told_the_person(party.authorize(redirect_uri="https://evil.example")) == "redirect_mismatch"
    assert answer(party.authorize(redirect_uri=None, scope="nope"))["error"] == "invalid_scope"


def test_no_redirect_uri_is_not_the_only_registered_one(relying_party: RelyingParty) -> None:
    assert told_the_person(relying_party.authorize(redirect_uri=None)) == "invalid_request"


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_who_asks_twice_is_not_answered_anywhere(relying_party: RelyingParty, name: str) -> None:
    asked = relying_party.asking()
    twice = urlencode([*asked.items(), (name, asked[name])])
    assert told_the_person(relying_party.ask(twice)) == "invalid_request"


@pytest.mark.parametrize(
    ("registered", "asked", "same"),
    [
        ("http://127.0.0.1/cb", "http://127.0.0.1:52001/cb", True),
        ("http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb", True),
        ("http://localhost:3000/cb?a=b", "http://localhost:9/cb?a=b", True),
        ("http://[::1]/cb", "http://[::1]:8/cb", True),
        ("http://127.0.0.1/cb", "http://localhost/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:52001/other", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:52001/cb?x=y", False),
        ("http://127.0.0.1/cb", "https://127.0.0.1:52001/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:123456/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:1@evil.example/cb", False),
        ("http://127.0.0.1", "http://127.0.0.1:1@evil.example", False),
        ("http://127.0.0.1", "http://127.0.0.1:1.evil.example", False),
        ("http://localhost/cb", "http://localhost.evil.example/cb", False),
        ("http://localhost/cb", "http://localhost:1\\@evil.example/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:８０/cb", False),
        ("https://app.example.com/cb", "https://app.example.com:1/cb", False),
    ],
)
def test_only_the_port_of_a_loopback_uri_may_vary(
    env: Env, relying_party: RelyingParty, registered: str, asked: str, same: bool
) -> None:
    """Requirement 1."""
    native = RelyingParty.of(
        env, relying_party.http, build.a_client(env, relying_party.pool, callback_urls=[registered])
    )
    native.user_signs_in()
    response = native.authorize(redirect_uri=asked)
    if same:
        assert response.headers["Location"].startswith(asked)
        assert "code" in answer(response)
    else:
        assert told_the_person(response) == "redirect_mismatch"


@pytest.mark.parametrize(
    "registered",
    [
        "https://app.example.com/cb?a[]=1&b='x'&c=%2f",
        "https://App.Example.com/Cb",
        "https://app.example.com?x",
        "myapp:///done",
        "myapp://",
        "com.example.app:/oauth",
        "myapp:callback",
        "MyApp://Host/Path",
    ],
)
def test_the_registered_uri_comes_back_as_it_is(env: Env, relying_party: RelyingParty, registered: str) -> None:
    party = RelyingParty.of(
        env, relying_party.http, build.a_client(env, relying_party.pool, callback_urls=[registered])
    )
    party.user_signs_in()
    for location in (
        party.authorize(redirect_uri=registered).headers["Location"],
        party.authorize(redirect_uri=registered, scope="nope").headers["Location"],
    ):
        joint = "&" if "?" in registered else "?"
        assert location.startswith(registered + joint)


def test_a_query_with_bytes_that_should_have_been_escaped_is_kept_too(relying_party: RelyingParty) -> None:
    query = (urlencode(relying_party.asking(state=None)) + "&state=ü").encode()
    response = relying_party.http.get(f"/{relying_party.pool.id}/oauth2/authorize", query_string=query.decode())
    assert dict(at_sign_in(response))["state"] == "ü"


# -- is the request one that we can serve? ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "id_token token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "Code"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"response_mode": "nonsense"}, "invalid_request"),
        ({"scope": "nope"}, "invalid_scope"),
        ({"scope": "openid phone"}, "invalid_scope"),
        ({"scope": "openid  email"}, "invalid_scope"),
        ({"scope": "openid\temail"}, "invalid_scope"),
        ({"scope": "OpenID"}, "invalid_scope"),
        ({"scope": " "}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"code_challenge_method": "S512"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "="}, "invalid_request"),
        ({"code_challenge": CHALLENGE[:-1]}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "A"}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "\n"}, "invalid_request"),
        ({"code_challenge": CHALLENGE[:-1] + "+"}, "invalid_request"),
        ({"nonce": "a\0b"}, "invalid_request"),
        ({"nonce": "a\nb"}, "invalid_request"),
        ({"nonce": "n" * 2049}, "invalid_request"),
        ({"prompt": "perhaps"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"max_age": "1.5"}, "invalid_request"),
        ({"max_age": "９"}, "invalid_request"),
        ({"max_age": "9" * 30}, "invalid_request"),
        ({"identity_provider": "Google"}, "invalid_request"),
        ({"identity_provider": "SignInWithApple"}, "invalid_request"),
        ({"identity_provider": "Corporate"}, "invalid_request"),
        ({"identity_provider": 'cognito"\\é'}, "invalid_request"),
        ({"idp_identifier": "example.com"}, "invalid_request"),
        ({"resource": "https://nobody.example"}, "invalid_target"),
        ({"resource": "nonsense"}, "invalid_target"),
        ({"resource": "https://[::1"}, "invalid_target"),
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
        ({"request_uri": "https://app.example.com/object"}, "request_uri_not_supported"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "request_uri_not_supported"),
    ],
)
def test_what_cannot_be_served_is_told_to_the_client(
    relying_party: RelyingParty, changes: dict[str, Any], error: str
) -> None:
    """Requirements 3, 5, 9: also in a refusal there is `state`, and `iss`, and no code."""
    relying_party.user_signs_in()
    response = relying_party.authorize(**changes)
    back = answer(response)
    assert back["error"] == error
    assert set(back) == {"error", "error_description", "state", "iss"}
    assert (back["state"], back["iss"]) == ("a-state", relying_party.issuer)
    assert all(" " <= c <= "~" and c not in '"\\' for c in back["error_description"])
    assert response.headers["Location"].startswith(build.CALLBACK + "?error=")


@pytest.mark.parametrize("name", ["scope", "response_type", "nonce", "code_challenge", "prompt", "max_age", "request"])
def test_a_repeated_parameter_is_refused(relying_party: RelyingParty, name: str) -> None:
    """Parameter pollution: two readers of one request would read two requests."""
    asked = relying_party.asking()
    twice = urlencode([*asked.items(), *[(name, asked.get(name, "1"))] * (1 if name in asked else 2)])
    assert answer(relying_party.ask(twice))["error"] == "invalid_request"


def test_of_two_states_none_comes_back(relying_party: RelyingParty) -> None:
    back = answer(relying_party.ask(urlencode([*relying_party.asking().items(), ("state", "another")])))
    assert back["error"] == "invalid_request"
    assert "state" not in back


def test_what_is_not_known_is_passed_over(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    query = urlencode(relying_party.asking(display="popup", ui_locales="se", claims="{}", acr_values="1 2"))
    assert "code" in answer(relying_party.ask(query + "&extra=foobar&extra=again&%00=%00"))


def test_the_pools_own_directory_may_be_named_as_the_provider(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    assert "code" in answer(relying_party.authorize(identity_provider="COGNITO", idp_identifier=""))


def test_a_provider_that_cannot_be_had_is_named(relying_party: RelyingParty) -> None:
    said = answer(relying_party.authorize(identity_provider="Google"))["error_description"]
    assert said == "Signing in with Google is not available in this version of Cognate."
    said = answer(relying_party.authorize(identity_provider="Corporate"))["error_description"]
    assert said == "The identity provider Corporate does not exist."


def test_a_client_without_the_code_flow_gets_no_code(env: Env, relying_party: RelyingParty) -> None:
    closed = build.a_client(env, relying_party.pool, allowed_oauth_flows_user_pool_client=False)
    party = RelyingParty.of(env, relying_party.http, closed)
    party.user_signs_in()
    assert answer(party.authorize())["error"] == "unauthorized_client"


def test_a_client_that_must_use_pkce_is_refused_without(env: Env, relying_party: RelyingParty) -> None:
    """Requirement 3: at the authorization endpoint already; Authlib looks at the token endpoint only."""
    party = RelyingParty.of(env, relying_party.http, build.a_client(env, relying_party.pool, require_pkce=True))
    party.user_signs_in()
    assert answer(party.authorize(code_challenge=None, code_challenge_method=None))["error"] == "invalid_request"
    assert "code" in answer(party.authorize())


def test_without_a_scope_the_client_gets_all_of_his(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    assert relying_party.tokens(scope=None)["scope"] == "openid email profile aws.cognito.signin.user.admin"


def test_scopes_are_granted_in_the_order_in_which_they_were_asked_for(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    assert relying_party.tokens(scope="profile openid openid email")["scope"] == "profile openid email"


def test_a_scope_that_was_deleted_is_passed_over_until_it_is_there_again(env: Env, relying_party: RelyingParty) -> None:
    """Reference 11.2."""
    resource_servers.create(env, relying_party.pool, identifier="api", name="API", scopes=[("read", "Read")])
    client = build.a_client(env, relying_party.pool, allowed_oauth_scopes=["openid", "api/read"])
    party = RelyingParty.of(env, relying_party.http, client)
    party.user_signs_in()
    assert party.tokens(scope="api/read openid")["scope"] == "api/read openid"
    with env.transaction():
        env.db.query(ResourceServer).delete()
        env.configuration_changed()
    assert party.tokens(scope="api/read openid")["scope"] == "openid"
    assert answer(party.authorize(scope="api/read"))["error"] == "invalid_scope"
    resource_servers.create(env, relying_party.pool, identifier="api", name="API", scopes=[("read", "Read")])
    assert party.tokens(scope="api/read openid")["scope"] == "api/read openid"


# -- state -----------------------------------------------------------------------------------------------------

TORTURE = [
    "s t&'x",
    "a+b%20c%2520",
    "=&?#;/\\",
    '"><script>alert(1)</script>',
    "\r\nSet-Cookie: stolen=1",
    "\r\n\r\n<html>",
    "\0\x01\x7f",
    "žluťoučký 🦊 ключ",
    "{{7*7}}${7*7}",
    "-._~" * 32,
    "state=1&code=2&iss=https://evil.example",
    "\u202e\u2028",
    "x" * 4000,
]


@pytest.mark.parametrize("state", TORTURE)
@pytest.mark.parametrize("scope", ["openid", "nope"])
def test_the_state_comes_back_as_it_went(relying_party: RelyingParty, state: str, scope: str) -> None:
    relying_party.user_signs_in()
    response = relying_party.authorize(state=state, scope=scope)
    location = response.headers["Location"]
    assert answer(response)["state"] == state
    assert location.isascii() and location.isprintable() and " " not in location
    assert "Set-Cookie" not in response.headers
    assert urlsplit(location).netloc == "app.example.com"


def test_a_state_of_bytes_that_are_no_text_comes_back_byte_for_byte(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    query = urlencode(relying_party.asking(state=None)) + "&state=%ff%FE%80ok"
    assert "&state=%FF%FE%80ok&" in relying_party.ask(query).headers["Location"]


def test_without_a_state_there_is_none(relying_party: RelyingParty) -> None:
    relying_party.user_signs_in()
    assert set(answer(relying_party.authorize(state=None))) == {"code", "iss"}


# -- POST ------------------------------------------------------------------------------------------------------


def test_a_posted_request_becomes_a_get_with_the_same_parameters(relying_party: RelyingParty) -> None:
    """A cross-site form does not bring the session's cookie along; the redirect does (OpenID Connect Core, 3.1.2.1)."""
    relying_party.user_signs_in()
    path = f"/{relying_party.pool.id}/oauth2/authorize"
    response = relying_party.http.post(path, data=relying_party.asking(state="ž & ü"))
    assert response.status_code == 303
    location = response.headers["Location"]
    assert location.startswith(path + "?") and location.isascii()
    back = answer(relying_party.http.get(location))
    assert back["state"] == "ž & ü" and back["code"]


def test_a_posted_body_that_is_no_form_is_told_to_the_person(relying_party: RelyingParty) -> None:
    path = f"/{relying_party.pool.id}/oauth2/authorize"
    assert told_the_person(relying_party.http.post(path, json=relying_party.asking())) == "invalid_request"
    long = {"state": "x" * LONGEST_FORM}
    assert told_the_person(relying_party.http.post(path, data=long)) == "invalid_request"


def test_more_parameters_than_anybody_needs_are_told_to_the_person(relying_party: RelyingParty) -> None:
    query = "&".join(f"p{n}=1" for n in range(MOST_PARAMETERS + 1))
    assert told_the_person(relying_party.ask(query)) == "invalid_request"


# -- recently? -------------------------------------------------------------------------------------------------


def test_prompt_none_never_shows_a_page(relying_party: RelyingParty) -> None:
    assert answer(relying_party.authorize(prompt="none"))["error"] == "login_required"
    relying_party.user_signs_in()
    assert "code" in answer(relying_party.authorize(prompt="none"))


def test_prompt_none_with_the_hint_of_somebody_else_gives_no_code(env: Env, relying_party: RelyingParty) -> None:
    """OpenID Connect Core, 3.1.2.1: a client that renews silently must not become somebody else's."""
    relying_party.user_signs_in()
    hint = relying_party.tokens()["id_token"]
    assert "code" in answer(relying_party.authorize(prompt="none", id_token_hint=hint))
    relying_party.user_signs_in(build.a_user(env, relying_party.pool, "bob", email="bob@example.com"))
    assert answer(relying_party.authorize(prompt="none", id_token_hint=hint))["error"] == "login_required"


def test_a_hint_that_has_expired_still_names_the_user(relying_party: RelyingParty, clock: Clock) -> None:
    user = relying_party.user_signs_in()
    hint = relying_party.tokens()["id_token"]
    clock.forward(hours=2)
    relying_party.user_signs_in(user)
    assert "code" in answer(relying_party.authorize(prompt="none", id_token_hint=hint))


def test_a_hint_that_is_not_ours_or_not_the_clients_is_refused(env: Env, relying_party: RelyingParty) -> None:
    other_pool = RelyingParty.of_new_pool(env, relying_party.http)
    other_pool.user_signs_in()
    user = relying_party.user_signs_in()
    other_client = RelyingParty.of(env, relying_party.http, build.a_client(env, relying_party.pool))
    tokens = relying_party.tokens()
    head, payload, _ = tokens["id_token"].split(".")
    for hint in (
        other_pool.tokens()["id_token"],
        other_client.tokens()["id_token"],
        tokens["access_token"],
        f"{head}.{payload}.",
        "nothing",
        user.sub,
    ):
        assert answer(relying_party.authorize(prompt="none", id_token_hint=hint))["error"] == "login_required"
        assert answer(relying_party.authorize(id_token_hint=hint))["error"] == "invalid_request"


def test_the_hint_of_somebody_else_leads_to_the_sign_in_page_and_is_met_by_that_user_only(
    env: Env, relying_party: RelyingParty, clock: Clock
) -> None:
    alice = relying_party.user_signs_in()
    hint = relying_party.tokens()["id_token"]
    bob = build.a_user(env, relying_party.pool, "bob", email="bob@example.com")
    relying_party.user_signs_in(bob)
    back = urlencode(at_sign_in(relying_party.authorize(id_token_hint=hint)))
    clock.forward(seconds=10)
    relying_party.user_signs_in(bob)
    assert answer(relying_party.ask(back))["error"] == "login_required"
    relying_party.user_signs_in(alice)
    assert "code" in answer(relying_party.ask(back))


def test_prompt_none_with_a_session_that_is_too_old_is_refused(relying_party: RelyingParty, clock: Clock) -> None:
    relying_party.user_signs_in()
    clock.forward(seconds=11)
    assert answer(relying_party.authorize(prompt="none", max_age="10"))["error"] == "login_required"
    assert "code" in answer(relying_party.authorize(prompt="none", max_age="11"))


def test_a_client_that_wants_no_session_of_others_asks_again(env: Env, relying_party: RelyingParty) -> None:
    """Reference: 6.8. And whoever has just signed in for it goes on."""
    user = relying_party.user_signs_in()
    bank = RelyingParty.of(env, relying_party.http, build.a_client(env, relying_party.pool))
    app_clients.set_session(env, bank.client, longest=0)
    assert "code" in answer(relying_party.authorize())
    assert at_sign_in(bank.authorize())
    assert answer(bank.authorize(prompt="none"))["error"] == "login_required"
    bank.user_signs_in(user)
    assert "code" in answer(bank.authorize())


@pytest.mark.parametrize(
    "demand",
    [{"prompt": "login"}, {"prompt": "select_account"}, {"prompt": "login consent"}, {"max_age": "0"}],
    ids=lambda demand: "-".join(demand.values()),
)
def test_a_demand_to_sign_in_again_is_met_by_signing_in_after_it(
    relying_party: RelyingParty, clock: Clock, demand: dict[str, str]
) -> None:
    """Requirement 40."""
    user = relying_party.user_signs_in()
    clock.forward(seconds=5)
    page = at_sign_in(relying_party.authorize(**demand))
    assert dict(page).items() >= relying_party.asking(**demand).items()

    clock.forward(seconds=5)
    assert at_sign_in(relying_party.ask(urlencode(page))), "coming back with the old session is not signing in"

    relying_party.user_signs_in(user)
    clock.forward(seconds=1)
    back = answer(relying_party.ask(urlencode(page)))
    assert back["state"] == "a-state" and back["code"]


def test_a_demand_that_was_met_is_met_once(relying_party: RelyingParty, clock: Clock) -> None:
    """The address from the history asks again, after the minute that the way back may take."""
    user = relying_party.user_signs_in()
    clock.forward(seconds=5)
    page = at_sign_in(relying_party.authorize(prompt="login"))
    relying_party.user_signs_in(user)
    clock.forward(seconds=61)
    again = at_sign_in(relying_party.ask(urlencode(page)))
    assert again != page
    assert len(again) == len(page)


def test_a_demand_of_one_request_does_not_serve_another(relying_party: RelyingParty, clock: Clock) -> None:
    user = relying_party.user_signs_in()
    page = at_sign_in(relying_party.authorize(prompt="login"))
    relying_party.user_signs_in(user)
    other = [(name, "another" if name == "state" else value) for name, value in page]
    assert at_sign_in(relying_party.ask(urlencode(other)))


@pytest.mark.parametrize("made_up", ["", "0", "0.", "0.x", ".", "x.y", "1.ü", "99999999999999999999999.x"])
def test_a_demand_that_was_made_up_is_none(relying_party: RelyingParty, made_up: str) -> None:
    relying_party.user_signs_in()
    assert at_sign_in(relying_party.authorize(prompt="login", cognate_demanded=made_up))


def test_a_demand_survives_a_browser_that_escapes_differently(relying_party: RelyingParty) -> None:
    user = relying_party.user_signs_in()
    page = at_sign_in(relying_party.authorize(prompt="login", state="it's ~ü"))
    relying_party.user_signs_in(user)
    respelled = "&".join(f"{name}={quote(value, safe='')}" for name, value in page).replace("it%27s%20", "it's+")
    assert answer(relying_party.ask(respelled))["state"] == "it's ~ü"


def test_a_demand_without_any_session_is_met_by_the_first(relying_party: RelyingParty, clock: Clock) -> None:
    page = at_sign_in(relying_party.authorize(prompt="login", max_age="0"))
    clock.forward(seconds=30)
    relying_party.user_signs_in()
    clock.forward(seconds=1)
    assert "code" in answer(relying_party.ask(urlencode(page)))


def test_a_session_that_is_young_enough_is_not_asked_again(relying_party: RelyingParty, clock: Clock) -> None:
    relying_party.user_signs_in()
    clock.forward(seconds=100)
    assert "code" in answer(relying_party.authorize(max_age="10000"))
    assert at_sign_in(relying_party.authorize(max_age="99"))


def test_a_demand_goes_through_the_sign_in_page_and_back(env: Env, relying_party: RelyingParty, clock: Clock) -> None:
    user = relying_party.user_signs_in()
    clock.forward(seconds=30)
    page = relying_party.authorize(prompt="login", max_age="0", state="s t ü").headers["Location"]
    shown = relying_party.http.get(page)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', shown.text)
    assert token
    clock.forward(seconds=30)
    form = {"csrf_token": token[1], "username": user.username, "password": build.PASSWORD}
    signed_in = relying_party.http.post(page, data=form)
    assert signed_in.status_code == 303
    back = answer(relying_party.http.get(signed_in.headers["Location"]))
    assert back["state"] == "s t ü"
    identity = relying_party.verified(relying_party.redeem(back["code"]).json["id_token"])
    assert identity["auth_time"] == int(clock.moment.timestamp())


# -- failures --------------------------------------------------------------------------------------------------


def test_a_failure_is_told_as_a_request_id_and_logged_without_secrets(
    relying_party: RelyingParty, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    relying_party.user_signs_in()

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the reason")

    monkeypatch.setattr(codes, "give", fail)
    back = answer(relying_party.authorize(state="a-secret-state"))
    assert back["error"] == "server_error"
    assert "the reason" not in back["error_description"]
    request_id = back["error_description"].split()[-1].rstrip(".")
    assert request_id in caplog.text
    assert "the reason" in caplog.text
    assert "a-secret-state" not in caplog.text


def disable(env: Env, user: User) -> None:
    with env.transaction():
        env.db.execute(update(User).where(User.sub == user.sub).values(enabled=False))


# -- how surely the user signed in, and the session that it is ----------------------------------------------------


def test_a_client_that_asks_for_a_level_is_told_the_one_there_is(relying_party: RelyingParty) -> None:
    """Requirement 40: voluntary (OpenID Connect Core, 3.1.2.1), and what is said is what happened."""
    relying_party.user_signs_in()
    for asked in ("urn:cognito:loa:1", "urn:cognito:loa:4 urn:cognito:loa:1", "unheard-of"):
        tokens = relying_party.tokens(acr_values=asked)
        for name in ("id_token", "access_token"):
            claims = relying_party.verified(tokens[name])
            assert (claims["acr"], claims["amr"]) == ("urn:cognito:loa:1", ["pwd"])
        again = relying_party.refresh(tokens["refresh_token"]).json
        assert relying_party.verified(again["id_token"])["acr"] == "urn:cognito:loa:1"
    assert "acr" not in relying_party.verified(relying_party.tokens()["id_token"])


def test_a_sign_in_at_the_pages_is_listed_with_what_came_out_of_it(env: Env, relying_party: RelyingParty) -> None:
    """Reference 6.8."""
    user_pools.set_sessions(env, relying_party.pool, tracking="ENABLED", most=20)
    user = relying_party.user_signs_in()
    assert [one.kind for one in sessions.listed(env, find.pool(env, relying_party.pool.id), user)] == ["sso"]
    relying_party.tokens()
    found = sessions.listed(env, find.pool(env, relying_party.pool.id), user)
    (sso,) = [one for one in found if one.kind == "sso"]
    (token,) = [one for one in found if one.kind == "tkn"]
    assert token.came_from == sso.name and token.client_id == relying_party.client.id
    sessions.revoke(env, find.pool(env, relying_party.pool.id), user, token.name, linked=True)
    at_sign_in(relying_party.authorize())


# -- for which resource? -------------------------------------------------------------------------------------------

MCP = "https://mcp.example.com/tools"
"""As an application registers it; clients write it with a slash, or with capitals in the host."""


@pytest.fixture
def agent(env: Env, relying_party: RelyingParty) -> RelyingParty:
    """A client that may use two resource servers."""
    for identifier, scope in ((MCP, "call"), ("billing", "pay")):
        resource_servers.create(env, relying_party.pool, identifier=identifier, name="R", scopes=[(scope, "S")])
    allowed = ["openid", "email", f"{MCP}/call", "billing/pay", API_SCOPE]
    party = RelyingParty.of(
        env, relying_party.http, build.a_client(env, relying_party.pool, allowed_oauth_scopes=allowed)
    )
    party.user_signs_in()
    return party


@pytest.mark.parametrize("named", [MCP, f"{MCP}/", "HTTPS://MCP.example.com/tools"])
def test_a_resource_becomes_the_audience(agent: RelyingParty, named: str) -> None:
    """Requirement 16; RFC 8707. The audience is the identifier that was registered, and refreshing keeps it."""
    tokens = agent.tokens(scope=None, resource=named)
    assert tokens["scope"] == f"openid email {MCP}/call", "neither the other resource's nor that of our own API"
    refreshed = agent.refresh(tokens["refresh_token"]).json
    for token in (tokens, refreshed, agent.refresh(tokens["refresh_token"], resource=named).json):
        claims = agent.verified(token["access_token"])
        assert (claims["aud"], claims["scope"]) == (MCP, tokens["scope"])
        assert header(token["access_token"])["typ"] == "at+jwt"
        assert agent.verified(token["id_token"])["aud"] == agent.client.id
        assert "typ" not in header(token["id_token"])
        assert agent.userinfo(token["access_token"]).status_code == 401, "it is for the resource and for nobody else"


def test_without_a_resource_there_is_no_audience(agent: RelyingParty) -> None:
    tokens = agent.tokens(scope=None)
    assert "aud" not in agent.verified(tokens["access_token"])
    assert set(header(tokens["access_token"])) == {"kid", "alg"}


def test_a_resource_at_the_token_endpoint_narrows_and_never_widens(agent: RelyingParty) -> None:
    """RFC 8707, 2.2."""
    tokens = agent.redeem(agent.code(scope=None), resource=f"{MCP}/").json
    assert agent.verified(tokens["access_token"])["aud"] == MCP
    whole = agent.refresh(tokens["refresh_token"]).json
    assert "aud" not in agent.verified(whole["access_token"]), "the grant was for everything"
    other = agent.refresh(tokens["refresh_token"], resource="billing").json
    assert (agent.verified(other["access_token"])["aud"], other["scope"]) == ("billing", "openid email billing/pay")

    code = agent.code(scope=None, resource=MCP)
    for wrong in ("billing", "https://nobody.example", agent.client.id):
        assert error(agent.redeem(code, resource=wrong)) == "invalid_target"
    bound = agent.redeem(code, resource=MCP).json
    for wrong in ("billing", "https://nobody.example"):
        assert error(agent.refresh(bound["refresh_token"], resource=wrong)) == "invalid_target"
    assert agent.refresh(bound["refresh_token"]).status_code == 200, "nothing has ended for it"


def test_a_resource_that_is_refused_is_never_passed_over(env: Env, agent: RelyingParty) -> None:
    other = RelyingParty.of_new_pool(env, agent.http)
    resource_servers.create(env, other.pool, identifier="https://elsewhere.example", name="E", scopes=[])
    refused = (
        "https://elsewhere.example",
        agent.client.id,
        f"{MCP}#part",
        f"{MCP}//",
        f"{MCP}/../admin",
        "https://mcp.example.com/Tools",
        "https://mcp.example.com:443/tools",
        "http://mcp.example.com/tools",
        "Billing",
    )
    for resource in refused:
        assert answer(agent.authorize(resource=resource))["error"] == "invalid_target", resource
    twice = urlencode([*agent.asking().items(), ("resource", MCP), ("resource", "billing")])
    assert answer(agent.ask(twice))["error"] == "invalid_target"
    assert answer(agent.authorize(resource=MCP, scope="billing/pay"))["error"] == "invalid_target"


def test_a_scope_that_is_removed_before_the_code_is_redeemed_is_not_granted(env: Env, agent: RelyingParty) -> None:
    code, only = agent.code(scope=f"openid {MCP}/call"), agent.code(scope=f"{MCP}/call")
    resource_servers.update(env, agent.pool, identifier=MCP, name="R", scopes=[])
    assert agent.redeem(code).json["scope"] == "openid"
    assert error(agent.redeem(only)) == "invalid_grant"


def header(token: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(base64url.decode(token.split(".")[0]))
    return found
