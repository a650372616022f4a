"""Counting attempts, so that a password or a code cannot be found by trying (reference: 4.8).

Counted by a digest of the user or, for names that mean nobody, of the name: both lock alike. An attempt is counted
before it is looked at, by one statement that also says whether it may be: a thousand guesses in parallel are a thousand
attempts. The one that succeeds takes its count back.

Whoever keeps failing would keep the owner out as well. So an address from which the user has signed in lately is
counted by itself, once the common counter is locked: a stranger's guesses do not lock the owner out at home.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, bindparam, case, delete, exists, null, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from app import errors
from app.db import table, utc
from app.env import Env, Origin
from app.models import LoginSession, Pool, Throttle

FREE = 5
"""Attempts without a lock; each further one locks for twice as long, from one second."""
LONGEST = timedelta(minutes=15)
"""Of a lock, and of the quiet after which attempts are forgotten."""

_LOCKED = select(Throttle.locked_until).where(Throttle.key == bindparam("key"))


@dataclass(frozen=True)
class Counter:
    """Whose attempts are counted. `near` is for those from an address that the user is known to use."""

    common: str
    near: str | None
    sub: str | None
    ip: str


def counter(env: Env, pool: Pool, *, sub: str | None = None, nobody: str | None = None, origin: Origin) -> Counter:
    """Of a user, by his `sub`, or of a name that means `nobody`."""
    who = f"{pool.id} {sub or f'nobody {nobody}'}"
    near = env.keyed.digest("failures", f"{who} from {origin.ip}") if sub and origin.ip else None
    return Counter(env.keyed.digest("failures", who), near, sub, origin.ip)


def check(env: Env, counted: Counter) -> None:
    """Refuse while locked, where nothing can be guessed yet. Raises errors.LockedOut."""
    if _locked(env, counted.common) and (not _known(env, counted) or _locked(env, counted.near or "")):
        raise errors.LockedOut


def attempt(env: Env, counted: Counter) -> str:
    """Count an attempt, or refuse it while locked: it is then not counted, so that nobody can extend a lock. Inside a
    transaction of its own, committed before the attempt is looked at. Returns which counter it was, for `forgive`.

    Raises errors.LockedOut.
    """
    if _add(env, counted.common):
        return counted.common
    if counted.near is not None and _known(env, counted) and _add(env, counted.near):
        return counted.near
    raise errors.LockedOut


def forgive(env: Env, key: str) -> None:
    """Take an attempt back that was right, but is not all that is asked. Inside a transaction. The others stay counted:
    whoever has the password has not yet the right to a million codes."""
    env.db.execute(update(Throttle).where(Throttle.key == key).values(count=Throttle.count - 1, locked_until=None))


def forget(env: Env, counted: Counter) -> None:
    """Forget all attempts, after a success. Inside a transaction."""
    keys = [key for key in (counted.common, counted.near) if key]
    env.db.execute(delete(Throttle).where(Throttle.key.in_(keys)))


def _locked(env: Env, key: str) -> bool:
    with env.reading() as session:
        until = session.scalar(_LOCKED, {"key": key})
    return until is not None and env.now() < until


def _known(env: Env, counted: Counter) -> bool:
    """Whether the user has a login session from this address. Asked only of those who are locked out."""
    if counted.near is None:
        return False
    mine = exists().where(LoginSession.user_sub == counted.sub, LoginSession.ip == counted.ip)
    with env.reading() as session:
        return bool(session.scalar(select(mine)))


def _add(env: Env, key: str) -> bool:
    """Whether the attempt may be made; one statement counts it and sets the lock that follows it."""
    now = env.now()
    moments = {"now": now, "quiet": now + LONGEST}
    for count, lock in _LOCKS.items():
        moments |= {f"until{count}": now + lock, f"end{count}": now + lock + LONGEST}
    return env.db.scalar(_counting(env.db.get_bind().dialect.name), {"key": key, **moments}) is not None


_LOCKS = {FREE + n: min(timedelta(seconds=2**n), LONGEST) for n in range(11)}
"""Number of the attempt, and the lock that follows it; those after the last one lock for as long."""


@cache
def _counting(dialect: str) -> ReturningInsert[tuple[int]]:
    """Built once: it is part of every sign-in."""
    quiet = Throttle.expires_at <= _moment("now")
    following = Throttle.count + 1
    last = max(_LOCKS)

    def by_count(name: str) -> list[Any]:
        return [
            *((following == n, _moment(f"{name}{n}")) for n in _LOCKS),
            (following > last, _moment(f"{name}{last}")),
        ]

    statement = (postgresql if dialect == "postgresql" else sqlite).insert(table(Throttle))
    counting: ReturningInsert[tuple[int]] = (
        statement.values(key=bindparam("key"), count=1, since=_moment("now"), expires_at=_moment("quiet"))
        .on_conflict_do_update(
            index_elements=[Throttle.key],
            set_={
                "count": case((quiet, 1), else_=following),
                "locked_until": case((quiet, null()), *by_count("until"), else_=null()),
                "expires_at": case((quiet, _moment("quiet")), *by_count("end"), else_=_moment("quiet")),
            },
            where=Throttle.locked_until.is_(None) | (Throttle.locked_until <= _moment("now")),
        )
        .returning(Throttle.count)
    )
    return counting


def _moment(name: str) -> BindParameter[datetime]:
    return bindparam(name, type_=utc())
