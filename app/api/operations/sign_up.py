"""Signing oneself up, and confirming the address (reference: 4.2, 4.3)."""

from __future__ import annotations

from typing import Any

from app.accounts import sign_up as signing_up
from app.api import shapes, wire
from app.api.caller import Call
from app.api.registry import operation
from app.signin import after_sign_up


@operation("SignUp")
def sign_up(call: Call) -> dict[str, Any]:
    """Register a user; the reply says where the confirmation code went."""
    password = call.get("Password") or None  # "omit this parameter or submit a blank value"
    if password is None and signing_up.needs_password(call.client):
        raise shapes.missing("Password")
    done = signing_up.sign_up(
        call.env,
        call.client,
        username=call["Username"],
        password=password,
        attributes=wire.attributes(call.get("UserAttributes")),
        origin=call.origin,
    )
    return {
        "UserConfirmed": done.user.confirmed,
        "UserSub": done.user.sub,
        **wire.delivery(done.delivery),
        **_session(after_sign_up.first(call.env, call.client, done)),
    }


@operation("ConfirmSignUp")
def confirm_sign_up(call: Call) -> dict[str, Any]:
    """Take the code that was sent."""
    user = signing_up.confirm(
        call.env,
        call.client,
        username=call["Username"],
        code=call["ConfirmationCode"],
        force_alias=call.get("ForceAliasCreation", False),
        origin=call.origin,
    )
    return _session(after_sign_up.confirmed(call.env, call.client, call.get("Session"), user))


@operation("AdminConfirmSignUp")
def admin_confirm_sign_up(call: Call) -> dict[str, Any]:
    """Confirm a user without a code."""
    signing_up.confirm_by_administrator(call.env, call.pool, username=call["Username"])
    return {}


@operation("ResendConfirmationCode")
def resend_confirmation_code(call: Call) -> dict[str, Any]:
    """Send another code; the one before is no longer taken."""
    to = signing_up.resend(call.env, call.client, username=call["Username"], origin=call.origin)
    return wire.delivery(to)


def _session(ticket: str | None) -> dict[str, str]:
    """With which the sign-up goes on into the first sign-in, where the client has the flow for it."""
    return {"Session": ticket} if ticket else {}
