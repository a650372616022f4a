"""Counting attempts, so that a password or a code cannot be found by trying (reference: 4.8).

Counted by a digest of the user or, for names that mean nobody, of the name: both lock alike. An attempt is counted as
open before it is looked at, by one statement that also says whether it may be made; it ends as a failure, or is taken
back. Of a thousand guesses that come at once, OPEN are looked at, and their failures lock for a quarter of an hour. The
same user's sign-ins from eight machines at once, all right, are no failures and lock nobody.

Whoever keeps failing would keep the owner out as well. So a place where the user is known (accounts.known) is counted
by itself, once the common counter is locked: a stranger's guesses do not lock the owner out at home.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BindParameter, Case, ColumnElement, bindparam, case, delete, null, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from app import errors, metrics
from app.accounts import known
from app.accounts.known import Place
from app.audit import record
from app.db import table, utc
from app.env import Env, Origin
from app.models import Pool, Throttle
from app.statements import Statement

FREE = 5
"""The failure that locks for a second; each further one locks for twice as long."""
OPEN = 20
"""Attempts of one counter that may be looked at at one time, in all processes."""
OPEN_FOR = timedelta(minutes=1)
"""After which open attempts no longer count, unless another one was opened meanwhile. Nothing takes that long to look
at: their process has died, or the database failed before they could be taken back."""
LOCKED_OUT = "LockedOut"
"""Name of the event in the audit."""
LONGEST = timedelta(minutes=15)
"""Of a lock, and of the quiet after which attempts are forgotten."""

_THROTTLE = table(Throttle)
_LOCKED = Statement(select(_THROTTLE.c.locked_until).where(_THROTTLE.c.key == bindparam("key")))
_FORGIVE = Statement(
    update(_THROTTLE)
    .where(_THROTTLE.c.key == bindparam("counted"), _THROTTLE.c.pending > 0)
    .values(pending=_THROTTLE.c.pending - 1)
)
_FORGET = Statement(delete(_THROTTLE).where(_THROTTLE.c.key.in_([bindparam("common"), bindparam("near")])))


@dataclass(frozen=True)
class Counter:
    """Whose attempts are counted. `near` is for those from a place where the user is known. A name that means nobody
    has one too: nobody is known anywhere, but it takes as long to find out."""

    common: str
    near: str | None
    place: Place
    pool: Pool
    sub: str | None
    """None: it is nobody's."""


def counter(env: Env, pool: Pool, *, sub: str | None = None, nobody: str | None = None, origin: Origin) -> Counter:
    """Of a user, by their `sub`, or of a name that means `nobody`."""
    who = f"{pool.id} {sub or f'nobody {nobody}'}"
    place = known.place(env, pool, sub, origin)
    near = env.keyed.digest("failures", f"{who} {place.name}") if place.name else None
    return Counter(env.keyed.digest("failures", who), near, place, pool, sub)


def check(env: Env, counted: Counter) -> None:
    """Refuse while locked, where nothing can be guessed yet. Raises errors.LockedOut."""
    if _locked(env, counted.common) and (not known.is_known(env, counted.place) or _locked(env, counted.near or "")):
        metrics.RATE_LIMITED.add("lockout")
        raise errors.LockedOut


@contextmanager
def attempt(env: Env, counted: Counter, *, at: str = record.SIGN_IN_FAILED, client: str | None = None) -> Iterator[str]:
    """Around what looks at an answer: a refusal that comes out of it is a failure, and is in the audit under the name
    of what it was `at`, and under LOCKED_OUT where it sets the lock. What went well stays open until the
    write that follows it says `forgive` or `forget`; it is given the key to say so with. With no transaction open.

    While locked nothing is counted, so that nobody can extend a lock. Raises errors.LockedOut.
    """
    key = _opened(env, counted)
    try:
        yield key
    except (errors.TooManyRequests, errors.ServiceUnavailable):  # it was not looked at
        with env.transaction(counting=True):
            forgive(env, key)
        raise
    except errors.Refusal as refused:
        with env.transaction(counting=True):
            until = _fail(env, key)
            locks = until is not None and env.now() < until
            names = (at, LOCKED_OUT) if locks else (at,)
            record.event(env, counted.pool, *names, sub=counted.sub, refusal=refused, client=client)
        raise


