"""Tokens: the next ones, a client's own, those made from others, and their end (reference: 6.5, 6.7)."""

from __future__ import annotations

from typing import Any

from app import errors
from app.accounts import find
from app.api import wire
from app.api.caller import Call
from app.api.registry import operation
from app.tokens import exchange, issue, refresh, resources, revoke
from app.tokens.claims import API_SCOPE, OIDC_SCOPES
from app.tokens.scopes import granted

NOT_ENABLED = "Auth flow not enabled for this client"
KINDS = {"ACCESS_TOKEN": "access", "ID_TOKEN": "id", "SAML2": "saml2"}
"""Tokens that can be exchanged, and one that cannot, by what they are called here."""


@operation("GetTokensFromRefreshToken")
def get_tokens_from_refresh_token(call: Call) -> dict[str, Any]:
    """The next tokens, and where the client's refresh tokens rotate the next one of these."""
    if not (call.client.rotates or "ALLOW_REFRESH_TOKEN_AUTH" in call.client.auth_flows):
        raise errors.InvalidParameter(NOT_ENABLED)
    tokens = refresh.tokens(
        call.env,
        call.client,
        call["RefreshToken"],
        oauth=False,
        origin=call.origin,
        device_key=call.get("DeviceKey"),
    )
    return {"AuthenticationResult": wire.authentication(tokens)}


@operation("RevokeToken")
def revoke_token(call: Call) -> dict[str, Any]:
    """End a refresh token and the access tokens that came with it; LINKED also the browser's session behind them."""
    linked = call.get("RevokeAssociatedSessions") == "LINKED"
    with call.env.transaction():
        revoke.refresh_token(call.env, call.client, call["Token"], linked=linked)
    return {}


@operation("GlobalSignOut")
def global_sign_out(call: Call) -> dict[str, Any]:
    """End everything that the user is signed in with, everywhere."""
    with call.env.transaction():
        revoke.everything_of(call.env, call.user)
    return {}


@operation("AdminUserGlobalSignOut")
def admin_user_global_sign_out(call: Call) -> dict[str, Any]:
    """The same for a user."""
    user = find.existing(call.env, call.pool, call["Username"]).user
    with call.env.transaction():
        revoke.everything_of(call.env, user)
    return {}


# The third version of the trigger is asked about machines too; the list of errors forgot that.
@operation("GetClientToken", also=(errors.UnexpectedLambda,))
def get_client_token(call: Call) -> dict[str, Any]:
    """An access token for the client itself, which has shown its secret."""
    client = call.client
    if "ALLOW_CLIENT_TOKEN_AUTH" not in client.auth_flows:
        raise errors.InvalidParameter(NOT_ENABLED)
    custom = resources.existing(call.env, client)
    asked = " ".join(call.get("Scopes", []))
    try:
        scope = granted(asked or None, client.oauth_scopes, custom)
    except ValueError:
        sentence = "The client may not have this scope." if asked else "The client has no scope of a resource server."
        raise errors.InvalidParameter(sentence) from None
    tokens = issue.for_machine(call.env, client, scope)
    return {
        "ClientAuthenticationResult": {
            "AccessToken": tokens.access,
            "ExpiresIn": tokens.expires_in,
            "TokenType": "Bearer",
        }
    }


@operation("GetDerivedToken")
def get_derived_token(call: Call) -> dict[str, Any]:
    """A token made from another, for another client or a service behind it."""
    if call.get("SubjectTokenProviderName") or call.get("ActorTokenProviderName"):
        raise errors.InvalidParameter(
            "Tokens of identity providers cannot be exchanged in this version of Cognate: name no provider."
        )
    client = call.client
    built_in = (*OIDC_SCOPES, API_SCOPE)
    derived = exchange.derive(
        call.env,
        client,
        subject=exchange.Presented(call["SubjectToken"], KINDS[call["SubjectTokenType"]]),
        actor=_actor(call),
        wanted=KINDS[call.get("RequestedTokenType", "ACCESS_TOKEN")],
        scopes=call.get("Scopes", []),
        existing=resources.existing(call.env, client, built_in),
        audience=next(iter(call.get("Audiences", [])), None),
        resource=next(iter(call.get("Resources", [])), None),
        oauth=False,
    )
    return {
        "IssuedToken": derived.token,
        "IssuedTokenType": "ACCESS_TOKEN" if derived.kind == "access" else "ID_TOKEN",
        # RFC 8693, 2.2.1: what is no access token has no way in which it is used.
        "TokenType": "Bearer" if derived.kind == "access" else "N_A",
        "ExpiresIn": derived.expires_in,
        "Scopes": derived.scope.split(),
    }


def _actor(call: Call) -> exchange.Presented | None:
    token, kind = call.get("ActorToken"), call.get("ActorTokenType")
    if token is None and kind is None:
        return None
    if token is None or kind is None:
        raise errors.InvalidParameter("ActorToken and ActorTokenType go together.")
    return exchange.Presented(token, KINDS[kind])
