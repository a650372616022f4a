"""Signing in, by the machine that also serves the pages (reference: 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app import errors
from app.accounts import find
from app.api.caller import Call, check_secret_hash
from app.api.registry import operation
from app.models import User
from app.signin import flow, granting
from app.signin.state import Granted, Step
from app.tokens import issue, refresh

NOT_ENABLED = "Auth flow not enabled for this client"
REFRESHING = ("REFRESH_TOKEN_AUTH", "REFRESH_TOKEN")
UNBUILT = {
    "CUSTOM_AUTH": ("ALLOW_CUSTOM_AUTH", "Custom auth lambda trigger is not configured for the user pool."),
    "USER_AUTH": ("ALLOW_USER_AUTH", "USER_AUTH is not available in this version of Cognate."),
}
"""Flows that cannot begin: what would allow them, and what is then still missing."""


@operation("InitiateAuth")
def initiate_auth(call: Call) -> dict[str, Any]:
    """Begin a sign-in, or get the next tokens of one."""
    asked = call["AuthFlow"]
    given: dict[str, str] = call.get("AuthParameters", {})
    if asked.startswith("ADMIN_"):
        raise errors.InvalidParameter("Initiate Auth method not supported.")
    if asked in REFRESHING:
        return _refreshed(call, given)
    check_secret_hash(call.env, call.client, given.get("SECRET_HASH"), [_name(given)])
    if asked in UNBUILT:
        allowed_by, missing = UNBUILT[asked]
        raise errors.InvalidParameter(missing if allowed_by in call.client.auth_flows else NOT_ENABLED)
    return _reply(call, flow.begin(call.env, call.client, flow=asked, given=given, origin=call.origin))


@operation("RespondToAuthChallenge")
def respond_to_auth_challenge(call: Call) -> dict[str, Any]:
    """Answer what was asked."""
    given: dict[str, str] = call.get("ChallengeResponses", {})
    check_secret_hash(call.env, call.client, given.get("SECRET_HASH"), _names(call, _name(given)))
    step = flow.answer(
        call.env,
        call.client,
        challenge=call["ChallengeName"],
        session=call.get("Session"),
        given=given,
        origin=call.origin,
    )
    return _reply(call, step)


def _refreshed(call: Call, given: Mapping[str, str]) -> dict[str, Any]:
    """No name is sent along, so the hash may have been made with any of the user's (reference: 3.3)."""
    if "ALLOW_REFRESH_TOKEN_AUTH" not in call.client.auth_flows:
        raise errors.InvalidParameter(NOT_ENABLED)
    token = given.get("REFRESH_TOKEN")
    if not token:
        raise errors.InvalidParameter("Missing required parameter REFRESH_TOKEN")
    session, user = refresh.find(call.env, call.client, token)
    check_secret_hash(call.env, call.client, given.get("SECRET_HASH"), _names_of(user))
    return _result(issue.signed(call.env, call.client, user, session, oauth=False))


def _name(given: Mapping[str, str]) -> str:
    name = given.get("USERNAME")
    if not name:
        raise errors.InvalidParameter("Missing required parameter USERNAME", field="username")
    return name


def _names(call: Call, name: str) -> Iterator[str]:
    """Names over which the hash of an answer may have been made: the one sent along; failing that, another of the
    same user, because some SDKs go on using what was typed."""
    yield name
    found = find.by_name(call.env, call.client.pool, name)
    if found is not None:
        yield from _names_of(found.user)


def _names_of(user: User) -> list[str]:
    names = (user.username, user.sub, user.email, user.phone_number, user.preferred_username)
    return [name for name in names if name]


def _reply(call: Call, step: Step) -> dict[str, Any]:
    if isinstance(step, Granted):
        return _result(granting.tokens(call.env, step))
    reply: dict[str, Any] = {"ChallengeName": step.challenge, "ChallengeParameters": step.params}
    if step.handle is not None:
        reply["Session"] = step.handle
    return reply


def _result(tokens: issue.Tokens) -> dict[str, Any]:
    result = {
        "AccessToken": tokens.access,
        "ExpiresIn": tokens.expires_in,
        "IdToken": tokens.id,
        "TokenType": "Bearer",
    }
    if tokens.refresh is not None:
        result["RefreshToken"] = tokens.refresh
    return {"AuthenticationResult": result, "ChallengeParameters": {}}
