"""A password of one's own, for someone who signed in with a temporary one (reference: 5.6)."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from app import errors
from app.accounts import attributes as writing
from app.accounts import credentials
from app.accounts.passwords import replace
from app.env import Env
from app.models import Pool, User
from app.policy import attributes as policy
from app.policy import passwords as password_policy
from app.signin.state import Proof, SignIn

NAME = "NEW_PASSWORD_REQUIRED"
PREFIX = "userAttributes."


def ask(env: Env, pool: Pool, user: User) -> dict[str, str]:
    """Who it is, what is known of him, and which required attributes are missing."""
    known = {name: value for name, value in user.all_attributes.items() if name != "sub"}
    return {
        "USER_ID_FOR_SRP": user.username,
        "requiredAttributes": orjson.dumps([PREFIX + name for name in missing(pool, user)]).decode("utf-8"),
        "userAttributes": orjson.dumps(known).decode("utf-8"),
    }


def missing(pool: Pool, user: User) -> list[str]:
    """Required attributes that the user does not have."""
    has = user.all_attributes
    return [name for name, attribute in pool.schema.items() if attribute.required and not has.get(name)]


def answer(env: Env, sign_in: SignIn, given: Mapping[str, str]) -> Proof:
    """Take the new password and the missing attributes.

    Raises errors.InvalidPassword, InvalidParameter, NotAuthorized; none of them uses the session up.
    """
    user, pool = sign_in.user, sign_in.client.pool
    if user is None:
        raise errors.SessionInvalid
    password = given.get("NEW_PASSWORD")
    if not password:
        raise errors.InvalidParameter("Missing required parameter NEW_PASSWORD", field="password")
    attributes = {name[len(PREFIX) :]: value for name, value in given.items() if name.startswith(PREFIX)}
    policy.check_writable(attributes, sign_in.client.writable)
    policy.check_values(pool, attributes)
    _check_mutable(pool, user, attributes)
    for name in missing(pool, user):
        if not attributes.get(name):
            raise errors.InvalidParameter(f"Invalid attributes given, {name} is missing", field=name)
    password_policy.check(pool, password)
    prepared = credentials.prepare(env, pool, sub=user.sub, username=user.username, password=password)

    def write(row: User) -> None:
        for address in policy.ADDRESSES:
            if address in attributes and attributes[address] != getattr(row, address):
                setattr(row, f"{address}_verified", False)
        writing.write(row, attributes)
        row.status = "CONFIRMED"
        replace(env, pool, row, prepared)
        writing.claim_names(env, pool, row)

    return Proof(user, sign_in.password, write)


def _check_mutable(pool: Pool, user: User, attributes: Mapping[str, str]) -> None:
    for name, value in attributes.items():
        if not pool.schema[name].mutable and value != user.all_attributes.get(name):
            raise errors.InvalidParameter(
                f"user.{name}: Attribute cannot be updated. (changing an immutable attribute)", field=name
            )