def forgive(env: Env, key: str) -> None:
    """Take an attempt back that was right, but is not all that is asked. Inside a transaction. Failures stay counted:
    whoever has the password has not yet the right to a million codes."""
    _FORGIVE.execute(env, {"counted": key})


def forget(env: Env, counted: Counter) -> None:
    """Forget all attempts, after a success. Inside a transaction."""
    _FORGET.execute(env, {"common": counted.common, "near": counted.near})


def _locked(env: Env, key: str) -> bool:
    until = _LOCKED.scalar(env, {"key": key})
    return until is not None and env.now() < until


def _opened(env: Env, counted: Counter) -> str:
    """A transaction for each counter: who holds one and wants the other may wait for `forget`, which waits for him."""
    with env.transaction(counting=True):
        if _add(env, counted.common):
            return counted.common
    if counted.near is not None and known.is_known(env, counted.place):
        with env.transaction(counting=True):
            if _add(env, counted.near):
                return counted.near
    metrics.RATE_LIMITED.add("lockout")
    raise errors.LockedOut


def _add(env: Env, key: str) -> bool:
    """Whether the attempt may be made; the statement that says so counts it."""
    now = env.now()
    given = {"key": key, "now": now, "abandoned": now - OPEN_FOR, "quiet": now + LONGEST}
    return _COUNT.first(env, given) is not None


def _fail(env: Env, key: str) -> datetime | None:
    """An open attempt was wrong: count it, and set the lock that follows; until when it lasts. One statement,
    because others fail at the same moment."""
    now = env.now()
    locks = {f"lock_{n}": now + lock for n, lock in _LOCKS.items()}
    quiets = {f"quiet_{n}": now + lock + LONGEST for n, lock in _LOCKS.items()}
    until: datetime | None = _FAIL.scalar(env, {"counted": key, **locks, **quiets})
    return until


_LOCKS = {FREE + n: min(timedelta(seconds=2**n), LONGEST) for n in range(11)}
"""Number of the failure, and the lock that follows it; those after the last one lock for as long."""


def _moment(name: str) -> BindParameter[datetime]:
    return bindparam(name, type_=utc())


def _after(failures: ColumnElement[int], moment: str, otherwise: ColumnElement[datetime]) -> Case[datetime]:
    """The parameter called `<moment>_<number>` of the failure that is being counted."""
    last = max(_LOCKS)
    return case(
        *((failures == n, _moment(f"{moment}_{n}")) for n in _LOCKS),
        (failures > last, _moment(f"{moment}_{last}")),
        else_=otherwise,
    )


_FAIL = Statement(
    update(_THROTTLE)
    .where(_THROTTLE.c.key == bindparam("counted"))
    .values(
        count=_THROTTLE.c.count + 1,
        pending=case((_THROTTLE.c.pending > 0, _THROTTLE.c.pending - 1), else_=0),
        locked_until=_after(_THROTTLE.c.count + 1, "lock", _THROTTLE.c.locked_until),
        expires_at=_after(_THROTTLE.c.count + 1, "quiet", _THROTTLE.c.expires_at),
    )
    .returning(_THROTTLE.c.locked_until)
)


def _counting(dialect: str) -> ReturningInsert[int]:
    quiet = Throttle.expires_at <= _moment("now")
    abandoned = Throttle.since <= _moment("abandoned")
    statement = (postgresql if dialect == "postgresql" else sqlite).insert(table(Throttle))
    counting: ReturningInsert[int] = (
        statement.values(key=bindparam("key"), count=0, pending=1, since=_moment("now"), expires_at=_moment("quiet"))
        .on_conflict_do_update(
            index_elements=[Throttle.key],
            set_={
                "count": case((quiet, 0), else_=Throttle.count),
                "pending": case((quiet | abandoned, 1), else_=Throttle.pending + 1),
                "since": _moment("now"),
                "locked_until": case((quiet, null()), else_=Throttle.locked_until),
                "expires_at": _moment("quiet"),
            },
            where=(Throttle.locked_until.is_(None) | (Throttle.locked_until <= _moment("now")))
            & (quiet | abandoned | (Throttle.pending < OPEN)),
        )
        .returning(Throttle.count)
    )
    return counting


_COUNT = Statement(_counting)
