"""Token revocation (RFC 7009; reference: 7.6)."""

from __future__ import annotations

from typing import Any

from authlib.oauth2 import OAuth2Request
from authlib.oauth2.rfc6749 import InvalidRequestError, TokenEndpoint

from app.oauth.client import METHODS
from app.tokens import revoke


class Revocation(TokenEndpoint):
    """Ends a refresh token and what came of it. An unknown one, or somebody else's, is answered like one's own
    (RFC 7009, 2.2); `token_type_hint` is not needed."""

    ENDPOINT_NAME = "revocation"

    def create_endpoint_response(self, request: OAuth2Request) -> tuple[int, str, list[Any]]:
        # Not the method of the base class: that knows client_secret_basic only, and answers 401 to every public client.
        client = self.server.authenticate_client(request, METHODS, self.ENDPOINT_NAME)
        token = request.form.get("token")
        if not token:
            raise InvalidRequestError("The parameter token is missing.")
        env = self.server.env
        with env.transaction():
            revoke.refresh_token(env, client.row, token)
        return 200, "", []
