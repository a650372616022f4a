"""Refresh token (RFC 6749, 6)."""

from __future__ import annotations

from app import web
from app.oauth.client import OAuthClient
from app.oauth.grants.grant import Grant
from app.tokens import issue, refresh


class RefreshToken(Grant):
    """New tokens for a refresh token (RFC 6749, 6; OpenID Connect Core 1.0, 12).

    Where the client's refresh tokens rotate, the answer brings the next one; else the old one stays, and the answer
    repeats none, as Cognito has it. `scope` is passed over, as Cognito does: it can neither widen what was granted nor
    narrow it, and the answer names the scope that the token has. `resource` can narrow (RFC 8707, 2.2). A session that
    is bound to a device is not refreshed here: there is no parameter for the device's key (reference: 6.5).
    """

    GRANT_TYPE = "refresh_token"

    def tokens(self, client: OAuthClient) -> issue.Tokens:
        token = self.required("refresh_token")
        return refresh.tokens(
            self.server.env,
            client.row,
            token,
            oauth=True,
            origin=web.origin(),
            resource=self.optional("resource"),
        )
