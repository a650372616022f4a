"""Refresh token (RFC 6749, 6)."""

from __future__ import annotations

from app.oauth.client import OAuthClient
from app.oauth.grants.grant import Grant
from app.tokens import issue, refresh


class RefreshToken(Grant):
    """New tokens for a refresh token (RFC 6749, 6; OpenID Connect Core 1.0, 12).

    The refresh token stays, and the answer repeats none, as Cognito has it. `scope` is passed over, as Cognito does:
    it can neither widen what was granted nor narrow it, and the answer names the scope that the token has.
    """

    GRANT_TYPE = "refresh_token"

    def tokens(self, client: OAuthClient) -> issue.Tokens:
        return refresh.tokens(self.server.env, client.row, self.required("refresh_token"), oauth=True)
