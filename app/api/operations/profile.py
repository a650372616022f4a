"""A user's own profile, by his access token (reference: 4.6)."""

from __future__ import annotations

from typing import Any

from app.api import wire
from app.api.caller import Call
from app.api.registry import operation


@operation("GetUser")
def get_user(call: Call) -> dict[str, Any]:
    """Who the token is about, with the attributes that its client may read."""
    readable = call.client.readable
    return {
        "Username": call.user.username,
        "UserAttributes": wire.attribute_list(
            call.user.all_attributes, None if readable is None else readable | {"sub"}
        ),
    }
