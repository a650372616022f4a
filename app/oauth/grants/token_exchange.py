"""Token exchange (RFC 8693)."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError, UnauthorizedClientError

from app import errors
from app.oauth.client import TOKEN_EXCHANGE, OAuthClient
from app.oauth.grants.grant import Grant
from app.tokens import exchange

PREFIX = "urn:ietf:params:oauth:token-type:"
KINDS = {f"{PREFIX}access_token": "access", f"{PREFIX}id_token": "id"}
"""Types of tokens that are taken and given (RFC 8693, 3)."""


class TokenExchange(Grant):
    """A token made from another (RFC 8693, 2; the same as GetDerivedToken, reference: 6.7)."""

    GRANT_TYPE = TOKEN_EXCHANGE

    def create_token_response(self) -> Any:
        derived = self._derived(self.client)
        access = derived.kind == "access"
        # RFC 8693, 2.2.1: `access_token` is the name of the member, whatever is in it.
        body: dict[str, Any] = {
            "access_token": derived.token,
            "issued_token_type": PREFIX + ("access_token" if access else "id_token"),
            "token_type": "Bearer" if access else "N_A",
            "expires_in": derived.expires_in,
        }
        return 200, {**body, "scope": derived.scope} if access else body, []

    def _derived(self, client: OAuthClient) -> exchange.Derived:
        actor = self.optional("actor_token")
        if (actor is None) != (self.optional("actor_token_type") is None):
            raise InvalidRequestError("The parameters actor_token and actor_token_type go together.")
        if not exchange.allowed(client.row, delegation=actor is not None):
            raise UnauthorizedClientError("The client may not do this kind of exchange.")
        try:
            return exchange.derive(
                self.server.env,
                client.row,
                subject=exchange.Presented(self.required("subject_token"), self._kind("subject_token_type")),
                actor=exchange.Presented(actor, self._kind("actor_token_type")) if actor else None,
                wanted=self._kind("requested_token_type") if self.optional("requested_token_type") else "access",
                scopes=(self.optional("scope") or "").split(),
                existing=client.scopes,
                audience=self.optional("audience"),
                resource=self.optional("resource"),
                oauth=True,
            )
        except (errors.NotAuthorized, errors.UserNotFound) as refused:
            # RFC 8693, 2.2.2: a token that is not accepted is a fault of the request.
            raise InvalidRequestError(refused.message) from None

    def _kind(self, parameter: str) -> str:
        given = self.required(parameter)
        return KINDS.get(given, given)
