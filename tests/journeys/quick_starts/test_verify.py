"""The APIs of "Verify a token in your API", and what must not get past them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from app import config, create_app
from app.crypto.jose import SigningKey, generate
from app.db import db
from app.pools import find
from app.tokens import keys
from tests.journeys import javascript
from tests.journeys.conftest import WITHIN, RunningServer, administrator
from tests.journeys.quick_starts.conftest import Begin
from tests.journeys.quick_starts.pages import QuickStart
from tests.ports import free_port

# What an API is given does not depend on the server's database.
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("server", ["sqlite"], indirect=True)]
PAGE = "verify-tokens.md"


class Mint:
    """Signs what a test says with the real keys of a running server's pool, as a second process on its database."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.app: Flask = create_app(config.read(server.environ))

    def issued(self, client: str = "machine", scope: str = "demo-api/read") -> str:
        """What the token endpoint gives a machine."""
        known = self.server.demo["clients"][client]
        answer = requests.post(
            f"{self.server.demo['issuer']}/oauth2/token",
            data={"grant_type": "client_credentials", "scope": scope},
            auth=(known["client_id"], known["client_secret"]),
            verify=self.server.trusted,
            timeout=WITHIN,
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def signed(self, use: str = "access", **changes: Any) -> str:
        """A good token, but for these claims; one that is None is left out."""
        claims = {name: value for name, value in (payload(self.issued()) | changes).items() if value is not None}
        with self.app.app_context():
            env = self.app.extensions["cognate"]
            return keys.of(env, find.pool(env, self.server.demo["pool_id"])).signer(use, env.now()).sign(claims)

    def id_token(self) -> str:
        """Of the demo's user."""
        user = self.server.demo["user"]
        answer = requests.post(
            self.server.base_url,
            headers={
                "Content-Type": "application/x-amz-json-1.1",
                "X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth",
            },
            json={
                "ClientId": self.server.demo["clients"]["spa"]["client_id"],
                "AuthFlow": "USER_PASSWORD_AUTH",
                "AuthParameters": {"USERNAME": user["username"], "PASSWORD": user["password"]},
            },
            verify=self.server.trusted,
            timeout=WITHIN,
        )
        return str(answer.json()["AuthenticationResult"]["IdToken"])

    def jwks(self) -> dict[str, Any]:
        found: dict[str, Any] = requests.get(
            f"{self.server.demo['issuer']}/.well-known/jwks.json", verify=self.server.trusted, timeout=WITHIN
        ).json()
        return found


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode("ascii")


def decode(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def payload(token: str) -> dict[str, Any]:
    found: dict[str, Any] = decode(token.split(".")[1])
    return found


def with_part(token: str, place: int, **changes: Any) -> str:
    """The token with another header (0) or payload (1), and its old signature."""
    parts = token.split(".")
    parts[place] = encode(json.dumps(decode(parts[place]) | changes).encode())
    return ".".join(parts)


@pytest.fixture(params=["run-python", "run-node", "run-jose"])
def api(request: pytest.FixtureRequest, server: RunningServer, begin: Begin) -> QuickStart:
    """Each of them, running. aws-jwt-verify needs a server with HTTPS."""
    if request.param == "run-node":
        server = request.getfixturevalue("encrypted")
    installer = "pip" if request.param == "run-python" else "npm"
    return begin(PAGE, server, "4000", request.param, installer)


@pytest.fixture
def mint(api: QuickStart) -> Iterator[Mint]:
    made = Mint(api.server)
    yield made
    with made.app.app_context():
        db.engine.dispose()


def ask(api: QuickStart, authorization: str | None) -> requests.Response:
    headers = {"Authorization": authorization} if authorization is not None else {}
    return requests.get(f"{api.base_url}/things", headers=headers, timeout=WITHIN)


def test_a_good_token_is_believed(api: QuickStart, mint: Mint) -> None:
    machine = api.server.demo["clients"]["machine"]["client_id"]
    printed = api.run("try")
    assert "200 OK" in printed.splitlines()[0] and machine in printed
    for token in (mint.issued(), mint.issued(scope="demo-api/write demo-api/read"), mint.signed(scope="demo-api/read")):
        answer = ask(api, f"Bearer {token}")
        assert (answer.status_code, answer.json()) == (200, {"caller": machine})


def test_a_token_without_the_scope_may_not_do_this(api: QuickStart, mint: Mint) -> None:
    answer = ask(api, f"Bearer {mint.issued(scope='demo-api/write')}")
    assert answer.status_code == 403
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'
    assert ask(api, f"Bearer {mint.signed(scope='demo-api/readers')}").status_code == 403


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer ", "Basic Zm9vOmJhcg=="])
def test_who_brings_no_token_is_told_to(api: QuickStart, given: str | None) -> None:
    answer = ask(api, given)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


ATTACKS: dict[str, Callable[[Mint], str]] = {
    "an ID token": Mint.id_token,
    "an ID token with the scope and the client of an access token": lambda mint: mint.signed("id", token_use="id"),
    "a token without token_use": lambda mint: mint.signed(token_use=None),
    "a token of another client": lambda mint: mint.signed(client_id=mint.server.demo["clients"]["web"]["client_id"]),
    "a token of no client": lambda mint: mint.signed(client_id=None),
    "a token for another API": lambda mint: mint.signed(aud="https://another.example.com"),
    "a token of another issuer": lambda mint: mint.signed(iss=mint.server.demo["issuer"] + "x"),
    "a token of no issuer": lambda mint: mint.signed(iss=None),
    "an expired token": lambda mint: mint.signed(exp=int(time.time()) - 1),
    "a token that expires never": lambda mint: mint.signed(exp=None),
    "a token whose scope was changed": lambda mint: with_part(
        mint.issued(scope="demo-api/write"), 1, scope="demo-api/read"
    ),
    "a token whose signature was changed": lambda mint: mint.issued()[:-20] + "A" * 20,
    "a token without a signature": lambda mint: mint.issued().rpartition(".")[0] + ".",
    "a token of the algorithm none": lambda mint: with_part(mint.issued(), 0, alg="none").rpartition(".")[0] + ".",
    "a token that the public key signed as if it were a secret": lambda mint: signed_with_the_public_key(mint),
    "no token at all": lambda mint: "a.b.c",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_whoever_brings_something_else_is_refused(api: QuickStart, mint: Mint, attack: str) -> None:
    answer = ask(api, f"Bearer {ATTACKS[attack](mint)}")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def signed_with_the_public_key(mint: Mint) -> str:
    """RFC 8725, 2.1: HS256, with what everybody can read as the key."""
    header, body, _ = with_part(mint.issued(), 0, alg="HS256").split(".")
    (public,) = [key for key in mint.jwks()["keys"] if key["kid"] == decode(header)["kid"]]
    digest = hmac.new(json.dumps(public).encode(), f"{header}.{body}".encode(), hashlib.sha256).digest()
    return f"{header}.{body}.{encode(digest)}"


def test_a_token_that_the_attacker_signed_is_refused(api: QuickStart, mint: Mint) -> None:
    claims = payload(mint.issued())
    kid = decode(mint.issued().split(".")[0])["kid"]
    own = generate("RS256")
    for name in (kid, secrets.token_hex(), secrets.token_hex()):
        answer = ask(api, f"Bearer {SigningKey.load(own, 'RS256', name).sign(claims)}")
        # Between two fetches aws-jwt-verify does not know what an unknown key id is worth.
        assert answer.status_code == 401 or (answer.status_code, name == kid) == (503, False)
    assert ask(api, f"Bearer {mint.issued()}").status_code == 200


def test_a_token_of_another_pool_is_refused(api: QuickStart, mint: Mint) -> None:
    """Which has a client and an API of the same names, and any number of users that its owner likes."""
    admin = administrator(api.server)
    pool_id = admin.create_user_pool(PoolName="Another")["UserPool"]["Id"]
    admin.create_resource_server(
        UserPoolId=pool_id,
        Identifier="demo-api",
        Name="API",
        Scopes=[{"ScopeName": "read", "ScopeDescription": "Read"}],
    )
    made = admin.create_user_pool_client(
        UserPoolId=pool_id,
        ClientName="Demo machine",
        GenerateSecret=True,
        AllowedOAuthFlows=["client_credentials"],
        AllowedOAuthScopes=["demo-api/read"],
        AllowedOAuthFlowsUserPoolClient=True,
    )["UserPoolClient"]
    admin.close()
    answer = requests.post(
        f"{api.server.base_url}/{pool_id}/oauth2/token",
        data={"grant_type": "client_credentials", "scope": "demo-api/read"},
        auth=(made["ClientId"], made["ClientSecret"]),
        verify=api.server.trusted,
        timeout=WITHIN,
    )
    assert ask(api, f"Bearer {answer.json()['access_token']}").status_code in (401, 503)


def test_without_the_keys_nobody_is_believed_and_the_token_is_not_blamed(
    api: QuickStart, mint: Mint, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The server is down when the first token comes."""
    title = request.node.callspec.params["api"]
    alone = QuickStart(PAGE, tmp_path, api.server, "4000")
    alone.prepare("pip" if title == "run-python" else "npm")
    alone.environ["ISSUER"] = re.sub(r":\d+/", f":{free_port()}/", alone.environ["ISSUER"])
    with alone.running(title):
        for _ in range(2):
            answer = ask(alone, f"Bearer {mint.issued()}")
            assert answer.status_code == 503
            assert "WWW-Authenticate" not in answer.headers


def test_cognito_jwt_verifier_takes_amazons_issuer_only(server: RunningServer) -> None:
    """Why the page uses JwtVerifier: the same token, and the same keys, at hand for both."""
    mint = Mint(server)
    script = """
        import { CognitoJwtVerifier, JwtVerifier } from "aws-jwt-verify";
        const { issuer, userPoolId, clientId, token, jwks } = JSON.parse(process.argv[1]);
        const [of_cognito, any] = [
          CognitoJwtVerifier.create({ userPoolId, clientId, tokenUse: "access" }),
          JwtVerifier.create({ issuer, audience: null }),
        ];
        of_cognito.cacheJwks(jwks);
        any.cacheJwks(jwks);
        const said = (verifier) => {
          try {
            return verifier.verifySync(token).client_id;
          } catch (error) {
            return error.name + ": " + error.message;
          }
        };
        console.log(JSON.stringify([said(of_cognito), said(any)]));
    """
    client_id = server.demo["clients"]["machine"]["client_id"]
    given = {
        "issuer": server.demo["issuer"],
        "userPoolId": server.demo["pool_id"],
        "clientId": client_id,
        "token": mint.issued(),
        "jwks": mint.jwks(),
    }
    done = subprocess.run(
        [javascript.node(), "--input-type=module", "-e", script, json.dumps(given)],
        cwd=javascript.HERE,
        capture_output=True,
        text=True,
        timeout=WITHIN,
    )
    assert done.returncode == 0, done.stderr
    refused, believed = json.loads(done.stdout)
    assert believed == client_id
    assert refused.endswith(f"issuer not configured: {server.demo['issuer']}")
