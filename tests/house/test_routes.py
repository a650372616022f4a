"""Every route by name, with who may call it. A new one has to be put here, where somebody sees it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.env import Env
from tests.build import CALLBACK, a_client, a_pool
from tests.conftest import test_settings

ANYBODY = "anybody: says nothing that is not public"
PAGE = "anybody, for a client: a page; its form needs the token of the page"
OWN_PAGE = "whoever is signed in with this browser: a page; its form needs the token of the page"
LEAVING = "whoever wants to sign out: a page; its form needs the token of the page"
SIGNED = "the API: who may call is said for each operation in the service model"
BROWSER = "a browser: whoever is signed in is told by its cookie"
CLIENT = "a client, with its secret if it has one"
BEARER = "a person's access token"
OPERATOR = "`cognate doctor`, which proves that it has the installation's key"
DEVELOPMENT = "anybody, in development only"

ROUTES = {
    "/": {"hosted.status": ANYBODY, "api": SIGNED, "api_preflight": ANYBODY},
    "/.well-known/jwks.json": {"oauth.jwks": ANYBODY},
    "/.well-known/openid-configuration": {"oauth.discovery": ANYBODY},
    "/authorize": {"oauth.authorize_short": BROWSER},
    "/branding/<client_id>/<name>": {"hosted.logo": ANYBODY},
    "/confirm": {"hosted.confirm": PAGE},
    "/confirmForgotPassword": {"hosted.reset_password": PAGE},
    "/confirmUser": {"hosted.confirm_user": PAGE},
    "/confirmforgotPassword": {"hosted.reset_password": PAGE},
    "/confirmforgotpassword": {"hosted.reset_password": PAGE},
    "/confirmuser": {"hosted.confirm_user": PAGE},
    "/demo": {"demo.home": DEVELOPMENT},
    "/demo/callback": {"demo.callback": DEVELOPMENT},
    "/demo/refresh": {"demo.refresh": DEVELOPMENT},
    "/demo/sign-in": {"demo.sign_in": DEVELOPMENT},
    "/demo/sign-out": {"demo.sign_out": DEVELOPMENT},
    "/dev/outbox": {"outbox.messages": DEVELOPMENT},
    "/dev/outbox.json": {"outbox.messages_as_json": DEVELOPMENT},
    "/error": {"hosted.error": ANYBODY},
    "/forgotPassword": {"hosted.forgot_password": PAGE},
    "/forgotpassword": {"hosted.forgot_password": PAGE},
    "/healthz": {"health.alive": ANYBODY},
    "/healthz/seen": {"health.seen": OPERATOR},
    "/login": {"hosted.sign_in": PAGE},
    "/logout": {"oauth.logout": BROWSER},
    "/mfa": {"hosted.mfa": PAGE},
    "/mfa/choose": {"hosted.mfa_choose": PAGE},
    "/mfa/recovery": {"hosted.recovery_codes": OWN_PAGE},
    "/mfa/recoverycode": {"hosted.mfa_recovery_code": PAGE},
    "/mfa/setup": {"hosted.mfa_setup": PAGE},
    "/mfa/setup/app": {"hosted.mfa_setup_app": PAGE},
    "/mfa/setup/email": {"hosted.mfa_setup_email": PAGE},
    "/newPassword": {"hosted.new_password": PAGE},
    "/newpassword": {"hosted.new_password": PAGE},
    "/oauth2/authorize": {"oauth.authorize": BROWSER},
    "/oauth2/revoke": {"oauth.revoke": CLIENT},
    "/oauth2/token": {"oauth.token": CLIENT},
    "/oauth2/userInfo": {"oauth.userinfo": BEARER},
    "/proof": {"hosted.proof": ANYBODY},
    "/readyz": {"health.ready": ANYBODY},
    "/resendCode": {"hosted.resend": PAGE},
    "/resendcode": {"hosted.resend": PAGE},
    "/signout": {"hosted.sign_out": LEAVING},
    "/signup": {"hosted.sign_up": PAGE},
    "/static/<version>/<path:name>": {"hosted.static": ANYBODY},
}


def of(who: str) -> list[str]:
    return sorted(path for path, routes in ROUTES.items() if who in routes.values())


def routes(app: Flask) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        found.setdefault(rule.rule, set()).add(rule.endpoint)
    return found


@pytest.fixture
def production(database_url: str, tmp_path: Path, another_app: Callable[..., Flask]) -> Flask:
    return another_app(test_settings(database_url, data_dir=tmp_path, mode="production"))


def test_every_route_is_listed_with_who_may_call_it(app: Flask) -> None:
    assert routes(app) == {path: set(endpoints) for path, endpoints in ROUTES.items()}


def test_production_has_no_route_of_development(production: Flask) -> None:
    assert set(ROUTES) - routes(production).keys() == set(of(DEVELOPMENT))
    for path in of(DEVELOPMENT):
        assert production.test_client().get(path).status_code == 404


def open_page(http: FlaskClient, env: Env, path: str, **form: str) -> TestResponse:
    client = a_client(env, a_pool(env))
    url = f"/{client.pool_id}{path}"
    query = {"client_id": client.id, "response_type": "code", "redirect_uri": CALLBACK, "scope": "openid"}
    return http.post(url, query_string=query, data=form) if form else http.get(url, query_string=query)


@pytest.mark.parametrize("path", [*of(PAGE), *of(OWN_PAGE), *of(LEAVING)])
def test_a_form_from_elsewhere_is_refused(env: Env, http: FlaskClient, path: str) -> None:
    answer = open_page(http, env, path, username="alice", password="Correct-horse-7", code="123456", csrf_token="x")
    if answer.status_code == 303:
        # A new password or a code is asked for in the middle of a sign-in, and there is none.
        assert answer.headers["Location"].partition("?")[0].endswith("/login")
    else:
        assert answer.status_code in (200, 400, 403)
    assert not any("cognate-us-east-1" in cookie for cookie in answer.headers.getlist("Set-Cookie"))


@pytest.mark.parametrize("path", [*of(PAGE), *of(OWN_PAGE), "/error"])
def test_a_page_without_a_pool_or_a_client_is_an_error_and_protected(http: FlaskClient, env: Env, path: str) -> None:
    pool = a_pool(env)
    for url in (path, f"/us-east-1_nobody{path}", f"/{pool.id}{path}", f"/{pool.id}{path}?client_id=nobody"):
        answer = http.get(url)
        assert 400 <= answer.status_code < 500 or path == "/error", url
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Location" not in answer.headers


@pytest.mark.parametrize("path", of(CLIENT))
def test_a_stranger_is_no_client(http: FlaskClient, env: Env, path: str) -> None:
    client = a_client(env, a_pool(env), secret=True)
    given = {"grant_type": "authorization_code", "code": "x", "token": "x", "redirect_uri": CALLBACK}
    for claimed in ({}, {"client_id": "nobody"}, {"client_id": client.id}):
        answer = http.post(f"/{client.pool_id}{path}", data=given | claimed)
        assert answer.status_code in (400, 401), (path, claimed)
        assert answer.json and answer.json["error"] in ("invalid_client", "invalid_request")
        assert answer.headers["Cache-Control"] == "no-store"
    assert http.get(f"/{client.pool_id}{path}").status_code in (400, 405)


@pytest.mark.parametrize("path", of(BEARER))
def test_without_a_token_nobody_is_told_about_anybody(http: FlaskClient, env: Env, path: str) -> None:
    pool = a_pool(env)
    for headers in ({}, {"Authorization": "Bearer x.y.z"}, {"Authorization": "Basic eDp5"}):
        answer = http.get(f"/{pool.id}{path}", headers=headers)
        assert answer.status_code in (400, 401)
        assert set(answer.json or {}) <= {"error", "error_description"}


@pytest.mark.parametrize("path", [path for path in (*of(BROWSER), *of(OWN_PAGE)) if path != "/logout"])
def test_whoever_is_not_signed_in_is_sent_to_sign_in(http: FlaskClient, env: Env, path: str) -> None:
    answer = open_page(http, env, path)
    assert answer.status_code in (302, 303) and "/login?" in answer.headers["Location"]


def test_the_api_lets_nobody_administer_who_has_not_signed(production: Flask) -> None:
    http = production.test_client()
    for operation in ("ListUserPools", "CreateUserPool", "AdminGetUser", "DeleteUserPool"):
        answer = http.post(
            "/",
            data=b"{}",
            headers={"X-Amz-Target": f"AWSCognitoIdentityProviderService.{operation}"},
            content_type="application/x-amz-json-1.1",
        )
        assert answer.status_code == 400
        assert answer.headers["x-amzn-ErrorType"].startswith("MissingAuthenticationToken")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND"])
def test_no_route_knows_a_method_that_nobody_uses(http: FlaskClient, env: Env, method: str) -> None:
    pool = a_pool(env)
    for path in ROUTES:
        url = path.replace("<version>", "x").replace("<path:name>", "x")
        for prefix in ("", f"/{pool.id}"):
            assert http.open(prefix + url, method=method).status_code in (400, 404, 405), (method, url)
