"""Authorization code (RFC 6749, 4.1.3) with PKCE (RFC 7636, 4.5)."""

from __future__ import annotations

from app import web
from app.oauth.client import OAuthClient
from app.oauth.grants.grant import Grant
from app.tokens import codes, issue


class AuthorizationCode(Grant):
    """Tokens for a code (RFC 6749, 4.1.3; RFC 7636, 4.5; OpenID Connect Core 1.0, 3.1.3)."""

    GRANT_TYPE = "authorization_code"

    def tokens(self, client: OAuthClient) -> issue.Tokens:
        # Only a client with a default may have left it out of its request.
        stated = self.optional if client.row.default_redirect_uri else self.required
        return codes.redeem(
            self.server.env,
            client.row,
            code=self.required("code"),
            redirect_uri=stated("redirect_uri"),
            verifier=self.optional("code_verifier"),
            origin=web.origin(),
            resource=self.optional("resource"),
        )
