"""Recovery codes: what a user writes down for the day on which the second factor is lost (requirements: 62).

They stand in for the factors and beside the password of the day on which they were made. So they end when the last
factor goes, when one is replaced (another secret in the app, another address for its codes), and with a new password:
somebody who had all three for a moment must not keep the codes when the owner has changed the rest.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, exists, func, insert, select

from app import errors
from app.accounts import find
from app.audit import record
from app.env import Env
from app.models import Pool, RecoveryCode, User

HOW_MANY = 10


def make(env: Env, user: User) -> list[str]:
    """New codes, in place of all he had. They are shown this once: only digests are kept. Inside a transaction."""
    codes, now = [env.random.recovery_code() for _ in range(HOW_MANY)], env.now()
    env.db.execute(delete(RecoveryCode).where(RecoveryCode.user_sub == user.sub))
    env.db.execute(
        insert(RecoveryCode),
        [
            {"id": env.random.uuid(), "user_sub": user.sub, "digest": _digest(env, user.sub, code), "created_at": now}
            for code in codes
        ],
    )
    record.event(env, user.pool_id, "RecoveryCodesMade", sub=user.sub)
    return codes


def fits(env: Env, user: User, code: str) -> bool:
    """Whether it is one of his. `take` decides."""
    with env.reading() as session:
        return bool(session.scalar(select(exists().where(*_is(env, user, code)))))


def take(env: Env, user: User, code: str) -> None:
    """Use one up. Inside a transaction: whoever deletes the row has used it, and nobody else.

    Raises errors.CodeMismatch.
    """
    if env.db.scalar(delete(RecoveryCode).where(*_is(env, user, code)).returning(RecoveryCode.id)) is None:
        raise errors.CodeMismatch("Invalid code received for user")
    record.event(env, user.pool_id, "RecoveryCodeUsed", sub=user.sub)


def end(env: Env, user: User) -> int:
    """Make all of the user's codes worthless; how many there were. Inside a transaction, with the user's row locked."""
    gone = delete(RecoveryCode).where(RecoveryCode.user_sub == user.sub).returning(RecoveryCode.id)
    count = len(env.db.scalars(gone).all())
    if count:
        record.event(env, user.pool_id, "RecoveryCodesEnded", sub=user.sub, count=count)
    return count


def left_by_administrator(env: Env, pool: Pool, *, username: str) -> int:
    """How many codes a user of the pool has left. Raises errors.UserNotFound."""
    user = find.existing(env, pool, username).user
    with env.reading() as session:
        return session.scalar(select(func.count()).where(RecoveryCode.user_sub == user.sub)) or 0


def end_by_administrator(env: Env, pool: Pool, *, username: str) -> int:
    """Make the codes of a user of the pool worthless; how many there were. Raises errors.UserNotFound."""
    found = find.existing(env, pool, username)
    with env.transaction():
        return end(env, find.locked(env, found.user.sub))


def _is(env: Env, user: User, code: str) -> tuple[ColumnElement[bool], ...]:
    return RecoveryCode.user_sub == user.sub, RecoveryCode.digest == _digest(env, user.sub, code)


def _digest(env: Env, sub: str, code: str) -> str:
    """However it was typed: letter case, hyphens and spaces are for the eye."""
    return env.keyed.digest("recovery code", f"{sub} {''.join(code.replace('-', '').split()).lower()}")
