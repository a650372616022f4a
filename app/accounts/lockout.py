"""Counting failures, so that a password or a code cannot be found by trying (reference: 4.8).

Counted by a digest of the user or, for names that mean nobody, of the name: both lock alike. The lock is read before
the attempt and again in the transaction that would let it succeed, so that guesses sent in parallel gain nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, case, delete, select, update

from app import errors
from app.db import inserting
from app.env import Env
from app.models import Pool, Throttle

FREE = 5
"""Failures without a lock; each further one locks for twice as long, from one second."""
LONGEST = timedelta(minutes=15)
"""Of a lock, and of the quiet after which failures are forgotten."""

_COUNTER = select(Throttle.count.label("failures"), Throttle.locked_until, Throttle.expires_at).where(
    Throttle.key == bindparam("key")
)


def key_of(env: Env, pool: Pool, what: str) -> str:
    """The counter of a user (`what` is his sub) or of a name that means nobody."""
    return env.keyed.digest("failures", f"{pool.id} {what}")


def check(env: Env, key: str) -> int:
    """Refuse while locked; otherwise the number of failures counted. One statement. Raises errors.LockedOut."""
    with env.reading() as session:
        row = session.execute(_COUNTER, {"key": key}).one_or_none()
    now = env.now()
    if row is None or now >= row.expires_at:
        return 0
    if row.locked_until is not None and now < row.locked_until:
        raise errors.LockedOut
    return int(row.failures)


def failed(env: Env, key: str) -> None:
    """Count a failure, and lock from the fifth on. Inside a transaction that commits the refusal.

    A failure that arrives while the lock stands (it was under way when the lock fell) is not counted: an attacker
    could otherwise extend it for ever.
    """
    now = env.now()
    count = _add(env, key, now)
    if count >= FREE:
        lock = min(timedelta(seconds=2 ** (count - FREE)), LONGEST) if count < FREE + 10 else LONGEST
        env.db.execute(
            update(Throttle).where(Throttle.key == key).values(locked_until=now + lock, expires_at=now + lock + LONGEST)
        )


def succeeded(env: Env, key: str) -> None:
    """Forget the failures. Inside a transaction."""
    env.db.execute(delete(Throttle).where(Throttle.key == key))


def _add(env: Env, key: str, now: datetime) -> int:
    """The new count, or 0 where the lock stands. One statement counts, whatever runs in parallel."""
    quiet = Throttle.expires_at <= now
    counted = (
        inserting(env.db, Throttle)
        .values(key=key, count=1, since=now, expires_at=now + LONGEST)
        .on_conflict_do_update(
            index_elements=[Throttle.key],
            set_={"count": case((quiet, 1), else_=Throttle.count + 1), "expires_at": now + LONGEST},
            where=Throttle.locked_until.is_(None) | (Throttle.locked_until <= now),
        )
        .returning(Throttle.count)
    )
    return int(env.db.scalar(counted) or 0)
