"""Ending tokens (reference: 6.5)."""

from __future__ import annotations

from typing import Any

from app import errors
from app.api.caller import Call
from app.api.registry import operation
from app.tokens import revoke


@operation("RevokeToken")
def revoke_token(call: Call) -> dict[str, Any]:
    """End a refresh token and the access tokens that came with it."""
    if call.get("RevokeAssociatedSessions") == "LINKED":
        raise errors.InvalidParameter("RevokeAssociatedSessions LINKED is not available in this version of Cognate.")
    with call.env.transaction():
        revoke.refresh_token(call.env, call.client, call["Token"])
    return {}


@operation("GlobalSignOut")
def global_sign_out(call: Call) -> dict[str, Any]:
    """End everything that the user is signed in with, everywhere."""
    with call.env.transaction():
        revoke.everything_of(call.env, call.user)
    return {}
