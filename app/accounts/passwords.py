"""Passwords that are forgotten, or set by an administrator (reference: 4.5)."""

from __future__ import annotations

from sqlalchemy import delete

from app import errors
from app.accounts import attributes as writing
from app.accounts import codes, credentials, find, lockout
from app.accounts.sign_up import simulated
from app.env import Env, Origin
from app.messaging import messages
from app.messaging.messages import Delivery
from app.models import Attempt, BrowserSession, Client, Pool, User
from app.policy import passwords as policy

PURPOSE = "forgot_password"
NO_ADDRESS = "Cannot reset password for the user as there is no registered/verified email or phone_number"


def forgot(env: Env, client: Client, *, username: str, origin: Origin) -> Delivery:
    """Send a code with which a new password can be set.

    Raises errors.NotAuthorized (a state in which a password cannot be reset), InvalidParameter (no verified
    address), LimitExceeded, UserNotFound; with hidden users the last three are answered like a success.
    """
    pool = client.pool
    if not pool.recovery:
        raise errors.NotAuthorized("Contact administrator to reset password.")
    found = find.by_name(env, pool, username)
    if found is None:
        if client.hides_users:
            return simulated(env, pool, username)
        raise errors.UserNotFound("Username/client id combination not found.")
    user = found.user
    channel = next((attribute for attribute in pool.recovery if user.verified(attribute)), None)
    if client.hides_users and (not user.enabled or channel is None):
        return simulated(env, pool, username)
    if not user.enabled:
        raise errors.UserDisabled
    if user.status in ("FORCE_CHANGE_PASSWORD", "EXTERNAL_PROVIDER"):
        raise errors.NotAuthorized("User password cannot be reset in the current state.")
    if channel is None:
        raise errors.InvalidParameter(NO_ADDRESS)
    try:
        with env.transaction():
            return codes.send(env, pool, user, purpose=PURPOSE, attribute=channel)
    except errors.LimitExceeded:
        # Names that mean nobody are never too many: only the same answer as before does not tell them apart.
        if not client.hides_users:
            raise
        return messages.delivery(channel, getattr(user, channel))


def confirm_forgot(env: Env, client: Client, *, username: str, code: str, password: str) -> None:
    """Set a new password with the code that was sent. The old one's sign-ins and browser sessions end.

    Raises errors.InvalidPassword, CodeMismatch, ExpiredCode, UserNotFound.
    """
    pool = client.pool
    policy.check(pool, password)
    found = find.by_name(env, pool, username)
    if found is None:
        # As much work as for somebody who exists: the time of the answer would tell.
        env.passwords.verify_nothing(password)
        raise find.absent(client, errors.ExpiredCode())
    user = found.user
    prepared = credentials.prepare(env, pool, sub=user.sub, username=user.username, password=password)
    with env.transaction():
        user = env.db.get_one(User, user.sub, with_for_update=True)
        if not user.enabled:
            raise errors.ExpiredCode if client.hides_users else errors.UserDisabled
        taken = codes.take(env, user, purpose=PURPOSE, code=code)
        if getattr(user, taken.attribute) == taken.destination:
            setattr(user, f"{taken.attribute}_verified", True)
        user.status = "CONFIRMED"
        replace(env, pool, user, prepared)
        try:
            writing.claim_names(env, pool, user)
        except errors.AliasExists as taken:
            # Somebody else has proven the address since. The password is new all the same; the address stays his.
            setattr(user, f"{taken.field}_verified", False)


def set_by_administrator(env: Env, pool: Pool, *, username: str, password: str, permanent: bool) -> None:
    """AdminSetUserPassword: a permanent one confirms the user, a temporary one must be changed at the next sign-in.

    Raises errors.InvalidPassword, UserNotFound.
    """
    policy.check(pool, password)
    found = find.existing(env, pool, username)
    prepared = credentials.prepare(env, pool, sub=found.user.sub, username=found.user.username, password=password)
    with env.transaction():
        user = env.db.get_one(User, found.user.sub, with_for_update=True)
        user.status = "CONFIRMED" if permanent else "FORCE_CHANGE_PASSWORD"
        replace(env, pool, user, prepared, temporary=not permanent)


def replace(env: Env, pool: Pool, user: User, prepared: credentials.Prepared, *, temporary: bool = False) -> None:
    """Store a new password and end what the old one began: attempts under way, browser sessions, the lock.

    Tokens stay, as in Cognito (reference: 4.5). Inside a transaction.
    """
    now = env.now()
    expires_at = now + pool.password_policy.temporary_validity if temporary else None
    credentials.store(env, user, prepared, expires_at=expires_at)
    env.db.execute(delete(Attempt).where(Attempt.user_sub == user.sub))
    env.db.execute(delete(BrowserSession).where(BrowserSession.user_sub == user.sub))
    lockout.succeeded(env, lockout.key_of(env, pool, user.sub))
    user.modified_at = now
