"""A client application as tests need one: it asks for codes, redeems them, and looks at what it got."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet
from werkzeug.test import TestResponse

from app import web
from app.env import Env, Origin
from app.models import Client, Pool, User
from app.pools import client_secrets
from app.signin import browser, flow
from app.signin.state import Granted
from tests import build

VERIFIER = "a-verifier-of-43-characters-and-some-more.~_"


def s256(verifier: str) -> str:
    """The code_challenge of a code_verifier (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


CHALLENGE = s256(VERIFIER)


@dataclass
class RelyingParty:
    env: Env
    http: FlaskClient
    pool: Pool
    client: Client
    secret: str | None

    @classmethod
    def of(cls, env: Env, http: FlaskClient, client: Client) -> RelyingParty:
        secrets = client_secrets.of(env, client)
        return cls(env, http, client.pool, client, secrets[0] if secrets else None)

    @classmethod
    def of_new_pool(cls, env: Env, http: FlaskClient, **client: Any) -> RelyingParty:
        pool = build.a_pool(env, algorithm=client.pop("algorithm", "RS256"))
        return cls.of(env, http, build.a_client(env, pool, **client))

    # -- the browser

    def user_signs_in(self, user: User | None = None) -> User:
        """At the hosted pages; the browser has a session afterwards."""
        user = user or build.a_user(self.env, self.pool)
        given = {"USERNAME": user.username, "PASSWORD": build.PASSWORD}
        granted = flow.begin(self.env, self.client, flow="HOSTED_PAGES", given=given, origin=Origin())
        assert isinstance(granted, Granted)
        self.http.set_cookie(self.cookie, browser.open_session(self.env, granted))
        return user

    @property
    def cookie(self) -> str:
        return web.cookie_name(self.env.settings, f"cognate-{self.pool.id}")

    @property
    def issuer(self) -> str:
        return f"{self.env.settings.base_url}/{self.pool.id}"

    def asking(self, **changes: str | None) -> dict[str, str]:
        """Parameters of an authorization request; None leaves one out."""
        usual = {
            "response_type": "code",
            "client_id": self.client.id,
            "redirect_uri": build.CALLBACK,
            "scope": "openid email",
            "state": "a-state",
            "nonce": "a-nonce",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    def authorize(self, **changes: str | None) -> TestResponse:
        return self.ask(urlencode(self.asking(**changes)))

    def ask(self, query: str) -> TestResponse:
        return self.http.get(f"/{self.pool.id}/oauth2/authorize?{query}")

    def code(self, **changes: str | None) -> str:
        return answer(self.authorize(**changes))["code"]

    # -- the back channel

    def post(self, path: str, form: dict[str, str], **more: Any) -> TestResponse:
        """A form, with the client's credentials as Basic where it has a secret."""
        if self.secret is not None and "headers" not in more and "client_secret" not in form:
            more["headers"] = {"Authorization": basic(self.client.id, self.secret)}
        elif self.secret is None:
            form = {"client_id": self.client.id, **form}
        return self.http.post(f"/{self.pool.id}{path}", data=form, **more)

    def redeem(self, code: str, **changes: str | None) -> TestResponse:
        usual: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": build.CALLBACK,
            "code_verifier": VERIFIER,
        }
        form = {name: value for name, value in {**usual, **changes}.items() if value is not None}
        return self.post("/oauth2/token", form)

    def tokens(self, **changes: str | None) -> dict[str, Any]:
        """Tokens for the user who is signed in with the browser."""
        response = self.redeem(self.code(**changes))
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json
        return body

    def refresh(self, token: str, **more: str) -> TestResponse:
        return self.post("/oauth2/token", {"grant_type": "refresh_token", "refresh_token": token, **more})

    def revoke(self, token: str) -> TestResponse:
        return self.post("/oauth2/revoke", {"token": token})

    def userinfo(self, token: str) -> TestResponse:
        return self.http.get(f"/{self.pool.id}/oauth2/userInfo", headers={"Authorization": f"Bearer {token}"})

    def verified(self, token: str) -> dict[str, Any]:
        """Claims of a token, by the keys that the pool publishes."""
        served = self.http.get(f"/{self.pool.id}/.well-known/jwks.json").json
        algorithms = [key["alg"] for key in served["keys"]]
        return jwt.decode(token, KeySet.import_key_set(served), algorithms=algorithms).claims


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def answer(response: TestResponse) -> dict[str, str]:
    """The parameters that a redirect brings to the client; each is there once."""
    assert response.status_code == 302, response.text
    pairs = parse_qsl(urlsplit(response.headers["Location"]).query, keep_blank_values=True, errors="surrogateescape")
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def error(response: TestResponse, status: int = 400) -> str:
    """The error of a JSON answer, which is in the form that RFC 6749 wants."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    body = response.json
    assert set(body) <= {"error", "error_description"}
    assert all(" " <= c <= "~" and c not in '"\\' for c in body.get("error_description", ""))
    return str(body["error"])


def told_the_person(response: TestResponse) -> str:
    """The code of the error page that a browser gets; it is sent nowhere."""
    assert response.status_code == 400 and "Location" not in response.headers
    assert response.mimetype == "text/html" and "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    found = re.search(r'data-error="([a-z_]+)"', response.text)
    assert found, response.text
    return found[1]


def at_sign_in(response: TestResponse) -> list[tuple[str, str]]:
    """The parameters that the sign-in page is asked for."""
    assert response.status_code == 302, response.text
    location = urlsplit(response.headers["Location"])
    assert not location.netloc and location.path.endswith("/login")
    return parse_qsl(location.query, keep_blank_values=True, errors="surrogateescape")
