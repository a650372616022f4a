"""What a relying party does (OpenID Connect Core 1.0, 3.1; RFC 6749; RFC 7636; RFC 9207), and what it checks.

begin      to the server, with state, nonce and a PKCE challenge that belong to this browser
complete   the answer is of that server and to that state -> the code is redeemed -> the ID token is verified
refreshed  new tokens for the refresh token, of the same user
ended      the refresh token is revoked -> the browser goes to the server's own sign-out and comes back
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from app.crypto import base64url
from app.demo.inside import Inside

SCOPE = "openid email profile"
LEEWAY = 10
"""Seconds that clocks may differ by. (Here they are one clock; this is what an application elsewhere would allow.)"""


class Failed(Exception):
    """Why nobody is signed in, as a sentence for whoever develops."""


@dataclass(frozen=True)
class Begun:
    """A sign-in that waits for its answer; it stays with the browser that began it."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True)
class Tokens:
    """As the server gave them: signed, and not to be believed before they are verified."""

    id_token: str
    access_token: str
    refresh_token: str


class RelyingParty:
    def __init__(
        self,
        session: Inside,
        now: Callable[[], datetime],
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        redirect_uri: str,
        home: str,
    ) -> None:
        self._session = session
        self._now = now
        self.issuer = issuer
        self.client_id = client_id
        self.home = home
        self._client = OAuth2Client(
            session,
            client_id,
            client_secret,
            scope=SCOPE,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
        )
        # The document of an issuer says that it is of this issuer, or it is another's (OpenID Connect Discovery, 4.3).
        self.server = self._read(f"{issuer}/.well-known/openid-configuration")
        if self.server.get("issuer") != issuer:
            raise Failed("The discovery document is of another issuer.")

    def _read(self, url: str) -> dict[str, Any]:
        answer = self._session.get(url)
        if answer.status_code != 200:
            raise Failed(f"{url} answered with status {answer.status_code}.")
        found: dict[str, Any] = answer.json()
        return found

    def begin(self, *, new_account: bool = False) -> tuple[Begun, str]:
        """What the browser has to keep, and where it goes: the authorization endpoint, or the page beside it on which
        an account is made."""
        begun = Begun(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48))
        endpoint = self.server["authorization_endpoint"]
        if new_account:
            endpoint = endpoint.removesuffix("/oauth2/authorize") + "/signup"
        url, _ = self._client.create_authorization_url(
            endpoint, state=begun.state, nonce=begun.nonce, code_verifier=begun.verifier
        )
        return begun, url

    def complete(self, begun: Begun, answer: Mapping[str, str]) -> Tokens:
        """The tokens for an answer whose state is the one that was begun. Raises Failed."""
        if answer.get("iss") != self.issuer:
            raise Failed("The answer came from another server: its iss is not this issuer (RFC 9207).")
        if "error" in answer:
            raise Failed(f"The server refused: {answer['error']}. {answer.get('error_description', '')}".rstrip())
        if not answer.get("code"):
            raise Failed("The answer has no code.")
        got = self._fetched(
            lambda: self._client.fetch_token(
                self.server["token_endpoint"],
                grant_type="authorization_code",
                code=answer["code"],
                code_verifier=begun.verifier,
            )
        )
        tokens = Tokens(got["id_token"], got["access_token"], got["refresh_token"])
        self.claims(tokens, nonce=begun.nonce)
        return tokens

    def refreshed(self, tokens: Tokens) -> Tokens:
        """New tokens of the same user. Raises Failed where the session has ended."""
        # The same scope as before is what leaving it out means (RFC 6749, 6).
        self._client.scope = None
        got = self._fetched(
            lambda: self._client.refresh_token(self.server["token_endpoint"], refresh_token=tokens.refresh_token)
        )
        new = Tokens(got["id_token"], got["access_token"], got.get("refresh_token") or tokens.refresh_token)
        before, after = self._decoded(tokens.id_token), self.claims(new)
        if before["sub"] != after["sub"]:
            raise Failed("The new ID token is somebody else's (OpenID Connect Core, 12.2).")
        return new

    def ended(self, tokens: Tokens) -> str:
        """Where the browser goes to sign out at the server too; it comes back to `home`."""
        revoke: Any = self._client.revoke_token
        revoke(self.server["revocation_endpoint"], token=tokens.refresh_token)
        return (
            f"{self.server['end_session_endpoint']}?{urlencode({'client_id': self.client_id, 'logout_uri': self.home})}"
        )

    def claims(self, tokens: Tokens, *, nonce: str | None = None) -> dict[str, Any]:
        """What the ID token says, verified (OpenID Connect Core, 3.1.3.7). Raises Failed."""
        claims = self._decoded(tokens.id_token)
        wanted: dict[str, Any] = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": self.client_id},
            "sub": {"essential": True},
            "exp": {"essential": True},
            "iat": {"essential": True},
            "token_use": {"essential": True, "value": "id"},
        }
        if nonce is not None:
            wanted["nonce"] = {"essential": True, "value": nonce}
        try:
            now = int(self._now().timestamp())
            jwt.JWTClaimsRegistry(now=now, leeway=LEEWAY, **wanted).validate(claims)
        except JoseError as wrong:
            raise Failed(f"The ID token is not acceptable: {wrong}.") from None
        # By it the access token is known to be of the same answer (3.1.3.8).
        digest = hashlib.sha256(tokens.access_token.encode("ascii")).digest()
        if "at_hash" in claims and claims["at_hash"] != base64url.encode(digest[:16]):
            raise Failed("The access token is not the one that the ID token was given with.")
        return claims

    def shown(self, token: str) -> dict[str, Any]:
        """What a signed token says, its signature verified and nothing else, also when it has expired: to be looked at.
        Raises Failed."""
        return self._decoded(token)

    @cached_property
    def _keys(self) -> KeySet:
        return KeySet.import_key_set(self._read(self.server["jwks_uri"]))  # type: ignore[arg-type]

    def _decoded(self, token: str) -> dict[str, Any]:
        algorithms = self.server["id_token_signing_alg_values_supported"]
        try:
            return dict(jwt.decode(token, self._keys, algorithms=algorithms).claims)
        except (JoseError, ValueError):
            raise Failed("A token's signature is not one of this server's.") from None

    @staticmethod
    def _fetched(ask: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
        try:
            got = ask()
        except OAuth2Error as refused:
            raise Failed(f"The token endpoint refused: {refused.error}. {refused.description or ''}".rstrip()) from None
        except (OSError, ValueError) as failed:
            raise Failed(f"The token endpoint failed: {failed}.") from None
        missing = {"id_token", "access_token"} - got.keys()
        if missing:
            raise Failed(f"The token endpoint's answer lacks {' and '.join(sorted(missing))}.")
        return got
