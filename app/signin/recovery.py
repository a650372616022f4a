"""Recovery codes, when somebody gets new ones: right after a second factor was set up, and later with his password."""

from __future__ import annotations

from sqlalchemy import select

from app import errors
from app.accounts import find, lockout, recovery_codes
from app.env import Env, Origin
from app.models import Password, Pool, User
from app.signin.browser import SignedIn
from app.tokens import assurance


def may_renew(signed_in: SignedIn) -> bool:
    """Only who has shown a second factor in this session. A session that a password alone has opened must not make
    what stands in for a second factor."""
    return "mfa" in assurance.methods(signed_in.methods)


def first(env: Env, user: User) -> list[str]:
    """For who has just set up a second factor, once he is signed in."""
    with env.transaction():
        return recovery_codes.make(env, find.locked(env, user.sub))


def renew(env: Env, pool: Pool, signed_in: SignedIn, *, password: str, origin: Origin) -> list[str]:
    """New codes in place of the old ones, for the password: who finds a browser open must not get them. A wrong one is
    counted as in a sign-in.

    Raises errors.NotAuthorized, LockedOut, UserDisabled, UserNotFound, TooManyRequests.
    """
    if not may_renew(signed_in):
        raise errors.NotAuthorized
    user = signed_in.user
    failures = lockout.counter(env, pool, sub=user.sub, origin=origin)
    with lockout.attempt(env, failures, at="PasswordRefused") as counted:
        stored = _password(env, user)
        if stored is None or not env.passwords.verify(stored.hash, password):
            raise errors.NotAuthorized(field="password")
    with env.transaction():
        row = find.locked(env, user.sub)
        if not row.enabled:
            raise errors.UserDisabled
        if env.db.scalar(select(Password.version).where(Password.user_sub == row.sub)) != stored.version:
            raise errors.NotAuthorized(field="password")
        lockout.forgive(env, counted)
        return recovery_codes.make(env, row)


def _password(env: Env, user: User) -> Password | None:
    with env.reading() as session:
        return session.scalar(select(Password).where(Password.user_sub == user.sub))
