"""A password of one's own, for someone who signed in with a temporary one (reference: 5.6)."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from app import errors
from app.accounts import attributes as writing
from app.accounts import credentials
from app.accounts.passwords import replace
from app.env import Env
from app.models import User
from app.policy import attributes as policy
from app.policy import passwords as password_policy
from app.signin.state import Asked, Proof, SignIn

NAME = "NEW_PASSWORD_REQUIRED"
NEEDS = ("NEW_PASSWORD",)
GUESSABLE = False
PREFIX = "userAttributes."


def ask(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Asked:
    """Who it is, what is known of him that the client may read, and which required attributes are missing."""
    client, user = sign_in.client, sign_in.user
    if user is None:
        raise errors.SessionInvalid
    known = policy.readable(user.all_attributes, client.readable)
    del known["sub"]
    missing = policy.missing_required(client.pool, user.all_attributes)
    return Asked(
        {
            "USER_ID_FOR_SRP": user.username,
            "requiredAttributes": orjson.dumps([PREFIX + name for name in missing]).decode("utf-8"),
            "userAttributes": orjson.dumps(known).decode("utf-8"),
        }
    )


def answer(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Proof:
    """Take the new password and the missing attributes. With one that is required and was not given when the user was
    made, his making ends only here: it may be one that is written once. One that was given stays: a temporary password
    must not be enough to put a stranger's address in the place of the one that it was sent to.

    Raises errors.InvalidPassword, PasswordHistoryPolicyViolation, InvalidParameter, NotAuthorized; none of them uses
    the session up.
    """
    user, pool, moment = sign_in.user, sign_in.client.pool, env.now()
    if user is None:
        raise errors.SessionInvalid
    password = given["NEW_PASSWORD"]
    attributes = {name[len(PREFIX) :]: value for name, value in given.items() if name.startswith(PREFIX)}
    policy.check_writable(attributes, sign_in.client.writable)
    policy.check_values(pool, attributes, new=False)
    present = user.all_attributes
    missing = policy.missing_required(pool, present)
    for name in missing:
        if not attributes.get(name):
            raise errors.InvalidParameter(f"Invalid attributes given, {name} is missing", field=name)
    # Some SDKs send back all that they were shown in the challenge: that is no change.
    values = policy.stored(pool, attributes)
    changes = {name: value for name, value in values.items() if value != present.get(name, "")}
    policy.check_changes(pool, {name: value for name, value in changes.items() if name not in missing})
    for name in changes:
        if present.get(name) and (pool.schema[name].required or name in pool.username_attributes):
            raise errors.NotAuthorized(f"Cannot modify an already provided {name}", field=name)
    password_policy.check(pool, password)
    prepared = credentials.renew(env, pool, sub=user.sub, username=user.username, password=password)

    def write(row: User) -> None:
        writing.put(env, row, changes)
        row.status = "CONFIRMED"
        replace(env, pool, row, prepared, begun_before=moment)
        writing.claim_names(env, pool, row)

    return Proof(user, sign_in.password, write, changes_user=True)
