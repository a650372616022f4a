"""What administrators do with users (reference: 4.4, 4.6, 4.7)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete as deletion

from app import errors
from app.accounts import attributes as writing
from app.accounts import credentials, find, profile
from app.accounts.passwords import replace
from app.accounts.sign_up import add_user, with_username
from app.audit import record
from app.env import Env
from app.messaging import messages
from app.models import Attempt, Pool, User
from app.policy import attributes as policy
from app.policy import passwords as password_policy
from app.policy import unbuilt
from app.tokens import revoke

CHANNELS = {"SMS": "phone_number", "EMAIL": "email"}
OTP_ADDRESS = {"EMAIL_OTP": "email", "SMS_OTP": "phone_number"}
"""First factors that do without a password, and the address that each needs."""


def create(
    env: Env,
    pool: Pool,
    *,
    username: str,
    attributes: Mapping[str, str],
    temporary_password: str | None,
    mediums: Sequence[str] = ("SMS",),
    silent: bool = False,
    force_alias: bool = False,
) -> User:
    """AdminCreateUser: a user with a temporary password, who is told of it unless `silent`. Required attributes that
    are not given here he gives himself, with his first own password. Where a code to an address signs in and no
    password is given, he has none and is confirmed.

    Raises errors.UnexpectedLambda (the pool has a trigger that would examine him), InvalidParameter, InvalidPassword,
    UsernameExists, AliasExists; CodeDeliveryFailure when the user exists but the message could not leave.
    """
    unbuilt.demand_no_trigger(pool, "pre_sign_up")
    policy.check_username(pool, username)
    if "sub" in attributes:
        raise errors.InvalidParameter("Cannot modify the non-mutable attribute sub", field="sub")
    attributes = with_username(pool, username, attributes)
    policy.check_values(pool, attributes)
    policy.check_verified_flags(attributes)
    password = temporary_password or (None if _passwordless(pool) else _temporary(env, pool))
    if password is None:
        _check_reachable(pool, attributes)
    else:
        password_policy.check(pool, password)

    sub = env.random.uuid()
    stored_name = sub if pool.username_attributes else username
    prepared = credentials.prepare(env, pool, sub=sub, username=stored_name, password=password) if password else None
    with env.transaction():
        user = add_user(
            env,
            pool,
            sub=sub,
            username=stored_name,
            attributes=attributes,
            status="FORCE_CHANGE_PASSWORD" if prepared else "CONFIRMED",
            force_alias=force_alias,
            taken="User account already exists",
        )
        if prepared:
            expires_at = env.now() + pool.password_policy.temporary_validity
            credentials.store(env, user, prepared, expires_at=expires_at)
        if not silent:
            _invite(env, pool, user, username, password, mediums)
    return user


def invite_again(
    env: Env, pool: Pool, *, username: str, temporary_password: str | None, mediums: Sequence[str] = ("SMS",)
) -> User:
    """AdminCreateUser with RESEND: a new temporary password and a new term for someone who has not used his.

    Raises errors.UserNotFound, UnsupportedUserState, InvalidPassword.
    """
    found = find.existing(env, pool, username)
    password = temporary_password or _temporary(env, pool)
    password_policy.check(pool, password)
    prepared = credentials.prepare(env, pool, sub=found.user.sub, username=found.user.username, password=password)
    with env.transaction():
        user = find.locked(env, found.user.sub)
        if user.status != "FORCE_CHANGE_PASSWORD":
            raise errors.UnsupportedUserState(f"Resend not possible. {username} status is not FORCE_CHANGE_PASSWORD")
        replace(env, pool, user, prepared, temporary=True)
        _invite(env, pool, user, username, password, mediums)
    return user


def update_attributes(env: Env, pool: Pool, *, username: str, attributes: Mapping[str, str]) -> None:
    """Set attributes of a user; an empty value removes. No client's permissions matter here. With a `_verified` flag
    beside it an address is what the administrator says it is, at once; without one, it is proven as the user's own
    change of it would be.

    Raises errors.InvalidParameter, AliasExists, UserNotFound; CodeDeliveryFailure when all is written but the code
    could not leave.
    """
    found = find.existing(env, pool, username)
    policy.check_values(pool, attributes, new=False)
    with env.transaction():
        writing.change(env, pool, find.locked(env, found.user.sub), attributes, counted=False)


def delete_attributes(env: Env, pool: Pool, *, username: str, names: Collection[str]) -> None:
    """Remove attributes of a user. Raises errors.InvalidParameter, UserNotFound."""
    found = find.existing(env, pool, username)
    policy.check_known(pool, names)
    with env.transaction():
        writing.remove(env, pool, find.locked(env, found.user.sub), names)


def delete(env: Env, pool: Pool, *, username: str) -> None:
    """Delete a user, enabled or not; everything of his goes with him (models: ON DELETE CASCADE).

    Raises errors.UserNotFound.
    """
    profile.delete(env, find.existing(env, pool, username).user)


def disable(env: Env, pool: Pool, *, username: str) -> None:
    """Let a user do nothing more: no sign-in, and what he began or was given ends, for good. His row is locked first,
    so that a sign-in under way has either opened its session, which ends here, or finds him disabled.

    Raises errors.UserNotFound.
    """
    found = find.existing(env, pool, username)
    with env.transaction():
        profile.forget_authorization_codes(env, found.user)
        user = find.locked(env, found.user.sub)
        if user.enabled:
            user.enabled = False
            user.modified_at = env.now()
            record.event(env, pool, "UserDisabled", sub=user.sub)
        revoke.everything_of(env, user)
        env.db.execute(deletion(Attempt).where(Attempt.user_sub == user.sub))


def enable(env: Env, pool: Pool, *, username: str) -> None:
    """Let a user sign in again. What ended when he was disabled stays ended. Raises errors.UserNotFound."""
    found = find.existing(env, pool, username)
    with env.transaction():
        user = find.locked(env, found.user.sub)
        if not user.enabled:
            user.enabled = True
            user.modified_at = env.now()
            record.event(env, pool, "UserEnabled", sub=user.sub)


def _passwordless(pool: Pool) -> bool:
    return bool(OTP_ADDRESS.keys() & set(_first_factors(pool)))


def _first_factors(pool: Pool) -> list[str]:
    given = pool.settings["policies"].get("sign_in_policy") or {}
    return list(given.get("allowed_first_auth_factors") or ["PASSWORD"])


def _check_reachable(pool: Pool, attributes: Mapping[str, str]) -> None:
    """Without a password and without an address that a code can go to, nobody could ever be this user."""
    needed = [OTP_ADDRESS[factor] for factor in _first_factors(pool) if factor in OTP_ADDRESS]
    if not any(attributes.get(address) for address in needed):
        raise errors.InvalidParameter(f"A user without a password needs an address: {' or '.join(needed)}.")


def _temporary(env: Env, pool: Pool) -> str:
    rules = pool.password_policy
    return env.random.temporary_password(
        rules.minimum_length,
        upper=rules.uppercase,
        lower=rules.lowercase,
        digits=rules.numbers,
        symbols=rules.symbols,
    )


def _invite(env: Env, pool: Pool, user: User, name: str, password: str | None, mediums: Sequence[str]) -> None:
    """By each wanted medium that the user has an address for; none is not an error (reference: 4.4)."""
    for medium in mediums:
        attribute = CHANNELS[medium]
        if getattr(user, attribute):
            message = messages.invitation(pool, attribute, user, name, password)
            env.after_commit(messages.sending(env, message))
