"""A user's authenticator app: the secret that it shares with us, and the codes it shows (reference: 10.3).

A new secret waits beside the one in use until a code has proven that the app has it; a code is taken once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select, update

from app import errors
from app.crypto import totp
from app.db import inserting, table
from app.env import Env
from app.models import SoftwareToken, User, seals

LONGEST_NAME = 256
"""Characters of what a user calls his app (ours: the model has no limit)."""
NOT_SET_UP = "User has not set up software token mfa"
NOT_VERIFIED = "User has not verified software token mfa"

_TOKENS = table(SoftwareToken)
_NAME = select(_TOKENS.c.friendly_name).where(_TOKENS.c.user_sub == bindparam("sub"), _TOKENS.c.secret.is_not(None))
_OF_USER = select(SoftwareToken).where(SoftwareToken.user_sub == bindparam("sub"))
_USE = (
    update(_TOKENS)
    .where(
        _TOKENS.c.user_sub == bindparam("sub"),
        _TOKENS.c.secret == bindparam("sealed"),
        _TOKENS.c.last_step < bindparam("step"),
    )
    .values(last_step=bindparam("step"))
    .returning(_TOKENS.c.user_sub)
)


@dataclass(frozen=True)
class Matched:
    """A code that fits a secret, and may still be one that was taken before."""

    sub: str
    sealed: str
    """The secret, as it was read."""
    step: int


def friendly_name(env: Env, user: User) -> str | None:
    """What the user calls the app that is in use."""
    with env.reading() as session:
        return session.scalar(_NAME, {"sub": user.sub})


def begin(env: Env, user: User) -> tuple[str, Callable[[], None]]:
    """A new secret for his app, in base32, and what writes it down, inside a transaction. The one in use stays until
    the new one is taken into use; one that was waiting is worthless."""
    secret = totp.new_secret()
    sealed, now = env.seal.seal(secret.encode("ascii"), about=seals.software_token(user.sub)), env.now()

    def write() -> None:
        env.db.execute(
            inserting(env.db, SoftwareToken)
            .values(user_sub=user.sub, pending=sealed, last_step=0, created_at=now)
            .on_conflict_do_update(index_elements=[SoftwareToken.user_sub], set_={"pending": sealed})
        )

    return secret, write


def waiting(env: Env, user: User) -> str:
    """The secret that waits for its first code, sealed. Raises errors.InvalidParameter where none does."""
    row = _row(env, user)
    if row is None or row.pending is None:
        raise errors.InvalidParameter(NOT_SET_UP)
    return row.pending


def check_name(name: str | None) -> None:
    """Raises errors.InvalidParameter."""
    if name is not None and (len(name) > LONGEST_NAME or "\0" in name):
        raise errors.InvalidParameter(
            f"FriendlyDeviceName must have at most {LONGEST_NAME} characters, and no null character among them."
        )


def fits(env: Env, user: User, sealed: str, code: str) -> Matched | None:
    """Whether an app with this secret shows the code."""
    secret = env.seal.open(sealed, about=seals.software_token(user.sub), pool=user.pool_id).decode("ascii")
    step = totp.step_of(secret, code, env.now())
    return None if step is None else Matched(user.sub, sealed, step)


def take_into_use(env: Env, matched: Matched, *, name: str | None, first: bool) -> None:
    """The secret that waited replaces the one in use, and its code is taken. Inside a transaction. With `first` only
    where none is in use. Raises errors.InvalidParameter where it no longer waits, as it does not for a second of two
    answers."""
    only = (SoftwareToken.secret.is_(None),) if first else ()
    taken = env.db.scalar(
        update(SoftwareToken)
        .where(SoftwareToken.user_sub == matched.sub, SoftwareToken.pending == matched.sealed, *only)
        .values(
            secret=matched.sealed,
            pending=None,
            friendly_name=name,
            last_step=matched.step,
            verified_at=env.now(),
        )
        .returning(SoftwareToken.user_sub)
    )
    if taken is None:
        raise errors.InvalidParameter(NOT_SET_UP)


def matches(env: Env, user: User, code: str) -> Matched | None:
    """Whether a code belongs to the secret in use; None for a wrong one.

    Raises errors.CodeUsed for one that was taken, or comes before one that was.
    """
    row = _row(env, user)
    if row is None or row.secret is None:
        return None
    matched = fits(env, user, row.secret, code)
    if matched is not None and matched.step <= row.last_step:
        raise errors.CodeUsed
    return matched


def use(env: Env, matched: Matched) -> None:
    """Take the code. Inside a transaction: one UPDATE, so that of two who show one code at one moment, one is let in.
    Raises errors.CodeUsed."""
    if env.db.scalar(_USE, {"sub": matched.sub, "sealed": matched.sealed, "step": matched.step}) is None:
        raise errors.CodeUsed


def stands(env: Env, user: User) -> tuple[bool, bool]:
    """Whether a secret is in use, and whether one waits."""
    row = _row(env, user)
    return (False, False) if row is None else (row.secret is not None, row.pending is not None)


def remove(env: Env, user: User) -> bool:
    """Inside a transaction; whether there was one in use."""
    secrets = env.db.execute(
        delete(SoftwareToken).where(SoftwareToken.user_sub == user.sub).returning(SoftwareToken.secret)
    ).all()
    return any(row.secret is not None for row in secrets)


def _row(env: Env, user: User) -> SoftwareToken | None:
    with env.reading() as session:
        return session.scalar(_OF_USER, {"sub": user.sub})
