"""A user's sessions: listed and ended, by himself and by administrators (reference: 6.8)."""

from __future__ import annotations

from typing import Any

from app import errors
from app.accounts import find, sessions
from app.api import wire
from app.api.caller import Call
from app.api.registry import operation

TYPES = {sessions.TOKEN: "TOKEN", sessions.SSO: "SSO"}


@operation("ListUserSessions")
def list_user_sessions(call: Call) -> dict[str, Any]:
    """One's own live sessions, of all clients."""
    _demand_first_page(call)
    return _listed(sessions.listed(call.env, call.client.pool, call.user, current=call.session))


@operation("AdminListUserSessions")
def admin_list_user_sessions(call: Call) -> dict[str, Any]:
    """A user's live sessions."""
    _demand_first_page(call)
    user = find.existing(call.env, call.pool, call["Username"]).user
    return _listed(sessions.listed(call.env, call.pool, user))


@operation("RevokeUserSession")
def revoke_user_session(call: Call) -> dict[str, Any]:
    """End one of one's own sessions, another than the one that asks."""
    linked = _linked(call)
    pool, name = call.client.pool, call["SessionId"]
    sessions.revoke(call.env, pool, call.user, name, linked=linked, current=call.session)
    return {}


@operation("AdminRevokeUserSession")
def admin_revoke_user_session(call: Call) -> dict[str, Any]:
    """End one of a user's sessions."""
    user = find.existing(call.env, call.pool, call["Username"]).user
    sessions.revoke(call.env, call.pool, user, call["SessionId"], linked=_linked(call))
    return {}


def _demand_first_page(call: Call) -> None:
    """All sessions are on one page, so nobody has been given a token of a second."""
    if "NextToken" in call.members:
        raise errors.InvalidParameter("Invalid pagination token.", field="pagination_token")


def _linked(call: Call) -> bool:
    return bool(call.get("RevokeAssociatedSessions") == "LINKED")


def _listed(found: list[sessions.Session]) -> dict[str, Any]:
    return {"Sessions": [_session(one) for one in found]}


def _session(one: sessions.Session) -> dict[str, Any]:
    """Where a session is in the world is not known here, so LastLocation is left out."""
    described = {
        "SessionId": one.name,
        "SessionType": TYPES[one.kind],
        "ClientId": one.client_id,
        "CreateDate": wire.moment(one.created_at),
        "LastActiveDate": wire.moment(one.active_at),
        "DeviceType": one.device,
        "LastIPAddress": one.ip,
        "IsCurrentSession": one.current,
    }
    return described if one.came_from is None else {**described, "OriginSessionId": one.came_from}
