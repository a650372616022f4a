"""A person and an application: sign up, come back signed in, sign out, sign in again, forget the password.

The application is one as people write them, with Authlib's client for Flask: discovery, code flow, PKCE. What it is
given is then looked at again with another library.
"""

import base64
import hashlib
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
import requests
from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, request, session
from joserfc import jwt
from joserfc.jwk import KeySet
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab
from werkzeug.wrappers import Response

from tests.chromium import press
from tests.journeys.conftest import RunningServer
from tests.serving import serving

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PASSWORD = "Correct-horse-7"
NEW = "Another-horse-8"


@dataclass
class Application:
    """A client application, what it was registered with, and what it got."""

    base: str
    discovery: dict[str, Any]
    client_id: str
    client_secret: str
    tokens: list[dict[str, Any]] = field(default_factory=list)
    nonces: list[str] = field(default_factory=list)
    issuers: list[str | None] = field(default_factory=list)


def relying_party() -> Flask:
    """Three routes, as in Authlib's documentation."""
    app = Flask("relying party")
    app.secret_key = secrets.token_hex()
    # Cookies do not know ports, and the server under test is on localhost as well.
    app.config["SESSION_COOKIE_NAME"] = "application"
    oauth = OAuth(app)

    def registered() -> Application:
        found: Application = app.extensions["application"]
        return found

    def home() -> str:
        email = session.get("email")
        return f"Signed in as {email}" if email else '<a href="/login">Sign in</a>'

    def login() -> Response:
        nonce = secrets.token_urlsafe()
        registered().nonces.append(nonce)
        sent: Response = oauth.cognate.authorize_redirect(f"{registered().base}/callback", nonce=nonce)
        return sent

    def callback() -> Response:
        token = oauth.cognate.authorize_access_token()
        registered().tokens.append(token)
        registered().issuers.append(request.args.get("iss"))
        session["email"] = token["userinfo"]["email"]
        return redirect("/")

    def logout() -> Response:
        """RP-Initiated Logout 1.0; with `?cognito`, Cognito's own form."""
        session.clear()
        one = registered()
        if "cognito" in request.args:
            query = urlencode({"client_id": one.client_id, "logout_uri": f"{one.base}/"})
            return redirect(f"{one.discovery['end_session_endpoint']}?{query}")
        hint = one.tokens[-1]["id_token"]
        sent: Response = oauth.cognate.logout_redirect(f"{one.base}/signed-out", id_token_hint=hint)
        return sent

    def signed_out() -> Response:
        oauth.cognate.validate_logout_response()
        return redirect("/")

    for path, view in [
        ("/", home),
        ("/login", login),
        ("/callback", callback),
        ("/logout", logout),
        ("/signed-out", signed_out),
    ]:
        app.add_url_rule(path, view.__name__, view)
    app.extensions["oauth"] = oauth
    return app


@pytest.fixture
def application(server: RunningServer) -> Iterator[Application]:
    app = relying_party()
    demo = server.demo
    with serving(app) as base:
        key = demo["access_key"]
        cognito = boto3.client(
            "cognito-idp",
            endpoint_url=server.base_url,
            region_name=server.region,
            aws_access_key_id=key["id"],
            aws_secret_access_key=key["secret"],
        )
        made = cognito.create_user_pool_client(
            UserPoolId=demo["pool_id"],
            ClientName="Relying party",
            GenerateSecret=True,
            CallbackURLs=[f"{base}/callback"],
            LogoutURLs=[f"{base}/", f"{base}/signed-out"],
            AllowedOAuthFlows=["code"],
            AllowedOAuthScopes=["openid", "email", "profile"],
            AllowedOAuthFlowsUserPoolClient=True,
            SupportedIdentityProviders=["COGNITO"],
            PreventUserExistenceErrors="ENABLED",
        )["UserPoolClient"]
        cognito.close()
        discovery = requests.get(demo["discovery_url"], timeout=60).json()
        one = Application(base, discovery, made["ClientId"], made["ClientSecret"])
        app.extensions["application"] = one
        app.extensions["oauth"].register(
            "cognate",
            client_id=one.client_id,
            client_secret=one.client_secret,
            server_metadata_url=demo["discovery_url"],
            client_kwargs={"scope": "openid email", "code_challenge_method": "S256"},
        )
        yield one


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


