"""Users, as administrators see and make them (reference: 4.4, 4.9)."""

from __future__ import annotations

from typing import Any

from app import errors
from app.accounts import administer, find, search
from app.api import wire
from app.api.caller import Call
from app.api.registry import operation


# The model's own text says that an alias which is taken is an AliasExistsException; its list of errors forgot it.
@operation("AdminCreateUser", also=(errors.AliasExists,))
def admin_create_user(call: Call) -> dict[str, Any]:
    """Make a user with a temporary password, or invite him again."""
    action = call.get("MessageAction")
    username = call["Username"]
    temporary_password = call.get("TemporaryPassword")
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
    """A user with all his attributes."""
    found = find.existing(call.env, call.pool, call["Username"])
    return wire.user(found.user, attributes_as="UserAttributes")


@operation("ListUsers")
def list_users(call: Call) -> dict[str, Any]:
    """A page of users."""
    if call.get("Filter"):
        raise errors.InvalidParameter("Filter is not available in this version of Cognate; leave it out.")
    page = search.users(call.env, call.pool, limit=call.get("Limit"), token=call.get("PaginationToken"))
    only = call.get("AttributesToGet") or None
    reply: dict[str, Any] = {"Users": [wire.user(row, only=only) for row in page.rows]}
    if page.token is not None:
        reply["PaginationToken"] = page.token
    return reply
