"""Signing oneself up: register, confirm the address, have the code sent again (reference: 4.2, 4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app import errors
from app.accounts import attributes as writing
from app.accounts import codes, credentials, find
from app.env import Env, Origin
from app.messaging import messages
from app.messaging.messages import Delivery
from app.models import Client, Pool, User
from app.policy import attributes as policy
from app.policy import passwords as password_policy

PURPOSE = "sign_up"


@dataclass(frozen=True)
class SignedUp:
    user: User
    delivery: Delivery | None
    password_version: str
    """Which password was set: signin.after_sign_up vouches for it."""


def sign_up(
    env: Env, client: Client, *, username: str, password: str, attributes: Mapping[str, str], origin: Origin
) -> SignedUp:
    """Create an unconfirmed user and send the code that will confirm him.

    Raises errors.SignUpClosed, InvalidParameter, NotAuthorized (an attribute the client may not write),
    InvalidPassword, UsernameExists; CodeDeliveryFailure when the user exists but the message could not leave.
    """
    pool = client.pool
    if not pool.open_to_sign_up:
        raise errors.SignUpClosed
    policy.check_username(pool, username)
    policy.check_writable(attributes, client.writable)
    if attributes.get("preferred_username") and "preferred_username" in pool.alias_attributes:
        # It would sign in at once: somebody who has proven nothing would hold the name (reference: 2.3).
        raise errors.InvalidParameter(
            "preferred_username cannot be set before the user is confirmed, since it is an alias in this user pool.",
            field="preferred_username",
        )
    attributes = with_username(pool, username, attributes)
    policy.check_values(pool, attributes)
    policy.check_required(pool, attributes)
    password_policy.check(pool, password)

    # The hash is made even when the name is taken: otherwise the time of the answer would tell.
    sub = env.random.uuid()
    stored_name = sub if pool.username_attributes else username
    prepared = credentials.prepare(env, pool, sub=sub, username=stored_name, password=password)

    with env.transaction():
        user = add_user(env, pool, sub=sub, username=stored_name, attributes=attributes, status="UNCONFIRMED")
        version = credentials.store(env, user, prepared)
        delivery = _send_code(env, pool, user)
    return SignedUp(user, delivery, version)


def with_username(pool: Pool, username: str, attributes: Mapping[str, str]) -> dict[str, str]:
    """The attributes, with the username among them where it is an address. Raises errors.InvalidParameter."""
    if not pool.username_attributes:
        return dict(attributes)
    kind = "email" if policy.looks_like_email(username) and "email" in pool.username_attributes else "phone_number"
    if attributes.get(kind, username) not in ("", username):
        word = "email" if kind == "email" else "phone number"
        raise errors.InvalidParameter(
            f"User {word} should be empty or same as username, since username attribute is {word}.", field=kind
        )
    return {**attributes, kind: username}


def add_user(
    env: Env,
    pool: Pool,
    *,
    sub: str,
    username: str,
    attributes: Mapping[str, str],
    status: str,
    force_alias: bool = False,
    taken: str | None = None,
) -> User:
    """Insert a user, with the names that sign him in. Inside a transaction. Raises what `attributes.claim_names`
    does."""
    user = User(
        sub=sub,
        pool_id=pool.id,
        username=username,
        status=status,
        enabled=True,
        attributes={},
        created_at=env.now(),
        modified_at=env.now(),
    )
    for address in policy.ADDRESSES:
        if attributes.get(address):
            setattr(user, f"{address}_verified", False)
    writing.write(user, attributes)
    env.db.add(user)
    env.db.flush()
    writing.claim_names(env, pool, user, new=True, force=force_alias, taken=taken)
    return user


def confirm(env: Env, client: Client, *, username: str, code: str, force_alias: bool = False) -> User:
    """Confirm a user by the code that was sent, which also verifies the address it went to. Returns him.

    Raises errors.CodeMismatch, ExpiredCode, AlreadyConfirmed, AliasExists, UserNotFound.
    """
    pool = client.pool
    found = find.by_name(env, pool, username)
    if found is None:
        raise find.absent(client, errors.ExpiredCode())
    if found.user.confirmed and client.hides_users and not codes.pending(env, found.user, purpose=PURPOSE):
        raise errors.ExpiredCode
    with env.transaction():
        user = env.db.get_one(User, found.user.sub, with_for_update=True)
        if user.status != "UNCONFIRMED":
            raise errors.AlreadyConfirmed(f"User cannot be confirmed. Current status is {user.status}")
        taken = codes.take(env, user, purpose=PURPOSE, code=code)
        user.status = "CONFIRMED"
        user.modified_at = env.now()
        if getattr(user, taken.attribute) == taken.destination:
            setattr(user, f"{taken.attribute}_verified", True)
        writing.claim_names(env, pool, user, force=force_alias)
    return user


def resend(env: Env, client: Client, *, username: str, origin: Origin) -> Delivery:
    """Send a new confirmation code. Raises errors.InvalidParameter; LimitExceeded and UserNotFound where the client
    may know who exists."""
    pool = client.pool
    if not pool.auto_verified:
        raise errors.InvalidParameter("Cannot resend codes. Auto verification not turned on.")
    found = find.by_name(env, pool, username)
    if found is None:
        if not client.hides_users:
            raise errors.UserNotFound("Username/client id combination not found.")
        return simulated(env, pool, username)
    if found.user.confirmed:
        if client.hides_users:
            return simulated(env, pool, username)
        raise errors.InvalidParameter("User is already confirmed.")
    attribute = _address_to_verify(pool, found.user)
    if attribute is None:
        if client.hides_users:
            return simulated(env, pool, username)
        raise errors.InvalidParameter("Cannot resend codes. The user has no address that a code could be sent to.")
    try:
        with env.transaction():
            user = env.db.get_one(User, found.user.sub)
            return codes.send(env, pool, user, purpose=PURPOSE, attribute=attribute)
    except errors.LimitExceeded:
        # Names that mean nobody are never too many: only the same answer as before does not tell them apart.
        if not client.hides_users:
            raise
        return messages.delivery(attribute, getattr(found.user, attribute))


def simulated(env: Env, pool: Pool, name: str) -> Delivery:
    """Where a code would have gone, for a name that means nobody: the same answer for the same name, each time."""
    if policy.looks_like_email(name):
        return messages.delivery("email", name)
    if policy.looks_like_phone(name):
        return messages.delivery("phone_number", name)
    letters = "".join(chr(ord("a") + byte % 26) for byte in env.keyed.number("simulated address", pool.id + name, 2))
    return messages.delivery("email", f"{letters[0]}@{letters[1]}")


def _send_code(env: Env, pool: Pool, user: User) -> Delivery | None:
    attribute = _address_to_verify(pool, user)
    return codes.send(env, pool, user, purpose=PURPOSE, attribute=attribute) if attribute else None


def _address_to_verify(pool: Pool, user: User) -> str | None:
    """The phone where both are to be verified (reference: 2.6), else whichever there is."""
    for attribute in ("phone_number", "email"):
        if attribute in pool.auto_verified and getattr(user, attribute):
            return attribute
    return None
