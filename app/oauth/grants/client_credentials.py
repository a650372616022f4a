"""Client credentials (RFC 6749, 4.4)."""

from __future__ import annotations

from authlib.oauth2.rfc6749 import InvalidScopeError

from app.oauth.client import OAuthClient
from app.oauth.grants.grant import Grant
from app.tokens import issue, resources
from app.tokens.scopes import granted


class ClientCredentials(Grant):
    """A token for the client itself (RFC 6749, 4.4). Only confidential clients can have this grant."""

    GRANT_TYPE = "client_credentials"

    def tokens(self, client: OAuthClient) -> issue.Tokens:
        try:
            scope = granted(self.optional("scope"), client.row.oauth_scopes, client.machine_scopes)
        except ValueError:
            raise InvalidScopeError("The client may not have this scope.") from None
        audience = resources.of(self.server.env, client.row.pool).narrowed(None, self.optional("resource"))
        return issue.for_machine(self.server.env, client.row, resources.limited(scope, audience), audience=audience)
