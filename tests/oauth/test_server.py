"""What holds for every request to the token endpoint."""

from __future__ import annotations

import json
import logging

import pytest
from authlib.oauth2.rfc6749 import AuthorizationServer
from flask import Flask
from flask.testing import FlaskClient

from app.env import Env
from app.oauth.grants.client_credentials import ClientCredentials
from tests.oauth.relying_party import RelyingParty, basic, error


def test_an_answer_is_json_that_nobody_keeps_and_that_scripts_may_read(machine: RelyingParty) -> None:
    """Requirements 12, 13."""
    response = machine.post("/oauth2/token", {"grant_type": "client_credentials"}, content_type=None)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("path", ["token", "revoke", "userInfo"])
def test_a_preflight_allows_what_sdks_send(machine: RelyingParty, path: str) -> None:
    asked = "authorization,content-type,x-amz-user-agent"
    response = machine.http.options(
        f"/{machine.pool.id}/oauth2/{path}",
        headers={"Access-Control-Request-Headers": asked, "Access-Control-Request-Method": "POST"},
    )
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Access-Control-Allow-Headers"] == asked
    assert "POST" in response.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("path", ["token", "revoke"])
def test_a_get_is_refused_even_with_everything_in_the_url(machine: RelyingParty, path: str) -> None:
    """RFC 6749, 3.2."""
    response = machine.http.get(
        f"/{machine.pool.id}/oauth2/{path}",
        query_string={"grant_type": "client_credentials", "token": "x"},
        headers={"Authorization": basic(machine.client.id, machine.secret or "")},
    )
    assert error(response, 405) == "invalid_request"
    assert response.headers["Allow"] == "POST, OPTIONS"


@pytest.mark.parametrize("path", ["token", "revoke"])
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (json.dumps({"grant_type": "client_credentials"}).encode(), "application/json"),
        (b"grant_type=client_credentials", "text/plain"),
        (b"grant_type=client_credentials", ""),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x"),
        (b"grant_type=%FFclient_credentials\xff", "application/x-www-form-urlencoded"),
        (b"&".join(b"p%d=1" % n for n in range(100)), "application/x-www-form-urlencoded"),
        (b"grant_type=client_credentials&grant_type=client_credentials", "application/x-www-form-urlencoded"),
        (b"grant_type=client_credentials&scope=a&scope=b", "application/x-www-form-urlencoded"),
        (b"", "application/x-www-form-urlencoded"),
        (b"grant_type=", "application/x-www-form-urlencoded"),
        (b"garbage", "application/x-www-form-urlencoded; charset=utf-8"),
    ],
)
def test_a_body_that_is_no_sound_form_is_refused(
    machine: RelyingParty, path: str, body: bytes, content_type: str
) -> None:
    response = machine.http.post(
        f"/{machine.pool.id}/oauth2/{path}",
        data=body,
        content_type=content_type,
        headers={"Authorization": basic(machine.client.id, machine.secret or "")},
    )
    assert error(response) == "invalid_request"


def test_a_body_that_is_too_large_is_refused(machine: RelyingParty) -> None:
    form = {"grant_type": "client_credentials", "scope": "x" * 3 * 1024 * 1024}
    assert error(machine.post("/oauth2/token", form), 413) == "invalid_request"


@pytest.mark.parametrize(
    "grant",
    [
        "password",
        "implicit",
        "Client_Credentials",
        "client_credentials ",
        '"quoted"\\',
        "ключ",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
    ],
)
def test_a_grant_that_we_do_not_have_is_unsupported(machine: RelyingParty, grant: str) -> None:
    """Requirement 8: the password grant is none. Authlib's device grant gives tokens twice; it is not registered."""
    assert error(machine.post("/oauth2/token", {"grant_type": grant})) == "unsupported_grant_type"


def test_a_client_gets_tokens_only_by_the_grants_it_has(
    machine: RelyingParty, confidential: RelyingParty, relying_party: RelyingParty
) -> None:
    """Requirement 33."""
    assert error(machine.redeem("code")) == "unauthorized_client"
    assert error(machine.refresh("token")) == "unauthorized_client"
    for party in (confidential, relying_party):
        assert error(party.post("/oauth2/token", {"grant_type": "client_credentials"})) == "unauthorized_client"


def test_a_pool_that_does_not_exist_is_not_found(machine: RelyingParty) -> None:
    for path in ("/us-east-1_nowhere00/oauth2/token", "/oauth2/token"):
        assert error(machine.http.post(path, data={"grant_type": "client_credentials"}), 404) == "invalid_request"


def test_a_failure_is_told_as_a_request_id_and_logged_without_secrets(
    machine: RelyingParty, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("the reason")

    monkeypatch.setattr(ClientCredentials, "tokens", fail)
    response = machine.post("/oauth2/token", {"grant_type": "client_credentials", "scope": "a-scope"})
    assert error(response, 500) == "server_error"
    request_id = response.json["error_description"].split()[-1].rstrip(".")
    assert request_id in caplog.text and "the reason" in caplog.text
    assert "the reason" not in response.text
    assert machine.secret and machine.secret not in caplog.text


def test_nothing_that_is_secret_is_logged_at_any_level(
    confidential: RelyingParty, machine: RelyingParty, caplog: pytest.LogCaptureFixture
) -> None:
    """Authlib logs whole tokens at DEBUG."""
    confidential.user_signs_in()
    with caplog.at_level(logging.DEBUG):
        code = confidential.code()
        tokens = confidential.redeem(code).json
        confidential.redeem(code)
        confidential.refresh(tokens["refresh_token"])
        confidential.userinfo(tokens["access_token"])
        confidential.revoke(tokens["refresh_token"])
        granted = machine.post("/oauth2/token", {"grant_type": "client_credentials"}).json
    cookie = confidential.http.get_cookie(confidential.cookie)
    assert cookie
    secret = [code, cookie.value, confidential.secret, machine.secret, tokens["access_token"], tokens["id_token"]]
    for value in [*secret, tokens["refresh_token"], granted["access_token"]]:
        assert value and value not in caplog.text


def test_authlib_is_held_at_info(app: Flask) -> None:
    assert logging.getLogger("authlib.oauth2.rfc6749.grants.client_credentials").getEffectiveLevel() >= logging.INFO


def test_a_proxy_that_speaks_http_to_us_does_no_harm(env: Env, http: FlaskClient, machine: RelyingParty) -> None:
    """Authlib refuses a request whose URL is not https; the public address is a setting, whatever the last hop is."""
    form = {"grant_type": "client_credentials"}
    header = {"Authorization": basic(machine.client.id, machine.secret or "")}
    path = f"/{machine.pool.id}/oauth2/token"
    assert http.post(path, base_url="http://10.0.0.7:8080", data=form, headers=header).status_code == 200


def test_the_server_is_the_neutral_one_of_authlib(app: Flask) -> None:
    """The one for Flask reads parameters from the URL too."""
    view = app.view_functions["oauth.token"]
    assert type(view.__self__).__mro__[1] is AuthorizationServer  # type: ignore[attr-defined]
