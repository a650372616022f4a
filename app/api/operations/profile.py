"""A user's own profile, by his access token (reference: 4.6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app import errors
from app.accounts import profile
from app.api import wire
from app.api.caller import Call
from app.api.registry import operation
from app.policy import attributes as policy


@operation("GetUser")
def get_user(call: Call) -> dict[str, Any]:
    """Who the token is about, with the attributes that its client may read."""
    readable = policy.readable(call.user.all_attributes, call.client.readable)
    told = {"Username": call.user.username, "UserAttributes": wire.attribute_list(readable)}
    return {**told, **wire.second_factors(call.user)}


@operation("UpdateUserAttributes")
def update_user_attributes(call: Call) -> dict[str, Any]:
    """Change one's attributes; the reply says where codes went that prove new addresses."""
    given = wire.attributes(call["UserAttributes"])
    _demand_recent_sign_in(call, given)
    try:
        sent = profile.update_attributes(call.env, call.client, call.user, attributes=given)
    except errors.LimitExceeded:
        # This operation's list of errors has another word for it.
        raise errors.TooManyCodes from None
    return {"CodeDeliveryDetailsList": [wire.delivery(one)["CodeDeliveryDetails"] for one in sent]}


@operation("DeleteUserAttributes")
def delete_user_attributes(call: Call) -> dict[str, Any]:
    """Remove attributes of one's own."""
    _demand_recent_sign_in(call, dict.fromkeys(call["UserAttributeNames"], ""))
    profile.delete_attributes(call.env, call.client, call.user, names=call["UserAttributeNames"])
    return {}


@operation("DeleteUser")
def delete_user(call: Call) -> dict[str, Any]:
    """Delete oneself."""
    profile.delete(call.env, call.user)
    return {}


@operation("GetUserAttributeVerificationCode")
def get_user_attribute_verification_code(call: Call) -> dict[str, Any]:
    """Have a code sent to one's e-mail address or phone."""
    sent = profile.send_code(call.env, call.client, call.user, attribute=call["AttributeName"])
    return wire.delivery(sent)


@operation("VerifyUserAttribute")
def verify_user_attribute(call: Call) -> dict[str, Any]:
    """Prove one's e-mail address or phone with the code that was sent there."""
    profile.verify(call.env, call.client, call.user, attribute=call["AttributeName"], code=call["Code"])
    return {}


def _demand_recent_sign_in(call: Call, given: Mapping[str, str]) -> None:
    """To change an address: codes of a second factor go there, and those that recover the password. Some applications
    send a whole profile back; an address that stays is no change."""
    if any(name in given and given[name] != (getattr(call.user, name) or "") for name in policy.ADDRESSES):
        call.demand_recent_sign_in()
