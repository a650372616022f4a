"""Users, as administrators see, make and change them (reference: 4.4, 4.6, 4.7, 4.9)."""

from __future__ import annotations

from typing import Any

from app import errors
from app.accounts import administer, find, search
from app.api import wire
from app.api.caller import Call
from app.api.registry import operation
from app.policy import filters


# The model's own text says that an alias which is taken is an AliasExistsException; its list of errors forgot it.
@operation("AdminCreateUser", also=(errors.AliasExists,))
def admin_create_user(call: Call) -> dict[str, Any]:
    """Make a user with a temporary password, or invite him again."""
    action = call.get("MessageAction")
    username = call["Username"]
    temporary_password = call.get("TemporaryPassword") or None
    mediums = call.get("DesiredDeliveryMediums") or ["SMS"]
    if action == "RESEND":
        row = administer.invite_again(
            call.env, call.pool, username=username, temporary_password=temporary_password, mediums=mediums
        )
    else:
        row = administer.create(
            call.env,
            call.pool,
            username=username,
            attributes=wire.attributes(call.get("UserAttributes")),
            temporary_password=temporary_password,
            mediums=mediums,
            silent=action == "SUPPRESS",
            force_alias=call.get("ForceAliasCreation", False),
        )
    return {"User": wire.user(row)}


@operation("AdminGetUser")
def admin_get_user(call: Call) -> dict[str, Any]:
    """A user with all his attributes, and his second factors."""
    user = find.existing(call.env, call.pool, call["Username"]).user
    return {**wire.user(user, attributes_as="UserAttributes"), **wire.second_factors(user)}


# It sends codes like UpdateUserAttributes, whose list of errors has this one.
@operation("AdminUpdateUserAttributes", also=(errors.CodeDeliveryFailure,))
def admin_update_user_attributes(call: Call) -> dict[str, Any]:
    """Change attributes of a user, the `_verified` flags among them."""
    given = wire.attributes(call["UserAttributes"])
    administer.update_attributes(call.env, call.pool, username=call["Username"], attributes=given)
    return {}


@operation("AdminDeleteUserAttributes")
def admin_delete_user_attributes(call: Call) -> dict[str, Any]:
    """Remove attributes of a user."""
    administer.delete_attributes(call.env, call.pool, username=call["Username"], names=call["UserAttributeNames"])
    return {}


@operation("AdminDeleteUser")
def admin_delete_user(call: Call) -> dict[str, Any]:
    """Delete a user."""
    administer.delete(call.env, call.pool, username=call["Username"])
    return {}


@operation("AdminDisableUser")
def admin_disable_user(call: Call) -> dict[str, Any]:
    """Keep a user from signing in, and end his sessions."""
    administer.disable(call.env, call.pool, username=call["Username"])
    return {}


@operation("AdminEnableUser")
def admin_enable_user(call: Call) -> dict[str, Any]:
    """Let a disabled user sign in again."""
    administer.enable(call.env, call.pool, username=call["Username"])
    return {}


@operation("ListUsers")
def list_users(call: Call) -> dict[str, Any]:
    """A page of users: all, or those that a filter wants; with all attributes, or those that are asked for."""
    only = call.get("AttributesToGet") or None
    search.check_attributes(call.pool, only or ())
    page = search.users(
        call.env,
        call.pool,
        wanted=filters.parse(call.get("Filter", "")),
        limit=call.get("Limit"),
        token=call.get("PaginationToken"),
    )
    reply: dict[str, Any] = {"Users": [wire.user(row, only=only) for row in page.rows]}
    if page.token is not None:
        reply["PaginationToken"] = page.token
    return reply
