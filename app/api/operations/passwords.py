"""Passwords: changed, forgotten, or set by an administrator (reference: 4.5)."""

from __future__ import annotations

from typing import Any

from app import errors
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
        origin=call.origin,
    )
    return {}


@operation("ChangePassword")
def change_password(call: Call) -> dict[str, Any]:
    """Replace one's own password. What becomes of tokens that were given out, the pool says."""
    previous = call.get("PreviousPassword") or None
    if previous is None:  # for who has none, the token is all that is shown
        call.demand_recent_sign_in()
    passwords.change(
        call.env, call.client, call.user, previous=previous, proposed=call["ProposedPassword"], asking=call.session
    )
    return {}


# Its list of errors forgot what happens when the message cannot leave, which the one of ForgotPassword has.
@operation("AdminResetUserPassword", also=(errors.CodeDeliveryFailure,))
def admin_reset_user_password(call: Call) -> dict[str, Any]:
    """Make a password unusable, and send its owner a code with which to set another."""
    passwords.reset_by_administrator(call.env, call.pool, username=call["Username"])
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
