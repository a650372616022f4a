"""Groups and their members (reference: 11.1)."""

from __future__ import annotations

from typing import Any

from app.accounts import groups
from app.api import wire
from app.api.caller import Call
from app.api.registry import operation
from app.models import Group
from app.paging import Page


@operation("CreateGroup")
def create_group(call: Call) -> dict[str, Any]:
    """Make a group."""
    return {"Group": described(groups.create(call.env, call.pool, name=call["GroupName"], **_properties(call)))}


@operation("GetGroup")
def get_group(call: Call) -> dict[str, Any]:
    """A group."""
    return {"Group": described(groups.existing(call.env, call.pool, call["GroupName"]))}


@operation("UpdateGroup")
def update_group(call: Call) -> dict[str, Any]:
    """Change what is given of a group."""
    return {"Group": described(groups.update(call.env, call.pool, name=call["GroupName"], **_properties(call)))}


@operation("DeleteGroup")
def delete_group(call: Call) -> None:
    """Remove a group, whoever is in it."""
    groups.delete(call.env, call.pool, name=call["GroupName"])


@operation("ListGroups")
def list_groups(call: Call) -> dict[str, Any]:
    """A page of the pool's groups."""
    return _page(groups.listed(call.env, call.pool, limit=call.get("Limit"), token=call.get("NextToken")))


@operation("AdminAddUserToGroup")
def admin_add_user_to_group(call: Call) -> None:
    """Put a user into a group."""
    groups.add(call.env, call.pool, name=call["GroupName"], username=call["Username"])


@operation("AdminRemoveUserFromGroup")
def admin_remove_user_from_group(call: Call) -> None:
    """Take a user out of a group."""
    groups.remove(call.env, call.pool, name=call["GroupName"], username=call["Username"])


@operation("AdminListGroupsForUser")
def admin_list_groups_for_user(call: Call) -> dict[str, Any]:
    """A page of the groups that a user is in."""
    limit, token = call.get("Limit"), call.get("NextToken")
    return _page(groups.of_user(call.env, call.pool, username=call["Username"], limit=limit, token=token))


@operation("ListUsersInGroup")
def list_users_in_group(call: Call) -> dict[str, Any]:
    """A page of the users in a group, with all their attributes."""
    limit, token = call.get("Limit"), call.get("NextToken")
    page = groups.members(call.env, call.pool, name=call["GroupName"], limit=limit, token=token)
    reply: dict[str, Any] = {"Users": [wire.user(row) for row in page.rows]}
    if page.token is not None:
        reply["NextToken"] = page.token
    return reply


def described(group: Group) -> dict[str, Any]:
    found = {
        "GroupName": group.name,
        "UserPoolId": group.pool_id,
        "Description": group.description,
        "RoleArn": group.role_arn,
        "Precedence": group.precedence,
        "LastModifiedDate": wire.moment(group.modified_at),
        "CreationDate": wire.moment(group.created_at),
    }
    return {member: value for member, value in found.items() if value is not None}


def _properties(call: Call) -> dict[str, Any]:
    return {
        "description": call.get("Description"),
        "role_arn": call.get("RoleArn"),
        "precedence": call.get("Precedence"),
    }


def _page(page: Page[Group]) -> dict[str, Any]:
    reply: dict[str, Any] = {"Groups": [described(group) for group in page.rows]}
    if page.token is not None:
        reply["NextToken"] = page.token
    return reply
