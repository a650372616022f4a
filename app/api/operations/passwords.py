"""Passwords: forgotten, or set by an administrator (reference: 4.5)."""

from __future__ import annotations

from typing import Any

from app.accounts import passwords
from app.api import wire
from app.api.caller import Call
from app.api.registry import operation


@operation("ForgotPassword")
def forgot_password(call: Call) -> dict[str, Any]:
    """Send a code with which a new password can be set; the reply says where it went."""
    to = passwords.forgot(call.env, call.client, username=call["Username"], origin=call.origin)
    return wire.delivery(to)


@operation("ConfirmForgotPassword")
def confirm_forgot_password(call: Call) -> dict[str, Any]:
    """Set the new password with the code. Nobody is signed in by it."""
    passwords.confirm_forgot(
        call.env,
        call.client,
        username=call["Username"],
        code=call["ConfirmationCode"],
        password=call["Password"],
    )
    return {}


@operation("AdminSetUserPassword")
def admin_set_user_password(call: Call) -> dict[str, Any]:
    """Set a user's password: his own from now on, or a temporary one."""
    passwords.set_by_administrator(
        call.env,
        call.pool,
        username=call["Username"],
        password=call["Password"],
        permanent=call.get("Permanent", False),
    )
    return {}
