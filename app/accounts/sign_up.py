"""Signing oneself up: register, confirm the address, have the code sent again (reference: 4.2, 4.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from app import errors
from app.accounts import attributes as writing
from app.accounts import codes, credentials, factors, find, known, limits, networks
from app.audit import record
from app.db import orphaned
from app.env import NOWHERE, Env, Origin
from app.messaging.messages import Delivery
from app.models import Client, Pool, User
from app.policy import attributes as policy
from app.policy import passwords as password_policy
from app.policy import unbuilt

PURPOSE = "sign_up"
CONFIRMED = "UserConfirmed"
"""Name of the event in the audit."""
VERIFIED_FIRST = ("phone_number", "email")
"""Where both addresses are to be verified, the phone's code is the one that is sent (reference: 2.6)."""


@dataclass(frozen=True)
class SignedUp:
    user: User
    delivery: Delivery | None
    password_version: str | None
    """Which password was set, if any: signin.after_sign_up vouches for it."""


def needs_password(client: Client) -> bool:
    """Whether nobody can sign up without one: he must be able to sign in by codes alone (reference: 4.2)."""
    return "ALLOW_USER_AUTH" not in client.auth_flows or not factors.by_code_alone(client.pool)


def sign_up(
    env: Env, client: Client, *, username: str, password: str | None, attributes: Mapping[str, str], origin: Origin
) -> SignedUp:
    """Create an unconfirmed user and send the code that will confirm him. Without a password, if he has an address by
    whose codes he will sign in.

    Raises errors.SignUpClosed, InvalidParameter, NotAuthorized (an attribute the client may not write),
    InvalidPassword, UsernameExists, LimitExceeded; CodeDeliveryFailure when the user exists but the message could not
    leave.
    """
    pool = client.pool
    if not pool.open_to_sign_up:
        raise errors.SignUpClosed
    unbuilt.demand_no_trigger(pool, "pre_sign_up")
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
    if password is None:
        _check_goes_without(client, attributes)
    else:
        password_policy.check(pool, password)

    # The hash is made even when the name is taken: otherwise the time of the answer would tell.
    sub = env.random.uuid()
    stored_name = sub if pool.username_attributes else username
    prepared = None
    if password is not None:
        prepared = credentials.prepare(env, pool, sub=sub, username=stored_name, password=password)

    with env.transaction():
        user = add_user(env, pool, sub=sub, username=stored_name, attributes=attributes, status="UNCONFIRMED")
        version = credentials.store(env, user, prepared) if prepared is not None else None
        attribute = _address_to_verify(pool, user)
        delivery = None
        if attribute is not None:
            # Not counted: an hour's five are those that are asked for, and a name that means nobody has as many.
            delivery = codes.send(
                env,
                pool,
                user,
                purpose=PURPOSE,
                attribute=attribute,
                counted=False,
                hiding=client.hides_users,
                client=client,
            )
        networks.count_sign_up(env, pool, origin)
    return SignedUp(user, delivery, version)


def _check_goes_without(client: Client, attributes: Mapping[str, str]) -> None:
    if needs_password(client):
        raise errors.InvalidParameter("Missing required parameter Password", field="password")
    by_code = [factors.FIRST_ADDRESS[name] for name in factors.by_code_alone(client.pool)]
    if not any(attributes.get(address) for address in by_code):
        raise errors.InvalidParameter(
            f"Without a password, {' or '.join(by_code)} is required: codes to sign in with go there.", field=by_code[0]
        )


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
        username_key=policy.search_key(username),
        status=status,
        enabled=True,
        attributes={},
        created_at=env.now(),
        modified_at=env.now(),
    )
    writing.write(user, policy.stored(pool, attributes))
    rivals = writing.rivals(env, pool, user) if force_alias else []
    lock_statuses(env, rivals)
    env.db.add(user)
    with orphaned(errors.UnknownPool(pool.id)):
        env.db.flush()
    writing.claim_names(env, pool, user, new=True, take_from=rivals, taken=taken)
    record.event(env, pool, "UserCreated", sub=sub, status=status)
    return user


def confirm(
    env: Env,
    client: Client,
    *,
    username: str,
    code: str,
    force_alias: bool = False,
    origin: Origin = NOWHERE,
    hiding: bool | None = None,
) -> User:
    """Confirm a user by the code that was sent, which also verifies the address it went to. Returns the user.

    With `force_alias` the address moves here from a user who has proven it before: unless somebody has guessed wrong
    at codes to it in the last two days (decision 010).

    `hiding` who exists, which is the client's choice (PreventUserExistenceErrors) unless the caller makes it, whoever
    cannot be confirmed is answered like a wrong code. Raises errors.LimitExceeded, CodeMismatch, ExpiredCode,
    AliasExists; otherwise errors.AlreadyConfirmed and UserNotFound.
    """
    hiding = client.hides_users if hiding is None else hiding
    with env.in_steps(hiding):
        return _confirm(env, client.pool, username, code, force_alias, hiding, origin)