def test_a_person_signs_up_comes_back_signs_out_and_forgets_the_password(
    server: RunningServer, application: Application, tab: Tab
) -> None:
    name = f"person{uuid.uuid4().hex[:8]}"
    email = f"{name}@example.com"
    here = expect(tab.locator("body"))

    tab.goto(application.base)
    tab.click("text=Sign in")
    press(tab, "text=Create an account")
    tab.fill("#username", name)
    tab.fill("#email", email)
    tab.fill("#password", PASSWORD)
    press(tab, "#sign-up")
    tab.fill("#confirmation_code", sent_code(server, email))
    tab.click("#confirm")
    here.to_have_text(f"Signed in as {email}")
    assert tab.url == f"{application.base}/"

    check_id_token(server, application)
    check_user_info(application, email)
    check_refresh(application)

    tab.goto(f"{application.base}/logout")
    tab.wait_for_url(f"{application.base}/")
    tab.click("text=Sign in")
    tab.fill("#username", email)
    tab.fill("#password", PASSWORD)
    tab.click("#sign-in")
    here.to_have_text(f"Signed in as {email}")
    # Signed in at the server too: the application need not ask again.
    tab.goto(f"{application.base}/login")
    here.to_have_text(f"Signed in as {email}")
    assert len({token["userinfo"]["sub"] for token in application.tokens}) == 1
    assert application.issuers == [server.demo["issuer"]] * 3

    tab.goto(f"{application.base}/logout?cognito")
    tab.wait_for_url(f"{application.base}/")
    tab.goto(f"{application.base}/login")
    press(tab, "text=Forgot your password?")
    tab.fill("#username", name)
    press(tab, "#send-code")
    tab.fill("#confirmation_code", sent_code(server, email))
    tab.fill("#password", NEW)
    press(tab, "#reset-password")
    tab.fill("#password", PASSWORD)
    tab.click("#sign-in")
    expect(tab.locator("#problem")).to_contain_text("Incorrect username or password.")
    tab.fill("#password", NEW)
    tab.click("#sign-in")
    here.to_have_text(f"Signed in as {email}")


def sent_code(server: RunningServer, to: str) -> str:
    message = server.messages(to)[0]
    assert set(message) == {"to", "channel", "purpose", "subject", "body", "code", "link", "pool_id", "sent_at"}
    assert message["code"] in message["body"]
    return str(message["code"])


def check_id_token(server: RunningServer, application: Application) -> None:
    """Signature, issuer, audience, nonce, and that it belongs to the access token (OpenID Connect Core, 3.1.3.7)."""
    token = application.tokens[-1]
    keys = KeySet.import_key_set(requests.get(application.discovery["jwks_uri"], timeout=60).json())
    read = jwt.decode(token["id_token"], keys, algorithms=["RS256"])
    claims = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": server.demo["issuer"]},
        aud={"essential": True, "value": application.client_id},
        nonce={"essential": True, "value": application.nonces[-1]},
        exp={"essential": True},
    )
    claims.validate(read.claims)
    digest = hashlib.sha256(token["access_token"].encode("ascii")).digest()
    assert read.claims["at_hash"] == base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode("ascii")
    assert read.claims["token_use"] == "id"


def check_user_info(application: Application, email: str) -> None:
    answer = requests.get(
        application.discovery["userinfo_endpoint"],
        headers={"Authorization": f"Bearer {application.tokens[-1]['access_token']}"},
        timeout=60,
    )
    assert answer.status_code == 200
    assert answer.json()["email"] == email
    assert answer.json()["sub"] == application.tokens[-1]["userinfo"]["sub"]


def check_refresh(application: Application) -> None:
    answer = requests.post(
        application.discovery["token_endpoint"],
        data={"grant_type": "refresh_token", "refresh_token": application.tokens[-1]["refresh_token"]},
        auth=(application.client_id, application.client_secret),
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    fresh = answer.json()["access_token"]
    assert fresh != application.tokens[-1]["access_token"]
    answer = requests.get(
        application.discovery["userinfo_endpoint"], headers={"Authorization": f"Bearer {fresh}"}, timeout=60
    )
    assert answer.status_code == 200


def test_an_application_that_wants_somebody_else_gets_the_sign_in_page(
    server: RunningServer, application: Application, tab: Tab
) -> None:
    """`prompt=login` asks again, once, whoever is signed in."""
    user = server.demo["user"]
    query = (
        f"client_id={application.client_id}&response_type=code&scope=openid&prompt=login"
        f"&redirect_uri={application.base}/callback"
    )
    tab.goto(f"{application.base}/login")
    tab.fill("#username", user["username"])
    tab.fill("#password", user["password"])
    tab.click("#sign-in")
    expect(tab.locator("body")).to_have_text(f"Signed in as {user['email']}")
    tab.goto(f"{application.discovery['authorization_endpoint']}?{query}")
    expect(tab.locator("h1")).to_have_text("Sign in")
    tab.fill("#username", user["username"])
    tab.fill("#password", user["password"])
    tab.click("#sign-in")
    tab.wait_for_url(f"{application.base}/callback?*")
