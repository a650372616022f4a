"""What administrators do with users (reference: 4.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app import errors
from app.accounts import credentials, find
from app.accounts.passwords import replace
from app.accounts.sign_up import add_user, with_username
from app.env import Env
from app.messaging import messages
from app.models import Pool, User
from app.policy import attributes as policy
from app.policy import passwords as password_policy

CHANNELS = {"SMS": "phone_number", "EMAIL": "email"}


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
    are not given here he gives himself, with his first own password.

    Raises errors.InvalidParameter, InvalidPassword, UsernameExists, AliasExists; CodeDeliveryFailure when the user
    exists but the message could not leave.
    """
    policy.check_username(pool, username)
    if "sub" in attributes:
        raise errors.InvalidParameter("Cannot modify the non-mutable attribute sub", field="sub")
    attributes = with_username(pool, username, attributes)
    policy.check_values(pool, attributes)
    policy.check_verified_flags(attributes)
    password = temporary_password or _temporary(env, pool)
    password_policy.check(pool, password)

    sub = env.random.uuid()
    stored_name = sub if pool.username_attributes else username
    prepared = credentials.prepare(env, pool, sub=sub, username=stored_name, password=password)
    with env.transaction():
        user = add_user(
            env,
            pool,
            sub=sub,
            username=stored_name,
            attributes=attributes,
            status="FORCE_CHANGE_PASSWORD",
            force_alias=force_alias,
            taken="User account already exists",
        )
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
        user = env.db.get_one(User, found.user.sub, with_for_update=True)
        if user.status != "FORCE_CHANGE_PASSWORD":
            raise errors.UnsupportedUserState(f"Resend not possible. {username} status is not FORCE_CHANGE_PASSWORD")
        replace(env, pool, user, prepared, temporary=True)
        _invite(env, pool, user, username, password, mediums)
    return user


def _temporary(env: Env, pool: Pool) -> str:
    rules = pool.password_policy
    return env.random.temporary_password(
        rules.minimum_length,
        upper=rules.uppercase,
        lower=rules.lowercase,
        digits=rules.numbers,
        symbols=rules.symbols,
    )


def _invite(env: Env, pool: Pool, user: User, name: str, password: str, mediums: Sequence[str]) -> None:
    """By each wanted medium that the user has an address for; none is not an error (reference: 4.4)."""
    for medium in mediums:
        attribute = CHANNELS[medium]
        if getattr(user, attribute):
            message = messages.invitation(pool, attribute, user, name, password)
            env.after_commit(messages.sending(env, message))