def _confirm(env: Env, pool: Pool, username: str, code: str, force_alias: bool, hiding: bool, origin: Origin) -> User:
    unbuilt.demand_no_trigger(pool, "post_confirmation")
    who = codes.subject(env, pool, username)
    rivals = _rivals(env, pool, who) if force_alias else []
    with env.transaction():
        status = lock_statuses(env, [who, *rivals]).get(who)
        limits.count(env, pool, "confirm_sign_up", who, known.place(env, pool, who, origin))
        if status != "UNCONFIRMED":
            if hiding:
                raise codes.miss(env, pool, who, purpose=PURPOSE, code=code, hiding=True)
            raise errors.UserNotFound if status is None else _already(status)
        taken = codes.take(env, pool, who, purpose=PURPOSE, code=code, hiding=hiding)
        user = env.db.get_one(User, who)
        user.status = "CONFIRMED"
        user.modified_at = env.now()
        if getattr(user, taken.attribute) == taken.destination:
            setattr(user, f"{taken.attribute}_verified", True)
        # What may have been found by guessing moves nothing.
        writing.claim_names(env, pool, user, take_from=() if taken.disputed else rivals)
        record.event(env, pool, CONFIRMED, sub=user.sub, proven=taken.attribute)
    return user


def _rivals(env: Env, pool: Pool, who: str) -> list[str]:
    with env.reading() as session:
        user = session.get(User, who)
    return writing.rivals(env, pool, user) if user else []


def lock_statuses(env: Env, subs: Sequence[str]) -> dict[str, str]:
    """Lock the rows of users, in one order for everybody. Their statuses, which is all that decides: to make a whole
    user of a row would take longer than to find nobody's. Inside a transaction."""
    if not subs:
        return {}
    query = select(User.sub, User.status).where(User.sub.in_(subs)).order_by(User.sub).with_for_update()
    return {row.sub: row.status for row in env.db.execute(query)}


def confirm_by_administrator(env: Env, pool: Pool, *, username: str) -> User:
    """AdminConfirmSignUp: confirm a user without a code. It proves no address: those stay as they are, and so do the
    names that sign him in. Returns him. Raises errors.UserNotFound, AlreadyConfirmed."""
    unbuilt.demand_no_trigger(pool, "post_confirmation")
    found = find.existing(env, pool, username)
    with env.transaction():
        user = find.locked(env, found.user.sub)
        if user.confirmed:
            raise _already(user.status)
        user.status = "CONFIRMED"
        user.modified_at = env.now()
        codes.forget(env, user, purpose=PURPOSE)
        record.event(env, pool, CONFIRMED, sub=user.sub)
    return user


def _already(status: str) -> errors.AlreadyConfirmed:
    return errors.AlreadyConfirmed(f"User cannot be confirmed. Current status is {status}")


def resend(env: Env, client: Client, *, username: str, origin: Origin, hiding: bool | None = None) -> Delivery:
    """Send a new confirmation code; it replaces the one before.

    `hiding` who exists (see `confirm`), whoever needs none is answered as if one had been sent. Raises
    errors.LimitExceeded, InvalidParameter (a pool that verifies nothing), and otherwise errors.UserNotFound,
    UserDisabled, InvalidParameter (confirmed already, or no address), CodeDeliveryFailure.
    """
    pool = client.pool
    if not pool.auto_verified:
        raise errors.InvalidParameter("Cannot resend codes. Auto verification not turned on.")
    return codes.request(
        env,
        client,
        name=username,
        purpose=PURPOSE,
        channels=[attribute for attribute in VERIFIED_FIRST if attribute in pool.auto_verified],
        choose=lambda user: _to_confirm(pool, user),
        hiding=client.hides_users if hiding is None else hiding,
        origin=origin,
    )


def _to_confirm(pool: Pool, user: User) -> str:
    """The attribute whose address a new code goes to. Raises errors.InvalidParameter, UserDisabled."""
    if user.confirmed:
        raise errors.InvalidParameter("User is already confirmed.")
    if not user.enabled:
        raise errors.UserDisabled
    attribute = _address_to_verify(pool, user)
    if attribute is None:
        raise errors.InvalidParameter("Cannot resend codes. The user has no address that a code could be sent to.")
    return attribute


def _address_to_verify(pool: Pool, user: User) -> str | None:
    for attribute in VERIFIED_FIRST:
        if attribute in pool.auto_verified and getattr(user, attribute):
            return attribute
    return None
