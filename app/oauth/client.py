"""Our client row in the words Authlib asks for, and how a client proves that it is one (RFC 6749, 2.3)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import ClientMixin, InvalidClientError, InvalidRequestError

from app import errors, facts
from app.crypto.seal import same
from app.env import Env
from app.models import Client, Pool
from app.pools import client_secrets, find
from app.tokens import claims, exchange, resources
from app.tokens.scopes import granted

METHODS = ("client_secret_basic", "client_secret_post", "none")
FLOW_OF = {
    "authorization_code": "code",
    # Who may have codes may have what comes with the tokens for a code.
    "refresh_token": "code",
    "client_credentials": "client_credentials",
}

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"

_CLIENT_ID = re.compile(r"[\w+]{1,128}", re.ASCII)


class ClientRefused(InvalidClientError):
    """401 with a challenge for a client that used the Authorization header, as it must be; for the others 400 at the
    token endpoint and 401 at the revocation endpoint, as Cognito has it. Why it was refused is not said: an unknown
    client and a wrong secret look the same."""

    def __init__(self, status: int) -> None:
        super().__init__("Client authentication failed.", status_code=status)

    def get_headers(self) -> list[tuple[str, str]]:
        challenge = [("WWW-Authenticate", 'Basic realm="token endpoint"')] if self.status_code == 401 else []
        return [*OAuth2Error.get_headers(self), *challenge]


@dataclass(frozen=True)
class OAuthClient(ClientMixin):
    env: Env
    row: Client

    @property
    def scopes(self) -> list[str]:
        """What it may ask for in somebody's name."""
        return resources.existing(self.env, self.row, (*claims.OIDC_SCOPES, claims.API_SCOPE))

    @property
    def machine_scopes(self) -> list[str]:
        """What it may ask for in its own name: scopes of resource servers only."""
        return resources.existing(self.env, self.row)

    def get_allowed_scope(self, scope: Any) -> str:
        return granted(scope, self.row.oauth_scopes, self.scopes)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return self.row.redirects_to(redirect_uri)

    def check_client_secret(self, client_secret: str) -> bool:
        """Against each live secret, by keyed hash: text of any kind can be compared, in a time that tells nothing."""
        digest = client_secrets.digest(self.env, self.row.id, client_secret)
        return any([same(kept.digest, digest) for kept in self.row.secrets])

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in (METHODS[:2] if self.row.confidential else METHODS[2:])

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and "code" in self.row.oauth_flows

    def check_grant_type(self, grant_type: str) -> bool:
        if grant_type == TOKEN_EXCHANGE:
            # No flow of OAuth's: the permission is one of the client's flows of the API, whose operation it is too.
            return not self.row.auth_flows.isdisjoint((exchange.IMPERSONATION, exchange.DELEGATION))
        return FLOW_OF.get(grant_type) in self.row.oauth_flows


def known(env: Env, pool: Pool, client_id: str) -> OAuthClient | None:
    """A client of this pool. What cannot be an id is not looked for: PostgreSQL refuses to be asked for some of it."""
    if not _CLIENT_ID.fullmatch(client_id):
        return None
    try:
        row = find.client(env, client_id, pool)
    except errors.UnknownClient:
        return None
    facts.current().client = row.id
    return OAuthClient(env, row)


def authenticate(
    env: Env, pool: Pool, authorization: str | None, form: dict[str, str], *, endpoint: str = "token"
) -> OAuthClient:
    """The client that sends this request to the endpoint `token` or `revocation`. Raises OAuth2Error.

    Authlib's own registry tries one method after the other; here a request uses one, and what it says counts. It also
    answers 500 to a header that is not UTF-8, and reads `+` in it literally.
    """
    stated, posted = form.get("client_id"), form.get("client_secret")
    if authorization is None:
        client = _checked(env, pool, stated or "", [posted] if posted else [])
        method = "client_secret_post" if posted else "none"
    else:
        if posted:
            raise InvalidRequestError("The client must authenticate in one way, not in two.")
        client_id, secrets = _basic(authorization)
        if stated and stated != client_id:
            raise InvalidRequestError("The client_id is not the one in the Authorization header.")
        client = _checked(env, pool, client_id, secrets)
        # An empty password is no secret: libraries send it for public clients.
        method = "client_secret_basic" if secrets else "none"
    if client is None or not client.check_endpoint_auth_method(method, endpoint):
        raise ClientRefused(400 if authorization is None and endpoint == "token" else 401)
    return client


def _checked(env: Env, pool: Pool, client_id: str, secrets: list[str]) -> OAuthClient | None:
    """The client; where secrets are given, only if one of them is his."""
    client = known(env, pool, client_id)
    if client is None:
        # An unknown client costs the hashes that a known one costs.
        for secret in secrets:
            client_secrets.digest(env, client_id, secret)
        return None
    proven = [client.check_client_secret(secret) for secret in secrets]
    return client if not secrets or any(proven) else None


def _basic(authorization: str) -> tuple[str, list[str]]:
    """Id and secret of an Authorization header (RFC 6749, 2.3.1). Raises ClientRefused.

    Both are form-urlencoded before they are joined. Half of the clients do not do that; for them the secret is tried
    as it stands too, which makes a difference only to one with `+` in it.
    """
    scheme, _, credentials = authorization.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError
        text = base64.b64decode(credentials.strip(), validate=True).decode("utf-8")
    except ValueError:
        raise ClientRefused(401) from None
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), [each for each in dict.fromkeys([unquote_plus(secret), secret]) if each]
