"""Signing in, by the machine that also serves the pages (reference: 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app import errors
from app.accounts import find
from app.api import wire
from app.api.caller import Call, check_secret_hash
from app.api.registry import operation
from app.models import User
from app.signin import after_sign_up, flow, granting
from app.signin.state import Granted, Step
from app.tokens import issue, refresh

NOT_ENABLED = "Auth flow not enabled for this client"
NOT_SUPPORTED = "Initiate Auth method not supported."
REFRESHING = ("REFRESH_TOKEN_AUTH", "REFRESH_TOKEN")
FLOWS = {flow: flow for flow in ("USER_PASSWORD_AUTH", "USER_SRP_AUTH", "CUSTOM_AUTH", "USER_AUTH")}
"""What anybody may begin, as AuthFlow says it and as the machine does."""
ADMIN_FLOWS = {
    **{flow: flow for flow in ("USER_SRP_AUTH", "CUSTOM_AUTH", "USER_AUTH", "ADMIN_USER_PASSWORD_AUTH")},
    "ADMIN_NO_SRP_AUTH": "ADMIN_USER_PASSWORD_AUTH",
}
"""The same for an administrator (reference: 5), who has a password flow of his own."""


# The codes that are sent on the way may not leave; the lists of errors forgot that.
@operation("InitiateAuth", also=(errors.CodeDeliveryFailure,))
def initiate_auth(call: Call) -> dict[str, Any]:
    """Begin a sign-in, or get the next tokens of one."""
    return _begun(call, FLOWS)


@operation("AdminInitiateAuth", also=(errors.CodeDeliveryFailure,))
def admin_initiate_auth(call: Call) -> dict[str, Any]:
    """Begin a sign-in from a server that has an access key."""
    return _begun(call, ADMIN_FLOWS)


@operation("RespondToAuthChallenge", also=(errors.CodeDeliveryFailure,))
def respond_to_auth_challenge(call: Call) -> dict[str, Any]:
    """Answer what was asked."""
    return _answered(call)


@operation("AdminRespondToAuthChallenge", also=(errors.CodeDeliveryFailure,))
def admin_respond_to_auth_challenge(call: Call) -> dict[str, Any]:
    """Answer what was asked, from a server that has an access key."""
    return _answered(call)


def _begun(call: Call, flows: Mapping[str, str]) -> dict[str, Any]:
    asked, given = call["AuthFlow"], _given(call, "AuthParameters")
    if asked in REFRESHING:
        return _refreshed(call, given)
    if asked not in flows:
        raise errors.InvalidParameter(NOT_SUPPORTED)
    check_secret_hash(call.env, call.client, given.get("SECRET_HASH"), [_name(given)])
    session = call.get("Session")
    if session is not None and asked == after_sign_up.FLOW:
        step = after_sign_up.begin(call.env, call.client, session=session, given=given, origin=call.origin)
    else:
        step = flow.begin(call.env, call.client, flow=flows[asked], given=given, origin=call.origin)
    return _reply(call, step)


def _answered(call: Call) -> dict[str, Any]:
    given = _given(call, "ChallengeResponses")
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


def _given(call: Call, member: str) -> dict[str, str]:
    """Without those that are null: clients say so of what they do not have."""
    return {name: value for name, value in call.get(member, {}).items() if value is not None}


def _refreshed(call: Call, given: Mapping[str, str]) -> dict[str, Any]:
    """No name is sent along, so the hash may have been made with any of the user's (reference: 3.3)."""
    if "ALLOW_REFRESH_TOKEN_AUTH" not in call.client.auth_flows:
        raise errors.InvalidParameter(NOT_ENABLED)
    token = given.get("REFRESH_TOKEN")
    if not token:
        raise errors.InvalidParameter("Missing required parameter REFRESH_TOKEN")
    found = refresh.find(call.env, call.client, token, device_key=given.get("DEVICE_KEY"))
    check_secret_hash(call.env, call.client, given.get("SECRET_HASH"), _names_of(found.user))
    return _result(refresh.renewed(call.env, call.client, found, oauth=False, origin=call.origin))


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
    if step.available:
        reply["AvailableChallenges"] = list(step.available)
    return reply


def _result(tokens: issue.Tokens) -> dict[str, Any]:
    return {"AuthenticationResult": wire.authentication(tokens), "ChallengeParameters": {}}
