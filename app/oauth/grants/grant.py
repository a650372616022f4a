"""What the grants have in common: who asks, whether he may, and the form of the answer (RFC 6749, 5.1)."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import BaseGrant, InvalidRequestError, TokenEndpointMixin, UnauthorizedClientError

from app.oauth.client import METHODS, OAuthClient
from app.tokens import issue


class Grant(BaseGrant, TokenEndpointMixin):
    """A grant says in `tokens` what it gives; it may raise OAuth2Error or a Refusal.

    Authlib's ready-made grants look a code or token up, make new tokens, and remove the old in three steps, so that
    two requests at once both succeed; they also log whole tokens. Ours call one use-case that does it at once.
    """

    def tokens(self, client: OAuthClient) -> issue.Tokens:
        raise NotImplementedError

    def validate_token_request(self) -> None:
        client = self.server.authenticate_client(self.request, METHODS)
        if not client.check_grant_type(str(self.GRANT_TYPE)):
            raise UnauthorizedClientError(f"The client may not use the grant {self.GRANT_TYPE}.")
        self.request.client = client

    def create_token_response(self) -> Any:
        # RFC 6749, 5.1: the scope is named wherever it can differ from what was asked for, which is always.
        tokens = self.tokens(self.client)
        body: dict[str, Any] = {"access_token": tokens.access, "token_type": "Bearer", "expires_in": tokens.expires_in}
        if tokens.id is not None:
            body["id_token"] = tokens.id
        if tokens.refresh is not None:
            body["refresh_token"] = tokens.refresh
        body["scope"] = tokens.scope
        return 200, body, []

    def optional(self, name: str) -> str | None:
        """A parameter; one without a value counts as left out (RFC 6749, 3.1)."""
        return self.request.form.get(name) or None

    def required(self, name: str) -> str:
        value = self.optional(name)
        if value is None:
            raise InvalidRequestError(f"The parameter {name} is missing.")
        return value
